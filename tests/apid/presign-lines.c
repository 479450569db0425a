/* SPDX-License-Identifier: Apache-2.0 */

/* Reads a JSON object a line (method, host, path, region, access_key_id, secret_key, time, expires, headers)
 * and writes what sigv4_presign() makes of it, or its error number. */

#include <jansson.h>
#include <string.h>

#include "sigv4.h"

int main(void) {
        _cleanup_free_ char *line = NULL;
        size_t allocated = 0;

        while (getline(&line, &allocated, stdin) > 0) {
                json_t *input = json_loads(line, 0, NULL), *headers, *value;
                SigV4Header array[SIGV4_HEADERS_MAX];
                SigV4Request request = { .headers = array };
                _cleanup_free_ char *url = NULL;
                const char *name;
                json_int_t time, expires;

                if (json_unpack(input, "{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:o}", "method",
                                &request.method, "host", &request.host, "path", &request.path, "region",
                                &request.region, "access_key_id", &request.access_key_id, "secret_key",
                                &request.secret_key, "time", &time, "expires", &expires, "headers",
                                &headers) < 0)
                        return EXIT_FAILURE;
                request.time = (time_t) time;
                request.expires = (unsigned) expires;
                json_object_foreach (headers, name, value) {
                        if (request.n_headers == SIGV4_HEADERS_MAX)
                                return EXIT_FAILURE;
                        array[request.n_headers++] = (SigV4Header){ name, json_string_value(value) };
                }
                int r = sigv4_presign(&request, &url);
                if (r < 0)
                        printf("%i\n", r);
                else
                        puts(url);
                json_decref(input);
        }
        return EXIT_SUCCESS;
}
