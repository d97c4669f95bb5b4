/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Labels - which series a number belongs to: the texts by which exports tell edges apart.
 *
 * All are valid UTF-8 without control characters, whatever the agent said. Owned by whoever made
 * them; one block of memory.
 */
#include <stdint.h>

#include "lib/core/cleanup.h"
#include "lib/model/report.h"

enum npt_label {
	NPT_LABEL_TASK_NAMESPACE,
	NPT_LABEL_TASK,
	NPT_LABEL_POD,
	NPT_LABEL_PROCESS,
	NPT_LABEL_ROLE,
	NPT_LABEL_PEER_KIND,
	NPT_LABEL_PEER_NAMESPACE,
	NPT_LABEL_PEER,
	NPT_LABEL_PEER_PORT,
	NPT_LABEL_TRANSPORT,
	NPT_LABEL_PROTOCOL,
	NPT_LABEL_TLS,
	/* More than a time series database should be asked to index. */
	NPT_LABEL_TASK_UID,
	NPT_LABEL_POD_NAMESPACE,
	NPT_LABEL_POD_UID,
	NPT_LABEL_NODE,
	NPT_LABEL_CONTAINER,
	NPT_LABEL_PID,
	NPT_LABEL_PEER_ADDRESS,
	NPT_LABEL_PEER_PID,
	NPT_LABEL_TLS_VERSION,
	NPT_LABEL_COUNT,
};

#define NPT_LABEL_BIT(label) (UINT32_C(1) << (label))
/* Those up to NPT_LABEL_TLS. */
#define NPT_LABELS_FEW (NPT_LABEL_BIT(NPT_LABEL_TLS + 1) - 1)
#define NPT_LABELS_ALL (NPT_LABEL_BIT(NPT_LABEL_COUNT) - 1)
/* What says that a series is made of all that found no room. */
#define NPT_LABEL_OTHER "other"

struct npt_labels {
	char *key;                          /* all of them: equal keys are equal labels */
	const char *texts[NPT_LABEL_COUNT]; /* never NULL; "": not told */
	char *memory;
};

/* Of an edge of a window; those not in the set are "". */
void npt_labels_of_edge(const struct npt_report *window, const struct npt_edge *edge, uint32_t set,
			struct npt_labels *labels_ret);
/* Of what found no room in a task, or (NULL) in any. */
void npt_labels_of_others(const char *task_namespace, const char *task,
			  struct npt_labels *labels_ret);
void npt_labels_copy(const struct npt_labels *labels, struct npt_labels *labels_ret);
void npt_labels_done(struct npt_labels *labels);
NPT_DEFINE_AUTO_DONE(struct npt_labels, npt_labels_done)

/* Copies, with "?" for control characters and for bytes that are not UTF-8; cuts at the end. */
void npt_label_clean(const char *text, char *out, size_t size_bytes);
