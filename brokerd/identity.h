/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who this device is to the control plane: its P-256 key, made here and never leaving this process and its
 * state directory, and what enrolment answered. device.json is written last: where it is, the device is
 * enrolled. */

#include <openssl/evp.h>
#include <stdbool.h>
#include <systemd/sd-id128.h>

#include "jws.h"

typedef struct Identity {
        EVP_PKEY *key;
        char thumbprint[THUMBPRINT_SIZE]; /* of the key: what an auditor knows the device by */
        sd_id128_t device;
        char *company;
        char *url; /* of the control plane that enrolled it */
} Identity;

/* Keeps private keys in memory that is locked and wiped (CRYPTO_secure_malloc_init(3)). Call first. -ENOMEM:
 * it cannot be locked. */
int identity_protect_process(void);

/* Reads the wrapping key, under which the device key is stored (key-seal.h), from the unit's credentials.
 * -ENOENT: there is none; -EBADMSG: it is not 32 bytes. */
int identity_take_wrapping_key(void);

/* A new key, in secure memory. */
int identity_generate_key(EVP_PKEY **ret);

/* 1: enrolled; 0: not. -EBADMSG: the files are damaged; -EPERM: others than the owner may read them;
 * -EKEYREJECTED: the key was stored under another wrapping key. A key that lies there in plain, as it once
 * was, is stored anew. */
int identity_load(const char *directory, Identity *ret);

/* The key of an enrolment that was begun and has not answered, for another try. -ENOENT: there is none. */
int identity_load_key(const char *directory, EVP_PKEY **ret);
void identity_forget_key(const char *directory);
/* Makes the key durable before the control plane is told of it. */
int identity_store_key(const char *directory, EVP_PKEY *key);
/* The key that is to take its place: both are there until it is promoted, in one step. -ENOENT: there is
 * none. */
int identity_load_next_key(const char *directory, EVP_PKEY **ret);
int identity_store_next_key(const char *directory, EVP_PKEY *key);
int identity_promote_next_key(const char *directory);
void identity_forget_next_key(const char *directory);
/* In memory alone; key is referenced. */
int identity_set_key(Identity *identity, EVP_PKEY *key);
/* All of it, the id first: a key without one is a device's that is not enrolled. */
int identity_forget(const char *directory);
/* Completes an enrolment: url and company are copied. */
int identity_store(const char *directory, const char *device_id, const char *company, const char *url);

void identity_done(Identity *identity);
static inline bool identity_enrolled(const Identity *identity) {
        return identity->key != NULL;
}
