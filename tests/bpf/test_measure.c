/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scopes that come and go for as long as an agent lives.
 */
#include "agent/measure.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "bpf/measure.h"
#include "tests/support/test.h"

/* A network namespace of its own, beside that of this process. */
static int open_new_namespace(void)
{
	npt_auto_close int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int made;

	if (!NPT_CHECK(unshare(CLONE_NEWNET) == 0))
		return -1;
	made = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	NPT_CHECK(setns(own, CLONE_NEWNET) == 0);
	return made;
}

static uint32_t add_scope(struct npt_measure *measure, int netns_fd)
{
	struct npt_scope_options options = { .netns_fd = dup(netns_fd), .edges_max = 10 };
	struct npt_error err = NPT_ERROR_NONE;
	uint32_t scope = 0;

	NPT_CHECK(npt_measure_add_scope(measure, &options, &scope, &err) == 0);
	NPT_CHECK_STR(err.text, "");
	return scope;
}

static void measures_more_scopes_one_after_another_than_at_once(void)
{
	struct npt_measure_options options = { .operations = false };
	npt_auto(npt_measure_free) struct npt_measure *measure = NULL;
	npt_auto_close int held_fd = -1;
	npt_auto_close int other_fd = -1;
	uint32_t held;

	if (geteuid() != 0) {
		npt_test_skip("needs root: loads BPF programs");
		return;
	}
	held_fd = open_new_namespace();
	other_fd = open_new_namespace();
	if (!NPT_CHECK(npt_measure_new(&measure, &options, NULL) == 0))
		return;
	held = add_scope(measure, held_fd); /* so that the BPF object stays loaded */
	for (int i = 0; i < NPT_SCOPES_MAX + 10; i++) {
		uint32_t scope = add_scope(measure, other_fd);

		if (!NPT_CHECK(scope != 0 && scope != held))
			return;
		npt_measure_forget_scope(measure, scope);
	}
}

static const struct npt_test tests[] = {
	NPT_TEST(measures_more_scopes_one_after_another_than_at_once),
};
NPT_TEST_MAIN(tests)
