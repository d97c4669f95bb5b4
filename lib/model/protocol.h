/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Protocol - the names of what is spoken on an edge.
 */

/* Of enum npt_bpf_protocol (bpf/protocol.h); "unknown" for a number that is none. */
const char *npt_protocol_name(unsigned int protocol);
