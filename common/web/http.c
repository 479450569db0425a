/* SPDX-License-Identifier: Apache-2.0 */

#include "http.h"

#include <curl/curl.h>
#include <signal.h>
#include <time.h>

#include "http-internal.h"
#include "watchdog.h"

/* Connections kept open; a workstation speaks to one API host and one bucket host. */
#define HTTP_CONNECTIONS_KEPT 4L
#define HTTP_CONNECTIONS_MAX  8L

static void http_collect(HttpClient *client) {
        CURLMsg *message;
        int left;

        while ((message = curl_multi_info_read(client->multi, &left))) {
                HttpRequest *request = NULL;
                CURLcode code = message->data.result;

                if (message->msg == CURLMSG_DONE && curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
                                                                      (char **) &request) == CURLE_OK)
                        http_request_finish(request, code);
        }
}

/* A failure here is one of libcurl's own state, not of a transfer: nothing could be relied on any more. */
static int http_step(HttpClient *client, curl_socket_t fd, int events) {
        int running;

        if (curl_multi_socket_action(client->multi, fd, events, &running) != CURLM_OK)
                return sd_event_exit(client->event, -EIO);
        http_collect(client);
        return 0;
}

static int http_on_io(sd_event_source *source _unused_, int fd, uint32_t revents, void *userdata) {
        int events = (revents & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) |
                     (revents & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                     (revents & EPOLLERR ? CURL_CSELECT_ERR : 0);

        return http_step(userdata, fd, events);
}

static int http_on_time(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        return http_step(userdata, CURL_SOCKET_TIMEOUT, 0);
}

/* CURLMOPT_SOCKETFUNCTION(3) */
static int http_watch(CURL *easy _unused_, curl_socket_t fd, int what, void *userdata, void *data) {
        HttpClient *client = userdata;
        sd_event_source *source = data;
        uint32_t events = (what == CURL_POLL_IN || what == CURL_POLL_INOUT ? EPOLLIN : 0U) |
                          (what == CURL_POLL_OUT || what == CURL_POLL_INOUT ? EPOLLOUT : 0U);
        int r;

        if (what == CURL_POLL_REMOVE) {
                curl_multi_assign(client->multi, fd, NULL);
                sd_event_source_disable_unref(source);
                return 0;
        }
        if (source)
                r = sd_event_source_set_io_events(source, events);
        else {
                r = sd_event_add_io(client->event, &source, fd, events, http_on_io, client);
                if (r >= 0)
                        curl_multi_assign(client->multi, fd, source);
        }
        return r < 0 ? -1 : 0;
}

/* CURLMOPT_TIMERFUNCTION(3) */
static int http_set_timer(CURLM *multi _unused_, long milliseconds, void *userdata) {
        HttpClient *client = userdata;
        int r;

        if (milliseconds < 0)
                return sd_event_source_set_enabled(client->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
        r = sd_event_source_set_time_relative(client->timer, (uint64_t) milliseconds * 1000);
        if (r >= 0)
                r = sd_event_source_set_enabled(client->timer, SD_EVENT_ONESHOT);
        return r < 0 ? -1 : 0;
}

static int http_read_certificates(HttpClient *client, const char *path) {
        _cleanup_fclose_ FILE *file = fopen(path, "re");
        const size_t max = 4U * 1024U * 1024U;

        if (!file)
                return -errno;
        client->certificates = malloc(max + 1);
        if (!client->certificates)
                return -ENOMEM;
        client->certificates_size = fread(client->certificates, 1, max + 1, file);
        if (ferror(file))
                return -EIO;
        if (client->certificates_size > max)
                return -EFBIG;
        client->certificates[client->certificates_size] = '\0';
        if (!strstr(client->certificates, "-----BEGIN CERTIFICATE-----"))
                return -ENODATA;

        char *smaller = realloc(client->certificates, client->certificates_size + 1);
        if (smaller)
                client->certificates = smaller;
        return 0;
}

const char *http_ca_file_hint(int r, const char *ca_file) {
        /* As the units of uploadd and brokerd hide them (packaging/systemd). */
        static const char *const hidden[] = { "/dev/shm/", "/home/", "/media/", "/mnt/", "/opt/",
                                              "/root/",    "/run/",  "/srv/",   "/tmp/", "/var/" };

        for (size_t i = 0; ca_file && (r == -ENOENT || r == -EACCES) && i < ELEMENTSOF(hidden); i++)
                if (strncmp(ca_file, hidden[i], strlen(hidden[i])) == 0)
                        return ". A service does not see what is there: keep the file below /etc/streamsight";
        return "";
}

int http_client_new(HttpClient **ret, sd_event *event, const char *ca_file, const char *user_agent) {
        _cleanup_(http_client_freep) HttpClient *client = calloc(1, sizeof(*client));
        int r;

        if (!client)
                return -ENOMEM;
        /* libcurl would write the keys of all sessions to the file that this names. */
        unsetenv("SSLKEYLOGFILE");
        /* OpenSSL compares a certificate's dates by mktime(3), which would read /etc/localtime at its first
         * use. */
        tzset();
        /* OpenSSL writes with write(2), and CURLOPT_NOSIGNAL leaves SIGPIPE to the program. */
        signal(SIGPIPE, SIG_IGN);
        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return -EIO;

        client->event = sd_event_ref(event);
        if (!(client->user_agent = strdup(user_agent)))
                return -ENOMEM;
        r = http_read_certificates(client, ca_file && ca_file[0] ? ca_file : HTTP_CA_FILE_DEFAULT);
        if (r < 0)
                return r;

        /* Made now, so that its timerfd exists before a sandbox. Exact (0 would mean 250 ms): libcurl takes
         * its next steps from it. */
        r = sd_event_add_time(event, &client->timer, CLOCK_BOOTTIME, UINT64_MAX, 1, http_on_time, client);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(client->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;

        if (!(client->multi = curl_multi_init()))
                return -ENOMEM;
        if (curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, http_watch) != CURLM_OK ||
            curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client) != CURLM_OK ||
            curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, http_set_timer) != CURLM_OK ||
            curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client) != CURLM_OK ||
            curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, HTTP_CONNECTIONS_KEPT) != CURLM_OK ||
            curl_multi_setopt(client->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, HTTP_CONNECTIONS_MAX) !=
                            CURLM_OK)
                return -EIO;
        *ret = TAKE_PTR(client);
        return 0;
}

bool http_client_stuck(const HttpClient *client, uint64_t patience) {
        uint64_t now = watchdog_now();

        return now > patience && http_request_late(client, now - patience);
}

HttpClient *http_client_free(HttpClient *client) {
        if (!client)
                return NULL;
        if (client->multi)
                curl_multi_cleanup(client->multi);
        sd_event_source_disable_unref(client->timer);
        sd_event_unref(client->event);
        free(client->certificates);
        free(client->user_agent);
        free(client);
        return NULL;
}
