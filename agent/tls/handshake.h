/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Handshake - what the records of one connection tell of its TLS handshake (RFC 8446, RFC 5246).
 *
 * Fed with the kernel's events; each direction is read for itself, and what both say together is
 * judged anew after each event, by the records' times and not by the order of the events: the two
 * directions come from two CPUs and overtake each other.
 *
 * Completed is a handshake whose last Finished was seen: in TLS 1.3 the client's; in a full
 * handshake of TLS 1.2 and older the server's, in a resumed one the client's. Its time is from the
 * first record of the first ClientHello to that record, both as this end saw them: a sender's clock
 * starts when it writes, a receiver's when the segment comes. It includes a HelloRetryRequest's
 * round trip.
 *
 * Failed is one that was ended by a fatal alert or by a close before that. One of which a needed
 * part was missed is unseen: neither completed nor failed.
 *
 * Not seen, since it is encrypted: in TLS 1.3 all after ServerHello - the ALPN that was chosen,
 * certificates and their request, alerts by name (an encrypted record of two bytes can be nothing
 * but an alert while the handshake lasts, and is counted as "encrypted"); in TLS 1.2 renegotiation
 * and alerts after ChangeCipherSpec. Records of TLS 1.3 may be padded; that is told apart as far as
 * lengths allow, and is else unknown. DTLS, SSL 2 hellos and connections that were older than the
 * measurement are left alone.
 *
 * A plain value of about 2 KiB; its caller's. Nothing is allocated.
 */
#include <stdbool.h>
#include <stdint.h>

#include "agent/tls/messages.h"
#include "bpf/measure.h"
#include "bpf/protocol.h"
#include "lib/model/report.h"

#define NPT_TLS_SEALED_MAX 8 /* encrypted records that are remembered, each direction */
#define NPT_TLS_ALERTS_MAX 4

enum npt_tls_outcome {
	NPT_HANDSHAKE_NONE, /* no hello was seen */
	NPT_HANDSHAKE_RUNNING,
	NPT_HANDSHAKE_COMPLETED,
	NPT_HANDSHAKE_FAILED,
	NPT_HANDSHAKE_UNSEEN, /* it ended, but not before our eyes */
};

enum npt_tls_answer { NPT_TLS_ANSWER_UNKNOWN, NPT_TLS_ANSWER_NO, NPT_TLS_ANSWER_YES };

struct npt_tls_sealed {
	uint64_t time_ns;
	uint16_t record_bytes;
};

/* One direction. */
struct npt_tls_side {
	struct npt_tls_messages messages;
	uint64_t hello_ns;    /* first record, which begins its hello */
	uint64_t answer_ns;   /* server: the record in which its ServerHello proper ended */
	uint64_t finished_ns; /* TLS 1.2 and older: first handshake record after ChangeCipherSpec */
	struct npt_tls_sealed sealed[NPT_TLS_SEALED_MAX];
	uint8_t sealed_count;
	uint8_t type;         /* of the record whose pieces follow; 0: they do not matter */
	uint16_t record_left; /* bytes of it */
	bool gone;            /* not all of its records are known */
	uint8_t alert[2];
	uint8_t alert_bytes;
	bool changed;      /* sent ChangeCipherSpec */
	bool blind;        /* server: after its HelloRetryRequest came a hello without its bytes */
	bool sealed_alert; /* sent an alert that is encrypted */
};

struct npt_tls_alert {
	uint16_t code; /* of npt_tls_alert_name() */
	bool sent;     /* by this end */
};

struct npt_tls_handshake {
	struct npt_tls_side client, server;
	struct npt_tls_alert alerts[NPT_TLS_ALERTS_MAX];
	uint8_t alerts_count;
	uint32_t refused; /* events that no kernel tells */
	bool foreign;     /* DTLS or no TLS at all */
	bool fatal;       /* an alert that ends it was seen */
	bool client_here; /* this end is the client */
	enum npt_tls_outcome outcome;
	/* Valid when completed. */
	bool resumed; /* TLS 1.3: by any pre-shared key, which may be an external one */
	bool timed;   /* micros is known */
	uint64_t micros;
	enum npt_tls_answer certificate_asked; /* of the client */
	enum npt_quality certificate_quality;  /* ESTIMATED by lengths in TLS 1.3 */
};

void npt_tls_handshake_init(struct npt_tls_handshake *handshake);
/* Never fails: what makes no sense is counted in refused, and its direction is gone. */
void npt_tls_handshake_feed(struct npt_tls_handshake *handshake,
			    const struct npt_bpf_tls_event *event);
/*
 * True if all that is missing is the server's opinion of a client's certificate (TLS 1.3), or a
 * Finished that cannot be told from its neighbours.
 */
bool npt_tls_handshake_waits(const struct npt_tls_handshake *handshake);
/* Nothing more is told, or enough time went by: one that waits is completed. */
void npt_tls_handshake_settle(struct npt_tls_handshake *handshake);
/* 0 while it is not known. */
uint16_t npt_tls_handshake_version(const struct npt_tls_handshake *handshake);
/*
 * What is spoken inside, by ALPN, and how sure that is in per cent. False while it is not known or
 * if ALPN says nothing of it.
 */
bool npt_tls_handshake_inner(const struct npt_tls_handshake *handshake,
			     enum npt_bpf_protocol *protocol_ret, uint32_t *confidence_ret);
/* "h2" if chosen in clear, "offered: h2,http/1.1" if hidden, "" if there was none. */
void npt_tls_handshake_alpn(const struct npt_tls_handshake *handshake,
			    char text_ret[NPT_ALPN_BYTES]);
