/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a table of tests in order; an argument runs only the tests whose names contain it.
 */
#include "tests/support/test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static struct {
	unsigned int failed_checks;
	const char *skip_reason;
} current;

bool npt_test_check(bool ok, const char *text, const char *file, int line)
{
	if (!ok) {
		current.failed_checks++;
		printf("%s:%d: %s is false\n", file, line, text);
	}
	return ok;
}

bool npt_test_check_text(const char *actual, const char *expected, const char *what,
			 const char *file, int line)
{
	bool ok = actual && expected ? strcmp(actual, expected) == 0 : actual == expected;

	if (!ok) {
		current.failed_checks++;
		printf("%s:%d: %s is \"%s\", not \"%s\"\n", file, line, what,
		       actual ? actual : "(null)", expected ? expected : "(null)");
	}
	return ok;
}

bool npt_test_check_int(int64_t actual, int64_t expected, const char *what, const char *file,
			int line)
{
	if (actual != expected) {
		current.failed_checks++;
		printf("%s:%d: %s is %" PRId64 ", not %" PRId64 "\n", file, line, what, actual,
		       expected);
	}
	return actual == expected;
}

void npt_test_skip(const char *reason)
{
	current.skip_reason = reason;
}

uint64_t npt_test_seed(void)
{
	static uint64_t seed;
	const char *text = getenv("NPT_SEED");

	if (seed)
		return seed;
	if (text)
		seed = strtoull(text, NULL, 10);
	else if (getrandom(&seed, sizeof(seed), 0) < 0)
		seed = 1;
	seed = (seed & 0xffffffff) | 1;
	printf("seed %" PRIu64 " (repeat with NPT_SEED=%" PRIu64 ")\n", seed, seed);
	return seed;
}

uint64_t npt_test_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

int npt_test_run(const struct npt_test *tests, size_t count, int argc, char **argv)
{
	unsigned int passed = 0, failed = 0, skipped = 0;

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < count; i++) {
		if (argc > 1 && !strstr(tests[i].name, argv[1]))
			continue;
		current.failed_checks = 0;
		current.skip_reason = NULL;
		tests[i].run();
		if (current.failed_checks > 0) {
			failed++;
			printf("FAILED %s\n", tests[i].name);
		} else if (current.skip_reason) {
			skipped++;
			printf("skipped %s: %s\n", tests[i].name, current.skip_reason);
		} else {
			passed++;
		}
	}
	printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
	if (failed > 0)
		return 1;
	return passed == 0 && skipped > 0 ? 77 : 0;
}
