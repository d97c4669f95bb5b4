/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Names - of TLS versions, cipher suites and alerts, as the registries of IANA spell them.
 *
 * What has no name there is its number ("0xC0FF", "alert 77"): never a guess.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lib/model/report.h"

#define NPT_TLS_NAME_BYTES NPT_CIPHER_BYTES

/* Not a number of the registry: an alert that is there, but encrypted. */
#define NPT_TLS_ALERT_ENCRYPTED 256

#define NPT_TLS_ALERT_CLOSE_NOTIFY 0

/* Each writes the name and returns it. "1.3", "1.0"; "3.0" is SSL 3; drafts of 1.3 are "1.3". */
const char *npt_tls_version_name(uint16_t version, char name_ret[NPT_TLS_NAME_BYTES]);
const char *npt_tls_cipher_name(uint16_t id, char name_ret[NPT_TLS_NAME_BYTES]);
/* code 0 .. 255, or NPT_TLS_ALERT_ENCRYPTED: "encrypted". */
const char *npt_tls_alert_name(uint16_t code, char name_ret[NPT_TLS_NAME_BYTES]);
bool npt_tls_cipher_known(uint16_t id);
