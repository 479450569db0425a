/* SPDX-License-Identifier: Apache-2.0 */

#include "verify.h"

#include <getopt.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <string.h>

#include "text.h"
#include "value.h"
#include "verify-bucket.h"
#include "verify-folder.h"

#define KEY_FILE_MAX 65536L
#define EXIT_TROUBLE 2 /* the question could not be answered */

static const char usage[] =
                "streamsight verify --key=KEY... FOLDER...\n"
                "streamsight verify --key=KEY... --endpoint=URL --region=REGION --bucket=BUCKET PREFIX...\n"
                "\n"
                "Finds whether recordings are what the workstation recorded: segments (.sss) with their statements\n"
                "(.sss.jws) in folders, or the objects in the organisation's bucket whose names begin with PREFIX.\n"
                "\n"
                "  -k, --key=KEY          a device's key: the thumbprint that \"streamsight status\" shows on it, or a\n"
                "                         file of thumbprints, one a line, each with the device's id behind it, or\n"
                "                         with a public key (PEM)\n"
                "      --endpoint=URL     https://HOST[:PORT] of the S3 server\n"
                "      --region=REGION    default: $AWS_REGION, or us-east-1\n"
                "      --bucket=BUCKET    its key is that of AWS's own tools: $AWS_ACCESS_KEY_ID … or ~/.aws/credentials\n"
                "      --virtual-hosted   the bucket's name is part of the host's, not of the path\n"
                "      --ca-file=FILE     trust these certificates (PEM) instead of the system's\n"
                "      --save=FOLDER      keep what is read from the bucket there, with the statements\n"
                "  -h, --help             show this\n"
                "      --version          show the version\n"
                "\n"
                "Exit status: 0 everything is there and unaltered, 1 something is not, 2 it could not be found out.\n";

typedef struct Verify {
        TrustedKey trusted[TRUSTED_MAX];
        size_t n_trusted;
        VerifyBucket bucket;
} Verify;

void verify_message(const char *format, ...) {
        char text[4096], clean[4096];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        /* Names and codes come from whoever filled the folder or the bucket. */
        text_sanitize(clean, sizeof(clean), text);
        fprintf(stderr, "streamsight verify: %s\n", clean);
}

static bool is_thumbprint(const char *text) {
        return strlen(text) == THUMBPRINT_SIZE - 1 &&
               strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") ==
                               THUMBPRINT_SIZE - 1;
}

/* device: "" if it is not known. */
static int trust(Verify *verify, const char *thumbprint, const char *device) {
        if (verify->n_trusted == TRUSTED_MAX) {
                verify_message("more than %u keys", TRUSTED_MAX);
                return -E2BIG;
        }
        TrustedKey *key = &verify->trusted[verify->n_trusted++];
        strcpy(key->thumbprint, thumbprint);
        snprintf(key->device, sizeof(key->device), "%s", device);
        return 0;
}

static int trust_pem(Verify *verify, FILE *file) {
        _cleanup_(EVP_PKEY_freep) EVP_PKEY *key = PEM_read_PUBKEY(file, NULL, NULL, NULL);
        char thumbprint[THUMBPRINT_SIZE];

        if (!key || jwk_thumbprint(key, thumbprint) < 0)
                return -EBADMSG;
        return trust(verify, thumbprint, "");
}

/* Lines of thumbprints, each with the id of the device whose it is, if that is known, and whatever is behind
 * that, such as the workstation's name; # is a comment. */
static int trust_lines(Verify *verify, FILE *file) {
        static const char space[] = " \t\r\n";
        _cleanup_free_ char *line = NULL;
        size_t allocated = 0;
        int r = 0;

        while (r >= 0 && getline(&line, &allocated, file) > 0) {
                char *rest, *device;

                line[strcspn(line, "#")] = '\0';
                const char *thumbprint = strtok_r(line, space, &rest);
                if (!thumbprint)
                        continue;
                device = strtok_r(NULL, space, &rest);
                r = is_thumbprint(thumbprint) ? trust(verify, thumbprint,
                                                      device && value_is_uuid(device) ? device : "")
                                              : -EBADMSG;
        }
        return r;
}

static int trust_option(Verify *verify, const char *text) {
        char begin[16] = "";
        int r;

        if (is_thumbprint(text))
                return trust(verify, text, "");
        _cleanup_fclose_ FILE *file = fopen(text, "re");
        if (!file) {
                verify_message("%s: neither a key's thumbprint nor a file that can be read: %s", text,
                               strerror(errno));
                return -errno;
        }
        if (fread(begin, 1, 11, file) != 11 || fseek(file, 0, SEEK_END) < 0 || ftell(file) > KEY_FILE_MAX)
                r = -EBADMSG;
        else {
                rewind(file);
                r = strcmp(begin, "-----BEGIN ") == 0 ? trust_pem(verify, file) : trust_lines(verify, file);
        }
        if (r == -EBADMSG)
                verify_message("%s: holds neither thumbprints, one a line, nor a P-256 public key (PEM)",
                               text);
        return r;
}

/* 1: go on; 0: all was said. */
static int parse_arguments(Verify *verify, int argc, char *argv[]) {
        enum {
                OPTION_ENDPOINT = 256,
                OPTION_REGION,
                OPTION_BUCKET,
                OPTION_VIRTUAL,
                OPTION_CA,
                OPTION_SAVE,
                OPTION_VERSION
        };
        static const struct option options[] = {
                { "key", required_argument, NULL, 'k' },
                { "endpoint", required_argument, NULL, OPTION_ENDPOINT },
                { "region", required_argument, NULL, OPTION_REGION },
                { "bucket", required_argument, NULL, OPTION_BUCKET },
                { "virtual-hosted", no_argument, NULL, OPTION_VIRTUAL },
                { "ca-file", required_argument, NULL, OPTION_CA },
                { "save", required_argument, NULL, OPTION_SAVE },
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, OPTION_VERSION },
                {},
        };
        VerifyBucket *bucket = &verify->bucket;
        int c, r;

        bucket->region = getenv("AWS_REGION") ?: "us-east-1";
        while ((c = getopt_long(argc, argv, "k:h", options, NULL)) >= 0)
                switch (c) {
                case 'k':
                        r = trust_option(verify, optarg);
                        if (r < 0)
                                return r;
                        break;
                case OPTION_ENDPOINT:
                        bucket->endpoint = optarg;
                        break;
                case OPTION_REGION:
                        bucket->region = optarg;
                        break;
                case OPTION_BUCKET:
                        bucket->bucket = optarg;
                        break;
                case OPTION_VIRTUAL:
                        bucket->virtual_hosted = true;
                        break;
                case OPTION_CA:
                        bucket->ca_file = optarg;
                        break;
                case OPTION_SAVE:
                        bucket->save = optarg;
                        break;
                case 'h':
                        fputs(usage, stdout);
                        return 0;
                case OPTION_VERSION:
                        puts("streamsight-verify " STREAMSIGHT_VERSION);
                        return 0;
                default:
                        return -EINVAL;
                }
        if (optind == argc)
                verify_message("which folder, or which PREFIX of the bucket? See --help");
        else if (verify->n_trusted == 0)
                verify_message("whose recordings? Name the device's key with --key; see --help");
        else if (!bucket->endpoint != !bucket->bucket)
                verify_message("--endpoint and --bucket belong together");
        else if (!bucket->bucket && (bucket->save || bucket->ca_file || bucket->virtual_hosted))
                verify_message("--save, --ca-file and --virtual-hosted need --bucket");
        else
                return 1;
        return -EINVAL;
}

static int judge_all(Verify *verify, char *arguments[]) {
        _cleanup_(judge_freep) Judge *judge = NULL;
        int r;

        r = judge_new(&judge, verify->trusted, verify->n_trusted);
        for (; r >= 0 && *arguments; arguments++) {
                verify->bucket.prefix = *arguments;
                r = verify->bucket.bucket ? verify_bucket(judge, &verify->bucket)
                                          : verify_folder(judge, *arguments);
        }
        if (r < 0)
                return r;
        r = judge_finish(judge);
        if (r == -ENODATA)
                verify_message("there is no segment at all");
        return r;
}

int main(int argc, char *argv[]) {
        static Verify verify;
        int r;

        r = parse_arguments(&verify, argc, argv);
        if (r == 0)
                return EXIT_SUCCESS;
        if (r > 0)
                r = judge_all(&verify, argv + optind);
        if (r == -ENOMEM)
                verify_message("out of memory");
        if (fflush(stdout) != 0 || ferror(stdout))
                r = -EIO;
        return r < 0 ? EXIT_TROUBLE : r > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
