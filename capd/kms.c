/* SPDX-License-Identifier: Apache-2.0 */
#include "kms.h"

#include <string.h>

#define MIN(a, b) ((a) < (b) ? (a) : (b))

static int kms_ioctl(int fd, unsigned long request, void *argument) {
        return drmIoctl(fd, request, argument) < 0 ? -errno : 0;
}

static uint64_t kms_pointer(void *pointer) {
        return (uint64_t) (uintptr_t) pointer;
}

int kms_resources(int fd, KmsIds *ret_connectors, KmsIds *ret_crtcs) {
        struct drm_mode_card_res resources = {
                .connector_id_ptr = kms_pointer(ret_connectors->ids),
                .count_connectors = KMS_OBJECTS_MAX,
                .crtc_id_ptr = kms_pointer(ret_crtcs->ids),
                .count_crtcs = KMS_OBJECTS_MAX,
        };
        int r = kms_ioctl(fd, DRM_IOCTL_MODE_GETRESOURCES, &resources);

        if (r < 0)
                return r;
        ret_connectors->n = MIN(resources.count_connectors, KMS_OBJECTS_MAX);
        ret_crtcs->n = MIN(resources.count_crtcs, KMS_OBJECTS_MAX);
        return 0;
}

int kms_planes(int fd, KmsIds *ret) {
        struct drm_mode_get_plane_res resources = {
                .plane_id_ptr = kms_pointer(ret->ids),
                .count_planes = KMS_OBJECTS_MAX,
        };
        int r = kms_ioctl(fd, DRM_IOCTL_MODE_GETPLANERESOURCES, &resources);

        if (r < 0)
                return r;
        ret->n = MIN(resources.count_planes, KMS_OBJECTS_MAX);
        return 0;
}

int kms_connector(int fd, uint32_t id, struct drm_mode_get_connector *ret) {
        /* count_modes = 0 would ask for a probe: drm_mode.h, "Force-probing a connector". */
        struct drm_mode_modeinfo mode;
        struct drm_mode_get_connector connector = {
                .connector_id = id,
                .count_modes = 1,
                .modes_ptr = kms_pointer(&mode),
        };
        int r = kms_ioctl(fd, DRM_IOCTL_MODE_GETCONNECTOR, &connector);

        if (r < 0)
                return r;
        connector.modes_ptr = 0;
        *ret = connector;
        return 0;
}

int kms_encoder_crtc(int fd, uint32_t id, uint32_t *ret_crtc) {
        struct drm_mode_get_encoder encoder = { .encoder_id = id };
        int r = kms_ioctl(fd, DRM_IOCTL_MODE_GETENCODER, &encoder);

        if (r < 0)
                return r;
        *ret_crtc = encoder.crtc_id;
        return 0;
}

int kms_crtc(int fd, uint32_t id, struct drm_mode_crtc *ret) {
        *ret = (struct drm_mode_crtc){ .crtc_id = id };
        return kms_ioctl(fd, DRM_IOCTL_MODE_GETCRTC, ret);
}

int kms_plane(int fd, uint32_t id, struct drm_mode_get_plane *ret) {
        *ret = (struct drm_mode_get_plane){ .plane_id = id };
        return kms_ioctl(fd, DRM_IOCTL_MODE_GETPLANE, ret);
}

int kms_properties(int fd, uint32_t object, uint32_t type, KmsProperties *ret) {
        struct drm_mode_obj_get_properties properties = {
                .props_ptr = kms_pointer(ret->ids),
                .prop_values_ptr = kms_pointer(ret->values),
                .count_props = KMS_PROPERTIES_MAX,
                .obj_id = object,
                .obj_type = type,
        };
        int r = kms_ioctl(fd, DRM_IOCTL_MODE_OBJ_GETPROPERTIES, &properties);

        if (r < 0)
                return r;
        ret->n = MIN(properties.count_props, KMS_PROPERTIES_MAX);
        return 0;
}

int kms_resolve(int fd, const KmsProperties *properties, const char *const *names, size_t n, uint32_t *ids) {
        memset(ids, 0, n * sizeof(*ids));
        for (uint32_t i = 0; i < properties->n; i++) {
                struct drm_mode_get_property property = { .prop_id = properties->ids[i] };
                int r = kms_ioctl(fd, DRM_IOCTL_MODE_GETPROPERTY, &property);

                if (r < 0)
                        return r;
                for (size_t k = 0; k < n; k++)
                        if (strncmp(property.name, names[k], sizeof(property.name)) == 0)
                                ids[k] = property.prop_id;
        }
        return 0;
}

bool kms_value(const KmsProperties *properties, uint32_t id, uint64_t *ret) {
        for (uint32_t i = 0; i < properties->n && id != 0; i++)
                if (properties->ids[i] == id) {
                        *ret = properties->values[i];
                        return true;
                }
        return false;
}

int kms_blob(int fd, uint32_t id, void *data, size_t size) {
        struct drm_mode_get_blob blob = {
                .blob_id = id,
                .length = (uint32_t) size,
                .data = kms_pointer(data),
        };
        int r = kms_ioctl(fd, DRM_IOCTL_MODE_GETPROPBLOB, &blob);

        if (r < 0)
                return r;
        /* drm_mode_getblob_ioctl() copies nothing if the lengths differ, and tells the right one. */
        return blob.length == size ? 0 : -EMSGSIZE;
}
