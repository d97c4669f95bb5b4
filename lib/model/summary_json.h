/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Summary JSON - a pod's summary inside a channel message, and what a status shows of it as it is.
 * For the codecs of this folder only.
 */
#include "lib/model/json.h"
#include "lib/model/summary.h"

json_t *npt_pod_summary_to_json(const struct npt_pod_summary *summary);
void npt_pod_summary_from_json(struct npt_json_reader *reader, const json_t *object,
			       struct npt_pod_summary *summary);
/* Reasons by name; more than fit are refused. */
json_t *npt_reasons_to_json(
	const struct npt_named_reason reasons[static NPT_REPORT_UNAVAILABLE_MAX]);
void npt_reasons_from_json(struct npt_json_reader *reader, const json_t *object, const char *key,
			   struct npt_named_reason reasons[static NPT_REPORT_UNAVAILABLE_MAX]);
/* What is seen of the pod's TLS: a new array, in the summary's order. */
json_t *npt_tls_summaries_to_json(const struct npt_pod_summary *summary);
