/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/assignment.h"

#include "tests/support/test.h"

/* Without pods, an assignment needs no tools. */
static struct npt_assigned *asking_for(enum npt_layer first, enum npt_layer second,
				       uint64_t remaining_ms)
{
	static const struct npt_assignment_tools none;
	struct npt_assignment wanted = { .remaining_ms = remaining_ms, .interval_seconds = 1 };

	wanted.layers[first] = wanted.layers[second] = true;
	return npt_assigned_new(&none, &wanted);
}

static void tasks_that_share_a_node_get_the_layers_of_all(void)
{
	npt_auto(npt_assigned_free) struct npt_assigned *a =
		asking_for(NPT_LAYER_BASE, NPT_LAYER_PROTOCOL, 60000);
	npt_auto(npt_assigned_free) struct npt_assigned *b =
		asking_for(NPT_LAYER_BASE, NPT_LAYER_TLS, 60000);
	bool layers[NPT_LAYER_COUNT] = { false };

	npt_assigned_add_layers(a, layers);
	NPT_CHECK(layers[NPT_LAYER_PROTOCOL] && !layers[NPT_LAYER_TLS]);
	npt_assigned_add_layers(b, layers);
	NPT_CHECK(layers[NPT_LAYER_BASE] && layers[NPT_LAYER_PROTOCOL] && layers[NPT_LAYER_TLS]);
	NPT_CHECK(!layers[NPT_LAYER_OPERATIONS] && !layers[NPT_LAYER_REQUESTS]);
}

static void a_task_that_is_over_asks_for_nothing(void)
{
	npt_auto(npt_assigned_free) struct npt_assigned *assigned =
		asking_for(NPT_LAYER_BASE, NPT_LAYER_TLS, 0);
	bool layers[NPT_LAYER_COUNT] = { false };

	npt_assigned_step(assigned, 1000);
	npt_assigned_add_layers(assigned, layers);
	for (size_t i = 0; i < NPT_LAYER_COUNT; i++)
		NPT_CHECK(!layers[i]);
}

static void what_a_task_asks_for_may_change(void)
{
	npt_auto(npt_assigned_free) struct npt_assigned *assigned =
		asking_for(NPT_LAYER_BASE, NPT_LAYER_TLS, 60000);
	struct npt_assignment wanted = { .remaining_ms = 60000, .interval_seconds = 1 };
	bool layers[NPT_LAYER_COUNT] = { false };

	wanted.layers[NPT_LAYER_PROTOCOL] = true;
	npt_assigned_update(assigned, &wanted);
	npt_assigned_add_layers(assigned, layers);
	NPT_CHECK(layers[NPT_LAYER_PROTOCOL] && !layers[NPT_LAYER_TLS]);
}

static const struct npt_test tests[] = {
	NPT_TEST(tasks_that_share_a_node_get_the_layers_of_all),
	NPT_TEST(a_task_that_is_over_asks_for_nothing),
	NPT_TEST(what_a_task_asks_for_may_change),
};
NPT_TEST_MAIN(tests)
