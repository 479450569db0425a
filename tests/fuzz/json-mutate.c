/* SPDX-License-Identifier: Apache-2.0 */
#include "json-mutate.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "fuzz.h"

#define NODES_MAX 256U

/* Where a value is: a member of an object, or an element of an array. */
typedef struct Place {
        json_t *parent;
        const char *key; /* NULL: the element */
        size_t index;
} Place;

typedef struct Places {
        Place places[NODES_MAX];
        size_t n;
} Places;

static uint32_t below(uint32_t n) {
        return (uint32_t) rand() % n;
}

static void places_find(Places *places, json_t *parent) {
        const char *key;
        json_t *value;
        size_t i;

        json_object_foreach (parent, key, value) {
                if (places->n < NODES_MAX)
                        places->places[places->n++] = (Place){ parent, key, 0 };
                places_find(places, value);
        }
        json_array_foreach (parent, i, value) {
                if (places->n < NODES_MAX)
                        places->places[places->n++] = (Place){ parent, NULL, i };
                places_find(places, value);
        }
}

static json_t *place_get(const Place *place) {
        return place->key ? json_object_get(place->parent, place->key)
                          : json_array_get(place->parent, place->index);
}

static void place_set(const Place *place, json_t *value) {
        (void) (place->key ? json_object_set_new(place->parent, place->key, value)
                           : json_array_set_new(place->parent, place->index, value));
}

static json_t *made_up_string(void) {
        static const char *const strings[] = {
                "",
                "a",
                "\n\x1b[2J",
                "\xc2\x85",
                "\xef\xbf\xbe",
                "\xf4\x8f\xbf\xbf",
                "\xe2\x80\xae",
                "off",
                "manual",
                "automatic",
                "PUT",
                "GET",
                "https://bucket.example.org/k",
                "http://bucket.example.org/k",
                "https://bucket.example.org:444/k",
                "https://a@bucket.example.org/k",
                "https://other.example.org/k",
                "https://bucket.example.org:/k",
                "https://BUCKET.example.org:443?k",
                "https://bucket.example.org\\@other.example.org/k",
                "client_invalid",
                "recording_unknown",
                "recording_conflict",
                "segment_complete",
                "segment_unknown",
                "device_revoked",
                "00000000-0000-0000-0000-000000000000",
        };
        static const size_t lengths[] = { 63, 64, 255, 256, 257, 264, 265, 1023, 1024, 4095, 4096, 4097 };
        char text[5000];

        if (below(4) > 0)
                return json_string(strings[below(ELEMENTSOF(strings))]);
        size_t length = lengths[below(ELEMENTSOF(lengths))];
        memset(text, 'a', length);
        return json_stringn(text, length);
}

static json_t *made_up(void) {
        static const json_int_t numbers[] = { -1,       0,         1,        2,     59,        60,
                                              61,       100,       101,      255,   256,       3600,
                                              65535,    65536,     86400,    86401, INT32_MAX, UINT32_MAX,
                                              1L << 53, INT64_MAX, INT64_MIN };

        switch (below(8)) {
        case 0:
                return json_null();
        case 1:
                return json_boolean(below(2));
        case 2:
                return json_real(below(2) ? 0.5 : 1e300);
        case 3:
                return below(2) ? json_object() : json_array();
        case 4:
        case 5:
                return json_integer(numbers[below(ELEMENTSOF(numbers))]);
        default:
                return made_up_string();
        }
}

/* The same with another letter, less or more. */
static json_t *other_string(const json_t *value) {
        char text[8192];
        size_t length = json_string_length(value);

        if (length == 0 || length > sizeof(text) / 2)
                return made_up_string();
        memcpy(text, json_string_value(value), length);
        switch (below(4)) {
        case 0:
                length = below((uint32_t) length);
                break;
        case 1:
                memcpy(text + length, text, length);
                length *= 2;
                break;
        default:
                text[below((uint32_t) length)] = (char) (' ' + below(95));
                break;
        }
        return json_stringn(text, length) ?: made_up_string();
}

/* The same with other values beside it. */
static json_t *other(const json_t *value) {
        if (json_is_string(value))
                return other_string(value);
        if (json_is_integer(value))
                return json_integer((json_int_t) ((uint64_t) json_integer_value(value) + below(3) - 1));
        return made_up();
}

static void add_members(json_t *object) {
        static const char *const keys[] = { "code", "detail", "title", "url", "method", "headers" };
        char key[80];

        if (!json_is_object(object))
                return;
        if (below(3) > 0) {
                (void) json_object_set_new(object, keys[below(ELEMENTSOF(keys))], made_up());
                return;
        }
        for (uint32_t n = 1 + below(30); n > 0; n--) {
                snprintf(key, sizeof(key), "%0*u", (int) (1 + below(70)), n);
                (void) json_object_set_new(object, key, made_up_string());
        }
}

static void mutate(json_t *json) {
        static Places places;

        places.n = 0;
        places_find(&places, json);
        if (places.n == 0) {
                add_members(json);
                return;
        }
        Place *place = &places.places[below((uint32_t) places.n)];
        switch (below(8)) {
        case 0:
                (void) (place->key ? json_object_del(place->parent, place->key)
                                   : json_array_remove(place->parent, place->index));
                break;
        case 1:
                add_members(below(2) ? json : place->parent);
                break;
        case 2:
                place_set(place, json_deep_copy(place_get(&places.places[below((uint32_t) places.n)])));
                break;
        case 3:
        case 4:
                place_set(place, made_up());
                break;
        default:
                place_set(place, other(place_get(place)));
                break;
        }
}

size_t json_mutate(uint8_t *text, size_t size, size_t max_size) {
        json_auto_t *json = json_loadb((const char *) text, size, 0, NULL);

        if (!json || below(16) == 0)
                return LLVMFuzzerMutate(text, size, max_size);
        mutate(json);
        size = json_dumpb(json, (char *) text, max_size, JSON_COMPACT);
        return size < max_size ? size : max_size;
}
