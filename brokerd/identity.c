/* SPDX-License-Identifier: Apache-2.0 */

#include "identity.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/stat.h>

#define KEY_FILE      "device.key"
#define DEVICE_FILE   "device.json"
#define FILE_SIZE_MAX 8192
#define SECURE_HEAP   65536

DEFINE_CLEANUP(BIO *, BIO_freep, BIO_free_all)

int identity_protect_process(void) {
        /* 2: the memory is guarded but could not be locked, which a machine without swap can live with. */
        return CRYPTO_secure_malloc_init(SECURE_HEAP, 32) > 0 ? 0 : -ENOMEM;
}

int identity_generate_key(EVP_PKEY **ret) {
        EVP_PKEY *key = EVP_EC_gen("P-256");

        if (!key)
                return -EIO;
        *ret = key;
        return 0;
}

static int write_durably(const char *directory, const char *name, const void *data, size_t size) {
        _cleanup_close_ int dir_fd = -1, fd = -1;
        _cleanup_free_ char *temporary = NULL;
        int r = 0;

        dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                return -errno;
        if (asprintf(&temporary, ".%s.new", name) < 0)
                return -ENOMEM;
        if (unlinkat(dir_fd, temporary, 0) < 0 && errno != ENOENT)
                return -errno;
        fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;

        ssize_t n = write(fd, data, size);
        if (n < 0 || fsync(fd) < 0)
                r = -errno;
        else if ((size_t) n != size)
                r = -ENOSPC;
        else if (renameat(dir_fd, temporary, dir_fd, name) < 0 || fsync(dir_fd) < 0)
                r = -errno;
        if (r < 0)
                (void) unlinkat(dir_fd, temporary, 0);
        return r;
}

/* A file of our own that nobody else may read, into buffer. 0 with *ret_size, or a negative errno. */
static int read_private(const char *directory, const char *name, uint8_t *buffer, size_t *ret_size) {
        _cleanup_free_ char *path = NULL;
        _cleanup_close_ int fd = -1;
        struct stat st;

        if (asprintf(&path, "%s/%s", directory, name) < 0)
                return -ENOMEM;
        fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || st.st_size > FILE_SIZE_MAX)
                return -EBADMSG;
        if ((st.st_mode & 0077) != 0 || st.st_uid != geteuid())
                return -EPERM;

        ssize_t n = read(fd, buffer, FILE_SIZE_MAX);
        if (n < 0)
                return -errno;
        *ret_size = (size_t) n;
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

int identity_load_key(const char *directory, EVP_PKEY **ret) {
        uint8_t *pem = OPENSSL_secure_malloc(FILE_SIZE_MAX);
        size_t size;
        int r;

        if (!pem)
                return -ENOMEM;
        r = read_private(directory, KEY_FILE, pem, &size);
        if (r >= 0)
                r = key_from_pem(pem, size, ret);
        OPENSSL_secure_clear_free(pem, FILE_SIZE_MAX);
        return r;
}

void identity_forget_key(const char *directory) {
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/" KEY_FILE, directory) >= 0)
                (void) unlink(path);
}

int identity_load(const char *directory, Identity *ret) {
        Identity identity = {};
        json_auto_t *json = NULL;
        uint8_t text[FILE_SIZE_MAX];
        const char *device, *company, *url;
        size_t size;
        int r;

        r = read_private(directory, DEVICE_FILE, text, &size);
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
        _cleanup_(BIO_freep) BIO *bio = BIO_new(BIO_s_secmem());
        char *pem;
        int r;

        if (!bio)
                return -ENOMEM;
        if (PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
                return -EIO;
        long size = BIO_get_mem_data(bio, &pem);
        r = write_durably(directory, KEY_FILE, pem, (size_t) size);
        OPENSSL_cleanse(pem, (size_t) size);
        return r;
}

int identity_store(const char *directory, const char *device_id, const char *company, const char *url) {
        json_auto_t *json =
                        json_pack("{s:s, s:s, s:s}", "device_id", device_id, "company", company, "url", url);
        _cleanup_free_ char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;

        if (!text)
                return -ENOMEM;
        return write_durably(directory, DEVICE_FILE, text, strlen(text));
}

void identity_done(Identity *identity) {
        EVP_PKEY_free(identity->key);
        free(identity->company);
        free(identity->url);
        *identity = (Identity){};
}
