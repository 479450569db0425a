/* SPDX-License-Identifier: Apache-2.0 */

#include "secret.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#define VERSION          2
#define VERSION_NAMELESS 1
#define NONCE_SIZE       12U
#define TAG_SIZE         16U

DEFINE_CLEANUP(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_freep, EVP_CIPHER_CTX_free)

int master_key_id(const uint8_t key[static MASTER_KEY_SIZE], uint8_t ret[static MASTER_KEY_ID_SIZE]) {
        static const char purpose[] = "streamsight master key";
        uint8_t message[sizeof(purpose) + MASTER_KEY_SIZE], digest[32];

        memcpy(message, purpose, sizeof(purpose));
        memcpy(message + sizeof(purpose), key, MASTER_KEY_SIZE);
        int ok = EVP_Digest(message, sizeof(message), digest, NULL, EVP_sha256(), NULL);
        OPENSSL_cleanse(message, sizeof(message));
        if (ok != 1)
                return -EIO;
        memcpy(ret, digest, MASTER_KEY_ID_SIZE);
        return 0;
}

const uint8_t *master_keys_find(const MasterKeys *keys, const uint8_t *id) {
        uint8_t known[MASTER_KEY_ID_SIZE];

        if (!id)
                return keys->keys[keys->n - 1];
        for (size_t i = 0; i < keys->n; i++)
                if (master_key_id(keys->keys[i], known) >= 0 && memcmp(known, id, sizeof(known)) == 0)
                        return keys->keys[i];
        return NULL;
}

static int start(EVP_CIPHER_CTX *context, const uint8_t *key, const uint8_t *nonce, uint8_t version,
                 const char *bucket_id, int encrypt) {
        int n;

        /* AES-GCM's nonce is 12 bytes unless told otherwise (NIST SP 800-38D §5.2.1.1) */
        if (EVP_CipherInit_ex2(context, EVP_aes_256_gcm(), key, nonce, encrypt, NULL) != 1 ||
            EVP_CipherUpdate(context, NULL, &n, &version, sizeof(version)) != 1 ||
            EVP_CipherUpdate(context, NULL, &n, (const uint8_t *) bucket_id, (int) strlen(bucket_id)) != 1)
                return -EIO;
        return 0;
}

int secret_seal(const MasterKeys *keys, const char *bucket_id, const char *plain,
                uint8_t ret[static SECRET_STORED_MAX], size_t *ret_size) {
        _cleanup_(EVP_CIPHER_CTX_freep) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
        size_t length = strlen(plain);
        uint8_t *nonce = ret + 1 + MASTER_KEY_ID_SIZE, *ciphertext = nonce + NONCE_SIZE;
        int n, r;

        if (length == 0 || length > SECRET_PLAIN_MAX)
                return -EINVAL;
        if (!context || RAND_bytes(nonce, NONCE_SIZE) != 1)
                return -EIO;
        ret[0] = VERSION;
        if ((r = master_key_id(keys->keys[0], ret + 1)) < 0 ||
            (r = start(context, keys->keys[0], nonce, VERSION, bucket_id, 1)) < 0)
                return r;
        if (EVP_CipherUpdate(context, ciphertext, &n, (const uint8_t *) plain, (int) length) != 1 ||
            EVP_CipherFinal_ex(context, ciphertext + n, &n) != 1 ||
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, ciphertext + length) != 1)
                return -EIO;
        *ret_size = SECRET_OVERHEAD + length;
        return 0;
}

int secret_open(const MasterKeys *keys, const char *bucket_id, const uint8_t *stored, size_t size,
                char ret[static SECRET_PLAIN_MAX + 1]) {
        _cleanup_(EVP_CIPHER_CTX_freep) EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
        uint8_t plain[SECRET_PLAIN_MAX], tag[TAG_SIZE];
        int n, end, r;

        if (size == 0 || size > SECRET_STORED_MAX || (stored[0] != VERSION && stored[0] != VERSION_NAMELESS))
                return -EBADMSG;
        size_t name = stored[0] == VERSION ? MASTER_KEY_ID_SIZE : 0;
        if (size <= 1 + name + NONCE_SIZE + TAG_SIZE ||
            size > SECRET_PLAIN_MAX + 1 + name + NONCE_SIZE + TAG_SIZE)
                return -EBADMSG;
        if (!context)
                return -EIO;
        const uint8_t *key = master_keys_find(keys, name > 0 ? stored + 1 : NULL);
        if (!key)
                return -EKEYREJECTED;
        const uint8_t *nonce = stored + 1 + name, *ciphertext = nonce + NONCE_SIZE;
        size_t length = (size_t) (stored + size - TAG_SIZE - ciphertext);
        memcpy(tag, ciphertext + length, TAG_SIZE);
        r = start(context, key, nonce, stored[0], bucket_id, 0);
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

bool secret_is_current(const MasterKeys *keys, const uint8_t *stored, size_t size) {
        return size > SECRET_OVERHEAD && stored[0] == VERSION &&
               master_keys_find(keys, stored + 1) == keys->keys[0];
}
