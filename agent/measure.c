/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The slots of a scope are emptied when it is forgotten and once more when its id is given again:
 * a hook that was under way may have written to them meanwhile.
 */
#include "agent/measure_private.h"

#include <errno.h>

#include "agent/fold.h"
#include "agent/identity.h"
#include "agent/proc.h"
#include "agent/tls_events.h"
#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/log.h"

#define FIND_FOR_NS (60 * NPT_NS_PER_SECOND)

int npt_measure_new(struct npt_measure **measure_ret, const struct npt_measure_options *options,
		    struct npt_error *err)
{
	npt_auto(npt_measure_free) struct npt_measure *measure = npt_alloc(1, sizeof(*measure));
	int r;

	measure->options = *options;
	measure->jiffies_per_second = npt_clock_ticks_per_second();
	r = npt_features_new(&measure->features, err);
	if (r < 0)
		return r;
	*measure_ret = npt_take(measure);
	return 0;
}

static void unload(struct npt_measure *measure)
{
	if (!measure->probe)
		return;
	npt_measure_stop_slices(measure);
	npt_tls_calls_free(npt_take(measure->tls_calls));
	npt_probe_close(npt_take(measure->probe));
	npt_tls_handshakes_free(npt_take(measure->handshakes));
	for (size_t i = 0; i < NPT_SLOTS_MAX; i++) {
		free(measure->told[i]);
		measure->told[i] = NULL;
	}
	measure->scopes.last = 0;
}

void npt_measure_free(struct npt_measure *measure)
{
	if (!measure)
		return;
	unload(measure);
	for (size_t i = 0; i < NPT_SCOPES_MAX; i++) {
		if (measure->scopes.places[i].id)
			npt_scopes_give_back(&measure->scopes, &measure->scopes.places[i]);
	}
	npt_features_free(measure->features);
	free(measure);
}

/* NULL: nobody has asked for it. */
static const char *why_no_tls(const struct npt_measure *measure)
{
	if (!measure->options.tls)
		return NULL;
	if (!measure->options.protocol)
		return "layer Protocol is off";
	return npt_sources_no_tls(npt_probe_abilities(measure->probe));
}

static int load(struct npt_measure *measure, struct npt_error *err)
{
	struct npt_probe_options options = {
		.operations = measure->options.operations,
		.protocol = measure->options.protocol,
		.tls = measure->options.protocol && measure->options.tls,
		.no_trampolines = measure->options.no_trampolines,
	};
	int r = npt_probe_open(&measure->probe, measure->features, &options, err);

	if (r < 0)
		return r;
	if (options.protocol)
		measure->handshakes = npt_tls_handshakes_new(NPT_TLS_CONNECTIONS_MAX);
	if (npt_probe_abilities(measure->probe)->tls_calls)
		measure->tls_calls = npt_tls_calls_new(measure->probe);
	measure->layers = (struct npt_layers){ .operations = options.operations,
					       .protocol = options.protocol,
					       .protocol_off = "layer Protocol is off",
					       .tls = measure->tls_calls != NULL,
					       .tls_off = why_no_tls(measure),
					       .operations_off = "layer Operations is off" };
	measure->budget = (struct npt_budget){ .cpu_millicores = measure->budget.cpu_millicores,
					       .memory_mib = measure->budget.memory_mib };
	measure->operations_counted = 0;
	measure->tls_calls_ns = 0;
	measure->read_period_ns = 0;
	measure->slicing = options.operations && !npt_probe_abilities(measure->probe)->trampolines;
	if (measure->slicing)
		npt_slices_start(&measure->slices, measure->probe,
				 measure->options.slice_period_ms);
	return 0;
}

/* Ends it in the kernel; it does not count as measuring any more, or not yet. */
static int end_scope(struct npt_measure *measure, const struct npt_scope *scope,
		     struct npt_error *err)
{
	bool last = !npt_scopes_has_namespace(&measure->scopes, scope->netns_inode);

	return npt_probe_remove_scope(measure->probe, scope->netns_inode, scope->id, last, err);
}

static int begin_scope(struct npt_measure *measure, const struct npt_scope *scope,
		       const struct npt_scope_options *options, struct npt_error *err)
{
	uint32_t edges_max = options->edges_max ? options->edges_max : NPT_SLOTS_MAX;
	int r;

	npt_probe_free_slots(measure->probe, scope->id);
	r = npt_probe_add_scope(measure->probe, scope->netns_inode, scope->id, options->by_process,
				edges_max, err);
	for (size_t i = 0; r >= 0 && i < options->members_count; i++)
		r = npt_probe_add_member(measure->probe, scope->id, options->members[i], err);
	if (r >= 0)
		r = npt_probe_find_older(measure->probe, err);
	if (r >= 0 && measure->tls_calls)
		npt_tls_calls_attend(measure->tls_calls);
	if (r < 0)
		(void)end_scope(measure, scope, NULL);
	return r;
}

int npt_measure_add_scope(struct npt_measure *measure, const struct npt_scope_options *options,
			  uint32_t *scope_ret, struct npt_error *err)
{
	struct npt_scope *scope;
	uint32_t inode = 0;
	int r = npt_proc_netns_inode(options->netns_fd, &inode, err);

	if (r >= 0)
		r = npt_scopes_take(&measure->scopes, inode, options->by_process, &scope, err);
	if (r < 0)
		return r;
	r = measure->probe ? 0 : load(measure, err);
	if (r >= 0)
		r = begin_scope(measure, scope, options, err);
	if (r < 0) {
		npt_scopes_give_back(&measure->scopes, scope);
		if (measure->scopes.count == 0)
			unload(measure);
		return r;
	}
	scope->netns_fd = options->netns_fd;
	scope->measuring = true;
	measure->find_until_ns = npt_clock_monotonic_ns() + FIND_FOR_NS;
	*scope_ret = scope->id;
	return 0;
}

void npt_measure_remove_scope(struct npt_measure *measure, uint32_t id)
{
	struct npt_scope *scope = npt_scopes_find(&measure->scopes, id);
	struct npt_error err = NPT_ERROR_NONE;

	if (!scope || !scope->measuring)
		return;
	scope->measuring = false;
	if (end_scope(measure, scope, &err) < 0)
		npt_log_warning("last totals of a scope may be missing", "error", err.text);
	if (measure->tls_calls)
		npt_tls_calls_end_scope(measure->tls_calls, id);
	measure->scope_ended = true;
}

void npt_measure_forget_scope(struct npt_measure *measure, uint32_t id)
{
	struct npt_scope *scope = npt_scopes_find(&measure->scopes, id);

	if (!scope)
		return;
	npt_measure_remove_scope(measure, id);
	for (uint32_t i = NPT_SLOT_FIRST; i < NPT_SLOTS_MAX; i++) {
		if (measure->told[i] && measure->told[i]->seen.key.process.scope == id) {
			free(measure->told[i]);
			measure->told[i] = NULL;
			if (measure->handshakes)
				npt_tls_handshakes_forget(measure->handshakes, i);
		}
	}
	npt_probe_free_slots(measure->probe, id);
	npt_scopes_give_back(&measure->scopes, scope);
	if (measure->scopes.count == 0)
		unload(measure);
}

int npt_measure_add_member(struct npt_measure *measure, uint32_t id, uint32_t pid,
			   struct npt_error *err)
{
	const struct npt_scope *scope = npt_scopes_find(&measure->scopes, id);
	int r;

	if (!scope || !scope->measuring || !scope->by_process)
		return 0;
	r = npt_probe_add_member(measure->probe, id, pid, err);
	measure->members_came |= r > 0;
	return r;
}

uint32_t npt_measure_members(struct npt_measure *measure, uint32_t scope)
{
	return measure->probe ? npt_probe_members(measure->probe, scope) : 0;
}

static void name_drop_reason(const void *features, uint32_t reason, char *out, size_t size_bytes)
{
	npt_features_code_name(features, NPT_CODE_DROP, reason, out, size_bytes);
}

static void name_reset_reason(const void *features, uint32_t reason, char *out, size_t size_bytes)
{
	npt_features_code_name(features, NPT_CODE_RESET, reason, out, size_bytes);
}

/* Names are looked up once, and again when the other end of a pair becomes known. */
static struct npt_told *tell_again(struct npt_measure *measure, uint32_t index,
				   const struct npt_bpf_slot *now)
{
	struct npt_told *told = measure->told[index];

	if (!told) {
		told = npt_alloc(1, sizeof(*told));
		told->seen.key = now->key;
		measure->told[index] = told;
	} else if (told->identity.process.name[0] && told->pair_pid == now->pair_pid &&
		   told->pair_port == now->pair_port) {
		return told;
	}
	npt_identity_fill(measure->probe, now, &told->identity);
	npt_sources_set_quality(npt_probe_abilities(measure->probe), &measure->layers,
				&told->identity);
	told->pair_pid = now->pair_pid;
	told->pair_port = now->pair_port;
	return told;
}

static void add_tls_cost(struct npt_measure *measure, const struct npt_edge *delta)
{
	uint64_t calls = delta->tls_calls.writes + delta->tls_calls.reads;

	if (calls > 0 && measure->tls_calls)
		measure->tls_calls_ns +=
			calls * npt_tls_calls_ns_per_call(measure->tls_calls, delta->process.pid,
							  delta->process.start_ns);
}

static void read_slot(struct npt_measure *measure, uint32_t index, npt_measure_tell *tell,
		      void *context)
{
	struct npt_fold_names names = { .drop_reason = name_drop_reason,
					.reset_reason = name_reset_reason,
					.context = measure->features,
					.jiffies_per_second = measure->jiffies_per_second };
	struct npt_bpf_slot now;
	struct npt_bpf_queue queue;
	struct npt_edge delta;
	struct npt_told *told;
	bool news;

	npt_fold_read_slot(&npt_probe_slots(measure->probe)[index], &now);
	npt_fold_read_queue(&npt_probe_queues(measure->probe)[index], &queue);
	told = tell_again(measure, index, &now);
	delta = told->identity;
	news = npt_fold_advance(&told->seen, &now, &names, &delta);
	news |= npt_fold_queue(&told->listen_drops, &queue, &delta);
	news |= npt_fold_speech(&told->speech, &npt_probe_speeches(measure->probe)[index], &delta);
	if (measure->handshakes)
		news |= npt_tls_handshakes_take(measure->handshakes, index, &delta);
	measure->operations_counted +=
		delta.metrics[NPT_METRIC_WRITE].count + delta.metrics[NPT_METRIC_READ].count;
	add_tls_cost(measure, &delta);
	if (news)
		tell(context, now.key.process.scope, index, &delta);
}

void npt_measure_set_layers(struct npt_measure *measure, bool protocol, bool tls)
{
	measure->options.protocol = protocol;
	measure->options.tls = tls;
	if (tls && measure->probe && !measure->tls_calls && !measure->layers.tls_off)
		measure->layers.tls_off = "it begins when the tasks that run without it have ended";
}

void npt_measure_set_budget(struct npt_measure *measure, uint32_t cpu_millicores,
			    uint32_t memory_mib)
{
	measure->budget.cpu_millicores = cpu_millicores;
	measure->budget.memory_mib = memory_mib;
}

/* Where sampling is slow, sockets are walked in every fifth call or so. */
static bool is_due(struct npt_measure *measure)
{
	uint64_t now_ns = npt_clock_monotonic_ns();

	if (now_ns < measure->next_read_ns && !measure->scope_ended)
		return false;
	measure->next_read_ns = now_ns + measure->read_period_ns;
	measure->scope_ended = false;
	return true;
}

/* At once and as at a scope's begin: until then nothing that they move is counted. */
static int find_of_new_members(struct npt_measure *measure, struct npt_error *err)
{
	if (!measure->members_came)
		return 0;
	measure->members_came = false;
	return npt_probe_find_older(measure->probe, err);
}

int npt_measure_read(struct npt_measure *measure, npt_measure_tell *tell, void *context,
		     struct npt_error *err)
{
	const struct npt_bpf_slot *slots;
	int r;

	if (!measure->probe)
		return 0;
	r = find_of_new_members(measure, err);
	if (r < 0 || !is_due(measure))
		return r;
	r = npt_probe_fold(measure->probe, err);
	if (r < 0)
		return r;
	if (measure->handshakes)
		npt_tls_events_read(measure->handshakes, measure->probe);
	if (measure->tls_calls)
		npt_tls_calls_tick(measure->tls_calls);
	slots = npt_probe_slots(measure->probe);
	for (uint32_t i = NPT_SLOT_FIRST; i < NPT_SLOTS_MAX && slots[i].ever_used; i++) {
		if (slots[i].key.role != NPT_BPF_UNKNOWN)
			read_slot(measure, i, tell, context);
	}
	npt_measure_keep_to_budget(measure);
	return 0;
}

int npt_measure_find_sockets(struct npt_measure *measure, struct npt_error *err)
{
	bool young = npt_clock_monotonic_ns() < measure->find_until_ns;

	if (!measure->probe)
		return 0;
	if (!young && !npt_scopes_has_processes(&measure->scopes) &&
	    npt_probe_unowned(measure->probe) == 0)
		return 0;
	return npt_probe_find_left_over(measure->probe, err);
}

int npt_measure_fd(const struct npt_measure *measure)
{
	return measure->tls_calls ? npt_probe_tls_processes_fd(measure->probe) : -1;
}

void npt_measure_attend(struct npt_measure *measure)
{
	if (measure->tls_calls)
		npt_tls_calls_attend(measure->tls_calls);
	if (measure->probe && measure->slicing)
		npt_slices_run(&measure->slices, npt_clock_monotonic_ns());
}

uint64_t npt_measure_due_ns(const struct npt_measure *measure)
{
	uint64_t slice = measure->probe && measure->slicing ? measure->slices.due_ns : 0;
	uint64_t look = measure->tls_calls ? npt_tls_calls_due_ns(measure->tls_calls) : 0;

	return !look || (slice && slice < look) ? slice : look;
}
