/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* MESSAGE_ID= of the events that have an entry in packaging/journal/streamsight.catalog. */

#define MESSAGE_RECORDING_STARTED "9dabf7b325d54353b4afca35cfc1edc6"
#define MESSAGE_RECORDING_STOPPED "3550b87a098e4e97b9769c28bcbbc990"
#define MESSAGE_RECORDING_PAUSED  "15b47c05688c4e359b735149248dd649"
#define MESSAGE_RECORDING_RESUMED "2a9cb767f4b44959a436eca662e87405"
#define MESSAGE_ENROLLED          "c25c1c2f5a274b2c944336f5a0cf8ba6"
#define MESSAGE_UNENROLLED        "76ba9b5b6eaf4d2eb1e98632a0cafab7"
#define MESSAGE_KEY_CHANGED       "58150b203e28452aae7593412393b9b2"
#define MESSAGE_PEER_REFUSED      "b846ec2617d649e9abece327115fab49"
