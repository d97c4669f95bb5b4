/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child writes the whole value into a pipe; a value that is cut means that it died.
 */
#include "agent/capabilities.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "agent/probe/probe.h"
#include "agent/sources.h"
#include "lib/core/alloc.h"

#define SECONDS_MAX 30

static void set_layers(const struct npt_probe_abilities *can, struct npt_capabilities *found)
{
	const struct npt_layers layers = {
		.operations = can->operations,
		.operations_off = "the kernel has neither fentry nor the tracepoints "
				  "sock_send_length and sock_recv_length (6.3+)",
		.protocol = can->messages,
		.protocol_off = "the kernel lacks bpf_dynptr_from_skb for tracing (6.12+)",
		.tls = can->tls_calls,
		.tls_off = npt_sources_no_tls(can),
	};
	npt_auto(npt_report_free) struct npt_report *report = npt_report_new();

	npt_sources_describe(can, &layers, report);
	memcpy(found->unavailable, report->unavailable, sizeof(found->unavailable));
	found->layers[NPT_LAYER_BASE] = true;
	found->layers[NPT_LAYER_OPERATIONS] = can->operations;
	found->layers[NPT_LAYER_PROTOCOL] = can->messages;
	found->layers[NPT_LAYER_TLS] = can->tls_calls;
}

static void set_failure(const char *why, struct npt_capabilities *found)
{
	memset(found, 0, sizeof(*found));
	(void)snprintf(found->unavailable[0].name, sizeof(found->unavailable[0].name), "%s",
		       npt_layer_name(NPT_LAYER_BASE));
	(void)snprintf(found->unavailable[0].reason, sizeof(found->unavailable[0].reason), "%.250s",
		       why);
}

static void try_all(struct npt_capabilities *found)
{
	const struct npt_probe_options options = { .operations = true,
						   .protocol = true,
						   .tls = true };
	npt_auto(npt_features_free) struct npt_features *features = NULL;
	npt_auto(npt_probe_close) struct npt_probe *probe = NULL;
	struct npt_error err = NPT_ERROR_NONE;

	if (npt_features_new(&features, &err) < 0 ||
	    npt_probe_open(&probe, features, &options, &err) < 0)
		set_failure(err.text, found);
	else
		set_layers(npt_probe_abilities(probe), found);
}

static void be_child(int output, pid_t parent)
{
	npt_auto_free struct npt_capabilities *found = npt_alloc(1, sizeof(*found));
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	(void)alarm(SECONDS_MAX);
	try_all(found);
	_exit(write(output, found, sizeof(*found)) == (ssize_t)sizeof(*found) ? 0 : 1);
}

static size_t read_all(int input, void *data, size_t size_bytes)
{
	size_t got = 0;

	while (got < size_bytes) {
		ssize_t length = read(input, (char *)data + got, size_bytes - got);

		if (length < 0 && errno == EINTR)
			continue;
		if (length <= 0)
			break;
		got += (size_t)length;
	}
	return got;
}

void npt_capabilities_find(struct npt_capabilities *capabilities_ret)
{
	pid_t parent = getpid(), pid;
	int ends[2];
	size_t got;

	memset(capabilities_ret, 0, sizeof(*capabilities_ret));
	if (pipe2(ends, O_CLOEXEC) < 0) {
		set_failure("no pipe could be made to look at the kernel", capabilities_ret);
		return;
	}
	pid = fork();
	if (pid == 0)
		be_child(ends[1], parent);
	(void)close(ends[1]);
	got = pid > 0 ? read_all(ends[0], capabilities_ret, sizeof(*capabilities_ret)) : 0;
	(void)close(ends[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (got != sizeof(*capabilities_ret))
		set_failure("the process that looked at the kernel ended before it was done; see "
			    "the agent's log",
			    capabilities_ret);
}
