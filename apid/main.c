/* SPDX-License-Identifier: Apache-2.0 */

/* apid, the control plane's HTTP API. It keeps no state: any number may run side by side. */

#include <getopt.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "circuit.h"
#include "conninfo.h"
#include "database.h"
#include "main.h"
#include "names.h"
#include "progress.h"
#include "schema-version.h"
#include "server.h"
#include "status.h"

#define TICK_SECONDS 10
#define STUCK_MS     45000 /* the database's patience twice, Redis' and a hash */

static int parse_arguments(int argc, char *argv[], const char **ret_config) {
        static const struct option options[] = {
                { "config", required_argument, NULL, 'c' },
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, 'v' },
                {},
        };

        for (int c; (c = getopt_long(argc, argv, "c:h", options, NULL)) >= 0;)
                switch (c) {
                case 'c':
                        *ret_config = optarg;
                        break;
                case 'h':
                        puts("Usage: apid [--config FILE]\n\n"
                             "The HTTP API of StreamSight's control plane. It runs until SIGTERM.\n\n"
                             "  -c, --config FILE  instead of " STREAMSIGHT_APID_CONFIG
                             "\n"
                             "  -h, --help         show this\n"
                             "      --version      show the version");
                        return 0;
                case 'v':
                        puts("apid " STREAMSIGHT_VERSION);
                        return 0;
                default:
                        return -EINVAL;
                }
        if (optind < argc)
                return log_error_errno(EINVAL, "Unexpected argument \"%s\": see apid --help", argv[optind]);
        return 1;
}

/* The master key and the tenants' keys are in this process's memory: no core, no ptrace by others of our
 * uid. */
static int protect_memory(Context *context) {
        const struct rlimit none = {};

        if (prctl(PR_SET_DUMPABLE, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
                return log_error_errno(errno, "Forbidding core dumps failed: %m");
        /* Best effort: RLIMIT_MEMLOCK may be nothing. */
        if (mlock(context, sizeof(*context)) < 0)
                log_debug_errno(errno, "The master key's memory cannot be locked: %m");
        return 0;
}

static int load_configuration(Context *context, const char *path) {
        _cleanup_free_ char *error = NULL;
        const char *reason;
        int r;

        r = settings_load(&context->settings, path, &error);
        if (r < 0)
                return log_error_errno(r, "Reading the configuration failed: %s", error ?: "out of memory");
        if (!context->settings.listen || !context->settings.public_url || !context->settings.database)
                return log_error_errno(
                                EINVAL,
                                "%s must set [Server] Listen= and PublicURL= and [Database] ConnectionString=",
                                path);
        r = conninfo_check(context->settings.database, &reason);
        if (r < 0)
                return log_error_errno(r, "[Database] ConnectionString=: %s", reason);
        r = settings_read_master_keys(&context->settings, &context->master_keys, &error);
        if (r < 0)
                return log_error_errno(r, "%s", error ?: "out of memory");
        return 0;
}

/* What logins need beside the database. Without it devices are served as ever. */
static int load_sessions(Context *context) {
        const Settings *settings = &context->settings;
        _cleanup_free_ char *error = NULL;
        int r;

        if (!settings->redis) {
                log_notice("Nobody can log in: [Sessions] Redis= is not set");
                return 0;
        }
        r = redis_server_init(&context->redis, settings->redis, settings->redis_ca_file);
        if (r < 0)
                return log_error_errno(
                                r,
                                "[Sessions] Redis= must be host:port, and RedisCAFile= certificates in PEM: %m");
        strcpy(context->redis.user, settings->redis_user ?: "");
        if ((r = settings_read_redis_password(settings, context->redis.password,
                                              sizeof(context->redis.password), &error)) < 0 ||
            (r = settings_read_session_keys(settings, context->session_keys, &context->n_session_keys,
                                            &error)) < 0)
                return log_error_errno(r, "%s", error ?: "out of memory");
        return 0;
}

static void context_done(Context *context) {
        settings_done(&context->settings);
        redis_server_done(&context->redis);
        OPENSSL_cleanse(context, sizeof(*context));
}

/* What the procedures of an old schema lack would only show at the first request that needs it. A database
 * that does not answer yet is waited for by the requests. */
static int check_schema(const Context *context) {
        int compared;

        if (database_compare_schema(context, &compared) < 0)
                log_warning("The database does not answer: its schema will be seen by /ready alone");
        else if (compared < 0)
                return log_error_errno(
                                EPROTO,
                                "The database's schema is older than this version's, which is at %i: run streamsight-admin migrate",
                                SCHEMA_NUMBER);
        else if (compared > 0)
                log_warning("The database's schema is newer than this version's, which is at %i: install the newer version",
                            SCHEMA_NUMBER);
        return 0;
}

/* Until a signal comes: what the database wants done now and then; and systemd hears from us for as long as
 * the threads get on. */
static void keep_maintained(const Context *context, const sigset_t *signals) {
        const struct timespec tick = { .tv_sec = TICK_SECONDS };
        long long due = 0;

        for (;;) {
                if (monotonic_ms() >= due)
                        due = monotonic_ms() + (database_maintain(context) >= 0 ? 3600 : 60) * 1000;
                if (progress_is_stuck(STUCK_MS))
                        log_error("A request has been handled for longer than anything can take");
                else
                        notify("WATCHDOG=1");
                /* EINTR: it was stopped and goes on (signal(7)). */
                if (sigtimedwait(signals, NULL, &tick) >= 0 || (errno != EAGAIN && errno != EINTR))
                        return;
        }
}

static int run(int argc, char *argv[]) {
        _cleanup_(context_done) Context context = {};
        _cleanup_(status_freep) Status *status = NULL;
        _cleanup_(server_freep) Server *server = NULL;
        const char *config = STREAMSIGHT_APID_CONFIG;
        sigset_t signals;
        int r;

        r = parse_arguments(argc, argv, &config);
        if (r <= 0)
                return r;
        r = protect_memory(&context);
        if (r < 0)
                return r;
        r = load_configuration(&context, config);
        if (r < 0)
                return r;
        r = load_sessions(&context);
        if (r < 0)
                return r;

        /* libpq writes to sockets that the server may have closed. */
        signal(SIGPIPE, SIG_IGN);
        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        sigprocmask(SIG_BLOCK, &signals, NULL);

        r = check_schema(&context);
        if (r < 0)
                return r;
        if (context.settings.status_listen && (r = status_new(&status, &context)) < 0)
                return log_error_errno(r, "[Server] StatusListen=%s must be as Listen= and free: %m",
                                       context.settings.status_listen);
        r = server_new(&server, &context);
        if (r == -EPERM || r == -EINVAL)
                return log_error_errno(
                                r,
                                "[Server] Listen=%s must be a loopback address with a port, or unix:/path: TLS is "
                                "the gateway's",
                                context.settings.listen);
        if (r < 0)
                return log_error_errno(r, "Listening on %s failed: %m", context.settings.listen);
        notify("READY=1");
        log_info("Listening on %s", context.settings.listen);

        keep_maintained(&context, &signals);
        notify("STOPPING=1");
        server = server_drain(server);
        return 0;
}

DEFINE_MAIN("apid", run)
