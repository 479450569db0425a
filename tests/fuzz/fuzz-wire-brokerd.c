/* SPDX-License-Identifier: Apache-2.0 */

/* brokerd's two receivers, broker.sock and its end of control.sock, with everything behind them; it is not
 * enrolled, and there is no bus. */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker.h"
#include "capd.h"
#include "names.h"
#include "policy-sync.h"
#include "recorder.h"
#include "recordings.h"
#include "uploadd.h"
#include "uploads.h"
#include "wire-driver.h"
#include "wire.h"

const WireMessage wire_messages[] = {
        { 0, WIRE_HELLO, sizeof(struct wire_hello), 0, 0 },
        { 0, WIRE_BROKER_SEGMENT_READY, sizeof(struct wire_broker_segment_ready), 0, 0 },
        { 0, WIRE_BROKER_UPLOADED, sizeof(struct wire_broker_segment), 0, 0 },
        { 0, WIRE_BROKER_FAILED, sizeof(struct wire_broker_failed), 0, 0 },
        { 0, WIRE_BROKER_FINISHED, sizeof(struct wire_broker_recording), 0, 0 },
        { 0, WIRE_BROKER_STATS, sizeof(struct wire_broker_stats), 0, 0 },
        { 1, WIRE_HELLO, sizeof(struct wire_hello), 0, 0 },
        { 1, WIRE_CONTROL_STATUS, sizeof(struct wire_control_status), 0, 0 },
};
const size_t wire_n_messages = ELEMENTSOF(wire_messages);
const uint64_t wire_wait = 0;

static Broker broker;
static char paths[2][64];
static int control = -1;

/* systemd's part: sd_listen_fds(3) */
static void pass_listening_socket(void) {
        char pid[16];
        int fd = wire_driver_listen(paths[0]);

        snprintf(pid, sizeof(pid), "%d", (int) getpid());
        if (fd != 3 && dup3(fd, 3, O_CLOEXEC) < 0)
                abort();
        if (fd != 3)
                close(fd);
        setenv("LISTEN_PID", pid, 1);
        setenv("LISTEN_FDS", "1", 1);
        setenv("LISTEN_FDNAMES", STREAMSIGHT_FD_BROKER, 1);
}

void wire_target_open(WireTarget *target) {
        if (control < 0) {
                for (int i = 0; i < 2; i++)
                        snprintf(paths[i], sizeof(paths[i]), "peer-%d-%d", (int) getpid(), i);
                /* libFuzzer or the driver may hold descriptor 3; theirs has a copy. */
                (void) fcntl(3, F_DUPFD_CLOEXEC, 64);
                pass_listening_socket();
                control = wire_driver_listen(paths[1]);
        }
        broker = (Broker){};
        broker.settings = (Settings){ "agent.conf", paths[1], "root", NULL };
        if (sd_event_new(&broker.event) < 0 || policy_sync_new(&broker.policy, &broker) < 0 ||
            recorder_new(&broker.recorder, &broker) < 0 || recordings_new(&broker.recordings, &broker) < 0 ||
            uploads_new(&broker.uploads, &broker) < 0 || capd_new(&broker.capd, &broker) < 0 ||
            uploadd_new(&broker.uploadd, &broker) < 0)
                abort();
        capd_grant(broker.capd, 5);
        target->peers[0] = wire_driver_connect(paths[0]);
        target->peers[1] = accept4(control, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (target->peers[1] < 0)
                abort();
        target->event = broker.event;
        wire_driver_run(target->event, 0);
}

void wire_target_close(WireTarget *target) {
        close(target->peers[0]);
        close(target->peers[1]);
        wire_driver_run(target->event, 0);
        broker.uploads = uploads_free(broker.uploads);
        broker.recordings = recordings_free(broker.recordings);
        broker.policy = policy_sync_free(broker.policy);
        broker.capd = capd_free(broker.capd);
        broker.uploadd = uploadd_free(broker.uploadd);
        broker.recorder = recorder_free(broker.recorder);
        status_done(&broker.status);
        sd_event_unref(broker.event);
        /* A connection that was made again has not been accepted. */
        for (int fd; (fd = accept4(control, NULL, NULL, SOCK_CLOEXEC)) >= 0;)
                close(fd);
}
