/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Sources - where each number comes from on this kernel, how good it is, and why what is missing is
 * missing. The one place that turns abilities into words.
 */
#include <stdbool.h>

#include "agent/probe/probe.h"
#include "lib/model/report.h"

/* What is measured, now. */
struct npt_layers {
	bool operations;
	bool protocol;
	const char *protocol_off; /* why, if so */
	bool tls;
	const char *tls_off;        /* why, if it was asked for; else NULL */
	const char *operations_off; /* why, if so */
	bool slices_off;            /* no execution times by slices any more */
};

/* Quality of an edge's times. */
void npt_sources_set_quality(const struct npt_probe_abilities *can, const struct npt_layers *layers,
			     struct npt_edge *edge);
/* Why calls of TLS libraries are not seen, where they are not. */
const char *npt_sources_no_tls(const struct npt_probe_abilities *can);
/* Fills sources and unavailable of a window or report. */
void npt_sources_describe(const struct npt_probe_abilities *can, const struct npt_layers *layers,
			  struct npt_report *report);
