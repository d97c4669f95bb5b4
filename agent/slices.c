/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DESIGN section 11: other system calls pay at most 20 ns on average. With a tax of t while a slice
 * is on, a slice may last 20 / t of the period, and never more than a tenth of it.
 */
#include "agent/slices.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "lib/core/clock.h"
#include "lib/core/log.h"
#include "lib/core/random.h"

#define PERIOD_MS_DEFAULT 2000
#define TAX_BAR_NS        20
#define TAX_CALLS         4000
#define TAX_ROUNDS        5

uint64_t npt_slices_length_ns(uint64_t period_ns, uint32_t tax_ns)
{
	uint64_t length_ns = period_ns / 10;

	if (tax_ns > 10 * TAX_BAR_NS)
		length_ns = period_ns * TAX_BAR_NS / tax_ns;
	return length_ns;
}

static uint64_t time_calls(void)
{
	uint64_t best = UINT64_MAX;

	for (int round = 0; round < TAX_ROUNDS; round++) {
		uint64_t begin = npt_clock_monotonic_ns(), spent;

		for (int i = 0; i < TAX_CALLS; i++)
			(void)syscall(SYS_getppid);
		spent = npt_clock_monotonic_ns() - begin;
		if (spent < best)
			best = spent;
	}
	return best / TAX_CALLS;
}

static uint32_t measure_tax(struct npt_probe *probe)
{
	uint64_t without = time_calls(), with;

	if (npt_probe_slice_begin(probe, NULL) < 0)
		return UINT32_MAX;
	with = time_calls();
	npt_probe_slice_end(probe);
	return with > without ? (uint32_t)(with - without) : 0;
}

static void plan(struct npt_slices *slices)
{
	slices->due_ns =
		slices->period_begin_ns + npt_random_below(slices->period_ns - slices->length_ns);
}

void npt_slices_start(struct npt_slices *slices, struct npt_probe *probe, uint64_t period_ms)
{
	*slices = (struct npt_slices){ .probe = probe };
	slices->period_ns = (period_ms ? period_ms : PERIOD_MS_DEFAULT) * NPT_NS_PER_MS;
	slices->tax_ns = measure_tax(probe);
	slices->length_ns = npt_slices_length_ns(slices->period_ns, slices->tax_ns);
	slices->period_begin_ns = npt_clock_monotonic_ns();
	npt_log_debug("execution-time slices", "tax_ns", npt_log_u64(slices->tax_ns), "length_us",
		      npt_log_u64(slices->length_ns / 1000), "period_ms",
		      npt_log_u64(slices->period_ns / NPT_NS_PER_MS));
	plan(slices);
}

static void begin_slice(struct npt_slices *slices, uint64_t now_ns)
{
	struct npt_error err = NPT_ERROR_NONE;

	if (npt_probe_slice_begin(slices->probe, &err) < 0) {
		npt_log_warning("cannot begin a slice, times of reads will be missing", "error",
				err.text);
		npt_probe_slice_end(slices->probe);
		slices->due_ns = 0;
		return;
	}
	slices->on = true;
	slices->due_ns = now_ns + slices->length_ns;
}

void npt_slices_run(struct npt_slices *slices, uint64_t now_ns)
{
	if (slices->due_ns == 0 || now_ns < slices->due_ns)
		return;
	if (!slices->on) {
		begin_slice(slices, now_ns);
		return;
	}
	npt_probe_slice_end(slices->probe);
	slices->on = false;
	slices->period_begin_ns += slices->period_ns;
	if (slices->period_begin_ns < now_ns)
		slices->period_begin_ns = now_ns;
	plan(slices);
}

void npt_slices_shorten(struct npt_slices *slices)
{
	slices->length_ns /= 4;
}

void npt_slices_stop(struct npt_slices *slices)
{
	if (slices->on)
		npt_probe_slice_end(slices->probe);
	slices->on = false;
	slices->due_ns = 0;
}
