/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Target - the words of `run` as a task's spec.target: pods by name, or the selector of a
 * Deployment, Service, StatefulSet or DaemonSet.
 */
#include "cli/cluster.h"

struct npt_target_words {
	json_t *target; /* spec.target, the caller's to decref */
	char name[64];  /* what a task's name may begin with */
};

/* Asks the cluster for what is named; -ENOENT and the like say what to do. */
int npt_target_resolve(struct npt_cluster *cluster, struct npt_target_words *target_ret,
		       struct npt_error *err);
/*
 * "deploy/web" in its parts: *plural_ret is NULL for a pod ("web", "pod/web"). -EINVAL: no kind
 * that can be measured, or no name.
 */
int npt_target_parse_word(const char *word, const char **group_ret, const char **plural_ret,
			  const char **name_ret, struct npt_error *err);
/* How many pods match now; -1: it could not be asked. */
int npt_target_count(struct npt_cluster *cluster, const json_t *target);
