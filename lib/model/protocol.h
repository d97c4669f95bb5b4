/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Protocol - the names that users read for what is spoken on a line (bpf/protocol.h has the
 * numbers).
 */

/* Never NULL; "unknown" for NPT_PROTOCOL_UNKNOWN and for numbers that are none. */
const char *npt_protocol_name(unsigned protocol);
