/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What capd asks of KMS (drm-kms(7), include/uapi/drm/drm_mode.h), one function per ioctl and into memory of
 * fixed size: libdrm's own drmModeGet*() allocate at each call, and capd calls for each frame. None changes
 * anything in the kernel. All return 0 or a negative errno: -ENOENT the object is gone, -ENODEV the card is.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#include "cleanup.h"

#define KMS_OBJECTS_MAX    128U /* of one kind on one card; a card with more shows its first ones */
#define KMS_PROPERTIES_MAX 128U

typedef struct KmsIds {
        uint32_t n;
        uint32_t ids[KMS_OBJECTS_MAX];
} KmsIds;

typedef struct KmsProperties {
        uint32_t n;
        uint32_t ids[KMS_PROPERTIES_MAX];
        uint64_t values[KMS_PROPERTIES_MAX];
} KmsProperties;

/* -EOPNOTSUPP: the card has no outputs at all. */
int kms_resources(int fd, KmsIds *ret_connectors, KmsIds *ret_crtcs);
int kms_planes(int fd, KmsIds *ret);

/* Never makes the driver probe the cable. */
int kms_connector(int fd, uint32_t id, struct drm_mode_get_connector *ret);
/* The CRTC that feeds the encoder, 0: none. */
int kms_encoder_crtc(int fd, uint32_t id, uint32_t *ret_crtc);
int kms_crtc(int fd, uint32_t id, struct drm_mode_crtc *ret);
int kms_plane(int fd, uint32_t id, struct drm_mode_get_plane *ret);

/* Ids and values as of one moment; type is DRM_MODE_OBJECT_*. */
int kms_properties(int fd, uint32_t object, uint32_t type, KmsProperties *ret);

/* Looks up the properties of these names among those that an object has: ids[i] is that of names[i], or 0.
 * -ENOENT only if the object itself is gone. */
int kms_resolve(int fd, const KmsProperties *properties, const char *const *names, size_t n, uint32_t *ids);

/* False if the object has no such property (or id is 0). */
bool kms_value(const KmsProperties *properties, uint32_t id, uint64_t *ret);

/* A property's blob. -EMSGSIZE: it is not of this size. */
int kms_blob(int fd, uint32_t id, void *data, size_t size);
