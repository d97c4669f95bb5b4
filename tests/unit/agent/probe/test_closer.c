/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/probe/closer.h"

#include <fcntl.h>
#include <unistd.h>

#include "tests/support/test.h"

#define PIPES 200

/* The reader of a pipe sees its end when the last writer is closed. */
static bool is_at_end(int reader)
{
	char byte;

	return read(reader, &byte, 1) == 0;
}

static void all_is_closed_at_the_latest_when_it_is_freed(void)
{
	struct npt_closer *closer = npt_closer_new();
	int readers[PIPES];

	for (int i = 0; i < PIPES; i++) {
		int ends[2];

		NPT_CHECK(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
		readers[i] = ends[0];
		npt_closer_close(closer, ends[1]);
	}
	npt_closer_free(closer);
	for (int i = 0; i < PIPES; i++) {
		NPT_CHECK(is_at_end(readers[i]));
		(void)close(readers[i]);
	}
}

static void one_that_was_idle_starts_again(void)
{
	struct npt_closer *closer = npt_closer_new();

	for (int i = 0; i < 20; i++) {
		int ends[2];

		NPT_CHECK(pipe2(ends, O_CLOEXEC) == 0);
		npt_closer_close(closer, ends[1]);
		NPT_CHECK(is_at_end(ends[0])); /* waits for it */
		(void)close(ends[0]);
	}
	npt_closer_free(closer);
}

static void nothing_to_close_is_fine(void)
{
	npt_closer_free(npt_closer_new());
	npt_closer_free(NULL);
}

static const struct npt_test tests[] = {
	NPT_TEST(all_is_closed_at_the_latest_when_it_is_freed),
	NPT_TEST(one_that_was_idle_starts_again),
	NPT_TEST(nothing_to_close_is_fine),
};
NPT_TEST_MAIN(tests)
