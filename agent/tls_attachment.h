/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * TLS attachment - one TLS library of one process, with its probes while they are set.
 *
 * Links have the process as their filter: nobody else who uses the file is stopped by them. They
 * end with their descriptors, at the latest with this process.
 */
#include "agent/probe/probe.h"
#include "agent/probe/uprobe_cost.h"
#include "agent/tls/library.h"
#include "agent/tls/probes.h"
#include "lib/model/report.h"

#define NPT_TLS_LINKS_MAX 4

struct npt_tls_attachment {
	enum npt_tls_kind kind;
	struct npt_tls_file_id file;
	char version[NPT_TLS_VERSION_BYTES];
	enum npt_tls_coverage coverage;
	char how[NPT_TEXT_BYTES];
	char why[NPT_TEXT_BYTES]; /* why not full; "" if it is */
	uint32_t ns_per_call;     /* as measured on this machine; 0: not known, or none are seen */
	int links[NPT_TLS_LINKS_MAX];
	size_t links_count;
	bool seen; /* the caller's mark */
};

/*
 * What attaching needs: the programs, what a call costs with them, and which probes a file gets,
 * remembered, as that is found by reading its code.
 */
struct npt_tls_attacher;
/* The probe is borrowed. Measures for some 50 ms. */
struct npt_tls_attacher *npt_tls_attacher_new(struct npt_probe *probe);
/* Waits until all probes are away. */
void npt_tls_attacher_free(struct npt_tls_attacher *attacher);
NPT_DEFINE_AUTO(struct npt_tls_attacher *, npt_tls_attacher_free)

/*
 * Sets the probes, or says in why what is in the way; never fails otherwise. early:
 * the process will map the file, but has not yet. refused: why none are
 * to be set, or NULL. The attachment may be moved; npt_tls_detach() once it is not needed any more.
 */
void npt_tls_attach(struct npt_tls_attachment *attachment, struct npt_tls_attacher *attacher,
		    uint32_t pid, const struct npt_tls_found *found, bool early,
		    const char *refused);
/* In the background: it takes some 40 ms. */
void npt_tls_detach(struct npt_tls_attachment *attachment, struct npt_tls_attacher *attacher);
/* It is that library. */
bool npt_tls_attachment_is_of(const struct npt_tls_attachment *attachment,
			      const struct npt_tls_found *found);
