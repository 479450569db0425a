/* SPDX-License-Identifier: Apache-2.0 */
#include "card.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "kms.h"

/* Documentation/admin-guide/devices.txt, "226 char: Direct Rendering Infrastructure" */
#define DRM_MAJOR 226

/* Linux 6.6, include/uapi/drm/drm.h. Atomic clients that do not ask for it are not shown a virtual machine's
 * cursor planes. */
#ifndef DRM_CLIENT_CAP_CURSOR_PLANE_HOTSPOT
#define DRM_CLIENT_CAP_CURSOR_PLANE_HOTSPOT 6
#endif

/* AUTH_MAGIC is for the master alone, and refuses everybody else with EACCES before it looks at its
 * argument; the magic 0 is nobody's. */
static int card_is_master(int fd) {
        struct drm_auth auth = { .magic = 0 };

        if (drmIoctl(fd, DRM_IOCTL_AUTH_MAGIC, &auth) == 0 || errno == EINVAL)
                return true;
        return errno == EACCES ? false : -errno;
}

/* The first who opens a card becomes its master unasked (drm_master_open()). */
static int card_drop_master(int fd) {
        int r;

        (void) drmIoctl(fd, DRM_IOCTL_DROP_MASTER, NULL);
        r = card_is_master(fd);
        if (r < 0)
                return r;
        return r > 0 ? -EBUSY : 0;
}

static int card_driver(int fd, char *name, size_t size) {
        struct drm_version version = { .name = name, .name_len = size - 1 };

        memset(name, 0, size);
        return drmIoctl(fd, DRM_IOCTL_VERSION, &version) < 0 ? -errno : 0;
}

static int card_client_caps(int fd) {
        struct drm_set_client_cap universal = { DRM_CLIENT_CAP_UNIVERSAL_PLANES, 1 };
        struct drm_set_client_cap atomic = { DRM_CLIENT_CAP_ATOMIC, 1 };
        struct drm_set_client_cap hotspot = { DRM_CLIENT_CAP_CURSOR_PLANE_HOTSPOT, 1 };

        if (drmIoctl(fd, DRM_IOCTL_SET_CLIENT_CAP, &universal) < 0)
                return -errno;
        /* Drivers without atomic modesetting refuse it: their planes have no geometry properties. Hardware
         * has no use for hotspots, older kernels do not know them. */
        if (drmIoctl(fd, DRM_IOCTL_SET_CLIENT_CAP, &atomic) == 0)
                (void) drmIoctl(fd, DRM_IOCTL_SET_CLIENT_CAP, &hotspot);
        return 0;
}

static int card_planes(int fd, Card *card) {
        KmsIds ids = {};
        int r;

        r = kms_planes(fd, &ids);
        for (uint32_t i = 0; i < ids.n && card->n_planes < CARD_PLANES_MAX && r >= 0; i++)
                r = plane_open(fd, ids.ids[i], &card->planes[card->n_planes++]);
        return r;
}

int card_open(unsigned minor, Card *ret) {
        _cleanup_close_ int fd = -1;
        Card card = { .minor = minor };
        char path[32];
        KmsIds connectors, crtcs;
        struct stat st;
        int r;

        snprintf(path, sizeof(path), "/dev/dri/card%u", minor);
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISCHR(st.st_mode) || major(st.st_rdev) != DRM_MAJOR)
                return -ENOTTY;

        r = card_drop_master(fd);
        if (r < 0)
                return r;
        r = card_driver(fd, card.driver, sizeof(card.driver));
        if (r < 0)
                return r;
        r = kms_resources(fd, &connectors, &crtcs);
        if (r < 0)
                return r;
        r = card_client_caps(fd);
        if (r < 0)
                return r;
        r = card_planes(fd, &card);
        if (r < 0)
                return r;

        card.fd = TAKE_FD(fd);
        *ret = card;
        return 0;
}

void card_close(Card *card) {
        card->fd = safe_close(card->fd);
}
