/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alerts: RFC 8446 6, and what RFC 5246, 6066 and SSL 3 had before. The suites are a file of their
 * own (cipher_names.c).
 */
#include "agent/tls/names.h"

#include <stdio.h>

#include "lib/core/cleanup.h"

#define DRAFT_MAJOR 0x7f /* drafts of TLS 1.3 were 0x7f00 + their number */

static const char *const alerts[] = {
	[0] = "close_notify",
	[10] = "unexpected_message",
	[20] = "bad_record_mac",
	[21] = "decryption_failed",
	[22] = "record_overflow",
	[30] = "decompression_failure",
	[40] = "handshake_failure",
	[41] = "no_certificate",
	[42] = "bad_certificate",
	[43] = "unsupported_certificate",
	[44] = "certificate_revoked",
	[45] = "certificate_expired",
	[46] = "certificate_unknown",
	[47] = "illegal_parameter",
	[48] = "unknown_ca",
	[49] = "access_denied",
	[50] = "decode_error",
	[51] = "decrypt_error",
	[52] = "too_many_cids_requested",
	[60] = "export_restriction",
	[70] = "protocol_version",
	[71] = "insufficient_security",
	[80] = "internal_error",
	[86] = "inappropriate_fallback",
	[90] = "user_canceled",
	[100] = "no_renegotiation",
	[109] = "missing_extension",
	[110] = "unsupported_extension",
	[111] = "certificate_unobtainable",
	[112] = "unrecognized_name",
	[113] = "bad_certificate_status_response",
	[114] = "bad_certificate_hash_value",
	[115] = "unknown_psk_identity",
	[116] = "certificate_required",
	[120] = "no_application_protocol",
	[121] = "ech_required",
	[NPT_TLS_ALERT_ENCRYPTED] = "encrypted",
};

const char *npt_tls_version_name(uint16_t version, char name_ret[NPT_TLS_NAME_BYTES])
{
	unsigned int major = version >> 8, minor = version & 0xff;

	if (major == DRAFT_MAJOR || version == 0x0304)
		(void)snprintf(name_ret, NPT_TLS_NAME_BYTES, "1.3");
	else if (version == 0x0300)
		(void)snprintf(name_ret, NPT_TLS_NAME_BYTES, "3.0");
	else if (major == 3 && minor < 4)
		(void)snprintf(name_ret, NPT_TLS_NAME_BYTES, "1.%u", minor - 1);
	else
		(void)snprintf(name_ret, NPT_TLS_NAME_BYTES, "0x%04X", version);
	return name_ret;
}

const char *npt_tls_alert_name(uint16_t code, char name_ret[NPT_TLS_NAME_BYTES])
{
	if (code < NPT_ARRAY_SIZE(alerts) && alerts[code])
		(void)snprintf(name_ret, NPT_TLS_NAME_BYTES, "%s", alerts[code]);
	else
		(void)snprintf(name_ret, NPT_TLS_NAME_BYTES, "alert %u", code);
	return name_ret;
}
