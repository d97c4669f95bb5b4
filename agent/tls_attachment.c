/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tls_attachment.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/probe/closer.h"
#include "agent/probe/uprobe_multi.h"
#include "lib/core/alloc.h"

#define PLANS_MAX 64

struct plan {
	struct npt_tls_file_id file;
	enum npt_tls_kind kind;
	uint64_t used;
	struct npt_tls_probes probes;
};

struct npt_tls_attacher {
	struct npt_probe *probe;
	struct npt_uprobe_cost cost;
	struct npt_closer *closer;
	struct plan *plans[PLANS_MAX];
	uint64_t uses;
};

struct npt_tls_attacher *npt_tls_attacher_new(struct npt_probe *probe)
{
	struct npt_tls_attacher *attacher = npt_alloc(1, sizeof(*attacher));

	attacher->probe = probe;
	attacher->closer = npt_closer_new();
	if (npt_probe_abilities(probe)->tls_calls)
		attacher->cost = npt_uprobe_cost_measure(probe);
	return attacher;
}

void npt_tls_attacher_free(struct npt_tls_attacher *attacher)
{
	if (!attacher)
		return;
	npt_closer_free(attacher->closer);
	for (size_t i = 0; i < PLANS_MAX; i++)
		free(attacher->plans[i]);
	free(attacher);
}

/* The place of that file's plan, or of the one that was not used for longest. */
static struct plan **place_of(struct npt_tls_attacher *attacher, const struct npt_tls_found *found)
{
	struct plan **oldest = &attacher->plans[0];

	for (size_t i = 0; i < PLANS_MAX; i++) {
		struct plan **place = &attacher->plans[i];

		if (!*place)
			return place;
		if ((*place)->kind == found->library.kind &&
		    npt_tls_is_same_file(&(*place)->file, &found->file))
			return place;
		if ((*place)->used < (*oldest)->used)
			oldest = place;
	}
	return oldest;
}

static const struct npt_tls_probes *plan(struct npt_tls_attacher *attacher,
					 const struct npt_tls_found *found, int fd)
{
	const struct npt_tls_probes_options options = { .long_nops = false };
	struct plan **place = place_of(attacher, found), *plan = *place;

	if (!plan) {
		plan = npt_alloc(1, sizeof(*plan));
		*place = plan;
	}
	if (!plan->used || plan->kind != found->library.kind ||
	    !npt_tls_is_same_file(&plan->file, &found->file)) {
		plan->file = found->file;
		plan->kind = found->library.kind;
		npt_tls_probes_choose(&found->library, fd, &options, &plan->probes);
	}
	plan->used = ++attacher->uses;
	return &plan->probes;
}

/* The file of one process, and how its probes are linked. */
struct target {
	struct npt_tls_attachment *attachment;
	struct npt_probe *probe;
	uint32_t pid;
	char path[64]; /* by descriptor */
};

static int keep(struct npt_tls_attachment *attachment, int link)
{
	if (link >= 0)
		attachment->links[attachment->links_count++] = link;
	return link;
}

/* All probes of one kind, as one link; those of calls as two. */
static int link_kind(const struct target *target, enum npt_tls_probe_kind kind,
		     const struct npt_tls_probes *probes, struct npt_error *err)
{
	uint64_t offsets[NPT_TLS_PROBES_MAX], cookies[NPT_TLS_PROBES_MAX];
	enum npt_tls_program program = kind == NPT_TLS_PROBE_GO_WRITE ? NPT_TLS_PROGRAM_GO_WRITE
				       : kind == NPT_TLS_PROBE_FREE   ? NPT_TLS_PROGRAM_FREE
								      : NPT_TLS_PROGRAM_BEGIN;
	pid_t pid = (pid_t)target->pid;
	size_t count = 0;
	int r;

	for (size_t i = 0; i < probes->count; i++) {
		if (probes->probes[i].kind != kind)
			continue;
		offsets[count] = probes->probes[i].offset;
		cookies[count++] = probes->probes[i].cookie;
	}
	if (count == 0)
		return 0;
	if (kind == NPT_TLS_PROBE_CALL) { /* its end first: no begin is left without one */
		r = keep(target->attachment,
			 npt_uprobe_multi_attach(
				 npt_probe_tls_program(target->probe, NPT_TLS_PROGRAM_END),
				 target->path, offsets, cookies, count, pid, true, err));
		if (r < 0)
			return r;
	}
	return keep(target->attachment,
		    npt_uprobe_multi_attach(npt_probe_tls_program(target->probe, program),
					    target->path, offsets, cookies, count, pid, false,
					    err));
}

static int link_all(const struct target *target, const struct npt_tls_probes *probes,
		    struct npt_error *err)
{
	static const enum npt_tls_probe_kind kinds[] = { NPT_TLS_PROBE_CALL, NPT_TLS_PROBE_GO_WRITE,
							 NPT_TLS_PROBE_FREE };
	int r = 0;

	for (size_t i = 0; i < NPT_ARRAY_SIZE(kinds) && r >= 0; i++)
		r = link_kind(target, kinds[i], probes, err);
	return r;
}

static void set_why(struct npt_tls_attachment *attachment, const char *why)
{
	attachment->coverage = NPT_COVERAGE_METADATA;
	(void)snprintf(attachment->why, sizeof(attachment->why), "%s", why);
}

/* The dearest of them. */
static uint32_t ns_per_call(const struct npt_tls_attacher *attacher,
			    const struct npt_tls_probes *probes)
{
	for (size_t i = 0; i < probes->count; i++) {
		if (probes->probes[i].kind == NPT_TLS_PROBE_CALL && probes->probes[i].stepped)
			return attacher->cost.stepped_call_ns;
	}
	return attacher->cost.call_ns;
}

static void say_how(struct npt_tls_attachment *attachment, const struct npt_tls_attacher *attacher,
		    const struct npt_tls_probes *probes, const char *library_how)
{
	bool go = attachment->kind == NPT_TLS_GO; /* a begin only: less than a call of others */

	attachment->coverage = NPT_COVERAGE_FULL;
	attachment->ns_per_call = ns_per_call(attacher, probes);
	(void)snprintf(attachment->how, sizeof(attachment->how),
		       "uprobe.multi: %.120s (%.60s), %s%u.%u us a call", probes->how, library_how,
		       go ? "at most " : "", attachment->ns_per_call / 1000,
		       attachment->ns_per_call % 1000 / 100);
}

static void set_probes(struct npt_tls_attachment *attachment, struct npt_tls_attacher *attacher,
		       uint32_t pid, const struct npt_tls_found *found, bool early)
{
	struct target target = { .attachment = attachment, .probe = attacher->probe, .pid = pid };
	struct npt_error err = NPT_ERROR_NONE;
	const struct npt_tls_probes *probes;
	npt_auto_close int fd = -1;
	int r = early ? npt_tls_found_open_early(pid, found, &fd, &err)
		      : npt_tls_found_open(pid, found, &fd, &err);

	if (r < 0) {
		set_why(attachment, err.text);
		return;
	}
	probes = plan(attacher, found, fd);
	if (probes->count == 0) {
		set_why(attachment, probes->why);
		return;
	}
	(void)snprintf(target.path, sizeof(target.path), "/proc/self/fd/%d", fd);
	if (link_all(&target, probes, &err) < 0) {
		npt_tls_detach(attachment, attacher);
		set_why(attachment, err.text);
		return;
	}
	say_how(attachment, attacher, probes, found->library.how);
}

void npt_tls_attach(struct npt_tls_attachment *attachment, struct npt_tls_attacher *attacher,
		    uint32_t pid, const struct npt_tls_found *found, bool early,
		    const char *refused)
{
	*attachment =
		(struct npt_tls_attachment){ .kind = found->library.kind, .file = found->file };
	memcpy(attachment->version, found->library.version, sizeof(attachment->version));
	(void)snprintf(attachment->how, sizeof(attachment->how), "%s", found->library.how);
	if (found->library.function_count == 0)
		set_why(attachment, found->library.why);
	else if (refused)
		set_why(attachment, refused);
	else
		set_probes(attachment, attacher, pid, found, early);
}

void npt_tls_detach(struct npt_tls_attachment *attachment, struct npt_tls_attacher *attacher)
{
	while (attachment->links_count > 0)
		npt_closer_close(attacher->closer, attachment->links[--attachment->links_count]);
}

bool npt_tls_attachment_is_of(const struct npt_tls_attachment *attachment,
			      const struct npt_tls_found *found)
{
	return attachment->kind == found->library.kind &&
	       npt_tls_is_same_file(&attachment->file, &found->file) &&
	       strcmp(attachment->version, found->library.version) == 0;
}
