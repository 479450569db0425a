/* SPDX-License-Identifier: Apache-2.0 */

#include "identity.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>

#include "key-seal.h"
#include "state-file.h"

#define KEY_FILE      "device.key"
#define NEXT_KEY_FILE "device.key.next"
#define DEVICE_FILE   "device.json"
#define WRAPPING_KEY  "wrapping-key"
#define FILE_SIZE_MAX 8192
#define SECURE_HEAP   65536
#define PEM_BEGIN     "-----BEGIN PRIVATE KEY-----"

/* In the secure heap, as the key that it wraps. */
static uint8_t *wrapping_key;

DEFINE_CLEANUP(BIO *, BIO_freep, BIO_free_all)

int identity_protect_process(void) {
        /* 2: the memory is guarded, but could not be locked. */
        return CRYPTO_secure_malloc_init(SECURE_HEAP, 32) == 1 ? 0 : -ENOMEM;
}

int identity_take_wrapping_key(void) {
        const char *directory = getenv("CREDENTIALS_DIRECTORY");
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = -1;
        struct stat st;

        if (!directory)
                return -ENOENT;
        if (asprintf(&path, "%s/" WRAPPING_KEY, directory) < 0)
                return -ENOMEM;
        fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || st.st_size != WRAPPING_KEY_SIZE)
                return -EBADMSG;
        wrapping_key = OPENSSL_secure_malloc(WRAPPING_KEY_SIZE);
        if (!wrapping_key)
                return -ENOMEM;
        return read(fd, wrapping_key, WRAPPING_KEY_SIZE) == WRAPPING_KEY_SIZE ? 0 : -EIO;
}

int identity_generate_key(EVP_PKEY **ret) {
        EVP_PKEY *key = EVP_EC_gen("P-256");

        if (!key)
                return -EIO;
        *ret = key;
        return 0;
}

static int key_from_pem(const uint8_t *pem, size_t size, EVP_PKEY **ret) {
        _cleanup_(BIO_freep) BIO *bio = BIO_new_mem_buf(pem, (int) size);
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
        uint8_t point[P256_POINT_SIZE];

        if (!bio)
                return -ENOMEM;
        key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
        if (!key || p256_to_point(key, point) < 0)
                return -EBADMSG;
        *ret = TAKE_PTR(key);
        return 0;
}

static int store_key(const char *directory, const char *name, EVP_PKEY *key) {
        _cleanup_(BIO_freep) BIO *bio = BIO_new(BIO_s_secmem());
        uint8_t sealed[FILE_SIZE_MAX];
        char *pem;
        int r;

        if (!bio)
                return -ENOMEM;
        if (PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
                return -EIO;
        size_t size = (size_t) BIO_get_mem_data(bio, &pem);
        r = size <= sizeof(sealed) - KEY_SEAL_OVERHEAD ? key_seal(wrapping_key, pem, size, sealed) : -E2BIG;
        OPENSSL_cleanse(pem, size);
        return r < 0 ? r : state_file_write(directory, name, sealed, size + KEY_SEAL_OVERHEAD);
}

/* The key's PEM form, from what is stored. */
static int open_key(const uint8_t *stored, size_t size, EVP_PKEY **ret) {
        uint8_t *pem = OPENSSL_secure_malloc(FILE_SIZE_MAX);
        int r;

        if (!pem)
                return -ENOMEM;
        r = key_unseal(wrapping_key, stored, size, pem, &size);
        if (r >= 0)
                r = key_from_pem(pem, size, ret);
        OPENSSL_secure_clear_free(pem, FILE_SIZE_MAX);
        return r;
}

static int load_key(const char *directory, const char *name, EVP_PKEY **ret) {
        uint8_t *stored = OPENSSL_secure_malloc(FILE_SIZE_MAX);
        size_t size;
        int r;

        if (!stored)
                return -ENOMEM;
        r = state_file_read(directory, name, stored, FILE_SIZE_MAX, &size);
        if (r < 0)
                ;
        else if (size < strlen(PEM_BEGIN) || memcmp(stored, PEM_BEGIN, strlen(PEM_BEGIN)) != 0)
                r = open_key(stored, size, ret);
        else {
                /* As versions before the wrapping key left it. */
                _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = NULL;
                r = key_from_pem(stored, size, &key);
                if (r >= 0)
                        r = store_key(directory, name, key);
                if (r >= 0)
                        *ret = TAKE_PTR(key);
        }
        OPENSSL_secure_clear_free(stored, FILE_SIZE_MAX);
        return r;
}

int identity_load_key(const char *directory, EVP_PKEY **ret) {
        return load_key(directory, KEY_FILE, ret);
}

int identity_load_next_key(const char *directory, EVP_PKEY **ret) {
        return load_key(directory, NEXT_KEY_FILE, ret);
}

int identity_promote_next_key(const char *directory) {
        return state_file_rename(directory, NEXT_KEY_FILE, KEY_FILE);
}

void identity_forget_next_key(const char *directory) {
        (void) state_file_forget(directory, NEXT_KEY_FILE);
}

int identity_set_key(Identity *identity, EVP_PKEY *key) {
        char thumbprint[THUMBPRINT_SIZE];
        int r;

        r = jwk_thumbprint(key, thumbprint);
        if (r < 0)
                return r;
        if (EVP_PKEY_up_ref(key) != 1)
                return -EIO;
        EVP_PKEY_free(identity->key);
        identity->key = key;
        memcpy(identity->thumbprint, thumbprint, sizeof(thumbprint));
        return 0;
}

int identity_forget(const char *directory) {
        static const char *const files[] = { DEVICE_FILE, KEY_FILE, NEXT_KEY_FILE };
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(files) && r >= 0; i++)
                r = state_file_forget(directory, files[i]);
        return r;
}

void identity_forget_key(const char *directory) {
        (void) state_file_forget(directory, KEY_FILE);
}

int identity_load(const char *directory, Identity *ret) {
        Identity identity = {};
        json_auto_t *json = NULL;
        uint8_t text[FILE_SIZE_MAX];
        const char *device, *company, *url;
        size_t size;
        int r;

        r = state_file_read(directory, DEVICE_FILE, text, sizeof(text), &size);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        json = json_loadb((const char *) text, size, JSON_REJECT_DUPLICATES, NULL);
        if (!json ||
            json_unpack(json, "{s:s, s:s, s:s}", "device_id", &device, "company", &company, "url", &url) < 0)
                return -EBADMSG;
        if (sd_id128_from_string(device, &identity.device) < 0)
                return -EBADMSG;
        r = identity_load_key(directory, &identity.key);
        if (r < 0)
                return r == -ENOENT ? -EBADMSG : r;
        r = jwk_thumbprint(identity.key, identity.thumbprint);
        if (r < 0) {
                identity_done(&identity);
                return r;
        }
        identity.company = strdup(company);
        identity.url = strdup(url);
        if (!identity.company || !identity.url) {
                identity_done(&identity);
                return -ENOMEM;
        }
        *ret = identity;
        return 1;
}

int identity_store_key(const char *directory, EVP_PKEY *key) {
        return store_key(directory, KEY_FILE, key);
}

int identity_store_next_key(const char *directory, EVP_PKEY *key) {
        return store_key(directory, NEXT_KEY_FILE, key);
}

int identity_store(const char *directory, const char *device_id, const char *company, const char *url) {
        json_auto_t *json =
                        json_pack("{s:s, s:s, s:s}", "device_id", device_id, "company", company, "url", url);
        _cleanup_free_ char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;

        if (!text)
                return -ENOMEM;
        return state_file_write(directory, DEVICE_FILE, text, strlen(text));
}

void identity_done(Identity *identity) {
        EVP_PKEY_free(identity->key);
        free(identity->company);
        free(identity->url);
        *identity = (Identity){};
}
