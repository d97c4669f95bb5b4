/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * TLS events - what the kernel would tell of bytes that two ends of a TLS connection said.
 *
 * A conversation is a list of flights, in the order of time; each is what one side wrote at once.
 * The events of a direction are made of its bytes, however its flights cut them.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/measure.h"

#define NPT_TEST_FLIGHTS_MAX 64

struct npt_test_flight {
	bool from_client;
	uint64_t time_ns;
	uint8_t *bytes;
	size_t size_bytes;
};

struct npt_test_conversation {
	struct npt_test_flight flights[NPT_TEST_FLIGHTS_MAX];
	size_t count;
};

enum npt_test_order { NPT_TEST_BY_TIME, NPT_TEST_CLIENT_FIRST, NPT_TEST_SERVER_FIRST };

struct npt_test_telling {
	uint64_t connection;
	uint32_t slot;
	bool at_server;     /* whose end of it is measured */
	bool closed;        /* NPT_TLS_CLOSED comes last */
	bool reveal;        /* bytes of encrypted handshake records are told, too */
	size_t piece_bytes; /* 0: the kernel's own */
	enum npt_test_order order;
	size_t client_records, server_records; /* then NPT_TLS_GONE; 0: all are told */
};

struct npt_test_events {
	struct npt_bpf_tls_event *events;
	size_t count;
};

/* Copies the bytes; more flights than there is room for are dropped. */
void npt_test_conversation_add(struct npt_test_conversation *conversation, bool from_client,
			       uint64_t time_ns, const void *bytes, size_t size_bytes);
void npt_test_conversation_done(struct npt_test_conversation *conversation);
/* A record that is not whole is not told; to be freed with npt_test_events_done(). */
void npt_test_tell(const struct npt_test_conversation *conversation,
		   const struct npt_test_telling *telling, struct npt_test_events *events_ret);
void npt_test_events_done(struct npt_test_events *events);
