/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tls_events.h"

#include "lib/core/clock.h"

struct reading {
	struct npt_tls_handshakes *handshakes;
	struct npt_probe *probe;
};

static void take(void *context, const struct npt_bpf_tls_event *event)
{
	const struct reading *reading = context;
	enum npt_bpf_protocol inner;
	uint32_t confidence;

	if (npt_tls_handshakes_add(reading->handshakes, event) &&
	    npt_tls_handshakes_inner(reading->handshakes, event->connection, &inner, &confidence) &&
	    event->slot >= NPT_SLOT_FIRST)
		npt_probe_name_inner(reading->probe, event->slot, inner, confidence);
}

void npt_tls_events_read(struct npt_tls_handshakes *handshakes, struct npt_probe *probe)
{
	struct reading reading = { .handshakes = handshakes, .probe = probe };

	npt_probe_read_tls(probe, take, &reading);
	npt_tls_handshakes_settle(handshakes, npt_clock_monotonic_ns());
}

uint64_t npt_tls_events_lost(const struct npt_tls_handshakes *handshakes, struct npt_probe *probe)
{
	struct npt_tls_handshakes_stats stats;

	npt_tls_handshakes_stats(handshakes, &stats);
	return stats.evicted + npt_probe_loss(probe, NPT_LOSS_HANDSHAKE);
}
