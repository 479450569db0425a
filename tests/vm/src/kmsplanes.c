/* SPDX-License-Identifier: Apache-2.0 */
/* KMS's atomic interface as a line-oriented program: a test in Python says which framebuffer goes on which
 * plane, and how.
 *
 * At the start it prints "connector ID NAME", "crtc ID" and "plane ID TYPE CRTCS" for each there is, then
 * "ready". Each command is answered with one line, "error …" if it failed:
 *
 *   fb FORMAT WIDTH HEIGHT FILE     "fb ID": a framebuffer of the file's bytes, rows without padding
 *   mode CONNECTOR WIDTHxHEIGHT     "blob ID": the mode for a CRTC's MODE_ID
 *   set OBJECT NAME=VALUE,…         "done": for the next commit
 *   commit                          "done" once it is on the screen
 *   writeback CONNECTOR WIDTH HEIGHT FILE
 *                                   "done": commits, and writes what the card itself made of the planes
 * then, as XRGB8888, through a connector of this kind (drm_writeback.c) */

#include <drm_fourcc.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#define WRITEBACK_WAIT_MS 30000

static int card;
static drmModeAtomicReq *request;

/* An object's kind is needed to look its properties up. */
static const uint32_t kinds[] = { DRM_MODE_OBJECT_PLANE, DRM_MODE_OBJECT_CRTC, DRM_MODE_OBJECT_CONNECTOR };

static bool set_property(uint32_t object, const char *name, uint64_t value) {
        bool found = false;

        for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds) && !found; k++) {
                drmModeObjectProperties *all = drmModeObjectGetProperties(card, object, kinds[k]);
                for (uint32_t i = 0; all && i < all->count_props && !found; i++) {
                        drmModePropertyRes *property = drmModeGetProperty(card, all->props[i]);
                        if (property && strcmp(property->name, name) == 0)
                                found = drmModeAtomicAddProperty(request, object, property->prop_id,
                                                                 value) >= 0;
                        drmModeFreeProperty(property);
                }
                drmModeFreeObjectProperties(all);
        }
        return found;
}

typedef struct Buffer {
        uint32_t fb, pitch;
        uint64_t size;
        uint8_t *pixels;
} Buffer;

static uint32_t pixel_size(uint32_t format) {
        switch (format) {
        case DRM_FORMAT_RGB565:
                return 2;
        case DRM_FORMAT_XRGB16161616:
        case DRM_FORMAT_ARGB16161616:
                return 8;
        default:
                return 4;
        }
}

static bool make_buffer(uint32_t format, uint32_t width, uint32_t height, Buffer *ret) {
        uint32_t handle;
        uint64_t offset;
        Buffer b;

        if (drmModeCreateDumbBuffer(card, width, height, pixel_size(format) * 8, 0, &handle, &b.pitch,
                                    &b.size) != 0 ||
            drmModeAddFB2(card, width, height, format, (uint32_t[4]){ handle }, (uint32_t[4]){ b.pitch },
                          (uint32_t[4]){}, &b.fb, 0) != 0 ||
            drmModeMapDumbBuffer(card, handle, &offset) != 0)
                return false;
        b.pixels = mmap(NULL, b.size, PROT_READ | PROT_WRITE, MAP_SHARED, card, (off_t) offset);
        /* the framebuffer and the mapping keep it */
        drmModeDestroyDumbBuffer(card, handle);
        if (b.pixels == MAP_FAILED)
                return false;
        *ret = b;
        return true;
}

static bool read_rows(const Buffer *b, uint32_t format, uint32_t width, uint32_t height, FILE *file) {
        size_t row = (size_t) width * pixel_size(format);

        for (uint32_t y = 0; y < height; y++)
                if (fread(b->pixels + (size_t) y * b->pitch, 1, row, file) != row)
                        return false;
        return true;
}

static bool do_fb(const char *arguments) {
        uint32_t width, height, format;
        char name[5], path[256];
        Buffer b;

        if (sscanf(arguments, "%4s %u %u %255s", name, &width, &height, path) != 4)
                return false;
        memcpy(&format, name, sizeof(format));
        FILE *file = fopen(path, "re");
        if (!file || !make_buffer(format, width, height, &b))
                return false;
        bool good = read_rows(&b, format, width, height, file);
        fclose(file);
        munmap(b.pixels, b.size);
        if (good)
                printf("fb %u\n", b.fb);
        return good;
}

static bool do_mode(const char *arguments) {
        uint32_t id, width, height, blob;
        bool good = false;

        if (sscanf(arguments, "%u %ux%u", &id, &width, &height) != 3)
                return false;
        drmModeConnector *connector = drmModeGetConnector(card, id);
        for (int i = 0; connector && i < connector->count_modes && !good; i++) {
                drmModeModeInfo *mode = &connector->modes[i];
                good = mode->hdisplay == width && mode->vdisplay == height &&
                       drmModeCreatePropertyBlob(card, mode, sizeof(*mode), &blob) == 0;
        }
        drmModeFreeConnector(connector);
        if (good)
                printf("blob %u\n", blob);
        return good;
}

static bool do_set(char *arguments) {
        char *rest;
        uint32_t object = (uint32_t) strtoul(arguments, &rest, 10);

        for (char *word = strtok(rest, ","); word; word = strtok(NULL, ",")) {
                char *value = strchr(word, '=');
                word += strspn(word, " ");
                if (!value)
                        return false;
                *value++ = '\0';
                if (!set_property(object, word, strtoull(value, NULL, 0))) {
                        printf("error object %u has no property '%s'\n", object, word);
                        return true;
                }
        }
        puts("done");
        return true;
}

static bool commit(void) {
        int r = drmModeAtomicCommit(card, request, DRM_MODE_ATOMIC_ALLOW_MODESET, NULL);

        drmModeAtomicFree(request);
        request = drmModeAtomicAlloc();
        return r == 0;
}

/* A writeback connector's properties are of one commit only, and its fence is signalled when the picture is
 * whole. */
static bool write_back(uint32_t connector, const Buffer *b) {
        int32_t fence = -1;
        bool good = set_property(connector, "WRITEBACK_FB_ID", b->fb) &&
                    set_property(connector, "WRITEBACK_OUT_FENCE_PTR", (uintptr_t) &fence) && commit();

        if (good) {
                struct pollfd p = { fence, POLLIN, 0 };
                good = poll(&p, 1, WRITEBACK_WAIT_MS) == 1;
                if (!good)
                        errno = ETIME;
        }
        if (fence >= 0)
                close(fence);
        return good;
}

static bool do_writeback(const char *arguments) {
        uint32_t connector, width, height;
        char path[256];
        Buffer b;

        if (sscanf(arguments, "%u %u %u %255s", &connector, &width, &height, path) != 4 ||
            !make_buffer(DRM_FORMAT_XRGB8888, width, height, &b))
                return false;
        FILE *file = fopen(path, "we");
        bool good = file && write_back(connector, &b);
        for (uint32_t y = 0; y < height && good; y++)
                good = fwrite(b.pixels + (size_t) y * b.pitch, 4, width, file) == width;
        good = file && fclose(file) == 0 && good;
        munmap(b.pixels, b.size);
        drmModeRmFB(card, b.fb);
        if (good)
                puts("done");
        return good;
}

/* False: errno says why it could not be done. */
static bool obey(char *line) {
        if (strncmp(line, "fb ", 3) == 0)
                return do_fb(line + 3);
        if (strncmp(line, "mode ", 5) == 0)
                return do_mode(line + 5);
        if (strncmp(line, "set ", 4) == 0)
                return do_set(line + 4);
        if (strncmp(line, "writeback ", 10) == 0)
                return do_writeback(line + 10);
        if (strcmp(line, "commit") != 0 || !commit())
                return false;
        puts("done");
        return true;
}

static uint64_t plane_type(uint32_t id) {
        drmModeObjectProperties *all = drmModeObjectGetProperties(card, id, DRM_MODE_OBJECT_PLANE);
        uint64_t type = 0;

        for (uint32_t i = 0; all && i < all->count_props; i++) {
                drmModePropertyRes *property = drmModeGetProperty(card, all->props[i]);
                if (property && strcmp(property->name, "type") == 0)
                        type = all->prop_values[i];
                drmModeFreeProperty(property);
        }
        drmModeFreeObjectProperties(all);
        return type;
}

static bool print_objects(void) {
        static const char *const types[] = { "overlay", "primary", "cursor" };
        drmModeRes *resources = drmModeGetResources(card);
        drmModePlaneRes *planes = drmModeGetPlaneResources(card);

        if (!resources || !planes)
                return false;
        for (int i = 0; i < resources->count_connectors; i++) {
                drmModeConnector *c = drmModeGetConnector(card, resources->connectors[i]);
                if (c)
                        printf("connector %u %s-%u\n", c->connector_id,
                               drmModeGetConnectorTypeName(c->connector_type), c->connector_type_id);
                drmModeFreeConnector(c);
        }
        for (int i = 0; i < resources->count_crtcs; i++)
                printf("crtc %u\n", resources->crtcs[i]);
        for (uint32_t i = 0; i < planes->count_planes; i++) {
                drmModePlane *plane = drmModeGetPlane(card, planes->planes[i]);
                if (plane)
                        printf("plane %u %s %#x\n", plane->plane_id, types[plane_type(plane->plane_id) % 3],
                               plane->possible_crtcs);
                drmModeFreePlane(plane);
        }
        puts("ready");
        return true;
}

int main(int argc, char *argv[]) {
        char line[512];

        setvbuf(stdout, NULL, _IOLBF, 0);
        card = argc == 2 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
        if (card < 0 || drmSetClientCap(card, DRM_CLIENT_CAP_UNIVERSAL_PLANES, 1) != 0 ||
            drmSetClientCap(card, DRM_CLIENT_CAP_ATOMIC, 1) != 0) {
                printf("error cannot open %s: %m\n", argc == 2 ? argv[1] : "a card: name one");
                return EXIT_FAILURE;
        }
        (void) drmSetMaster(card);
        (void) drmSetClientCap(card, DRM_CLIENT_CAP_WRITEBACK_CONNECTORS, 1);
        request = drmModeAtomicAlloc();
        if (!request || !print_objects())
                return EXIT_FAILURE;
        while (fgets(line, sizeof(line), stdin)) {
                line[strcspn(line, "\n")] = '\0';
                errno = EINVAL;
                if (!obey(line))
                        printf("error '%s': %m\n", line);
        }
        return EXIT_SUCCESS;
}
