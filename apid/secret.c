/* SPDX-License-Identifier: Apache-2.0 */

#include "secret.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#define VERSION    1
#define NONCE_SIZE 12U
#define TAG_SIZE   16U

DEFINE_CLEANUP(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_freep, EVP_CIPHER_CTX_free)

static int start(EVP_CIPHER_CTX *context, const uint8_t *key, const uint8_t *nonce, const char *bucket_id,
                 int encrypt) {
        static const uint8_t version = VERSION;
        int n;

        /* AES-GCM's nonce is 12 bytes unless told otherwise (NIST SP 800-38D §5.2.1.1) */
        if (EVP_CipherInit_ex2(context, EVP_aes_256_gcm(), key, nonce, encrypt, NULL) != 1 ||
            EVP_CipherUpdate(context, NULL, &n, &version, sizeof(version)) != 1 ||
            EVP_CipherUpdate(context, NULL, &n, (const uint8_t *) bucket_id, (int) strlen(bucket_id)) != 1)
                return -EIO;
        return 0;
}

int secret_seal(const uint8_t key[static MASTER_KEY_SIZE], const char *bucket_id, const char *plain,
                uint8_t ret[static SECRET_STORED_MAX], size_t *ret_size) {
        _cleanup_(EVP_CIPHER_CTX_freep) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
        size_t length = strlen(plain);
        uint8_t *nonce = ret + 1, *ciphertext = nonce + NONCE_SIZE;
        int n, r;

        if (length == 0 || length > SECRET_PLAIN_MAX)
                return -EINVAL;
        if (!context || RAND_bytes(nonce, NONCE_SIZE) != 1)
                return -EIO;
        ret[0] = VERSION;
        r = start(context, key, nonce, bucket_id, 1);
        if (r < 0)
                return r;
        if (EVP_CipherUpdate(context, ciphertext, &n, (const uint8_t *) plain, (int) length) != 1 ||
            EVP_CipherFinal_ex(context, ciphertext + n, &n) != 1 ||
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, ciphertext + length) != 1)
                return -EIO;
        *ret_size = SECRET_OVERHEAD + length;
        return 0;
}

int secret_open(const uint8_t key[static MASTER_KEY_SIZE], const char *bucket_id, const uint8_t *stored,
                size_t size, char ret[static SECRET_PLAIN_MAX + 1]) {
        _cleanup_(EVP_CIPHER_CTX_freep) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
        uint8_t plain[SECRET_PLAIN_MAX], tag[TAG_SIZE];
        int n, end, r;

        if (size <= SECRET_OVERHEAD || size > SECRET_STORED_MAX || stored[0] != VERSION)
                return -EBADMSG;
        if (!context)
                return -EIO;
        size_t length = size - SECRET_OVERHEAD;
        const uint8_t *nonce = stored + 1, *ciphertext = nonce + NONCE_SIZE;
        memcpy(tag, ciphertext + length, TAG_SIZE);
        r = start(context, key, nonce, bucket_id, 0);
        if (r < 0)
                return r;
        if (EVP_CipherUpdate(context, plain, &n, ciphertext, (int) length) != 1 ||
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, tag) != 1)
                r = -EIO;
        else if (EVP_CipherFinal_ex(context, plain + n, &end) != 1)
                r = -EKEYREJECTED;
        else {
                memcpy(ret, plain, length);
                ret[length] = '\0';
        }
        OPENSSL_cleanse(plain, sizeof(plain));
        return r;
}
