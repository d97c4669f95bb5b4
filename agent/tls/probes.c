/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/tls/probes.h"
#include <string.h>
#include <stdio.h>
#include <unistd.h>
#include "agent/tls/site.h"
#include "bpf/measure.h"

void npt_tls_probes_choose(const struct npt_tls_library *library, int fd,
			   const struct npt_tls_probes_options *options, struct npt_tls_probes *ret)
{
	static uint8_t code[65536];
	memset(ret, 0, sizeof(*ret));
	(void)options;
	for (size_t i = 0; i < library->function_count; i++) {
		const struct npt_tls_function *f = &library->functions[i];
		struct npt_site_options o = { .architecture = NPT_ARCHITECTURE_X86_64,
					      .arguments = 2 };
		struct npt_error err = NPT_ERROR_NONE;
		int64_t callee = 0;
		if (f->role != NPT_TLS_READ && f->role != NPT_TLS_WRITE)
			continue;
		ssize_t n =
			pread(fd, code, sizeof(code) < f->size_bytes ? sizeof(code) : f->size_bytes,
			      (off_t)f->offset);
		if (n > 0 && npt_site_callee(code, (size_t)n, &o, &callee, &err) == 0) {
			struct npt_tls_probe *p = &ret->probes[ret->count++];
			p->kind = NPT_TLS_PROBE_CALL;
			p->offset = f->offset + (uint64_t)callee;
			p->cookie = NPT_TLS_COOKIE(NPT_TLS_RETURNS_ONE, f->role == NPT_TLS_WRITE);
			snprintf(ret->how, sizeof(ret->how), "callee");
		}
	}
}
