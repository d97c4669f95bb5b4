/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real BPF object on the running kernel: it passes the verifier, attaches, counts, and leaves
 * nothing behind. What it counts is the accuracy suite's business.
 */
#include "agent/probe/probe.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/probe/features.h"
#include "lib/core/alloc.h"
#include "tests/support/test.h"

#define SCOPE 1

static bool is_root(void)
{
	if (geteuid() == 0)
		return true;
	npt_test_skip("needs root: loads BPF programs");
	return false;
}

/* Which layers this kernel is to have, as for the accuracy suite: by default all. */
static bool has_operations(void)
{
	const char *layers = getenv("NPT_LAYERS");

	return !layers || strstr(layers, "Operations");
}

static uint32_t own_netns(void)
{
	struct stat status;

	NPT_CHECK(stat("/proc/self/ns/net", &status) == 0);
	return (uint32_t)status.st_ino;
}

/* How many descriptors of this process are BPF programs, maps or links. */
static size_t held_objects(void)
{
	npt_auto_closedir DIR *directory = opendir("/proc/self/fd");
	const struct dirent *entry;
	size_t count = 0;

	while (directory && (entry = readdir(directory))) {
		npt_auto_free char *path = npt_format("/proc/self/fd/%s", entry->d_name);
		char target[64] = "";

		if (readlink(path, target, sizeof(target) - 1) > 0)
			count += strstr(target, "bpf") != NULL;
	}
	return count;
}

static struct npt_probe *open_probe(const struct npt_features *features, bool operations,
				    bool no_trampolines)
{
	struct npt_probe_options options = { .operations = operations,
					     .no_trampolines = no_trampolines };
	struct npt_probe *probe = NULL;
	struct npt_error err = NPT_ERROR_NONE;

	NPT_CHECK_INT(npt_probe_open(&probe, features, &options, &err), 0);
	NPT_CHECK_STR(err.text, "");
	return probe;
}

static void loads_and_attaches_each_set_of_programs_and_leaves_nothing(void)
{
	npt_auto(npt_features_free) struct npt_features *features = NULL;

	if (!is_root() || !NPT_CHECK(npt_features_new(&features, NULL) == 0))
		return;
	for (int operations = 0; operations <= has_operations(); operations++) {
		bool begins = npt_features_tracepoint(features, NPT_TRACEPOINT_SEND_LOCKED) > 0;
		bool reasons = npt_features_tracepoint(features, NPT_TRACEPOINT_FREE_SKB) >= 4;
		struct npt_probe *probe = open_probe(features, operations != 0, false);

		NPT_CHECK(held_objects() > 10);
		NPT_CHECK(probe && npt_probe_abilities(probe)->drop_receivers == reasons);
		NPT_CHECK(probe && npt_probe_abilities(probe)->write_begin ==
					   (operations &&
					    (begins || npt_probe_abilities(probe)->trampolines)));
		npt_probe_close(probe);
		NPT_CHECK_INT(held_objects(), 0);
	}
}

static void slices_come_and_go(void)
{
	npt_auto(npt_features_free) struct npt_features *features = NULL;
	npt_auto(npt_probe_close) struct npt_probe *probe = NULL;
	struct npt_error err = NPT_ERROR_NONE;
	size_t before;

	if (!is_root() || !NPT_CHECK(npt_features_new(&features, NULL) == 0))
		return;
	if (!has_operations() ||
	    npt_features_tracepoint(features, NPT_TRACEPOINT_SEND_LENGTH) < 0) {
		npt_test_skip("slices need sock_send_length (6.3+)");
		return;
	}
	probe = open_probe(features, true, true);
	before = held_objects();
	for (int i = 0; probe && i < 20; i++) {
		NPT_CHECK_INT(npt_probe_slice_begin(probe, &err), 0);
		NPT_CHECK_INT(held_objects(), before + 2);
		npt_probe_slice_end(probe);
		NPT_CHECK_INT(held_objects(), before);
	}
}

/* One connection to ourselves; returns false if it could not be made. */
static bool talk(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	npt_auto_close int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	npt_auto_close int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t length = sizeof(address);
	char byte = 'x';

	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 1) < 0 ||
	    getsockname(listener, (struct sockaddr *)&address, &length) < 0 ||
	    connect(client, (struct sockaddr *)&address, sizeof(address)) < 0)
		return false;
	return write(client, &byte, 1) == 1;
}

/* The slots of our own connections, after a fold. */
static size_t used_slots(struct npt_probe *probe)
{
	const struct npt_bpf_slot *slots = npt_probe_slots(probe);
	size_t count = 0;

	NPT_CHECK_INT(npt_probe_fold(probe, NULL), 0);
	for (size_t i = NPT_SLOT_FIRST; i < NPT_SLOTS_MAX; i++)
		count += slots[i].key.role == NPT_BPF_CLIENT &&
			 slots[i].key.process.pid == (uint32_t)getpid() && slots[i].opened > 0;
	return count;
}

static void counts_what_is_in_scope_and_nothing_else(void)
{
	npt_auto(npt_features_free) struct npt_features *features = NULL;
	npt_auto(npt_probe_close) struct npt_probe *probe = NULL;
	uint32_t netns = own_netns();

	if (!is_root() || !NPT_CHECK(npt_features_new(&features, NULL) == 0))
		return;
	probe = open_probe(features, has_operations(), false);
	if (!probe)
		return;
	NPT_CHECK(talk());
	NPT_CHECK_INT(used_slots(probe), 0);
	NPT_CHECK_INT(npt_probe_add_scope(probe, netns, SCOPE, true, 100, NULL), 0);
	NPT_CHECK_INT(npt_probe_add_member(probe, SCOPE, (uint32_t)getpid(), NULL), 1);
	NPT_CHECK_INT(npt_probe_members(probe, SCOPE), 1);
	NPT_CHECK(talk());
	NPT_CHECK_INT(used_slots(probe), 1);
	NPT_CHECK_INT(npt_probe_remove_scope(probe, netns, SCOPE, true, NULL), 0);
	NPT_CHECK_INT(npt_probe_members(probe, SCOPE), 0);
	NPT_CHECK_INT(used_slots(probe), 1); /* readable until it is given back */
	npt_probe_free_slots(probe, SCOPE);
	NPT_CHECK(talk());
	NPT_CHECK_INT(used_slots(probe), 0);
	for (unsigned int loss = 0; loss < NPT_LOSS_COUNT; loss++)
		NPT_CHECK_INT(npt_probe_loss(probe, (enum npt_bpf_loss)loss), 0);
}

static void edges_beyond_the_limit_are_counted_as_other(void)
{
	npt_auto(npt_features_free) struct npt_features *features = NULL;
	npt_auto(npt_probe_close) struct npt_probe *probe = NULL;

	if (!is_root() || !NPT_CHECK(npt_features_new(&features, NULL) == 0))
		return;
	probe = open_probe(features, false, false);
	if (!probe)
		return;
	NPT_CHECK_INT(npt_probe_add_scope(probe, own_netns(), SCOPE, true, 2, NULL), 0);
	NPT_CHECK_INT(npt_probe_add_member(probe, SCOPE, (uint32_t)getpid(), NULL), 1);
	for (int i = 0; i < 5; i++) /* each to a port of its own: an edge of its own */
		NPT_CHECK(talk());
	NPT_CHECK(used_slots(probe) <= 2);
	NPT_CHECK(npt_probe_other_connections(probe, SCOPE) >= 3);
	NPT_CHECK(npt_probe_loss(probe, NPT_LOSS_EDGE) >= 3);
}

static const struct npt_test tests[] = {
	NPT_TEST(loads_and_attaches_each_set_of_programs_and_leaves_nothing),
	NPT_TEST(slices_come_and_go),
	NPT_TEST(counts_what_is_in_scope_and_nothing_else),
	NPT_TEST(edges_beyond_the_limit_are_counted_as_other),
};
NPT_TEST_MAIN(tests)
