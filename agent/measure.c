/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scope id is given again only after all others (they are 1023) had their turn, and its slots are
 * emptied once more then, so that nothing of an ended scope is taken for a new one. Namespaces are
 * held open: their inode numbers are reused at once when they end.
 */
#include "agent/measure.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include "agent/fold.h"
#include "agent/identity.h"
#include "agent/proc.h"
#include "agent/slices.h"
#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/log.h"

struct scope {
	uint32_t id; /* 0: free place */
	uint32_t netns_inode;
	int netns_fd;
	bool measuring;
};

/* What was told of a slot already, and who it is. */
struct told {
	struct npt_bpf_slot seen;
	struct npt_edge identity;
	uint32_t pair_pid;
};

struct npt_measure {
	struct npt_measure_options options;
	struct npt_features *features;
	struct npt_probe *probe; /* NULL while there is no scope */
	struct npt_slices slices;
	struct scope scopes[NPT_SCOPES_MAX];
	uint32_t last_scope; /* the id that was given last; 0: none yet */
	uint32_t scopes_count;
	struct told *told[NPT_SLOTS_MAX];
};

int npt_measure_new(struct npt_measure **measure_ret, const struct npt_measure_options *options,
		    struct npt_error *err)
{
	npt_auto(npt_measure_free) struct npt_measure *measure = npt_alloc(1, sizeof(*measure));
	int r;

	measure->options = *options;
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
	npt_slices_stop(&measure->slices);
	npt_probe_close(npt_take(measure->probe));
	for (size_t i = 0; i < NPT_SLOTS_MAX; i++) {
		free(measure->told[i]);
		measure->told[i] = NULL;
	}
	measure->last_scope = 0;
}

void npt_measure_free(struct npt_measure *measure)
{
	if (!measure)
		return;
	unload(measure);
	for (size_t i = 0; i < NPT_SCOPES_MAX; i++) {
		if (measure->scopes[i].id)
			(void)close(measure->scopes[i].netns_fd);
	}
	npt_features_free(measure->features);
	free(measure);
}

static int load(struct npt_measure *measure, struct npt_error *err)
{
	struct npt_probe_options options = {
		.operations = measure->options.operations,
		.slices = measure->options.operations,
	};
	int r = npt_probe_open(&measure->probe, measure->features, &options, err);

	if (r < 0)
		return r;
	if (options.slices)
		npt_slices_start(&measure->slices, measure->probe,
				 measure->options.slice_period_ms);
	return 0;
}

static struct scope *find_scope(struct npt_measure *measure, uint32_t id)
{
	return id > 0 && id < NPT_SCOPES_MAX && measure->scopes[id].id == id ? &measure->scopes[id]
									     : NULL;
}

static int check_scope(struct npt_measure *measure, const struct npt_scope_options *options,
		       uint32_t *inode_ret, struct npt_error *err)
{
	int r = npt_proc_netns_inode(options->netns_fd, inode_ret, err);

	if (r < 0)
		return r;
	for (size_t i = 1; i < NPT_SCOPES_MAX; i++) {
		if (measure->scopes[i].measuring && measure->scopes[i].netns_inode == *inode_ret)
			return npt_error_set(err, EBUSY,
					     "this network namespace is being measured already");
	}
	if (measure->scopes_count + 1 >= NPT_SCOPES_MAX)
		return npt_error_set(err, ENOSPC, "too many scopes at once (%d)",
				     NPT_SCOPES_MAX - 1);
	return 0;
}

/* The next free one; there is one. */
static uint32_t next_scope_id(const struct npt_measure *measure)
{
	uint32_t id = measure->last_scope;

	do {
		id = id % (NPT_SCOPES_MAX - 1) + 1;
	} while (measure->scopes[id].id);
	return id;
}

static int begin_scope(struct npt_measure *measure, struct scope *scope,
		       const struct npt_scope_options *options, struct npt_error *err)
{
	uint32_t edges_max = options->edges_max ? options->edges_max : NPT_SLOTS_MAX;
	int r = npt_probe_add_scope(measure->probe, scope->netns_inode, scope->id,
				    options->by_process, edges_max, err);

	for (size_t i = 0; r >= 0 && i < options->members_count; i++)
		r = npt_probe_add_member(measure->probe, scope->id, options->members[i], err);
	if (r < 0)
		return r;
	return npt_probe_find_older(measure->probe, err);
}

int npt_measure_add_scope(struct npt_measure *measure, const struct npt_scope_options *options,
			  uint32_t *scope_ret, struct npt_error *err)
{
	struct scope *scope;
	uint32_t inode = 0;
	int r = check_scope(measure, options, &inode, err);

	if (r < 0)
		return r;
	if (!measure->probe) {
		r = load(measure, err);
		if (r < 0)
			return r;
	}
	measure->last_scope = next_scope_id(measure);
	scope = &measure->scopes[measure->last_scope];
	*scope = (struct scope){ .id = measure->last_scope, .netns_inode = inode, .netns_fd = -1 };
	npt_probe_free_slots(measure->probe, scope->id);
	r = begin_scope(measure, scope, options, err);
	if (r < 0) {
		(void)npt_probe_remove_scope(measure->probe, inode, scope->id, NULL);
		scope->id = 0;
		if (measure->scopes_count == 0)
			unload(measure);
		return r;
	}
	scope->netns_fd = options->netns_fd;
	scope->measuring = true;
	measure->scopes_count++;
	*scope_ret = scope->id;
	return 0;
}

void npt_measure_remove_scope(struct npt_measure *measure, uint32_t id)
{
	struct scope *scope = find_scope(measure, id);
	struct npt_error err = NPT_ERROR_NONE;

	if (!scope || !scope->measuring)
		return;
	if (npt_probe_remove_scope(measure->probe, scope->netns_inode, id, &err) < 0)
		npt_log_warning("last totals of a scope may be missing", "error", err.text);
	scope->measuring = false;
}

void npt_measure_forget_scope(struct npt_measure *measure, uint32_t id)
{
	struct scope *scope = find_scope(measure, id);

	if (!scope)
		return;
	npt_measure_remove_scope(measure, id);
	for (uint32_t i = NPT_SLOT_FIRST; i < NPT_SLOTS_MAX; i++) {
		if (measure->told[i] && measure->told[i]->seen.key.process.scope == id) {
			free(measure->told[i]);
			measure->told[i] = NULL;
		}
	}
	npt_probe_free_slots(measure->probe, id);
	(void)close(scope->netns_fd);
	*scope = (struct scope){ 0 };
	if (--measure->scopes_count == 0)
		unload(measure);
}

uint32_t npt_measure_members(struct npt_measure *measure, uint32_t scope)
{
	return measure->probe ? npt_probe_members(measure->probe, scope) : 0;
}

static void name_drop_reason(const void *features, uint32_t reason, char *out, size_t size_bytes)
{
	npt_features_reason_name(features, reason, out, size_bytes);
}

/* Quality of an edge's times; what this kernel does not give is unavailable. */
static void set_quality(struct npt_measure *measure, struct npt_edge *edge)
{
	bool operations = measure->options.operations;
	enum npt_quality none = NPT_QUALITY_UNAVAILABLE;

	edge->metrics[NPT_METRIC_WRITE].quality = operations ? NPT_QUALITY_EXACT : none;
	edge->metrics[NPT_METRIC_READ].quality = operations ? NPT_QUALITY_SAMPLED : none;
	edge->metrics[NPT_METRIC_RTT].quality = operations ? NPT_QUALITY_EXACT : none;
	edge->metrics[NPT_METRIC_CONNECT].quality = NPT_QUALITY_EXACT;
	edge->metrics[NPT_METRIC_ACCEPT].quality = NPT_QUALITY_SAMPLED;
	edge->metrics[NPT_METRIC_CLOSE].quality = NPT_QUALITY_SAMPLED;
	edge->metrics[NPT_METRIC_RESPONSE].quality = none;
	edge->metrics[NPT_METRIC_UNREAD].quality = none;
}

/* Names are looked up once, and again when the other end of a pair becomes known. */
static struct told *tell_again(struct npt_measure *measure, uint32_t index,
			       const struct npt_bpf_slot *now)
{
	struct told *told = measure->told[index];

	if (!told) {
		told = npt_alloc(1, sizeof(*told));
		told->seen.key = now->key;
		measure->told[index] = told;
	} else if (told->identity.process.name[0] && told->pair_pid == now->pair_pid) {
		return told;
	}
	npt_identity_fill(measure->probe, now, &told->identity);
	set_quality(measure, &told->identity);
	told->pair_pid = now->pair_pid;
	return told;
}

static void read_slot(struct npt_measure *measure, uint32_t index, npt_measure_tell *tell,
		      void *context)
{
	struct npt_fold_names names = { .drop_reason = name_drop_reason,
					.context = measure->features };
	struct npt_bpf_slot now;
	struct npt_edge delta;
	struct told *told;

	npt_fold_read_slot(&npt_probe_slots(measure->probe)[index], &now);
	told = tell_again(measure, index, &now);
	delta = told->identity;
	if (npt_fold_advance(&told->seen, &now, &names, &delta))
		tell(context, now.key.process.scope, index, &delta);
}

int npt_measure_read(struct npt_measure *measure, npt_measure_tell *tell, void *context,
		     struct npt_error *err)
{
	const struct npt_bpf_slot *slots;
	int r;

	if (!measure->probe)
		return 0;
	r = npt_probe_fold(measure->probe, err);
	if (r < 0)
		return r;
	slots = npt_probe_slots(measure->probe);
	for (uint32_t i = NPT_SLOT_FIRST; i < NPT_SLOTS_MAX && slots[i].ever_used; i++) {
		if (slots[i].key.role != NPT_BPF_UNKNOWN)
			read_slot(measure, i, tell, context);
	}
	return 0;
}

int npt_measure_find_sockets(struct npt_measure *measure, struct npt_error *err)
{
	return measure->probe ? npt_probe_find_left_over(measure->probe, err) : 0;
}

uint64_t npt_measure_slice_due_ns(const struct npt_measure *measure)
{
	return measure->probe && measure->options.operations ? measure->slices.due_ns : 0;
}

void npt_measure_slice_run(struct npt_measure *measure)
{
	if (measure->probe && measure->options.operations)
		npt_slices_run(&measure->slices, npt_clock_monotonic_ns());
}

static void describe_unavailable(struct npt_measure *measure, struct npt_report *report)
{
	static const char *const later[] = {
		"response", "unread",   "resets", "limited", "retransmit.tailLoss",
		"queue",    "protocol", "tls",    "finding"
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(later); i++)
		npt_report_set_unavailable(report, later[i], "not measured by this version");
	npt_report_set_unavailable(report, "cost.nanosPerOperation",
				   "not measured by this version");
	if (!measure->options.operations) {
		npt_report_set_unavailable(report, "write", "layer Operations is off");
		npt_report_set_unavailable(report, "read", "layer Operations is off");
		npt_report_set_unavailable(report, "rtt", "layer Operations is off");
		npt_report_set_unavailable(report, "accept.micros", "layer Operations is off");
		npt_report_set_unavailable(report, "close.micros", "layer Operations is off");
	} else if (measure->probe && !npt_probe_times_writes(measure->probe)) {
		npt_report_set_unavailable(report, "write.micros",
					   "the kernel lacks tcp_sendmsg_locked (6.16+)");
	}
	if (measure->probe && !npt_probe_sees_drops(measure->probe))
		npt_report_set_unavailable(report, "drops",
					   "the kernel's kfree_skb names no socket (6.11+)");
}

static uint64_t own_rss_bytes(void)
{
	npt_auto_fclose FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long size = 0, resident = 0;

	if (!file || fscanf(file, "%llu %llu", &size, &resident) != 2)
		return 0;
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t own_cpu_ms(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) < 0)
		return 0;
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
	       (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

void npt_measure_describe(struct npt_measure *measure, uint32_t scope, struct npt_report *report)
{
	uint64_t maps = 0;

	describe_unavailable(measure, report);
	if (measure->probe) {
		report->lost.events = npt_probe_loss(measure->probe, NPT_LOSS_STORAGE) +
				      npt_probe_loss(measure->probe, NPT_LOSS_PROCESS) +
				      npt_probe_loss(measure->probe, NPT_LOSS_TASK);
		report->lost.edges = npt_probe_other_connections(measure->probe, scope);
		report->other_edges = report->lost.edges;
		maps = npt_probe_map_bytes(measure->probe) -
		       npt_probe_mapped_bytes(measure->probe); /* those are in the RSS */
	}
	report->cost.cpu_ms = own_cpu_ms();
	report->cost.memory_kib = (own_rss_bytes() + maps) / 1024;
}
