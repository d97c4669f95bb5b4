/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Calibration - what our hooks cost one operation of a target, on this machine, now: a TCP
 * connection of the agent's own is written to and read from without hooks and with them.
 *
 * Some 10 ms each time; the best of a few batches, since a busy machine only ever adds.
 */
#include <stdint.h>

struct npt_calibration {
	int listener;
	int ends[2];
	uint64_t base_ns; /* per operation, without hooks; 0: no connection could be made */
};

/* Before hooks are attached. */
void npt_calibration_begin(struct npt_calibration *calibration);
/*
 * With hooks attached; the connection becomes one in scope for that time, in a slot that nobody
 * reads. ns per operation, 0 if it could not be found out.
 */
uint32_t npt_calibration_end(struct npt_calibration *calibration, int conns_map_fd,
			     uint32_t conn_size_bytes);
