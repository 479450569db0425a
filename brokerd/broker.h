/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The parts of the process and what each does when another's state changes. Everything runs on one loop;
 * each part has its own file, and only this one knows them all. */

#include <systemd/sd-event.h>

#include "api.h"
#include "capture-policy.h"
#include "identity.h"
#include "settings.h"
#include "status.h"

typedef struct Bus Bus;
typedef struct Capd Capd;
typedef struct Displays Displays;
typedef struct Enrolment Enrolment;
typedef struct PolicySync PolicySync;
typedef struct Recorder Recorder;
typedef struct Recordings Recordings;
typedef struct Reports Reports;
typedef struct Rotation Rotation;
typedef struct Seat Seat;
typedef struct Unenrolment Unenrolment;
typedef struct Uploadd Uploadd;
typedef struct Uploads Uploads;

typedef struct Broker {
        sd_event *event;
        Settings settings;
        Identity identity;
        HttpClient *http; /* NULL: agent.conf names no control plane */
        Api *api;         /* likewise */
        Status status;
        Enrolment *enrolment;     /* under way, NULL: none */
        Unenrolment *unenrolment; /* likewise */
        Rotation *rotation;       /* likewise */
        bool enrolled_elsewhere;  /* what is on disk is of another control plane than URL= */
        bool trying_next_key;     /* identity.key is the one that is to take the place of what is on disk */

        Reports *reports;       /* what the control plane is told of faults */
        Bus *bus;               /* org.streamsight.Agent1 */
        Seat *seat;             /* who is at it */
        PolicySync *policy;     /* what the control plane asks for */
        Recorder *recorder;     /* whether to record */
        Capd *capd;             /* the grants */
        Displays *displays;     /* what udev says of displays; NULL: nothing */
        Uploadd *uploadd;       /* the other end of broker.sock */
        Recordings *recordings; /* what the control plane must know of each recording */
        Uploads *uploads;       /* the segments on their way */
} Broker;

/* The device has just been enrolled: everything that waited for that begins. */
void broker_enrolled(Broker *broker);
