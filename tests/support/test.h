/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Test - the smallest harness that reads well.
 *
 *	static void refuses_a_relative_path(void) { NPT_CHECK(...); }
 *	static const struct npt_test tests[] = { NPT_TEST(refuses_a_relative_path) };
 *	NPT_TEST_MAIN(tests)
 *
 * A function that is left out of the table is unused, which -Werror refuses. A failed check prints
 * where and what and goes on; npt_test_skip() ends the test with its reason.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct npt_test {
	const char *name;
	void (*run)(void);
};

#define NPT_TEST(function)                                                                         \
	{                                                                                          \
		.name = #function, .run = (function)                                               \
	}

#define NPT_CHECK(condition) npt_test_check((condition), #condition, __FILE__, __LINE__)
#define NPT_CHECK_STR(actual, expected)                                                            \
	npt_test_check_text((actual), (expected), #actual, __FILE__, __LINE__)
#define NPT_CHECK_INT(actual, expected)                                                            \
	npt_test_check_int((int64_t)(actual), (int64_t)(expected), #actual, __FILE__, __LINE__)

bool npt_test_check(bool ok, const char *text, const char *file, int line);
bool npt_test_check_text(const char *actual, const char *expected, const char *what,
			 const char *file, int line);
bool npt_test_check_int(int64_t actual, int64_t expected, const char *what, const char *file,
			int line);
void npt_test_skip(const char *reason);
/* The seed of this run: NPT_SEED or random; printed once, when first asked for. */
uint64_t npt_test_seed(void);
/* xorshift64*: the next number of a sequence that starts with *state != 0. */
uint64_t npt_test_random(uint64_t *state);
/* Exit code for main: 0, 1 if one failed, 77 if all were skipped. */
int npt_test_run(const struct npt_test *tests, size_t count, int argc, char **argv);

#define NPT_TEST_MAIN(tests)                                                                       \
	int main(int argc, char **argv)                                                            \
	{                                                                                          \
		return npt_test_run((tests), sizeof(tests) / sizeof((tests)[0]), argc, argv);      \
	}
