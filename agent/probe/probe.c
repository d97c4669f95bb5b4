/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One object, loaded when the first scope begins. Hooks are attached one by one, so that Base costs
 * nothing per operation and slices can come and go.
 */
#include "agent/probe/calibration.h"
#include "agent/probe/probe_private.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <bpf/bpf.h>

#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/log.h"

/*
 * What a socket's entry takes in the kernel, which no map's memlock counts: struct npt_conn with
 * its bpf_local_storage_elem, and the socket's bpf_local_storage; slabs of 256 each.
 */
#define ENTRY_BYTES 768

#define MAP_BYTES_FOR_NS (10 * NPT_NS_PER_SECOND)

#define SLOTS_BYTES    (sizeof(struct npt_bpf_slot) * NPT_SLOTS_MAX)
#define QUEUES_BYTES   (sizeof(struct npt_bpf_queue) * NPT_SLOTS_MAX)
#define SPEECHES_BYTES (sizeof(struct npt_bpf_speech) * NPT_SLOTS_MAX)

static int fill_free_slots(struct npt_probe *probe, struct npt_error *err)
{
	int fd = bpf_map__fd(probe->skeleton->maps.npt_free_slots);

	for (__u32 index = NPT_SLOTS_MAX - 1; index >= NPT_SLOT_FIRST; index--) {
		if (bpf_map_update_elem(fd, NULL, &index, BPF_ANY) < 0)
			return npt_error_set(err, errno, "cannot fill the map of free slots: %s",
					     npt_errno_name(errno));
	}
	return 0;
}

static int map_memory(const struct bpf_map *map, size_t size_bytes, void **memory_ret,
		      struct npt_error *err)
{
	void *memory =
		mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (memory == MAP_FAILED)
		return npt_error_set(err, errno, "cannot map the edges' memory: %s",
				     npt_errno_name(errno));
	*memory_ret = memory;
	return 0;
}

static int map_slots(struct npt_probe *probe, struct npt_error *err)
{
	void *memory = NULL;
	int r = map_memory(probe->skeleton->maps.npt_slots, SLOTS_BYTES, &memory, err);

	if (r < 0)
		return r;
	probe->slots = memory;
	r = map_memory(probe->skeleton->maps.npt_queues, QUEUES_BYTES, &memory, err);
	if (r < 0)
		return r;
	probe->queues = memory;
	r = map_memory(probe->skeleton->maps.npt_speeches, SPEECHES_BYTES, &memory, err);
	if (r < 0)
		return r;
	probe->speeches = memory;
	return 0;
}

static int attach_walks(struct npt_probe *probe, struct npt_error *err)
{
	union bpf_iter_link_info info = {
		.map.map_fd = (__u32)bpf_map__fd(probe->skeleton->maps.npt_conns),
	};
	struct bpf_iter_attach_opts options;

	memset(&options, 0, sizeof(options)); /* libbpf looks at the padding too */
	options.sz = sizeof(options);
	options.link_info = &info;
	options.link_info_len = sizeof(info);
	probe->links[NPT_LINK_FIND] =
		bpf_program__attach_iter(probe->skeleton->progs.npt_find, NULL);
	probe->links[NPT_LINK_WALK] =
		bpf_program__attach_iter(probe->skeleton->progs.npt_walk, &options);
	if (!probe->links[NPT_LINK_FIND] || !probe->links[NPT_LINK_WALK])
		return npt_error_set(err, EOPNOTSUPP, "cannot attach the socket iterators: %s",
				     npt_errno_name(errno));
	return 0;
}

/* By it slices recognize our entry behind a socket. */
static void tell_map_id(struct npt_probe *probe)
{
	struct bpf_map_info info = { 0 };
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(bpf_map__fd(probe->skeleton->maps.npt_conns), &info, &size) == 0)
		probe->skeleton->bss->npt_conns_map_id = info.id;
}

static int attach_hooks(struct npt_probe *probe, struct npt_error *err)
{
	const struct bpf_map *conns = probe->skeleton->maps.npt_conns;
	struct npt_calibration calibration;
	int r;

	if (!probe->options.operations)
		return npt_probe_attach_hooks(probe, err);
	npt_calibration_begin(&calibration);
	r = npt_probe_attach_hooks(probe, err);
	probe->ns_per_operation =
		npt_calibration_end(&calibration, bpf_map__fd(conns), bpf_map__value_size(conns));
	return r;
}

static int start(struct npt_probe *probe, struct npt_error *err)
{
	int r = map_slots(probe, err);

	if (r < 0)
		return r;
	r = fill_free_slots(probe, err);
	if (r < 0)
		return r;
	r = npt_probe_open_tls(probe, err);
	if (r < 0)
		return r;
	tell_map_id(probe);
	r = attach_hooks(probe, err);
	return r < 0 ? r : attach_walks(probe, err);
}

int npt_probe_open(struct npt_probe **probe_ret, const struct npt_features *features,
		   const struct npt_probe_options *options, struct npt_error *err)
{
	npt_auto(npt_probe_close) struct npt_probe *probe = npt_alloc(1, sizeof(*probe));
	int r;

	probe->features = features;
	probe->options = *options;
	r = npt_probe_look(probe, err);
	if (r < 0)
		return r;
	probe->skeleton = npt_bpf_measure__open();
	if (!probe->skeleton)
		return npt_probe_explain_load(-errno, err);
	npt_probe_choose(probe);
	r = npt_bpf_measure__load(probe->skeleton);
	(void)malloc_trim(0); /* libbpf had the kernel's BTF in memory for it */
	if (r < 0)
		return npt_probe_explain_load(r, err);
	r = start(probe, err);
	if (r < 0)
		return r;
	*probe_ret = npt_take(probe);
	return 0;
}

void npt_probe_close(struct npt_probe *probe)
{
	if (!probe)
		return;
	for (int i = NPT_LINK_COUNT - 1; i >= 0; i--)
		(void)bpf_link__destroy(probe->links[i]);
	for (int i = NPT_PROBE_HOOKS_MAX - 1; i >= 0; i--)
		(void)bpf_link__destroy(probe->hooks[i]);
	ring_buffer__free(probe->tls_events);
	ring_buffer__free(probe->tls_processes);
	if (probe->slots)
		(void)munmap(probe->slots, SLOTS_BYTES);
	if (probe->queues)
		(void)munmap(probe->queues, QUEUES_BYTES);
	if (probe->speeches)
		(void)munmap(probe->speeches, SPEECHES_BYTES);
	npt_bpf_measure__destroy(probe->skeleton);
	free(probe);
}

int npt_probe_run_iterator(struct npt_probe *probe, enum npt_probe_link id, struct npt_error *err)
{
	npt_auto_close int fd = bpf_iter_create(bpf_link__fd(probe->links[id]));
	char nothing[64];
	ssize_t size;

	if (fd < 0)
		return npt_error_set(err, errno, "cannot start a socket iterator: %s",
				     npt_errno_name(errno));
	do {
		size = read(fd, nothing, sizeof(nothing));
	} while (size > 0 || (size < 0 && (errno == EAGAIN || errno == EINTR)));
	if (size < 0)
		return npt_error_set(err, errno, "a socket iterator failed: %s",
				     npt_errno_name(errno));
	return 0;
}

static int find(struct npt_probe *probe, enum npt_bpf_find what, struct npt_error *err)
{
	probe->skeleton->bss->npt_find_what = what;
	return npt_probe_run_iterator(probe, NPT_LINK_FIND, err);
}

int npt_probe_find_older(struct npt_probe *probe, struct npt_error *err)
{
	int r = find(probe, NPT_FIND_LISTENERS, err);

	if (r == 0)
		r = find(probe, NPT_FIND_CLIENTS, err);
	return r == 0 ? find(probe, NPT_FIND_SERVERS, err) : r;
}

int npt_probe_find_left_over(struct npt_probe *probe, struct npt_error *err)
{
	return find(probe, NPT_FIND_ALL, err);
}

/*
 * Each walk makes the gauges anew; counters among them go on, and so does the smallest RTT, which
 * connections that closed since the last walk have left there: who reads it takes it away.
 */
void npt_probe_clear_gauges(struct npt_probe *probe)
{
	for (size_t i = 0; i < NPT_SLOTS_MAX && (i < NPT_SLOT_FIRST || probe->slots[i].ever_used);
	     i++) {
		struct npt_bpf_queue *queue = &probe->queues[i];

		if (i >= NPT_SLOT_FIRST && probe->ended[probe->slots[i].key.process.scope])
			continue;
		queue->unread_bytes = 0;
		queue->unsent_bytes = 0;
		queue->accept_backlog = 0;
		queue->accept_backlog_max = 0;
		queue->syn_backlog = 0;
	}
}

uint64_t npt_probe_unowned(const struct npt_probe *probe)
{
	return probe->skeleton->bss->npt_walk_unowned;
}

int npt_probe_fold(struct npt_probe *probe, struct npt_error *err)
{
	int r;

	npt_probe_clear_gauges(probe);
	probe->skeleton->bss->npt_walk_mode = NPT_WALK_FLUSH;
	probe->skeleton->bss->npt_walk_sockets = 0;
	probe->skeleton->bss->npt_walk_unowned = 0;
	r = npt_probe_run_iterator(probe, NPT_LINK_WALK, err);
	if (probe->skeleton->bss->npt_walk_sockets > probe->sockets_max)
		probe->sockets_max = probe->skeleton->bss->npt_walk_sockets;
	return r;
}

struct npt_bpf_slot *npt_probe_slots(struct npt_probe *probe)
{
	return probe->slots;
}

struct npt_bpf_queue *npt_probe_queues(struct npt_probe *probe)
{
	return probe->queues;
}

const struct npt_bpf_speech *npt_probe_speeches(const struct npt_probe *probe)
{
	return probe->speeches;
}

bool npt_probe_process(struct npt_probe *probe, const struct npt_bpf_process_key *key,
		       struct npt_bpf_process *process_ret)
{
	return bpf_map_lookup_elem(bpf_map__fd(probe->skeleton->maps.npt_processes), key,
				   process_ret) == 0;
}

uint64_t npt_probe_loss(struct npt_probe *probe, enum npt_bpf_loss loss)
{
	int cpus = libbpf_num_possible_cpus();
	npt_auto_free __u64 *values = npt_alloc(cpus > 0 ? (size_t)cpus : 1, sizeof(*values));
	__u32 key = (__u32)loss;
	uint64_t sum = 0;

	if (cpus <= 0 ||
	    bpf_map_lookup_elem(bpf_map__fd(probe->skeleton->maps.npt_losses), &key, values) < 0)
		return 0;
	for (int i = 0; i < cpus; i++)
		sum += values[i];
	return sum;
}

static uint64_t missed_by(const struct bpf_program *program)
{
	struct bpf_prog_info info = { 0 };
	__u32 size = sizeof(info);
	int fd = bpf_program__fd(program);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return 0;
	return info.recursion_misses;
}

uint64_t npt_probe_missed(struct npt_probe *probe)
{
	__typeof__(probe->skeleton->progs) *programs = &probe->skeleton->progs;
	uint64_t state = missed_by(programs->npt_set_state);
	uint64_t twin = missed_by(programs->npt_state_twin);

	return (state < twin ? state : twin) + missed_by(programs->npt_drop) +
	       missed_by(programs->npt_write_end) + missed_by(programs->npt_read_end) +
	       missed_by(programs->npt_read_spliced) + missed_by(programs->npt_send_end) +
	       missed_by(programs->npt_recv_end);
}

uint64_t npt_probe_other_connections(struct npt_probe *probe, uint32_t scope)
{
	struct npt_bpf_scope_state state = { 0 };

	(void)bpf_map_lookup_elem(bpf_map__fd(probe->skeleton->maps.npt_scope_state), &scope,
				  &state);
	return state.other_connections;
}

static uint64_t ask_map_bytes(const struct npt_probe *probe)
{
	struct bpf_map *map;
	uint64_t bytes = 0;

	bpf_object__for_each_map(map, probe->skeleton->obj)
	{
		npt_auto_free char *path = npt_format("/proc/self/fdinfo/%d", bpf_map__fd(map));
		npt_auto_fclose FILE *file = fopen(path, "re");
		char line[128];

		while (file && fgets(line, sizeof(line), file)) {
			if (strncmp(line, "memlock:\t", 9) == 0)
				bytes += strtoull(line + 9, NULL, 10);
		}
	}
	return bytes;
}

/* A file of /proc for each map: what is not allocated in advance grows slowly. */
uint64_t npt_probe_map_bytes(struct npt_probe *probe)
{
	uint64_t now_ns = npt_clock_monotonic_ns();

	if (now_ns >= probe->map_bytes_until_ns) {
		probe->map_bytes = ask_map_bytes(probe);
		probe->map_bytes_until_ns = now_ns + MAP_BYTES_FOR_NS;
	}
	return probe->map_bytes + probe->sockets_max * ENTRY_BYTES;
}

uint64_t npt_probe_mapped_bytes(const struct npt_probe *probe)
{
	(void)probe;
	return SLOTS_BYTES + QUEUES_BYTES;
}

uint32_t npt_probe_ns_per_operation(const struct npt_probe *probe)
{
	return probe->ns_per_operation;
}

const struct npt_probe_abilities *npt_probe_abilities(const struct npt_probe *probe)
{
	return &probe->abilities;
}

int npt_probe_slice_begin(struct npt_probe *probe, struct npt_error *err)
{
	struct npt_bpf_measure *skeleton = probe->skeleton;
	int r = npt_probe_attach(probe, NPT_LINK_SYS_EXIT, skeleton->progs.npt_sys_exit, err);

	if (r < 0)
		return r;
	skeleton->bss->npt_slice_number++;
	skeleton->bss->npt_slice_on = 1;
	return npt_probe_attach(probe, NPT_LINK_SYS_ENTER, skeleton->progs.npt_sys_enter, err);
}

/*
 * npt_slice_on stays set: calls that began in the slice are still running, and reads among them are
 * to be timed to their end.
 */
void npt_probe_slice_end(struct npt_probe *probe)
{
	(void)bpf_link__destroy(probe->links[NPT_LINK_SYS_ENTER]);
	(void)bpf_link__destroy(probe->links[NPT_LINK_SYS_EXIT]);
	probe->links[NPT_LINK_SYS_ENTER] = NULL;
	probe->links[NPT_LINK_SYS_EXIT] = NULL;
}
