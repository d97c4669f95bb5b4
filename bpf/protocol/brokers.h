/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once
/*
 * Brokers: Kafka (kafka.apache.org/protocol: request header v1 and v2), AMQP 0-9-1 (its
 * specification, sections 2.2.4, 2.3.5, 4.2), AMQP 1.0 (part 2, section 2.2; part 5,
 * section 5.3.1), MQTT 3.1 to 5 (OASIS, sections 2.1, 3.1 to 3.13).
 *
 * A Kafka response has no mark of its own: it repeats the number of the request, which is
 * remembered. MQTT's packets are short: apart from CONNECT they count with an answer only.
 */
#include "bpf/protocol/bytes.h"

#define NPT_KAFKA_SIZE_MAX 104857600 /* a broker's default limit */

/* Size, key and version of the API, a number, the client's name. */
NPT_PROTOCOL_INLINE __u64 npt_kafka_request(const struct npt_bpf_message *message)
{
	__u32 size = npt_be32(message, 0), key = npt_be16(message, 4),
	      version = npt_be16(message, 6);
	__u32 name = npt_be16(message, 12), end;

	if (message->length < 14 || size < 10 || size > NPT_KAFKA_SIZE_MAX || key > 92 ||
	    version > 20 || npt_be32(message, 8) > 0x0fffffff)
		return 0;
	if (name == 0xffff) /* none */
		return message->size == size + 4 && npt_be32(message, 8) < 0x01000000
			       ? NPT_LOOKS_LIKE(NPT_PROTOCOL_KAFKA)
			       : 0;
	if (name == 0 || name > 249 || name + 10 > size ||
	    (!npt_is_letter(message->bytes[14]) &&
	     (message->bytes[14] < '0' || message->bytes[14] > '9')))
		return 0;
	end = (__u32)npt_protocol_span(message, 14, NPT_PRINTABLE);
	if (end >= 14 + name || end == NPT_MESSAGE_BYTES)
		return name >= 4 ? NPT_IS_SURELY(NPT_PROTOCOL_KAFKA)
				 : NPT_LOOKS_LIKE(NPT_PROTOCOL_KAFKA);
	return 0;
}

NPT_PROTOCOL_FUNCTION __u64 npt_protocol_kafka(const struct npt_bpf_classified *now,
					       const struct npt_bpf_message *message)
{
	__u32 size;

	if (!now || !message || message->bytes[0] > 6)
		return 0;
	if (npt_by_client(message))
		return npt_kafka_request(message);
	size = npt_be32(message, 0);
	if (message->length < 8 || size < 4 || size > NPT_KAFKA_SIZE_MAX)
		return 0;
	if (now->protocol != NPT_PROTOCOL_KAFKA && !(now->hints >> NPT_PROTOCOL_KAFKA & 1))
		return 0;
	return npt_be32(message, 4) == now->remembered ? NPT_LOOKS_LIKE(NPT_PROTOCOL_KAFKA) : 0;
}

/* A method's frame: its channel, length, class and method, and the end's octet if it can be seen.
 */
NPT_PROTOCOL_INLINE __u64 npt_amqp_frame(const struct npt_bpf_message *message)
{
	const __u8 *bytes = message->bytes;
	__u32 length = npt_be32(message, 3), class = npt_be16(message, 7),
	      method = npt_be16(message, 9);

	if (message->length < 8 || length > 0x00ffffff)
		return 0;
	if (bytes[0] == 8) /* a heartbeat: but for two bytes zeros */
		return !length && !npt_be16(message, 1) && bytes[7] == 0xce
			       ? NPT_LOOKS_LIKE(NPT_PROTOCOL_AMQP)
			       : 0;
	if (bytes[0] != 1 || message->length < 11 || length < 4 || method < 10 || method > 120)
		return 0;
	if (class != 10 && class != 20 && class != 40 && class != 50 && class != 60 &&
	    class != 85 && class != 90)
		return 0;
	if (7 + length < NPT_MESSAGE_BYTES) {
		if (7 + length < message->length)
			return npt_byte(message, 7 + length) == 0xce
				       ? NPT_IS_SURELY(NPT_PROTOCOL_AMQP)
				       : 0;
		return NPT_LOOKS_LIKE(NPT_PROTOCOL_AMQP);
	}
	/* Connection.Start 0-9, which always is longer than can be seen */
	if (npt_is_first(message) && class == 10 && method == 10 && npt_be16(message, 11) == 9 &&
	    !npt_be16(message, 1))
		return NPT_IS_SURELY(NPT_PROTOCOL_AMQP);
	return NPT_LOOKS_LIKE(NPT_PROTOCOL_AMQP);
}

NPT_PROTOCOL_FUNCTION __u64 npt_protocol_amqp(const struct npt_bpf_message *message)
{
	__u32 version;

	if (!message)
		return 0;
	if (npt_first_word(message) != NPT_WORD('A', 'M', 'Q', 'P'))
		return npt_amqp_frame(message);
	if (!npt_is_first(message) || message->length < 8)
		return 0;
	version = npt_be32(message, 4);
	if (version == 0x00000901)
		return NPT_IS_SURELY(NPT_PROTOCOL_AMQP);
	/* 1.0.0, with what follows: AMQP, TLS, SASL */
	if (version == 0x00010000 || version == 0x02010000 || version == 0x03010000)
		return NPT_IS_SURELY(NPT_PROTOCOL_AMQP1);
	return 0;
}

NPT_PROTOCOL_INLINE int npt_mqtt_is_connect(const struct npt_bpf_message *message, __u32 at)
{
	if (npt_be16(message, at) == 4)
		return npt_be32(message, at + 2) == NPT_WORD('M', 'Q', 'T', 'T') &&
		       (npt_byte(message, at + 6) == 4 || npt_byte(message, at + 6) == 5);
	return npt_be16(message, at) == 6 &&
	       npt_be32(message, at + 2) == NPT_WORD('M', 'Q', 'I', 's') &&
	       npt_be16(message, at + 6) == NPT_PAIR('d', 'p') && npt_byte(message, at + 8) == 3;
}

/* A topic at at: its length, then so many characters, none of them a wildcard. */
NPT_PROTOCOL_INLINE int npt_mqtt_is_topic(const struct npt_bpf_message *message, __u32 at,
					  __u32 length_max)
{
	__u32 length = npt_be16(message, at), end;

	if (length < 3 || length > length_max || length > 1024)
		return 0;
	end = (__u32)npt_protocol_span(message, at + 2, NPT_PRINTABLE);
	return end == NPT_MESSAGE_BYTES || end >= at + 2 + length;
}

/* Packets of the middle of a connection. */
NPT_PROTOCOL_INLINE int npt_mqtt_is_packet(const struct npt_bpf_message *message, __u32 at,
					   __u32 length)
{
	__u32 first = message->bytes[0];
	int client = message->from == NPT_FROM_CLIENT;

	switch (first >> 4) {
	case 2: /* CONNACK */
		return first == 0x20 && !client && npt_is_first(message) && length >= 2 &&
		       length < 128 && message->bytes[2] <= 1 &&
		       (message->bytes[3] <= 5 || message->bytes[3] >= 0x80) &&
		       message->size <= length + 2 &&
		       (length == 2 || message->bytes[4] == length - 3);
	case 3: /* PUBLISH */
		return (first & 6) != 6 && length > 4 && npt_mqtt_is_topic(message, at, length - 2);
	case 4: /* PUBACK, PUBREC, PUBREL, PUBCOMP */
	case 5:
	case 6:
	case 7:
		return (first & 0x0f) == (first >> 4 == 6 ? 2 : 0) && length == 2 &&
		       message->size == 4 && npt_be16(message, 2);
	case 8: /* SUBSCRIBE */
		return first == 0x82 && client && length > 6 && npt_be16(message, at) &&
		       npt_mqtt_is_topic(message, at + 2, length - 4);
	case 9: /* SUBACK */
		return first == 0x90 && !client && length == 3 && npt_be16(message, 2) &&
		       (message->size == 5 || message->bytes[5] >> 4 == 3) &&
		       (message->bytes[4] <= 2 || message->bytes[4] == 0x80);
	case 12: /* PINGREQ */
		return first == 0xc0 && client && !length && message->size == 2;
	case 13: /* PINGRESP */
		return first == 0xd0 && !client && !length && message->size == 2;
	default:
		return 0;
	}
}

NPT_PROTOCOL_FUNCTION __u64 npt_protocol_mqtt(const struct npt_bpf_message *message)
{
	__u32 varint, at;

	if (!message || message->length < 2)
		return 0;
	varint = (__u32)npt_protocol_varint(message, 1);
	if (!varint)
		return 0;
	at = 1 + (varint & 7);
	if (message->bytes[0] == 0x10)
		return npt_is_first(message) && npt_by_client(message) && varint >> 3 >= 12 &&
				       npt_mqtt_is_connect(message, at)
			       ? NPT_IS_SURELY(NPT_PROTOCOL_MQTT)
			       : 0;
	if (!message->from || (npt_is_first(message) && message->from == NPT_FROM_CLIENT))
		return 0;
	return npt_mqtt_is_packet(message, at, varint >> 3) ? NPT_LOOKS_LIKE(NPT_PROTOCOL_MQTT) : 0;
}
