/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What measure.c (scopes and reading) and measure_cost.c (budget and description) share.
 */
#include "agent/budget.h"
#include "agent/measure.h"
#include "agent/scopes.h"
#include "agent/slices.h"
#include "agent/sources.h"
#include "agent/tls/handshakes.h"
#include "agent/tls_calls.h"

/* What was told of a slot already, and who it is. */
struct npt_told {
	struct npt_bpf_slot seen;
	struct npt_bpf_speech speech;
	__u64 listen_drops;
	struct npt_edge identity;
	uint32_t pair_pid;
	uint16_t pair_port;
};

struct npt_measure {
	struct npt_measure_options options;
	struct npt_features *features;
	struct npt_probe *probe; /* NULL while there is no scope */
	struct npt_slices slices;
	bool slicing;             /* execution times by slices */
	struct npt_layers layers; /* as they are now: the budget may have cut them */
	struct npt_budget budget;
	uint64_t operations_counted;
	uint64_t find_until_ns;  /* older sockets may still come out of queues until then */
	uint64_t read_period_ns; /* 0: at each call */
	uint64_t next_read_ns;
	bool scope_ended;                      /* its last numbers are still to be read */
	bool members_came;                     /* what they have open is still to be found */
	uint32_t jiffies_per_second;           /* the running kernel's HZ */
	struct npt_tls_handshakes *handshakes; /* NULL without the layer Protocol */
	struct npt_tls_calls *tls_calls;       /* NULL without the layer TLS */
	uint64_t tls_calls_ns;                 /* what their probes cost, by calibration */
	struct npt_scopes scopes;
	struct npt_told *told[NPT_SLOTS_MAX];
};

void npt_measure_stop_slices(struct npt_measure *measure);
/* Once a second: takes a step down the ladder if too much was used. */
void npt_measure_keep_to_budget(struct npt_measure *measure);
