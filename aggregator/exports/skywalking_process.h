/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * SkyWalking process - which processes its server was told of, and by what ids it knows them.
 *
 * A process there is a name in an instance (a pod) of a service (a workload); several with one name
 * are one. It gives out the ids, and forgets whom nobody keeps alive. One thread's own.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregator/exports/series.h"
#include "lib/core/buffer.h"
#include "lib/core/cleanup.h"
#include "lib/core/error.h"

#define NPT_SW_NAME_BYTES    512
#define NPT_SW_ID_BYTES      128
#define NPT_SW_PROCESSES_MAX 10000
#define NPT_SW_MESSAGE_BYTES (1024UL * 1024)

struct npt_sw_process {
	char service[NPT_SW_NAME_BYTES];
	char instance[NPT_NAME_BYTES];
	char name[NPT_NAME_BYTES];
	char container[NPT_NAME_BYTES];
	uint32_t pid;
	char id[NPT_SW_ID_BYTES]; /* "": the server was not asked yet, or did not say */
	uint64_t seen_ns;
	uint64_t told_ns; /* reported or kept alive */
};

struct npt_sw_processes;

/* agent: who reports; keep_alive_ns: told of again so long after the last time. */
struct npt_sw_processes *npt_sw_processes_new(const char *agent, uint64_t keep_alive_ns);
void npt_sw_processes_free(struct npt_sw_processes *processes);
NPT_DEFINE_AUTO(struct npt_sw_processes *, npt_sw_processes_free)

/*
 * The process of a series, or the one at the other end if that is in the same pod; added if it is
 * new. Borrowed until the next call of npt_sw_processes_expire(). NULL: there are too many, or it
 * has no name.
 */
struct npt_sw_process *npt_sw_process_of(struct npt_sw_processes *processes,
					 const struct npt_series *series, bool peer,
					 uint64_t now_ns);
/* Forgets whom no series named for some minutes. */
void npt_sw_processes_expire(struct npt_sw_processes *processes, uint64_t now_ns);
/* Nobody has an id any more: the server may be another one. */
void npt_sw_processes_forget_ids(struct npt_sw_processes *processes);

/* A report of those without an id, at most 1,000; false: there are none. */
bool npt_sw_processes_report(struct npt_sw_processes *processes, struct npt_buffer *message);
/* What the server answers; ids of unknown processes are skipped. -EBADMSG: it is no answer. */
int npt_sw_processes_take_ids(struct npt_sw_processes *processes, const void *data,
			      size_t size_bytes, uint64_t now_ns, struct npt_error *err);
/* Those that were not told of for a while; false: there are none. They count as told. */
bool npt_sw_processes_keep_alive(struct npt_sw_processes *processes, struct npt_buffer *message,
				 uint64_t now_ns);

/* "shop/reviews-v3-7f5d9c8b6-x2x4q" -> "reviews-v3.shop": the pod's name without what its
 * controller added, as far as that can be told. */
void npt_sw_service_of_pod(const char *namespace_name, const char *pod,
			   char out[static NPT_SW_NAME_BYTES]);
