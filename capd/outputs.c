/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs.h"

#include "kms.h"

/* The place that this connector has, or a free one if it may have one now. */
static Output *outputs_place(Outputs *outputs, const Card *card, const struct drm_mode_get_connector *c,
                             bool may_be_new) {
        for (size_t i = 0; i < GRANT_OUTPUTS; i++) {
                Output *o = &outputs->outputs[i];

                if (o->known && o->card == card && o->connector_type == c->connector_type &&
                    o->connector_type_id == c->connector_type_id)
                        return o;
        }
        for (size_t i = 0; i < GRANT_OUTPUTS && may_be_new; i++) {
                Output *o = &outputs->outputs[i];

                if (!o->known) {
                        *o = (Output){
                                .known = true,
                                .card = card,
                                .connector_type = c->connector_type,
                                .connector_type_id = c->connector_type_id,
                        };
                        return o;
                }
        }
        return NULL;
}

/* The CRTC that feeds a connector, through its encoder: 0 if none. */
static int connector_crtc(const Card *card, uint32_t id, struct drm_mode_get_connector *ret,
                          uint32_t *ret_crtc) {
        int r;

        *ret_crtc = 0;
        r = kms_connector(card->fd, id, ret);
        if (r < 0 || ret->encoder_id == 0)
                return r;
        return kms_encoder_crtc(card->fd, ret->encoder_id, ret_crtc);
}

/* As drm_mode_vrefresh() of the kernel, in millihertz. */
static uint32_t mode_refresh(const struct drm_mode_modeinfo *mode) {
        uint64_t numerator = (uint64_t) mode->clock * 1000000;
        uint64_t denominator = (uint64_t) mode->htotal * mode->vtotal;

        if (mode->flags & DRM_MODE_FLAG_INTERLACE)
                numerator *= 2;
        if (mode->flags & DRM_MODE_FLAG_DBLSCAN)
                denominator *= 2;
        if (mode->vscan > 1)
                denominator *= mode->vscan;
        return denominator > 0 ? (uint32_t) ((numerator + denominator / 2) / denominator) : 0;
}

/* Once for a connector and the CRTC that feeds it. */
static int output_resolve(Output *o) {
        static const char *const connector_names[] = { "CRTC_ID", "DPMS", "HDR_OUTPUT_METADATA",
                                                       "Colorspace" },
                                 *const crtc_names[] = { "ACTIVE" };
        uint32_t ids[ELEMENTSOF(connector_names)], active;
        KmsProperties properties;
        int r;

        if (o->properties.connector == o->connector && o->properties.crtc == o->crtc)
                return 0;
        r = kms_properties(o->card->fd, o->connector, DRM_MODE_OBJECT_CONNECTOR, &properties);
        if (r >= 0)
                r = kms_resolve(o->card->fd, &properties, connector_names, ELEMENTSOF(connector_names), ids);
        if (r >= 0)
                r = kms_properties(o->card->fd, o->crtc, DRM_MODE_OBJECT_CRTC, &properties);
        if (r >= 0)
                r = kms_resolve(o->card->fd, &properties, crtc_names, ELEMENTSOF(crtc_names), &active);
        if (r < 0)
                return r;
        o->properties = (OutputProperties){ o->connector, o->crtc, ids[0], ids[1], ids[2], ids[3], active };
        return 0;
}

static int output_hdr(const Output *o, const KmsProperties *connector, struct wire_hdr *ret) {
        const struct hdr_metadata_infoframe *light;
        struct hdr_output_metadata metadata;
        uint64_t blob = 0, colorspace = 0;
        int r;

        *ret = (struct wire_hdr){};
        (void) kms_value(connector, o->properties.colorspace, &colorspace);
        (void) kms_value(connector, o->properties.hdr_metadata, &blob);
        ret->colorspace = (uint32_t) colorspace;
        if (blob == 0)
                return 0;
        r = kms_blob(o->card->fd, (uint32_t) blob, &metadata, sizeof(metadata));
        if (r == -EMSGSIZE)
                return 0; /* of a kind that is not known here */
        if (r < 0)
                return r;
        light = &metadata.hdmi_metadata_type1;
        ret->eotf = light->eotf;
        ret->max_luminance = light->max_display_mastering_luminance;
        ret->min_luminance = light->min_display_mastering_luminance;
        ret->max_content = light->max_cll;
        ret->max_average = light->max_fall;
        return 0;
}

int output_check(const Output *o, bool *ret_on, struct wire_hdr *ret_hdr) {
        KmsProperties connector, properties;
        uint64_t crtc, active = true, dpms = DRM_MODE_DPMS_ON;
        int r;

        r = kms_properties(o->card->fd, o->connector, DRM_MODE_OBJECT_CONNECTOR, &connector);
        if (r < 0)
                return r;
        if (!kms_value(&connector, o->properties.crtc_id, &crtc)) {
                struct drm_mode_get_connector state;
                uint32_t fed_by;

                r = connector_crtc(o->card, o->connector, &state, &fed_by);
                if (r < 0)
                        return r;
                crtc = fed_by;
        }
        if (crtc != o->crtc)
                return -ESTALE;

        if (o->properties.active == 0)
                (void) kms_value(&connector, o->properties.dpms, &dpms);
        else {
                r = kms_properties(o->card->fd, o->crtc, DRM_MODE_OBJECT_CRTC, &properties);
                if (r < 0)
                        return r;
                (void) kms_value(&properties, o->properties.active, &active);
        }
        *ret_on = active && dpms == DRM_MODE_DPMS_ON;
        return output_hdr(o, &connector, ret_hdr);
}

static uint32_t crtc_bit(const KmsIds *crtcs, uint32_t crtc) {
        for (uint32_t i = 0; i < crtcs->n && i < 32; i++)
                if (crtcs->ids[i] == crtc)
                        return 1U << i;
        return 0;
}

static int output_activate(Output *o, uint32_t crtc_id, const KmsIds *crtcs) {
        struct drm_mode_crtc crtc;
        int r;

        r = kms_crtc(o->card->fd, crtc_id, &crtc);
        if (r < 0)
                return r;
        if (!crtc.mode_valid)
                return 0;

        o->crtc = crtc_id;
        o->crtc_bit = crtc_bit(crtcs, crtc_id);
        o->width = crtc.mode.hdisplay;
        o->height = crtc.mode.vdisplay;
        o->refresh_mhz = mode_refresh(&crtc.mode);
        r = output_resolve(o);
        if (r < 0)
                return r;
        o->active = true;
        return 0;
}

static int connector_enumerate(Outputs *outputs, const Card *card, uint32_t id, const KmsIds *crtcs) {
        struct drm_mode_get_connector c;
        uint32_t crtc;
        bool connected;
        Output *o;
        int r;

        r = connector_crtc(card, id, &c, &crtc);
        if (r < 0)
                return r;
        connected = c.connection == DRM_MODE_CONNECTED || crtc != 0;
        o = outputs_place(outputs, card, &c, connected);
        if (!o)
                return 0;
        o->connected = connected;
        o->connector = id;
        return crtc != 0 ? output_activate(o, crtc, crtcs) : 0;
}

static int card_enumerate(Outputs *outputs, const Card *card) {
        KmsIds connectors, crtcs;
        int r;

        r = kms_resources(card->fd, &connectors, &crtcs);
        if (r < 0)
                return r;
        for (uint32_t i = 0; i < connectors.n; i++) {
                r = connector_enumerate(outputs, card, connectors.ids[i], &crtcs);
                /* Gone since they were listed, as DisplayPort MST connectors may be. */
                if (r < 0 && r != -ENOENT)
                        return r;
        }
        return 0;
}

int outputs_enumerate(Outputs *outputs, const Card *cards, size_t n_cards) {
        int error = 0;

        for (size_t i = 0; i < GRANT_OUTPUTS; i++)
                outputs->outputs[i].connected = outputs->outputs[i].active = false;
        for (size_t i = 0; i < n_cards; i++) {
                int r = card_enumerate(outputs, &cards[i]);
                if (r == -ENODEV)
                        return r;
                if (r < 0)
                        error = r;
        }
        return error;
}

static bool shown_before(const struct wire_outputs *listed, const Outputs *outputs, const Output *o) {
        for (uint32_t i = 0; i < listed->n_outputs; i++) {
                const Output *other = &outputs->outputs[listed->outputs[i].id];

                if (other->card == o->card && other->crtc == o->crtc)
                        return true;
        }
        return false;
}

void outputs_describe(const Outputs *outputs, struct wire_outputs *ret) {
        *ret = (struct wire_outputs){ .type = WIRE_FRAME_OUTPUTS };
        for (uint32_t id = 0; id < GRANT_OUTPUTS; id++) {
                const Output *o = &outputs->outputs[id];

                if (o->connected && !o->active)
                        ret->asleep |= UINT64_C(1) << id;
                if (!o->active || shown_before(ret, outputs, o))
                        continue;
                if (ret->n_outputs == WIRE_OUTPUTS_MAX) {
                        ret->n_left_out++;
                        continue;
                }

                struct wire_output *w = &ret->outputs[ret->n_outputs];
                const char *type = drmModeGetConnectorTypeName(o->connector_type);
                *w = (struct wire_output){ id, o->width, o->height, o->refresh_mhz };
                snprintf(w->name, sizeof(w->name), "%s-%u", type ?: "Unknown", o->connector_type_id);
                snprintf(w->driver, sizeof(w->driver), "%s", o->card->driver);
                ret->n_outputs++;
        }
}
