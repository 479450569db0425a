/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What capd may ask of a DRM device once it serves: these requests, by exact number, and no other ioctl on
 * any descriptor. None of them changes what is on a screen, gives out or takes DRM master, or makes or
 * writes a buffer. What it asks before, while it opens a card (DROP_MASTER, SET_CLIENT_CAP, VERSION,
 * AUTH_MAGIC), is not possible any more. */

#include <drm.h>

#include "common/sandbox-ioctl.h"

static const SandboxIoctl capd_ioctls[] = {
#define IOCTL(name, why)                                                                                    \
        { DRM_IOCTL_##name, #name, why }
        IOCTL(MODE_GETRESOURCES, "which connectors a card has"),
        IOCTL(MODE_GETCONNECTOR, "an output's name, and whether something is plugged in"),
        IOCTL(MODE_GETENCODER, "which CRTC feeds a connector"),
        IOCTL(MODE_GETCRTC, "the mode of an output"),
        IOCTL(MODE_GETPLANERESOURCES, "which planes a card has"),
        IOCTL(MODE_GETPLANE, "which CRTC a plane is on, and its framebuffer"),
        IOCTL(MODE_OBJ_GETPROPERTIES, "where a plane's picture is; whether an output sleeps"),
        IOCTL(MODE_GETPROPERTY, "the names of those"),
        IOCTL(MODE_GETPROPBLOB, "what an HDR display was told of the picture's light"),
        IOCTL(MODE_GETFB2, "a framebuffer's format, and handles of its memory: wants CAP_SYS_ADMIN"),
        IOCTL(PRIME_HANDLE_TO_FD, "that memory as a dma-buf, for uploadd"),
        IOCTL(MODE_MAP_DUMB, "where it can be mapped to be copied, if it is not to be had as a dma-buf"),
        IOCTL(GEM_CLOSE, "gives a handle back"),
#undef IOCTL
};
