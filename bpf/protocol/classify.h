/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Classify - what the messages of a connection make of it, one after the other.
 *
 * As long as nothing is certain every classifier looks at each message. A sign that nothing else
 * has gives the label at once; if two disagree, none is believed. A weaker one is kept as a hint
 * until the other side's message agrees in exactly one protocol. The bytes of a message may become
 * known one by one: each look begins again from what was known when the message began, so that the
 * result does not depend on how it was cut, but for labels that were given before.
 *
 * With a label, one message of the other side is looked at, too: it confirms, or it contradicts so
 * clearly that nothing is certain any more. HTTP/1, HTTP/2, PostgreSQL and MySQL can become
 * something else by what follows, and look on themselves.
 */
#include "bpf/protocol/brokers.h"
#include "bpf/protocol/calls.h"
#include "bpf/protocol/databases.h"
#include "bpf/protocol/datagrams.h"
#include "bpf/protocol/http1.h"
#include "bpf/protocol/http2.h"
#include "bpf/protocol/lines.h"
#include "bpf/protocol/proxy.h"

#define NPT_PROTOCOL_MESSAGES_MAX       16 /* looked at for a label, or for what becomes of it */
#define NPT_PROTOCOL_MESSAGES_HTTP2_MAX 32 /* each thing that was skipped counts as one, too */

/* In per cent. */
#define NPT_CONFIDENCE_AGREED    90 /* two weak signs, one from each side */
#define NPT_CONFIDENCE_SURE      95 /* one strong sign */
#define NPT_CONFIDENCE_CONFIRMED 99 /* a strong sign, and the other side's agrees */

NPT_PROTOCOL_FUNCTION __u64 npt_protocol_look_text(const struct npt_bpf_message *message)
{
	__u64 verdict;

	if (!message)
		return 0;
	verdict = npt_protocol_http1(message);
	verdict |= npt_protocol_redis(message);
	verdict |= npt_protocol_memcached(message);
	verdict |= npt_protocol_nats(message);
	verdict |= npt_protocol_smtp(message);
	verdict |= npt_protocol_ssh(message);
	return verdict;
}

NPT_PROTOCOL_FUNCTION __u64 npt_protocol_look_binary(const struct npt_bpf_classified *now,
						     const struct npt_bpf_message *message)
{
	__u64 verdict;

	if (!now || !message)
		return 0;
	verdict = npt_protocol_tls(message);
	verdict |= npt_protocol_http2(message);
	verdict |= npt_protocol_mysql(message);
	verdict |= npt_protocol_postgresql(message);
	verdict |= npt_protocol_mongodb(message);
	verdict |= npt_protocol_cassandra(message);
	verdict |= npt_protocol_kafka(now, message);
	verdict |= npt_protocol_amqp(message);
	verdict |= npt_protocol_mqtt(message);
	verdict |= npt_protocol_fastcgi(message);
	verdict |= npt_protocol_memcached_binary(message);
	verdict |= npt_protocol_thrift(message);
	verdict |= npt_protocol_dubbo(message);
	verdict |= npt_protocol_zookeeper(message);
	verdict |= npt_protocol_dns(message);
	return verdict;
}

/* What the message looks like to all of them. */
NPT_PROTOCOL_INLINE __u64 npt_protocol_look(const struct npt_bpf_classified *now,
					    const struct npt_bpf_message *message)
{
	__u32 byte = message->bytes[0];
	__u64 verdict;

	if (message->flags & NPT_MESSAGE_DATAGRAM) {
		verdict = npt_protocol_dns(message);
		return verdict | npt_protocol_quic(message);
	}
	verdict = npt_protocol_look_binary(now, message);
	return byte > ' ' && byte < 0x7f ? verdict | npt_protocol_look_text(message) : verdict;
}

/* The protocol of a mask's only bit; UNKNOWN of none and of several. */
NPT_PROTOCOL_FUNCTION int npt_protocol_single(__u32 mask)
{
	__u32 protocol = 0;

	if (!mask || (mask & (mask - 1)))
		return NPT_PROTOCOL_UNKNOWN;
	if (mask & 0xffff0000U)
		protocol += 16;
	if (mask & 0xff00ff00U)
		protocol += 8;
	if (mask & 0xf0f0f0f0U)
		protocol += 4;
	if (mask & 0xccccccccU)
		protocol += 2;
	if (mask & 0xaaaaaaaaU)
		protocol += 1;
	return (int)protocol;
}

NPT_PROTOCOL_INLINE void npt_protocol_label(struct npt_bpf_classified *now,
					    const struct npt_bpf_message *message, int protocol,
					    __u32 confidence)
{
	now->protocol = (__u8)protocol;
	now->confidence = (__u8)confidence;
	now->settled = (__u8)((message->from & 3U) << 2);
	now->hints = 0;
	if (protocol != NPT_PROTOCOL_KAFKA)
		now->remembered = 0;
}

/* Has it a label of its own mind? HTTP/1, HTTP/2, PostgreSQL, MySQL. */
NPT_PROTOCOL_INLINE int npt_protocol_may_change(__u32 protocol)
{
	return protocol == NPT_PROTOCOL_HTTP1 || protocol == NPT_PROTOCOL_HTTP2 ||
	       protocol == NPT_PROTOCOL_POSTGRESQL || protocol == NPT_PROTOCOL_MYSQL;
}

/* No label yet: what one side says, and whether the other agrees. */
NPT_PROTOCOL_INLINE void npt_protocol_search(struct npt_bpf_classified *now,
					     const struct npt_bpf_message *message, __u64 verdict)
{
	__u32 from = message->from, looks = NPT_LOOKS(verdict), sure = NPT_SURE(verdict);
	__u32 hints = npt_hint_from(now) != from ? now->hints : 0;
	int protocol = npt_protocol_single(sure);

	if (looks >> NPT_PROTOCOL_KAFKA & 1 && from != NPT_FROM_SERVER)
		now->remembered = npt_be32(message, 8);
	if (protocol) {
		npt_protocol_label(now, message, protocol,
				   hints >> protocol & 1 ? NPT_CONFIDENCE_CONFIRMED
							 : NPT_CONFIDENCE_SURE);
		now->final =
			(hints >> protocol & 1 || !from) && !npt_protocol_may_change(now->protocol);
		return;
	}
	if (sure || !from)
		return;
	protocol = npt_protocol_single(hints & looks);
	if (protocol) {
		npt_protocol_label(now, message, protocol, NPT_CONFIDENCE_AGREED);
		now->final = !npt_protocol_may_change(now->protocol);
		return;
	}
	if (hints) /* keep what the other side said, as long as this message may still agree */
		return;
	now->hints = looks;
	now->settled = (__u8)((now->settled & (__u8)~NPT_SETTLED_HINT_FROM) | (from & 3));
}

/* A label by one side: does the other agree? */
NPT_PROTOCOL_INLINE void npt_protocol_confirm(struct npt_bpf_classified *now, __u64 verdict)
{
	if (NPT_LOOKS(verdict) >> (now->protocol & 31) & 1) {
		npt_settle(now, NPT_CONFIDENCE_CONFIRMED);
	} else if (npt_protocol_single(NPT_SURE(verdict))) {
		now->protocol = NPT_PROTOCOL_UNKNOWN;
		npt_settle(now, 0);
	}
}

/* A label that may become another one. */
NPT_PROTOCOL_INLINE void npt_protocol_follow(struct npt_bpf_classified *now,
					     const struct npt_bpf_message *message)
{
	if (now->protocol == NPT_PROTOCOL_HTTP1) {
		if ((now->settled & NPT_SETTLED_GRANTED) && npt_protocol_http2_preface(message)) {
			now->protocol = NPT_PROTOCOL_HTTP2;
			now->settled = NPT_SETTLED_BEGIN;
			now->remembered = 0;
			now->messages = 0;
		} else {
			npt_protocol_http1_next(now, message);
		}
	}
	if (now->protocol == NPT_PROTOCOL_HTTP2)
		npt_protocol_http2_next(now, message);
	if (now->protocol == NPT_PROTOCOL_POSTGRESQL || now->protocol == NPT_PROTOCOL_MYSQL)
		npt_protocol_tls_next(now, message);
	if ((now->protocol == NPT_PROTOCOL_NATS || now->protocol == NPT_PROTOCOL_SMTP) &&
	    message->from == NPT_FROM_CLIENT && npt_protocol_tls_hello(message)) {
		now->inside = now->protocol; /* NATS goes over to TLS by itself, SMTP by STARTTLS */
		now->protocol = NPT_PROTOCOL_TLS;
		npt_settle(now, NPT_CONFIDENCE_CONFIRMED);
	}
}

/* A message begins: what was hoped of the one before is over. */
NPT_PROTOCOL_INLINE void npt_protocol_begin(struct npt_bpf_classified *now,
					    const struct npt_bpf_message *message)
{
	__u32 max = now->protocol == NPT_PROTOCOL_HTTP2 ? NPT_PROTOCOL_MESSAGES_HTTP2_MAX
							: NPT_PROTOCOL_MESSAGES_MAX;

	if (now->messages >= max) {
		now->final = 1;
		return;
	}
	now->messages++;
	if (!now->protocol && npt_hint_from(now) == message->from)
		now->hints = 0;
}

/* A label is there: what becomes of it. */
NPT_PROTOCOL_INLINE void npt_protocol_go_on(struct npt_bpf_classified *now,
					    const struct npt_bpf_message *message)
{
	npt_protocol_follow(now, message);
	/* HTTP confirms itself; an answer to "may we speak TLS?" says nothing. */
	if (now->final || now->skip || now->protocol == NPT_PROTOCOL_HTTP1 ||
	    now->protocol == NPT_PROTOCOL_HTTP2 || (now->settled & NPT_SETTLED_ASKED))
		return;
	if (message->from && message->from != npt_label_from(now))
		npt_protocol_confirm(now, npt_protocol_look(now, message));
}

/*
 * Looks at what is known of the current message: at a new one, or (MORE) at the same one again.
 * Returns now->protocol; what changes is in *now.
 */
NPT_PROTOCOL_FUNCTION int npt_protocol_next(struct npt_bpf_classified *now,
					    const struct npt_bpf_message *message)
{
	if (!now || !message)
		return NPT_PROTOCOL_UNKNOWN;
	if (!now->final && !(message->flags & NPT_MESSAGE_MORE))
		npt_protocol_begin(now, message);
	if (now->final || !message->length || now->skip)
		return now->protocol;
	if (!now->protocol && !npt_protocol_proxy(now, message))
		npt_protocol_search(now, message, npt_protocol_look(now, message));
	if (now->protocol && !now->final)
		npt_protocol_go_on(now, message);
	if (now->protocol == NPT_PROTOCOL_SMTP && npt_protocol_smtp_greets(message))
		now->final = 0;
	return now->protocol;
}

/* The same of a datagram, which few protocols send: a program that sees no other is smaller. */
NPT_PROTOCOL_FUNCTION int npt_protocol_next_datagram(struct npt_bpf_classified *now,
						     const struct npt_bpf_message *message)
{
	__u64 verdict;

	if (!now || !message)
		return NPT_PROTOCOL_UNKNOWN;
	if (!now->final)
		npt_protocol_begin(now, message);
	if (now->final || !message->length)
		return now->protocol;
	verdict = npt_protocol_dns(message) | npt_protocol_quic(message);
	if (!now->protocol)
		npt_protocol_search(now, message, verdict);
	else if (message->from && message->from != npt_label_from(now))
		npt_protocol_confirm(now, verdict);
	return now->protocol;
}
