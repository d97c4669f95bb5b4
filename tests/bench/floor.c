/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads the programs of floor.bpf.c, says "measuring" and holds them until its stdin ends.
 */
#include <stdio.h>
#include <unistd.h>

#include "tests/bench/floor.skel.h"

int main(void)
{
	struct npt_bpf_floor *skeleton = npt_bpf_floor__open_and_load();
	char nothing;

	if (!skeleton || npt_bpf_floor__attach(skeleton) < 0) {
		fprintf(stderr, "floor: cannot load\n");
		return 1;
	}
	fprintf(stderr, "measuring\n");
	while (read(STDIN_FILENO, &nothing, 1) > 0)
		continue;
	npt_bpf_floor__destroy(skeleton);
	return 0;
}
