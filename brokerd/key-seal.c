/* SPDX-License-Identifier: Apache-2.0 */

#include "key-seal.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <string.h>

#define MAGIC_SIZE (sizeof(KEY_SEAL_MAGIC) - 1)
#define NONCE_SIZE 12U
#define TAG_SIZE   16U

_Static_assert(MAGIC_SIZE + NONCE_SIZE + TAG_SIZE == KEY_SEAL_OVERHEAD, "the stored form");

DEFINE_CLEANUP(EVP_CIPHER_CTX *, cipher_freep, EVP_CIPHER_CTX_free)

/* AES-256-GCM over data: tag is written when encrypting, and else compared. False: OpenSSL failed, or the
 * tag is another. */
static bool transform(bool encrypt, const uint8_t *key, const uint8_t *nonce, const uint8_t *data, int size,
                      uint8_t *ret, uint8_t *tag) {
        _cleanup_(cipher_freep) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
        int n;

        if (!context || EVP_CipherInit_ex2(context, EVP_aes_256_gcm(), key, nonce, encrypt, NULL) != 1 ||
            EVP_CipherUpdate(context, NULL, &n, (const uint8_t *) KEY_SEAL_MAGIC, MAGIC_SIZE) != 1 ||
            EVP_CipherUpdate(context, ret, &n, data, size) != 1 || n != size)
                return false;
        if (!encrypt && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, tag) != 1)
                return false;
        if (EVP_CipherFinal_ex(context, ret + size, &n) != 1)
                return false;
        return !encrypt || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, tag) == 1;
}

int key_seal(const uint8_t wrapping[static WRAPPING_KEY_SIZE], const void *plain, size_t size,
             uint8_t *ret) {
        uint8_t *nonce = ret + MAGIC_SIZE, *data = nonce + NONCE_SIZE;

        memcpy(ret, KEY_SEAL_MAGIC, MAGIC_SIZE);
        if (RAND_bytes(nonce, NONCE_SIZE) != 1 ||
            !transform(true, wrapping, nonce, plain, (int) size, data, data + size))
                return -EIO;
        return 0;
}

int key_unseal(const uint8_t wrapping[static WRAPPING_KEY_SIZE], const uint8_t *sealed, size_t size,
               uint8_t *ret, size_t *ret_size) {
        const uint8_t *nonce = sealed + MAGIC_SIZE, *data = nonce + NONCE_SIZE;
        uint8_t tag[TAG_SIZE];

        if (size <= KEY_SEAL_OVERHEAD || memcmp(sealed, KEY_SEAL_MAGIC, MAGIC_SIZE) != 0)
                return -EBADMSG;
        size -= KEY_SEAL_OVERHEAD;
        memcpy(tag, data + size, TAG_SIZE);
        if (!transform(false, wrapping, nonce, data, (int) size, ret, tag))
                return -EKEYREJECTED;
        *ret_size = size;
        return 0;
}
