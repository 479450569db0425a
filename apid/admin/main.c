/* SPDX-License-Identifier: Apache-2.0 */

/* streamsight-admin, the operator's command. It talks to the database directly, as streamsight_admin. */

#include <getopt.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "admin.h"
#include "conninfo.h"
#include "names.h"

#define BIT(option) (1U << (option))

static const struct option long_options[] = {
        [OPTION_COMPANY] = { "company", required_argument, NULL, OPTION_COMPANY },
        [OPTION_TTL] = { "ttl", required_argument, NULL, OPTION_TTL },
        [OPTION_ENDPOINT] = { "endpoint", required_argument, NULL, OPTION_ENDPOINT },
        [OPTION_REGION] = { "region", required_argument, NULL, OPTION_REGION },
        [OPTION_BUCKET] = { "bucket", required_argument, NULL, OPTION_BUCKET },
        [OPTION_PREFIX] = { "prefix", required_argument, NULL, OPTION_PREFIX },
        [OPTION_ACCESS_KEY_ID] = { "access-key-id", required_argument, NULL, OPTION_ACCESS_KEY_ID },
        [OPTION_PATH_STYLE] = { "path-style", no_argument, NULL, OPTION_PATH_STYLE },
        [OPTION_SSE] = { "sse", required_argument, NULL, OPTION_SSE },
        [OPTION_SSE_KMS_KEY_ID] = { "sse-kms-key-id", required_argument, NULL, OPTION_SSE_KMS_KEY_ID },
        [OPTION_CA_FILE] = { "ca-file", required_argument, NULL, OPTION_CA_FILE },
        [OPTION_HTTP_PORT] = { "http-port", required_argument, NULL, OPTION_HTTP_PORT },
        [OPTION_RECORDING] = { "recording", required_argument, NULL, OPTION_RECORDING },
        [OPTION_FRAMES_PER_SECOND] = { "frames-per-second", required_argument, NULL,
                                       OPTION_FRAMES_PER_SECOND },
        [OPTION_JPEG_QUALITY] = { "jpeg-quality", required_argument, NULL, OPTION_JPEG_QUALITY },
        [OPTION_SEGMENT_SECONDS] = { "segment-seconds", required_argument, NULL, OPTION_SEGMENT_SECONDS },
        [OPTION_BYTES_PER_MINUTE] = { "bytes-per-minute", required_argument, NULL, OPTION_BYTES_PER_MINUTE },
        [OPTION_CPU_MS_PER_SECOND] = { "cpu-ms-per-second", required_argument, NULL,
                                       OPTION_CPU_MS_PER_SECOND },
        [OPTION_PAUSE_SECONDS] = { "pause-seconds", required_argument, NULL, OPTION_PAUSE_SECONDS },
        [OPTION_RECORD_LOCKED] = { "record-locked", required_argument, NULL, OPTION_RECORD_LOCKED },
        [OPTION_EMAIL] = { "email", required_argument, NULL, OPTION_EMAIL },
        [OPTION_ROLE] = { "role", required_argument, NULL, OPTION_ROLE },
        [OPTION_BEFORE] = { "before", required_argument, NULL, OPTION_BEFORE },
        [OPTION_KNOWN] = { "known", required_argument, NULL, OPTION_KNOWN },
        { "config", required_argument, NULL, 'c' },
        { "json", no_argument, NULL, 'j' },
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'v' },
        {},
};

typedef struct Command {
        const char *noun, *verb; /* verb NULL: the noun is all */
        const char *argument;    /* NULL: none */
        unsigned required, allowed;
        int (*run)(Admin *admin);
        const char *help;
} Command;

static const Command commands[] = {
        { "migrate", NULL, NULL, 0, 0, command_migrate, "Make the schema, or bring it up to date" },
        { "company", "create", "NAME", 0, 0, command_company_create, "Add a company; prints its id" },
        { "bucket", "set", NULL,
          BIT(OPTION_COMPANY) | BIT(OPTION_ENDPOINT) | BIT(OPTION_REGION) | BIT(OPTION_BUCKET) |
                          BIT(OPTION_PREFIX) | BIT(OPTION_ACCESS_KEY_ID),
          BIT(OPTION_PATH_STYLE) | BIT(OPTION_SSE) | BIT(OPTION_SSE_KMS_KEY_ID), command_bucket_set,
          "Say where a company's recordings go; reads the secret key from standard input" },
        { "bucket", "check", NULL, BIT(OPTION_COMPANY), BIT(OPTION_CA_FILE) | BIT(OPTION_HTTP_PORT),
          command_bucket_check,
          "Try on the company's bucket what its key must and what it must not be able to do; leaves an object" },
        { "policy", "set", NULL, BIT(OPTION_COMPANY),
          BIT(OPTION_RECORDING) | BIT(OPTION_FRAMES_PER_SECOND) | BIT(OPTION_JPEG_QUALITY) |
                          BIT(OPTION_SEGMENT_SECONDS) | BIT(OPTION_BYTES_PER_MINUTE) |
                          BIT(OPTION_CPU_MS_PER_SECOND) | BIT(OPTION_PAUSE_SECONDS) |
                          BIT(OPTION_RECORD_LOCKED),
          command_policy_set, "Change what is recorded; prints the new revision" },
        { "enrolment-code", "create", NULL, BIT(OPTION_COMPANY), BIT(OPTION_TTL),
          command_enrolment_code_create,
          "Make a code with which one device can join (a day if --ttl does not say)" },
        { "user", "create", "NAME", BIT(OPTION_COMPANY) | BIT(OPTION_EMAIL) | BIT(OPTION_ROLE),
          BIT(OPTION_TTL), command_user_create,
          "Add somebody who logs in; prints the invitation to choose a password with (three days)" },
        { "user", "invite", "ID", 0, BIT(OPTION_TTL), command_user_invite,
          "Invite somebody anew who has lost password or authenticator; both end at once" },
        { "user", "accept", NULL, 0, 0, command_user_accept,
          "Choose password and authenticator here; reads invitation, password and code from standard input" },
        { "user", "disable", "ID", 0, 0, command_user_disable,
          "Let somebody log in no more, and end their sessions" },
        { "user", "list", NULL, 0, BIT(OPTION_COMPANY), command_user_list, "List those who log in" },
        { "audit", "verify", NULL, 0, BIT(OPTION_COMPANY) | BIT(OPTION_KNOWN), command_audit_verify,
          "Check each company's audit trail from its beginning; prints row and hash that it ends with" },
        { "master-key", "rotate", NULL, 0, 0, command_master_key_rotate,
          "Put what is under the second master key in the file under the first" },
        { "ledger", "detach", NULL, BIT(OPTION_BEFORE), 0, command_ledger_detach,
          "Take the months before a day out of the ledgers; prints the tables to save and drop" },
        { "device", "list", NULL, 0, BIT(OPTION_COMPANY), command_device_list, "List devices" },
        { "device", "revoke", "ID", 0, 0, command_device_revoke,
          "Take a device out of service, at once and for good" },
        { "recording", "list", NULL, 0, BIT(OPTION_COMPANY), command_recording_list,
          "List the latest recordings" },
        { "recording", "statement", "ID", 0, 0, command_recording_statement,
          "Print what the device stated about a recording's end, for streamsight verify" },
};

static void print_option(unsigned option, bool optional) {
        const struct option *o = &long_options[option];

        printf(" %s--%s%s%s", optional ? "[" : "", o->name, o->has_arg ? "=…" : "", optional ? "]" : "");
}

static void print_help(void) {
        puts("Usage: streamsight-admin [--config FILE] [--json] COMMAND …\n\n"
             "Manages the control plane's database.\n");
        for (size_t i = 0; i < ELEMENTSOF(commands); i++) {
                const Command *c = &commands[i];
                printf("  %s%s%s%s%s", c->noun, c->verb ? " " : "", c->verb ?: "", c->argument ? " " : "",
                       c->argument ?: "");
                for (unsigned option = 0; option < _OPTION_MAX; option++)
                        if ((c->required | c->allowed) & BIT(option))
                                print_option(option, !(c->required & BIT(option)));
                printf("\n        %s\n", c->help);
        }
        puts("\n"
             "      --ttl=SECONDS           how long it is good for\n"
             "      --endpoint=URL          https://host[:port] of the S3 server\n"
             "      --path-style            the bucket's name is in the path, not in the host's name\n"
             "      --sse=AES256|aws:kms    ask for server-side encryption\n"
             "      --sse-kms-key-id=ID     under this key, with aws:kms; else the bucket's default\n"
             "      --ca-file=FILE          certificates (PEM) that the S3 server's must lead to\n"
             "      --http-port=PORT        where the S3 server would listen for plain HTTP (80)\n"
             "      --recording=automatic|manual|off\n"
             "      --pause-seconds=NUMBER  how long a workstation may pause, 0: not at all\n"
             "      --record-locked=yes|no  also while the session is locked\n"
             "      --known=ROW:HASH        what an earlier audit verify of the company printed: it must still be so\n"
             "      --before=YYYY-MM-DD\n"
             "      --role=owner|admin|manager|auditor\n"
             "  -c, --config=FILE           instead of " STREAMSIGHT_APID_CONFIG
             "; [Admin], [Migration] and [Keys] are used\n"
             "      --json                  print JSON\n"
             "  -h, --help                  show this\n"
             "      --version               show the version");
}

static int find_command(int argc, char *argv[], Admin *admin, const Command **ret) {
        for (size_t i = 0; i < ELEMENTSOF(commands); i++) {
                const Command *command = &commands[i];
                int n = 1 + (command->verb != NULL) + (command->argument != NULL);

                if (argc < 1 || strcmp(argv[0], command->noun) != 0 ||
                    (command->verb && (argc < 2 || strcmp(argv[1], command->verb) != 0)))
                        continue;
                if (argc != n)
                        return admin_fail(EINVAL, "%s %s takes %s argument: see streamsight-admin --help",
                                          command->noun, command->verb ?: "",
                                          command->argument ? "one" : "no");
                admin->argument = command->argument ? argv[n - 1] : NULL;
                *ret = command;
                return 0;
        }
        return admin_fail(EINVAL, "%s: see streamsight-admin --help",
                          argc < 1 ? "No command given" : "Unknown command");
}

static int check_options(const Command *command, const Admin *admin) {
        for (unsigned option = 0; option < _OPTION_MAX; option++) {
                const char *name = long_options[option].name;
                if (admin->options[option] && !((command->required | command->allowed) & BIT(option)))
                        return admin_fail(EINVAL, "--%s means nothing to %s %s", name, command->noun,
                                          command->verb ?: "");
                if (!admin->options[option] && (command->required & BIT(option)))
                        return admin_fail(EINVAL, "%s %s needs --%s", command->noun, command->verb ?: "",
                                          name);
        }
        return 0;
}

static void ignore_notice(void *userdata _unused_, const PGresult *result _unused_) {}

/* Day to day it is a role that can do what the commands need; a superuser can as well, but should not be
 * needed. */
static int check_role(Admin *admin, const Command *command) {
        const char *superuser = PQparameterStatus(admin->connection, "is_superuser");
        const char *user = PQuser(admin->connection);

        if (superuser && strcmp(superuser, "on") == 0)
                return 0;
        if (command->run == command_migrate)
                return admin_fail(EPERM,
                                  "[Migration] ConnectionString= must name a superuser, such as postgres");
        if (strcmp(user, "streamsight_admin") == 0)
                return 0;
        return admin_fail(EPERM, "[Admin] ConnectionString= must name the role streamsight_admin, not %s",
                          user);
}

static int connect_database(Admin *admin, const char *config, const Command *command) {
        static const char *const keywords[] = { "dbname", "fallback_application_name", "client_encoding",
                                                "connect_timeout", NULL };
        _cleanup_free_ char *error = NULL;
        const char *reason;
        int r;

        r = settings_load(&admin->settings, config, &error);
        if (r < 0)
                return admin_fail(r, "Reading the configuration failed: %s", error ?: "out of memory");
        const char *conninfo = admin->settings.admin_database;
        if (command->run == command_migrate && admin->settings.migration_database)
                conninfo = admin->settings.migration_database;
        if (!conninfo)
                return admin_fail(EINVAL, "%s must set [Admin] ConnectionString=", config);
        r = conninfo_check(conninfo, &reason);
        if (r < 0)
                return admin_fail(r, "ConnectionString=: %s", reason);
        const char *const values[] = { conninfo, "streamsight-admin", "UTF8", "10", NULL };
        admin->connection = PQconnectdbParams(keywords, values, 1);
        if (PQstatus(admin->connection) != CONNECTION_OK)
                return admin_fail(ECONNREFUSED, "Connecting to the database failed: %s",
                                  PQerrorMessage(admin->connection));
        PQsetNoticeReceiver(admin->connection, ignore_notice, NULL);
        return check_role(admin, command);
}

static int run(int argc, char *argv[], Admin *admin) {
        const char *config = STREAMSIGHT_APID_CONFIG;
        const Command *command = NULL;
        int r;

        for (int c; (c = getopt_long(argc, argv, "c:h", long_options, NULL)) >= 0;)
                if (c < _OPTION_MAX)
                        admin->options[c] = optarg ?: "";
                else
                        switch (c) {
                        case 'c':
                                config = optarg;
                                break;
                        case 'j':
                                admin->json = true;
                                break;
                        case 'h':
                                print_help();
                                return 0;
                        case 'v':
                                puts("streamsight-admin " STREAMSIGHT_VERSION);
                                return 0;
                        default:
                                return -EINVAL;
                        }
        if ((r = find_command(argc - optind, argv + optind, admin, &command)) < 0 ||
            (r = check_options(command, admin)) < 0 || (r = connect_database(admin, config, command)) < 0)
                return r;
        return command->run(admin);
}

int main(int argc, char *argv[]) {
        const struct rlimit none = {};
        Admin admin = {};
        int r;

        /* The master key and a tenant's key pass through. */
        if (prctl(PR_SET_DUMPABLE, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
                return EXIT_FAILURE;
        r = run(argc, argv, &admin);
        if (r >= 0 && (fflush(stdout) != 0 || ferror(stdout)))
                r = admin_fail(EIO, "Writing the result failed");
        PQfinish(admin.connection);
        settings_done(&admin.settings);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
