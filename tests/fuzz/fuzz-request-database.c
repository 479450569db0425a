/* SPDX-License-Identifier: Apache-2.0 */

/* Requests to apid with all that is behind it: PostgreSQL with two companies in it, and Redis, which
 * request_database.py has started and filled. Callers of one company ask for whatever it may be; each input
 * begins with the same database. Of every answer it must hold that it is one, that it is no 5xx and that
 * nothing of the other company is in it; after an input, that the other company's rows are what they were,
 * that no transaction is open and no descriptor left. */

#include <dirent.h>
#include <libpq-fe.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"
#include "log.h"
#include "redis.h"
#include "request-input.h"
#include "request-question.h"
#include "request-socket.h"
#include "request-words.h"

#define REST_MS 2000

/* Once each of the threads has its connections. */
static const char warm_up[] =
                "nobody POST /v1/auth/login\n\n{\"email\":\"$email.owner\",\"password\":\"$password\"}\f"
                "owner GET /v1/auth/session\n\n\f"
                "owner POST /v1/auth/password\n\n{\"password\":\"?\",\"new_password\":\"long enough for it\"}\f"
                "device GET /v1/devices/self/policy\n\n\f"
                "device POST /v1/recordings/$recording/segments\n\n"
                "{\"sequence\":0,\"sha256\":"
                "\"a7937b64b8caa58f03721bb6bacf5c78cb235febe0e70b1b84cd99541461a08e\",\"previous_sha256\":null,"
                "\"md5\":\"iwTV43ddKY54RV78XKQE1Q==\",\"size\":5,\"started_at\":\"2030-01-31T10:00:00Z\","
                "\"ended_at\":\"2030-01-31T10:00:59Z\",\"frames\":300,\"statement\":\"$signed.device\"}\f";

static Context context;
static const char *folder;
static char mark[64]; /* the other company's; its first character is there once */
static PGconn *owner;
static unsigned n_descriptors;

/* Who was answered what, and what was changed, tell inputs apart that are alike to apid's code; see
 * libFuzzer's FuzzerExtraCounters.cpp. */
static __attribute__((section("__libfuzzer_extra_counters"))) uint8_t outcomes[1U << 13];

static void count(const char *a, const char *b, const char *c) {
        const char *const texts[] = { a, " ", b, " ", c };
        uint32_t hash = 2166136261; /* FNV-1a */

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                for (const char *p = texts[i]; *p; p++)
                        hash = (hash ^ (uint8_t) *p) * 16777619;
        outcomes[hash % sizeof(outcomes)] = 1;
}

static void die(const char *what) {
        perror(what);
        abort();
}

/* But for pipes: libFuzzer makes them when it wants to name a function. */
static unsigned count_descriptors(void) {
        DIR *dir = opendir("/proc/self/fd");
        unsigned n = 0;

        if (!dir)
                die("/proc/self/fd");
        for (const struct dirent *entry; (entry = readdir(dir));) {
                char target[16] = "";
                n += readlinkat(dirfd(dir), entry->d_name, target, sizeof(target) - 1) > 0 &&
                     strncmp(target, "pipe:", 5) != 0;
        }
        closedir(dir);
        return n;
}

/* A password is hashed once, as what the database has was, for all that apid and the database know. */
int __real_PKCS5_PBKDF2_HMAC(const char *pass, int passlen, const unsigned char *salt, int saltlen, int iter,
                             const EVP_MD *digest, int keylen, unsigned char *out);
int __wrap_PKCS5_PBKDF2_HMAC(const char *pass, int passlen, const unsigned char *salt, int saltlen, int iter,
                             const EVP_MD *digest, int keylen, unsigned char *out);
int __wrap_PKCS5_PBKDF2_HMAC(const char *pass, int passlen, const unsigned char *salt, int saltlen, int iter,
                             const EVP_MD *digest, int keylen, unsigned char *out) {
        return iter > 0 && __real_PKCS5_PBKDF2_HMAC(pass, passlen, salt, saltlen, 1, digest, keylen, out);
}

/* What apid calls an error is one, also where the caller does not come to know. */
static atomic_bool logged;

int __wrap_log_internal(int level, int error, const char *message_id, const char *file, int line,
                        const char *func, const char *format, ...) _printf_(7, 8);
int __wrap_log_internal(int level, int error, const char *message_id _unused_, const char *file, int line,
                        const char *func _unused_, const char *format, ...) {
        va_list ap;

        if (level <= LOG_ERR) {
                logged = true;
                fprintf(stderr, "%s:%i: ", file, line);
                va_start(ap, format);
                errno = abs(error);
                vfprintf(stderr, format, ap);
                va_end(ap);
                fputc('\n', stderr);
        }
        return -abs(error);
}

static void fail(const Question *question, const char *reply, const char *why) {
        fprintf(stderr, "%s:\n%s %.*s\n\n%s\n", why, question->caller, (int) question->size, question->text,
                reply);
        abort();
}

/* Not by memmem(), whose arguments libFuzzer takes into inputs. */
static bool contains_mark(const char *text, size_t size) {
        for (size_t i = 0, n = 0; i < size; i++) {
                n = text[i] == mark[n] ? n + 1 : text[i] == mark[0];
                if (!mark[n])
                        return true;
        }
        return false;
}

static void check(const Question *question, const char *reply, size_t size) {
        const char *body = strstr(reply, "\r\n\r\n");
        char status[4] = "";

        if (size == 0 && !question->http)
                return;
        if (!body || strncmp(reply, "HTTP/1.1 ", 9) != 0)
                fail(question, reply, "No answer");
        memcpy(status, reply + 9, 3);
        if (status[0] == '5' || logged)
                fail(question, reply, "A fault of ours");
        if (contains_mark(reply, size))
                fail(question, reply, "Another company's");
        body += 4;
        size -= (size_t) (body - reply);
        /* What libmicrohttpd itself refuses has a page without a type. */
        bool typed = memmem(reply, (size_t) (body - reply), "\nContent-Type: ", 15);
        if (size > 0 && !typed)
                return;
        _cleanup_(json_decrefp) json_t *answer =
                        size > 0 ? json_loadb(body, size, JSON_REJECT_DUPLICATES, NULL) : NULL;
        if (size > 0 && !answer)
                fail(question, reply, "No JSON");
        bool known = strcmp(status, "404") != 0 && strcmp(status, "405") != 0;
        const char *code = status[0] == '4' ? json_string_value(json_object_get(answer, "code")) : NULL;
        count(question->caller, known ? question->shape : "", code ?: status);
        words_learn(answer);
}

static void ask(const char *text, size_t size) {
        _cleanup_free_ char *copy = malloc(size + 1);
        Question question = {};
        size_t answered;

        if (!copy)
                die("malloc");
        memcpy(copy, text, size);
        copy[size] = '\0';
        question_make(folder, copy, size, &question);
        const char *reply = request_exchange(question.text, question.size, -1, &answered);
        check(&question, reply, answered);
        free(question.text);
}

/* Makes the database and Redis what they were, and checks what was done to them. */
static void settle(void) {
        const char *parameters[] = { words_get("company") }, *name;
        PGresult *result = PQexecPrepared(owner, "settle", 1, parameters, NULL, NULL, 0);

        if (PQresultStatus(result) != PGRES_TUPLES_OK) {
                fputs(PQerrorMessage(owner), stderr);
                abort();
        }
        char *changed = PQgetvalue(result, 0, 0);
        if (strchr(changed, '!')) {
                fprintf(stderr, "Changed, with '!' not the callers' own:%s\n", changed);
                abort();
        }
        for (char *save = NULL, *table = strtok_r(changed, " ", &save); table;
             table = strtok_r(NULL, " ", &save))
                count("", "", table);
        PQclear(result);
        for (size_t i = 0; (name = words_name(i)); i++) {
                redisReply *reply = NULL;
                if (strncmp(name, "session.", 8) != 0)
                        continue;
                const char *argv[] = { "SET", words_get(name), words_get(name + 8), "EX", "3600" };
                if (redis_command(&context.redis, ELEMENTSOF(argv), argv, &reply) < 0)
                        die("redis_command");
                freeReplyObject(reply);
        }
}

/* The server closes a connection a moment after its client has seen that it does. */
static void come_to_rest(void) {
        const struct timespec moment = { .tv_nsec = 1000 * 1000 };
        unsigned n = 0;

        for (int i = 0; i < REST_MS && (n = count_descriptors()) > n_descriptors; i++)
                nanosleep(&moment, NULL);
        if (n > n_descriptors) {
                fprintf(stderr, "%u descriptors are open that were not before\n", n - n_descriptors);
                abort();
        }
}

static void run(const char *text, size_t size) {
        for (unsigned n = 0; n < REQUESTS_MAX && size > 0; n++) {
                size_t length = request_input_next(text, size), whole = length + (length < size);
                ask(text, length);
                text += whole;
                size -= whole;
        }
        words_forget();
        settle();
}

static void read_mark(void) {
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/mark", folder) < 0)
                die("asprintf");
        FILE *file = fopen(path, "re");
        if (!file || !fgets(mark, sizeof(mark), file) || strlen(mark) < 8)
                die(path);
        fclose(file);
}

static void configure(void) {
        Settings *settings = &context.settings;
        _cleanup_free_ char *path = NULL, *error = NULL;

        if (asprintf(&path, "%s/apid.conf", folder) < 0)
                die("asprintf");
        if (settings_load(settings, path, &error) < 0 ||
            settings_read_master_keys(settings, &context.master_keys, &error) < 0 ||
            redis_server_init(&context.redis, settings->redis, settings->redis_ca_file) < 0 ||
            settings_read_redis_password(settings, context.redis.password, sizeof(context.redis.password),
                                         &error) < 0 ||
            settings_read_session_keys(settings, context.session_keys, &context.n_session_keys, &error) <
                            0) {
                fprintf(stderr, "%s: %s\n", path, error ?: "wrong");
                abort();
        }
        strcpy(context.redis.user, settings->redis_user);
        settings->workers = settings->user_workers = settings->login_workers = 1;
        settings->idle_seconds = 60; /* Redis is not filled with sessions that nobody uses any more */
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
        (void) argc, (void) argv;
        folder = getenv("STREAMSIGHT_FUZZ");
        if (!folder) {
                fputs("STREAMSIGHT_FUZZ is not set: start this by tools/lib/fuzz\n", stderr);
                exit(EXIT_FAILURE);
        }
        signal(SIGPIPE, SIG_IGN);
        words_load(folder);
        read_mark();
        configure();
        owner = PQconnectdb(words_get("database"));
        PQclear(PQprepare(owner, "settle", "SELECT fuzz.settle($1)", 1, NULL));
        request_server_start(&context);
        settle();
        run(warm_up, strlen(warm_up));
        n_descriptors = count_descriptors();
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        run((const char *) data, size);
        come_to_rest();
        return 0;
}
