/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A second is judged by what was used in it. The first one, in which everything is loaded, is not.
 */
#include "agent/budget.h"

#include <stdio.h>

#include "lib/core/clock.h"

static const char *const rung_texts[NPT_RUNG_COUNT] = {
	[NPT_RUNG_FULL] = "",
	[NPT_RUNG_NO_TLS] = "layer TLS is off",
	[NPT_RUNG_SHORT_SLICES] = "execution times are sampled in a quarter of the time",
	[NPT_RUNG_NO_SLICES] = "execution times of reads, accept waits and closes are off",
	[NPT_RUNG_NO_OPERATIONS] = "layer Operations is off",
	[NPT_RUNG_SLOW_SAMPLING] = "sockets are read every 5 s",
};

/* The next step that changes anything; NPT_RUNG_COUNT: none is left. */
static enum npt_rung next_rung(enum npt_rung rung, const struct npt_ladder *ladder)
{
	for (rung++; rung < NPT_RUNG_COUNT; rung++) {
		bool about_slices = rung == NPT_RUNG_SHORT_SLICES || rung == NPT_RUNG_NO_SLICES;

		if (rung == NPT_RUNG_NO_TLS && !ladder->tls)
			continue;
		if (about_slices && !(ladder->slices && ladder->operations))
			continue;
		if (rung == NPT_RUNG_NO_OPERATIONS && !ladder->operations)
			continue;
		break;
	}
	return rung;
}

static void note(struct npt_budget *budget, const struct npt_usage *usage, const char *what,
		 uint64_t used, uint64_t limit, const char *unit)
{
	char time[NPT_RFC3339_BYTES];

	npt_rfc3339_ms(usage->now_unix_ms, time);
	for (size_t i = 0; i < NPT_REPORT_DEGRADED_MAX; i++) {
		if (budget->degraded[i][0])
			continue;
		(void)snprintf(budget->degraded[i], sizeof(budget->degraded[i]),
			       "since %s %s: %llu of %llu %s used", time, what,
			       (unsigned long long)used, (unsigned long long)limit, unit);
		return;
	}
}

static bool check_cpu(struct npt_budget *budget, const struct npt_ladder *ladder,
		      const struct npt_usage *usage)
{
	uint64_t elapsed_ns = usage->now_ns - budget->last.now_ns;
	uint64_t used_ns =
		usage->cpu_ns - budget->last.cpu_ns + usage->hooks_ns - budget->last.hooks_ns;
	uint64_t millicores = elapsed_ns ? used_ns * 1000 / elapsed_ns : 0;
	enum npt_rung next;

	if (budget->cpu_millicores == 0 || millicores <= budget->cpu_millicores) {
		budget->seconds_over = 0;
		return false;
	}
	if (++budget->seconds_over < NPT_BUDGET_PATIENCE)
		return false;
	budget->seconds_over = 0;
	next = next_rung(budget->rung, ladder);
	if (next == NPT_RUNG_COUNT)
		return false;
	budget->rung = next;
	note(budget, usage, rung_texts[next], millicores, budget->cpu_millicores, "millicores");
	return true;
}

static bool check_memory(struct npt_budget *budget, const struct npt_usage *usage)
{
	uint64_t limit_kib = (uint64_t)budget->memory_mib * 1024;

	if (limit_kib == 0 || usage->memory_kib <= limit_kib || budget->no_new_edges) {
		budget->seconds_over_memory = 0;
		return false;
	}
	if (++budget->seconds_over_memory < NPT_BUDGET_PATIENCE)
		return false;
	budget->no_new_edges = true;
	note(budget, usage, "new edges are counted in other", usage->memory_kib / 1024,
	     budget->memory_mib, "MiB");
	return true;
}

bool npt_budget_check(struct npt_budget *budget, const struct npt_ladder *ladder,
		      const struct npt_usage *usage)
{
	bool first = budget->last.now_ns == 0, step = false;

	if (!first) {
		step = check_cpu(budget, ladder, usage);
		step |= check_memory(budget, usage);
	}
	budget->last = *usage;
	return step;
}
