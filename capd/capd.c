/* SPDX-License-Identifier: Apache-2.0 */
#include "capd.h"

#include <signal.h>
#include <string.h>
#include <time.h>

#include "capd-sandbox.h"
#include "log.h"
#include "main.h"
#include "names.h"
#include "sandbox.h"
#include "watchdog.h"
#include "wire-socket.h"

/* A process can hardly run into more; Linux itself allows 64 primary nodes. */
#define CARD_MINORS 64U

uint64_t capd_now(void) {
        struct timespec t;

        /* It cannot fail for a clock that the kernel has, and grants are worthless without. */
        int r = clock_gettime(CLOCK_BOOTTIME, &t);
        assert(r == 0);
        return (uint64_t) t.tv_sec * UINT64_C(1000000000) + (uint64_t) t.tv_nsec;
}

int capd_enumerate(Capd *capd) {
        int r;

        r = outputs_enumerate(&capd->outputs, capd->cards, capd->n_cards);
        if (r == -ENODEV) {
                log_notice("A graphics card is gone: starting anew to see which there are.");
                sd_event_exit(capd->event, 0);
                return r;
        }
        if (r < 0 && r != capd->enumerate_error)
                log_warning_errno(r, "A graphics card does not tell all of its outputs: %m");
        capd->enumerate_error = r;
        return 0;
}

static int open_cards(Capd *capd) {
        capd->opened = capd_now();
        for (unsigned minor = 0; minor < CARD_MINORS; minor++) {
                Card left_out, *card = capd->n_cards < CARDS_MAX ? &capd->cards[capd->n_cards] : &left_out;
                int r = card_open(minor, card);

                if (r == -ENOENT)
                        continue;
                if (r == -EBUSY)
                        return log_error_errno(
                                        r,
                                        "Cannot give up DRM master of card%u: no compositor could use "
                                        "it, ending.",
                                        minor);
                if (r == -EOPNOTSUPP)
                        log_info("card%u has no outputs.", minor);
                else if (r == -EACCES)
                        log_warning_errno(
                                        r,
                                        "Not allowed to open /dev/dri/card%u: the unit needs the group that "
                                        "owns it in SupplementaryGroups=. (%m)",
                                        minor);
                else if (r < 0)
                        log_warning_errno(r, "Cannot use card%u: %m", minor);
                else if (card == &left_out) {
                        card_close(card);
                        log_warning("What card%u shows is not recorded: there are more than %u graphics cards.",
                                    minor, CARDS_MAX);
                } else {
                        log_info("Opened card%u (%s).", minor, card->driver);
                        capd->n_cards++;
                }
        }
        if (capd->n_cards == 0)
                log_warning("There is no graphics card with outputs: every frame will be answered with a reason.");
        return 0;
}

/* Each request is answered before the loop goes on: where capturing is stuck, so is the loop. */
static const char *stuck(uint64_t patience _unused_, void *userdata _unused_) {
        return NULL;
}

static int make_event_loop(Capd *capd) {
        sigset_t mask;
        int r;

        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGINT);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return log_error_errno(errno, "Cannot block signals: %m");
        r = sd_event_new(&capd->event);
        if (r >= 0)
                r = sd_event_add_signal(capd->event, NULL, SIGTERM, NULL, NULL);
        if (r >= 0)
                r = sd_event_add_signal(capd->event, NULL, SIGINT, NULL, NULL);
        if (r >= 0)
                r = watchdog_start(capd->event, stuck, capd);
        /* Arming the first timer reads the boot id (sd_event_add_time(3) spreads wake-ups by it). */
        if (r >= 0)
                r = sd_event_run(capd->event, 0);
        if (r < 0)
                return log_error_errno(r, "Cannot set up the event loop: %m");
        return 0;
}

static void capd_done(Capd *capd) {
        peer_close(&capd->frames);
        peer_close(&capd->control);
        for (size_t i = 0; i < capd->n_cards; i++)
                card_close(&capd->cards[i]);
        capd->event = sd_event_unref(capd->event);
}

static int run(int argc, char *argv[] _unused_) {
        /* A grant was there before what is asked because of it, whenever capd gets to look. */
        _cleanup_(capd_done) Capd capd = { .frames = { .listen_fd = -1 },
                                           .control = { .listen_fd = -1,
                                                        .priority = SD_EVENT_PRIORITY_IMPORTANT } };
        int r;

        if (argc > 1)
                return log_error_errno(EINVAL, "capd takes no arguments: it is configured by its unit.");

        r = sandbox_prepare();
        if (r < 0)
                return log_error_errno(r, "Cannot forbid new privileges and core files: %m");
        r = wire_know_domain();
        if (r < 0)
                return log_error_errno(r, "Cannot see its own SELinux domain: %m");
        r = peer_open(&capd.frames, STREAMSIGHT_FD_FRAME, STREAMSIGHT_USER_UPLOADD,
                      STREAMSIGHT_DOMAIN_UPLOADD);
        if (r < 0)
                return r;
        r = peer_open(&capd.control, STREAMSIGHT_FD_CONTROL, STREAMSIGHT_USER_BROKERD,
                      STREAMSIGHT_DOMAIN_BROKERD);
        if (r < 0)
                return r;
        r = open_cards(&capd);
        if (r < 0)
                return r;
        r = make_event_loop(&capd);
        if (r < 0)
                return r;
        r = frames_listen(&capd);
        if (r < 0)
                return r;
        r = control_listen(&capd);
        if (r < 0)
                return r;

        r = capd_sandbox_enter();
        if (r < 0)
                return r;

        r = capd_enumerate(&capd);
        if (r < 0)
                return r;
        notify("READY=1");
        r = sd_event_loop(capd.event);
        notify("STOPPING=1");
        return r;
}

DEFINE_MAIN("streamsight-capd", run)
