/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open decides by features which programs load; a program whose tracepoint the kernel lacks is left
 * out and its metric becomes unavailable. Links are attached one by one, so that Base costs nothing
 * per operation and slices can come and go.
 */
#include "agent/probe/probe_private.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <bpf/bpf.h>

#include "lib/core/alloc.h"
#include "lib/core/log.h"

/*
 * What a socket's entry takes in the kernel, which no map's memlock counts: struct npt_conn with
 * its bpf_local_storage_elem, and the socket's bpf_local_storage; slabs of 256 each.
 */
#define ENTRY_BYTES 512

/* enum npt_call_kind in bpf/slices.bpf.h. */
enum { CALL_READ = 1, CALL_ACCEPT = 2, CALL_CLOSE = 3 };

static const struct {
	long number;
	__u8 kind;
} timed_calls[] = {
	{ SYS_read, CALL_READ },      { SYS_readv, CALL_READ },    { SYS_recvfrom, CALL_READ },
	{ SYS_recvmsg, CALL_READ },   { SYS_recvmmsg, CALL_READ }, { SYS_accept, CALL_ACCEPT },
	{ SYS_accept4, CALL_ACCEPT }, { SYS_close, CALL_CLOSE },
};

static void choose_programs(struct npt_probe *probe)
{
	struct npt_bpf_measure *skeleton = probe->skeleton;
	const struct npt_features *features = probe->features;
	bool operations = probe->options.operations;
	bool write_begin = npt_features_tracepoint(features, NPT_TRACEPOINT_SEND_LOCKED) > 0;
	bool drop = npt_features_tracepoint(features, NPT_TRACEPOINT_FREE_SKB) >= 4;

	(void)bpf_program__set_autoload(skeleton->progs.npt_write_begin, operations && write_begin);
	(void)bpf_program__set_autoload(skeleton->progs.npt_write_end, operations);
	(void)bpf_program__set_autoload(skeleton->progs.npt_read_end, operations);
	(void)bpf_program__set_autoload(skeleton->progs.npt_drop, drop);
	(void)bpf_program__set_autoload(skeleton->progs.npt_sys_enter, probe->options.slices);
	(void)bpf_program__set_autoload(skeleton->progs.npt_sys_exit, probe->options.slices);
	for (size_t i = 0; i < NPT_ARRAY_SIZE(timed_calls); i++)
		skeleton->rodata->npt_call_kinds[timed_calls[i].number] = timed_calls[i].kind;
	skeleton->rodata->npt_reason_not_specified = npt_features_reason(features, "NOT_SPECIFIED");
	skeleton->rodata->npt_reason_queue_purge = npt_features_reason(features, "QUEUE_PURGE");
	skeleton->rodata->npt_reason_consumed = npt_features_reason(features, "SKB_CONSUMED");
}

static int explain_load(int r, struct npt_error *err)
{
	if (r == -EPERM)
		return npt_error_set(err, EPERM,
				     "loading BPF programs was refused: run as root, or with the "
				     "capabilities BPF and PERFMON");
	return npt_error_set(
		err, EOPNOTSUPP,
		"the kernel refused the BPF programs (%s); --log-level debug shows its "
		"words",
		npt_errno_name(-r));
}

static int check_kernel(const struct npt_features *features,
			const struct npt_probe_options *options, struct npt_error *err)
{
	int r;

	if (npt_features_tracepoint(features, NPT_TRACEPOINT_SET_STATE) < 0)
		return npt_error_set(err, EOPNOTSUPP,
				     "the kernel lacks the tracepoint inet_sock_set_state (4.16+)");
	r = libbpf_probe_bpf_map_type(BPF_MAP_TYPE_SK_STORAGE, NULL);
	if (r == -EPERM)
		return explain_load(r, err);
	if (r != 1)
		return npt_error_set(err, EOPNOTSUPP,
				     "the kernel lacks socket storage for tracing (5.11+)");
	if (options->operations &&
	    npt_features_tracepoint(features, NPT_TRACEPOINT_SEND_LENGTH) < 0)
		return npt_error_set(err, EOPNOTSUPP,
				     "the kernel lacks the tracepoint sock_send_length (6.3+): "
				     "leave out the layer Operations (--layers Base)");
	return 0;
}

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

static int map_slots(struct npt_probe *probe, struct npt_error *err)
{
	void *memory =
		mmap(NULL, sizeof(struct npt_bpf_slot) * NPT_SLOTS_MAX, PROT_READ | PROT_WRITE,
		     MAP_SHARED, bpf_map__fd(probe->skeleton->maps.npt_slots), 0);

	if (memory == MAP_FAILED)
		return npt_error_set(err, errno, "cannot map the edges' memory: %s",
				     npt_errno_name(errno));
	probe->slots = memory;
	return 0;
}

int npt_probe_attach(struct npt_probe *probe, enum npt_probe_link id, struct bpf_program *program,
		     struct npt_error *err)
{
	struct bpf_link *link;

	if (!bpf_program__autoload(program))
		return 0;
	link = bpf_program__attach(program);
	if (!link)
		return npt_error_set(err, errno == EPERM || errno == EACCES ? EPERM : EOPNOTSUPP,
				     "cannot attach %s: %s", bpf_program__name(program),
				     npt_errno_name(errno));
	probe->links[id] = link;
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

static int attach_all(struct npt_probe *probe, struct npt_error *err)
{
	struct npt_bpf_measure *skeleton = probe->skeleton;
	const struct {
		enum npt_probe_link id;
		struct bpf_program *program;
	} hooks[] = {
		{ NPT_LINK_STATE, skeleton->progs.npt_set_state },
		{ NPT_LINK_DROP, skeleton->progs.npt_drop },
		{ NPT_LINK_WRITE_END, skeleton->progs.npt_write_end },
		{ NPT_LINK_READ_END, skeleton->progs.npt_read_end },
		{ NPT_LINK_WRITE_BEGIN, skeleton->progs.npt_write_begin },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(hooks); i++) {
		int r = npt_probe_attach(probe, hooks[i].id, hooks[i].program, err);

		if (r < 0)
			return r;
	}
	return attach_walks(probe, err);
}

int npt_probe_open(struct npt_probe **probe_ret, const struct npt_features *features,
		   const struct npt_probe_options *options, struct npt_error *err)
{
	npt_auto(npt_probe_close) struct npt_probe *probe = npt_alloc(1, sizeof(*probe));
	int r;

	probe->features = features;
	probe->options = *options;
	r = check_kernel(features, options, err);
	if (r < 0)
		return r;
	probe->skeleton = npt_bpf_measure__open();
	if (!probe->skeleton)
		return explain_load(-errno, err);
	choose_programs(probe);
	r = npt_bpf_measure__load(probe->skeleton);
	(void)malloc_trim(0); /* libbpf had the kernel's BTF in memory for it */
	if (r < 0)
		return explain_load(r, err);
	r = map_slots(probe, err);
	if (r < 0)
		return r;
	r = fill_free_slots(probe, err);
	if (r < 0)
		return r;
	r = attach_all(probe, err);
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
	if (probe->slots)
		(void)munmap(probe->slots, sizeof(struct npt_bpf_slot) * NPT_SLOTS_MAX);
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

int npt_probe_fold(struct npt_probe *probe, struct npt_error *err)
{
	int r;

	probe->skeleton->bss->npt_walk_mode = NPT_WALK_FLUSH;
	probe->skeleton->bss->npt_walk_sockets = 0;
	r = npt_probe_run_iterator(probe, NPT_LINK_WALK, err);
	if (probe->skeleton->bss->npt_walk_sockets > probe->sockets_max)
		probe->sockets_max = probe->skeleton->bss->npt_walk_sockets;
	return r;
}

struct npt_bpf_slot *npt_probe_slots(struct npt_probe *probe)
{
	return probe->slots;
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

uint64_t npt_probe_other_connections(struct npt_probe *probe, uint32_t scope)
{
	struct npt_bpf_scope_state state = { 0 };

	(void)bpf_map_lookup_elem(bpf_map__fd(probe->skeleton->maps.npt_scope_state), &scope,
				  &state);
	return state.other_connections;
}

uint64_t npt_probe_map_bytes(struct npt_probe *probe)
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
	return bytes + probe->sockets_max * ENTRY_BYTES;
}

uint64_t npt_probe_mapped_bytes(const struct npt_probe *probe)
{
	(void)probe;
	return sizeof(struct npt_bpf_slot) * NPT_SLOTS_MAX;
}

bool npt_probe_times_writes(const struct npt_probe *probe)
{
	return probe->links[NPT_LINK_WRITE_BEGIN] != NULL;
}

bool npt_probe_sees_drops(const struct npt_probe *probe)
{
	return probe->links[NPT_LINK_DROP] != NULL;
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
