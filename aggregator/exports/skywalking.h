/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * SkyWalking - tells its server (OAP) of processes and sends their meters, as its Rover would: its
 * own pages then show our data.
 *
 * gRPC over HTTP/2, plain or with TLS. The protocol knows no tasks: a pod that several tasks
 * measure is told of one of them only. What cannot be sent at a time is dropped and counted: its
 * server puts all that comes into the minute in which it comes.
 */
#include <stdint.h>

#include "aggregator/exports/exports.h"
#include "lib/core/buffer.h"

struct npt_skywalking;

struct npt_skywalking_options {
	const char *endpoint;    /* HOST:PORT */
	const char *ca_file;     /* TLS, with this CA; NULL: plain */
	const char *header_file; /* "Authentication: TOKEN"; read again each time; NULL: none */
	uint64_t interval_ms;
};

int npt_skywalking_check_endpoint(const char *endpoint, struct npt_error *err);
int npt_skywalking_start(const struct npt_skywalking_options *options,
			 struct npt_skywalking **skywalking_ret, struct npt_error *err);
/* After the exports that feed it. */
void npt_skywalking_free(struct npt_skywalking *skywalking);
NPT_DEFINE_AUTO(struct npt_skywalking *, npt_skywalking_free)
struct npt_exporter npt_skywalking_exporter(struct npt_skywalking *skywalking);
/* Its own numbers, for /metrics. Any thread. */
int npt_skywalking_write_own(struct npt_skywalking *skywalking, struct npt_buffer *out);
