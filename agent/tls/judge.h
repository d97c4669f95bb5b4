/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Judge - what the records of both directions, as far as they are known, say of the handshake as a
 * whole. Part of agent/tls/handshake.h, whose words it uses: its pure half.
 */
#include "agent/tls/handshake.h"

/*
 * The ServerHello proper is known, and with it the version: everything else depends on it. If it
 * came without its bytes, a HelloRetryRequest has said the same before, but for a key that is
 * accepted.
 */
bool npt_tls_judge_ready(const struct npt_tls_handshake *handshake);
/* Sets the outcome and what is valid with it, if they can be told; final: nothing more will come.
 */
void npt_tls_judge(struct npt_tls_handshake *handshake, bool final);
/* Adds an alert; more than NPT_TLS_ALERTS_MAX are dropped. */
void npt_tls_judge_alert(struct npt_tls_handshake *handshake, uint16_t code, bool sent);
