/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Identity - who an edge is, in words: from a slot's key to process, role and peer.
 */
#include "agent/probe/probe.h"
#include "lib/model/report.h"

/* "10.0.0.1" for an IPv4-mapped address, else IPv6 text; out has NPT_ADDRESS_BYTES. */
void npt_identity_address(const uint8_t address[16], char *out);
/* "10.0.0.1:80" or "[fe80::1]:80"; out has NPT_ENDPOINT_BYTES. */
void npt_identity_endpoint(const uint8_t address[16], uint16_t port, char *out);
/*
 * Fills process, role and peer. A process that is gone and was never named keeps its pid and "".
 * The container is its id, as /proc has it, or "" if the process is gone already.
 */
void npt_identity_fill(struct npt_probe *probe, const struct npt_bpf_slot *slot,
		       struct npt_edge *edge);
