/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * TLS attachment - one TLS library of one process, with its probes while they are set.
 *
 * Links have the process as their filter: nobody else who uses the file is stopped by them. They
 * end with their descriptors, at the latest with this process.
 */
#include "agent/probe/probe.h"
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
	int links[NPT_TLS_LINKS_MAX];
	size_t links_count;
	bool seen; /* the caller's mark */
};

/* Which probes a file gets; remembered, as it reads and decodes code. */
struct npt_tls_plans;
struct npt_tls_plans *npt_tls_plans_new(void);
void npt_tls_plans_free(struct npt_tls_plans *plans);
NPT_DEFINE_AUTO(struct npt_tls_plans *, npt_tls_plans_free)

/*
 * Sets the probes, or says in why what is in the way; never fails otherwise. Without a probe none
 * are set, as there are enough already. The attachment may be
 * moved; npt_tls_detach() once it is not needed any more.
 */
void npt_tls_attach(struct npt_tls_attachment *attachment, struct npt_probe *probe,
		    struct npt_tls_plans *plans, uint32_t pid, const struct npt_tls_found *found);
void npt_tls_detach(struct npt_tls_attachment *attachment);
/* It is that library. */
bool npt_tls_attachment_is_of(const struct npt_tls_attachment *attachment,
			      const struct npt_tls_found *found);
