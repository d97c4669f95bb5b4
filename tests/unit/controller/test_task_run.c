/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/task_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "tests/support/test.h"

#define CREATED UINT64_C(1000000)

static bool everybody(const void *context, const char *node)
{
	(void)context;
	(void)node;
	return true;
}

static struct npt_task_run *new_run(void)
{
	struct npt_task task = { .duration_seconds = 60,
				 .interval_seconds = 5,
				 .max_targets = 2,
				 .start_deadline_seconds = 30,
				 .created_unix_ms = CREATED };
	struct npt_task_run *run;

	(void)snprintf(task.namespace_name, sizeof(task.namespace_name), "shop");
	(void)snprintf(task.uid, sizeof(task.uid), "task-uid");
	task.selector = npt_strdup("app=web");
	run = npt_task_run_new(&task);
	run->pods_synced = true;
	return run;
}

static void add_pod(struct npt_task_run *run, const char *uid, const char *node, bool host_network)
{
	struct npt_pod pod = { .host_network = host_network };

	(void)snprintf(pod.uid, sizeof(pod.uid), "%s", uid);
	(void)snprintf(pod.name, sizeof(pod.name), "pod-%s", uid);
	(void)snprintf(pod.node, sizeof(pod.node), "%s", node);
	(void)snprintf(pod.phase, sizeof(pod.phase), "Running");
	npt_task_run_pod(run, &pod);
}

static void reconcile(struct npt_task_run *run, uint64_t after_ms)
{
	npt_task_run_reconcile(run, CREATED + after_ms, npt_clock_boottime_ns(), everybody, NULL);
}

static void hear(struct npt_task_run *run, const char *node, const char *instance, const char *uid,
		 uint64_t bytes, enum npt_assignment_state state)
{
	npt_auto_free struct npt_pod_summary *pod = npt_alloc(1, sizeof(*pod));
	struct npt_held_assignment held = { .pods = pod, .pods_count = 1, .state = state };

	(void)snprintf(pod->uid, sizeof(pod->uid), "%s", uid);
	pod->state = state == NPT_ASSIGNMENT_FINISHED ? NPT_POD_FINISHED : NPT_POD_RUNNING;
	pod->bytes_sent = bytes;
	pod->windows = 1;
	npt_task_run_hear(run, node, instance, &held);
}

static uint64_t bytes_sent(const struct npt_task_run *run)
{
	npt_auto_free struct npt_task_totals *totals = npt_alloc(1, sizeof(*totals));

	npt_task_totals(&run->status, totals);
	return totals->bytes_sent;
}

static void fails_at_once_when_the_spec_cannot_be_carried_out(void)
{
	npt_auto(npt_task_run_free) struct npt_task_run *run = new_run();

	(void)snprintf(run->task.invalid, sizeof(run->task.invalid), "spec: podSelector is empty");
	reconcile(run, 0);
	NPT_CHECK_INT(run->status.phase, NPT_TASK_FAILED);
	NPT_CHECK(run->status.finished);
	NPT_CHECK_STR(run->status.message, "spec: podSelector is empty");
	NPT_CHECK_INT(run->status.conditions[NPT_CONDITION_ACCEPTED].value, NPT_CONDITION_FALSE);
	NPT_CHECK_STR(run->status.conditions[NPT_CONDITION_ACCEPTED].reason, "InvalidSpec");
}

static void says_why_pods_are_not_known_until_they_are(void)
{
	npt_auto(npt_task_run_free) struct npt_task_run *run = new_run();

	run->pods_synced = false;
	npt_task_run_pods_trouble(run, "403 pods is forbidden");
	reconcile(run, 1000);
	NPT_CHECK_INT(run->status.phase, NPT_TASK_PENDING);
	NPT_CHECK(strstr(run->status.message, "403 pods is forbidden") != NULL);
	NPT_CHECK_STR(run->status.conditions[NPT_CONDITION_TARGETS_RESOLVED].reason, "PodsUnknown");
	add_pod(run, "a", "n1", false);
	npt_task_run_pods_synced(run);
	reconcile(run, 2000);
	NPT_CHECK_INT(run->status.phase, NPT_TASK_RUNNING);
	NPT_CHECK_STR(run->status.message, "");
}

static void says_that_no_pod_matches_and_fails_at_the_deadline(void)
{
	npt_auto(npt_task_run_free) struct npt_task_run *run = new_run();

	reconcile(run, 1000);
	NPT_CHECK_INT(run->status.phase, NPT_TASK_RESOLVING);
	NPT_CHECK_STR(run->status.conditions[NPT_CONDITION_TARGETS_RESOLVED].reason,
		      "NoMatchingPods");
	reconcile(run, 30000);
	NPT_CHECK_INT(run->status.phase, NPT_TASK_FAILED);
	NPT_CHECK(run->status.finished);
}

static void assigns_only_after_the_start_is_written(void)
{
	npt_auto(npt_task_run_free) struct npt_task_run *run = new_run();

	add_pod(run, "a", "node-1", false);
	reconcile(run, 1000);
	NPT_CHECK_INT(run->status.started_unix_ms, CREATED + 1000);
	NPT_CHECK(!npt_task_run_wants(run, "node-1"));
	run->start_written = true;
	NPT_CHECK(npt_task_run_wants(run, "node-1"));
	NPT_CHECK(!npt_task_run_wants(run, "node-2"));
}

static void believes_an_agent_only_about_its_own_node(void)
{
	npt_auto(npt_task_run_free) struct npt_task_run *run = new_run();

	add_pod(run, "a", "node-1", false);
	reconcile(run, 0);
	hear(run, "node-2", "i", "a", 100, NPT_ASSIGNMENT_RUNNING);
	reconcile(run, 1000);
	NPT_CHECK_INT(bytes_sent(run), 0);
	hear(run, "node-1", "i", "a", 100, NPT_ASSIGNMENT_RUNNING);
	reconcile(run, 2000);
	NPT_CHECK_INT(bytes_sent(run), 100);
}

static void adds_up_over_an_agents_restart_and_says_so(void)
{
	npt_auto(npt_task_run_free) struct npt_task_run *run = new_run();

	add_pod(run, "a", "node-1", false);
	reconcile(run, 0);
	hear(run, "node-1", "first", "a", 100, NPT_ASSIGNMENT_RUNNING);
	hear(run, "node-1", "first", "a", 150, NPT_ASSIGNMENT_RUNNING);
	hear(run, "node-1", "second", "a", 7, NPT_ASSIGNMENT_RUNNING);
	hear(run, "node-1", "second", "a", 9, NPT_ASSIGNMENT_FINISHED);
	reconcile(run, 61000);
	NPT_CHECK_INT(bytes_sent(run), 159);
	NPT_CHECK_STR(run->status.pods[0].reason, "AgentRestarted");
	NPT_CHECK_INT(run->status.phase, NPT_TASK_PARTIALLY_SUCCEEDED);
}

static void finishes_when_all_have_reported(void)
{
	npt_auto(npt_task_run_free) struct npt_task_run *run = new_run();

	add_pod(run, "a", "node-1", false);
	add_pod(run, "b", "node-2", false);
	add_pod(run, "c", "node-2", false);
	NPT_CHECK_INT(run->skipped, 1);
	reconcile(run, 0);
	hear(run, "node-1", "i", "a", 1, NPT_ASSIGNMENT_FINISHED);
	hear(run, "node-2", "j", "b", 1, NPT_ASSIGNMENT_RUNNING);
	reconcile(run, 61000);
	NPT_CHECK_INT(run->status.phase, NPT_TASK_COLLECTING);
	hear(run, "node-2", "j", "b", 1, NPT_ASSIGNMENT_FINISHED);
	reconcile(run, 62000);
	NPT_CHECK_INT(run->status.phase, NPT_TASK_SUCCEEDED);
	NPT_CHECK_INT(run->status.conditions[NPT_CONDITION_COMPLETE].value, NPT_CONDITION_TRUE);
}

static void a_host_network_pod_is_a_target_like_others_and_named_as_such(void)
{
	npt_auto(npt_task_run_free) struct npt_task_run *run = new_run();
	struct npt_assignment assignment;

	add_pod(run, "a", "node-1", true);
	add_pod(run, "b", "node-1", false);
	reconcile(run, 1000);
	NPT_CHECK_INT(run->status.phase, NPT_TASK_RUNNING);
	NPT_CHECK_INT(run->status.pods[0].state, NPT_POD_PENDING);
	NPT_CHECK_STR(run->status.pods[0].reason, "");
	run->start_written = true;
	NPT_CHECK(npt_task_run_wants(run, "node-1"));
	npt_task_run_assign(run, "node-1", CREATED + 1000, &assignment);
	if (NPT_CHECK_INT(assignment.targets_count, 2)) {
		NPT_CHECK_STR(assignment.targets[0].uid, "a");
		NPT_CHECK(assignment.targets[0].host_network);
		NPT_CHECK(!assignment.targets[1].host_network);
	}
	for (size_t i = 0; i < assignment.targets_count; i++)
		free(assignment.targets[i].containers);
	free(assignment.targets);
}

static void a_pod_that_leaves_keeps_its_numbers(void)
{
	npt_auto(npt_task_run_free) struct npt_task_run *run = new_run();

	add_pod(run, "a", "node-1", false);
	reconcile(run, 0);
	hear(run, "node-1", "i", "a", 42, NPT_ASSIGNMENT_RUNNING);
	npt_task_run_pod_gone(run, "a");
	reconcile(run, 2000);
	NPT_CHECK_INT(run->status.pods[0].state, NPT_POD_GONE);
	NPT_CHECK_INT(bytes_sent(run), 42);
}

static void a_conditions_time_changes_only_with_its_value(void)
{
	npt_auto(npt_task_run_free) struct npt_task_run *run = new_run();
	const struct npt_condition *accepted = &run->status.conditions[NPT_CONDITION_ACCEPTED];

	reconcile(run, 1000);
	NPT_CHECK_INT(accepted->changed_unix_ms, CREATED + 1000);
	reconcile(run, 5000);
	NPT_CHECK_INT(accepted->changed_unix_ms, CREATED + 1000);
}

static const struct npt_test tests[] = {
	NPT_TEST(fails_at_once_when_the_spec_cannot_be_carried_out),
	NPT_TEST(says_why_pods_are_not_known_until_they_are),
	NPT_TEST(says_that_no_pod_matches_and_fails_at_the_deadline),
	NPT_TEST(assigns_only_after_the_start_is_written),
	NPT_TEST(believes_an_agent_only_about_its_own_node),
	NPT_TEST(adds_up_over_an_agents_restart_and_says_so),
	NPT_TEST(finishes_when_all_have_reported),
	NPT_TEST(a_host_network_pod_is_a_target_like_others_and_named_as_such),
	NPT_TEST(a_pod_that_leaves_keeps_its_numbers),
	NPT_TEST(a_conditions_time_changes_only_with_its_value),
};
NPT_TEST_MAIN(tests)
