/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Families - traffic by every family of calls, whose truth is known: traffic.py for what Python
 * cannot call.
 *
 * Usage: accuracy-families SCENARIO SEED. Prints "ready", waits for a line on stdin, makes its
 * traffic, prints the truth as one line of JSON and waits for another line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/accuracy/families/world.h"

static const struct scenario *const families[] = {
	call_scenarios, kernel_scenarios, ring_scenarios, sharing_scenarios, stack_scenarios,
};

static const struct scenario *find(const char *name)
{
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		for (const struct scenario *each = families[i]; each->name; each++) {
			if (strcmp(each->name, name) == 0)
				return each;
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	const struct scenario *scenario = argc == 3 ? find(argv[1]) : NULL;

	if (!scenario) {
		fprintf(stderr, "usage: accuracy-families SCENARIO SEED\n");
		return 2;
	}
	world_open(strtoull(argv[2], NULL, 10));
	scenario->run();
	world_close();
	return 0;
}
