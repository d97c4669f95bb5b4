/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries are an array that is filled from its begin, so that what was never used costs no memory.
 * They are linked twice: in the chain of their hash bucket, and in the order of their last event.
 * Links are indices; NONE ends a chain.
 *
 * An entry remembers what of it was credited to an edge: its outcome once, each alert once. So a
 * connection that gets its edge late, or moves, is counted once, and where it belongs by then.
 */
#include "agent/tls/handshakes.h"

#include <stdio.h>
#include <string.h>

#include "agent/tls/handshake.h"
#include "agent/tls/names.h"
#include "lib/core/alloc.h"

#define NONE             UINT32_MAX
#define RECORD_HANDSHAKE 22 /* RFC 8446 5.1 */

struct entry {
	uint64_t connection;
	uint64_t last_ns; /* of its last event */
	uint32_t chain;   /* next in the bucket, or in the list of free ones */
	uint32_t newer, older;
	uint32_t slot;
	uint8_t alerts_credited;
	bool closed;
	bool credited; /* the outcome */
	bool hello_credited;
	bool server_hello_credited;
	bool names_counted, server_names_counted;
	struct npt_tls_handshake handshake;
};

/* What is new of a slot; freed when it was taken. */
struct news {
	uint64_t count;
	uint64_t resumed;
	uint64_t client_certificates;
	uint64_t failed;
	struct npt_named_count alerts_sent[NPT_EDGE_ALERTS_MAX];
	struct npt_named_count alerts_received[NPT_EDGE_ALERTS_MAX];
	struct npt_histogram micros;
};

/* What a slot keeps. */
struct slot {
	bool completed; /* facts are of a completed handshake */
	bool facts_new;
	uint16_t version;
	uint16_t cipher;
	bool has_cipher;
	char sni[NPT_SNI_BYTES];
	char alpn[NPT_ALPN_BYTES];
	enum npt_bpf_protocol inner;
	uint32_t confidence;
	struct news *news;
};

struct npt_tls_handshakes {
	struct entry *entries;
	uint32_t *buckets;
	uint32_t buckets_mask;
	uint32_t max;
	uint32_t used; /* entries that ever were in use */
	uint32_t free; /* first of those that are not any more */
	uint32_t newest, oldest;
	struct slot *slots[NPT_SLOTS_MAX];
	struct npt_tls_handshakes_stats stats;
};

struct npt_tls_handshakes *npt_tls_handshakes_new(size_t connections_max)
{
	struct npt_tls_handshakes *table = npt_alloc(1, sizeof(*table));
	uint32_t buckets = 1;

	table->max = (uint32_t)connections_max;
	while (buckets < table->max)
		buckets *= 2;
	table->entries = npt_alloc(table->max, sizeof(*table->entries));
	table->buckets = npt_alloc(buckets, sizeof(*table->buckets));
	table->buckets_mask = buckets - 1;
	memset(table->buckets, 0xff, buckets * sizeof(*table->buckets));
	table->free = table->newest = table->oldest = NONE;
	return table;
}

static void free_slot(struct slot *slot)
{
	if (slot)
		free(slot->news);
	free(slot);
}

void npt_tls_handshakes_free(struct npt_tls_handshakes *table)
{
	if (!table)
		return;
	for (size_t i = 0; i < NPT_SLOTS_MAX; i++)
		free_slot(table->slots[i]);
	free(table->entries);
	free(table->buckets);
	free(table);
}

static uint32_t *bucket_of(const struct npt_tls_handshakes *table, uint64_t connection)
{
	uint64_t mixed = connection * UINT64_C(0x9e3779b97f4a7c15);

	return &table->buckets[mixed >> 32 & table->buckets_mask];
}

static uint32_t find(const struct npt_tls_handshakes *table, uint64_t connection)
{
	uint32_t at = *bucket_of(table, connection);

	while (at != NONE && table->entries[at].connection != connection)
		at = table->entries[at].chain;
	return at;
}

static void unlink_age(struct npt_tls_handshakes *table, uint32_t at)
{
	const struct entry *entry = &table->entries[at];

	*(entry->newer == NONE ? &table->newest : &table->entries[entry->newer].older) =
		entry->older;
	*(entry->older == NONE ? &table->oldest : &table->entries[entry->older].newer) =
		entry->newer;
}

static void link_newest(struct npt_tls_handshakes *table, uint32_t at)
{
	struct entry *entry = &table->entries[at];

	entry->newer = NONE;
	entry->older = table->newest;
	*(table->newest == NONE ? &table->oldest : &table->entries[table->newest].newer) = at;
	table->newest = at;
}

static void drop(struct npt_tls_handshakes *table, uint32_t at)
{
	struct entry *entry = &table->entries[at];
	uint32_t *link = bucket_of(table, entry->connection);

	while (*link != at)
		link = &table->entries[*link].chain;
	*link = entry->chain;
	unlink_age(table, at);
	if (entry->handshake.outcome > NPT_HANDSHAKE_RUNNING && !entry->credited)
		table->stats.unowned++;
	entry->chain = table->free;
	table->free = at;
}

static uint32_t add_entry(struct npt_tls_handshakes *table, uint64_t connection)
{
	uint32_t at, *bucket = bucket_of(table, connection);
	struct entry *entry;

	if (table->free == NONE && table->used == table->max) {
		at = table->oldest;
		if (table->entries[at].handshake.outcome == NPT_HANDSHAKE_RUNNING)
			table->stats.evicted++;
		drop(table, at);
	}
	at = table->free == NONE ? table->used++ : table->free;
	entry = &table->entries[at];
	if (at == table->free)
		table->free = entry->chain;
	memset(entry, 0, sizeof(*entry));
	npt_tls_handshake_init(&entry->handshake);
	entry->connection = connection;
	entry->chain = *bucket;
	*bucket = at;
	link_newest(table, at);
	return at;
}

static struct slot *slot_of(struct npt_tls_handshakes *table, uint32_t slot)
{
	if (!table->slots[slot])
		table->slots[slot] = npt_alloc(1, sizeof(struct slot));
	return table->slots[slot];
}

static struct news *news_of(struct slot *slot)
{
	if (!slot->news)
		slot->news = npt_alloc(1, sizeof(struct news));
	return slot->news;
}

/* The report has less room for a name than DNS has: its end is what tells more. */
static void set_sni(struct slot *slot, const char *sni)
{
	size_t length = strlen(sni);

	if (length < sizeof(slot->sni))
		(void)snprintf(slot->sni, sizeof(slot->sni), "%.*s", (int)length, sni);
	else
		(void)snprintf(slot->sni, sizeof(slot->sni), "...%.124s", sni + length - 124);
}

static void set_facts(struct slot *slot, const struct npt_tls_handshake *handshake)
{
	const struct npt_tls_hello *answer = &handshake->server.messages.hello;

	slot->completed = handshake->outcome == NPT_HANDSHAKE_COMPLETED;
	slot->facts_new = true;
	slot->version = npt_tls_handshake_version(handshake);
	slot->has_cipher = answer->complete;
	slot->cipher = answer->cipher;
	set_sni(slot, handshake->client.messages.hello.sni);
	npt_tls_handshake_alpn(handshake, slot->alpn);
}

/* A hello tells facts, too, until a handshake was completed. */
static void credit_hellos(struct npt_tls_handshakes *table, struct entry *entry)
{
	const struct npt_tls_handshake *handshake = &entry->handshake;
	bool hello = handshake->client.messages.hello.complete;
	bool answer = handshake->server.messages.hello.complete;
	struct slot *slot;

	if (entry->credited ||
	    (hello == entry->hello_credited && answer == entry->server_hello_credited))
		return;
	entry->hello_credited = hello;
	entry->server_hello_credited = answer;
	slot = slot_of(table, entry->slot);
	if (!slot->completed)
		set_facts(slot, handshake);
}

static void credit_alerts(struct npt_tls_handshakes *table, struct entry *entry)
{
	const struct npt_tls_handshake *handshake = &entry->handshake;
	char name[NPT_TLS_NAME_BYTES];

	for (; entry->alerts_credited < handshake->alerts_count; entry->alerts_credited++) {
		const struct npt_tls_alert *alert = &handshake->alerts[entry->alerts_credited];
		struct news *news = news_of(slot_of(table, entry->slot));

		npt_named_count_add(alert->sent ? news->alerts_sent : news->alerts_received,
				    NPT_EDGE_ALERTS_MAX, npt_tls_alert_name(alert->code, name), 1);
	}
}

static void credit_outcome(struct npt_tls_handshakes *table, struct entry *entry)
{
	const struct npt_tls_handshake *handshake = &entry->handshake;
	struct slot *slot;
	struct news *news;

	if (entry->credited || handshake->outcome <= NPT_HANDSHAKE_RUNNING)
		return;
	entry->credited = true;
	if (handshake->outcome == NPT_HANDSHAKE_UNSEEN) {
		table->stats.unseen++;
		return;
	}
	slot = slot_of(table, entry->slot);
	news = news_of(slot);
	if (handshake->outcome == NPT_HANDSHAKE_FAILED) {
		news->failed++;
		return;
	}
	set_facts(slot, handshake);
	news->count++;
	news->resumed += handshake->resumed;
	news->client_certificates += handshake->certificate_asked == NPT_TLS_ANSWER_YES;
	if (handshake->timed)
		npt_histogram_add(&news->micros, handshake->micros);
}

static void credit(struct npt_tls_handshakes *table, struct entry *entry)
{
	if (entry->slot == NPT_SLOT_NONE)
		return;
	credit_hellos(table, entry);
	credit_alerts(table, entry);
	credit_outcome(table, entry);
}

/* Each hello once. */
static void count_refusals(struct npt_tls_handshakes *table, const struct npt_tls_hello *hello,
			   bool *counted)
{
	if (*counted || (!hello->complete && !hello->malformed))
		return;
	*counted = true;
	table->stats.bad_hellos += hello->malformed;
	table->stats.refused_names += hello->sni_refused + hello->alpn.refused;
}

static bool note_inner(struct npt_tls_handshakes *table, const struct entry *entry,
		       enum npt_bpf_protocol before)
{
	enum npt_bpf_protocol protocol = NPT_PROTOCOL_UNKNOWN;
	uint32_t confidence = 0;
	struct slot *slot;

	if (!npt_tls_handshake_inner(&entry->handshake, &protocol, &confidence))
		return false;
	if (entry->slot != NPT_SLOT_NONE) {
		slot = slot_of(table, entry->slot);
		slot->inner = protocol;
		slot->confidence = confidence;
	}
	return protocol != before;
}

/* What is read of one that is no longer known, as its last data after a reset, begins none. */
static bool begins(const struct npt_bpf_tls_event *event)
{
	return event->kind == NPT_TLS_RECORD && event->type == RECORD_HANDSHAKE;
}

bool npt_tls_handshakes_add(struct npt_tls_handshakes *table, const struct npt_bpf_tls_event *event)
{
	uint32_t at = find(table, event->connection), confidence, refused;
	enum npt_bpf_protocol before = NPT_PROTOCOL_UNKNOWN;
	struct npt_tls_handshake *handshake;
	struct entry *entry;
	bool inner;

	if (event->slot >= NPT_SLOTS_MAX) {
		table->stats.refused++;
		return false;
	}
	if (at == NONE && !begins(event))
		return false;
	if (at == NONE)
		at = add_entry(table, event->connection);
	entry = &table->entries[at];
	unlink_age(table, at);
	link_newest(table, at);
	handshake = &entry->handshake;
	(void)npt_tls_handshake_inner(handshake, &before, &confidence);
	refused = handshake->refused;
	if (entry->slot != event->slot) /* what its hellos said goes with it */
		entry->hello_credited = entry->server_hello_credited = false;
	entry->slot = event->slot;
	entry->last_ns = event->time_ns;
	npt_tls_handshake_feed(handshake, event);
	table->stats.refused += handshake->refused - refused;
	count_refusals(table, &handshake->client.messages.hello, &entry->names_counted);
	count_refusals(table, &handshake->server.messages.hello, &entry->server_names_counted);
	credit(table, entry);
	inner = note_inner(table, entry, before);
	entry->closed |= event->kind == NPT_TLS_CLOSED;
	if (entry->closed && handshake->outcome != NPT_HANDSHAKE_FAILED)
		drop(table, at);
	return inner;
}

/* From the oldest on: those that are younger than the pause end it. */
void npt_tls_handshakes_settle(struct npt_tls_handshakes *table, uint64_t now_ns)
{
	uint32_t newer;

	for (uint32_t at = table->oldest; at != NONE; at = newer) {
		struct entry *entry = &table->entries[at];

		newer = entry->newer;
		if (entry->last_ns + NPT_TLS_SETTLE_NS > now_ns)
			return;
		if (entry->closed) {
			drop(table, at);
			continue;
		}
		if (!npt_tls_handshake_waits(&entry->handshake))
			continue;
		npt_tls_handshake_settle(&entry->handshake);
		credit(table, entry);
	}
}

static void give_facts(const struct slot *slot, struct npt_edge *delta)
{
	char name[NPT_TLS_NAME_BYTES];

	memset(&delta->tls_facts, 0, sizeof(delta->tls_facts));
	if (slot->version)
		(void)snprintf(delta->tls_facts.version, sizeof(delta->tls_facts.version), "%.7s",
			       npt_tls_version_name(slot->version, name));
	if (slot->has_cipher)
		(void)snprintf(delta->tls_facts.cipher, sizeof(delta->tls_facts.cipher), "%s",
			       npt_tls_cipher_name(slot->cipher, name));
	memcpy(delta->tls_facts.sni, slot->sni, sizeof(slot->sni));
	memcpy(delta->tls_facts.alpn, slot->alpn, sizeof(slot->alpn));
}

bool npt_tls_handshakes_take(struct npt_tls_handshakes *table, uint32_t slot_number,
			     struct npt_edge *delta)
{
	struct slot *slot = slot_number < NPT_SLOTS_MAX ? table->slots[slot_number] : NULL;
	npt_auto_free struct news *news = NULL;

	if (!slot || (!slot->news && !(slot->facts_new && delta->tls != NPT_TLS_NO)))
		return false;
	news = npt_take(slot->news);
	if (delta->tls != NPT_TLS_NO) {
		slot->facts_new = false;
		give_facts(slot, delta);
	}
	memset(&delta->handshakes, 0, sizeof(delta->handshakes));
	if (!news)
		return true;
	delta->handshakes.count = news->count;
	delta->handshakes.resumed = news->resumed;
	delta->handshakes.client_certificates = news->client_certificates;
	delta->handshakes.failed = news->failed;
	memcpy(delta->handshakes.alerts_sent, news->alerts_sent, sizeof(news->alerts_sent));
	memcpy(delta->handshakes.alerts_received, news->alerts_received,
	       sizeof(news->alerts_received));
	delta->handshakes.micros = news->micros;
	return true;
}

void npt_tls_handshakes_forget(struct npt_tls_handshakes *table, uint32_t slot)
{
	if (slot >= NPT_SLOTS_MAX)
		return;
	free_slot(table->slots[slot]);
	table->slots[slot] = NULL;
	for (uint32_t i = 0; i < table->used; i++) {
		if (table->entries[i].slot == slot)
			table->entries[i].slot = NPT_SLOT_NONE;
	}
}

bool npt_tls_handshakes_inner(const struct npt_tls_handshakes *table, uint64_t connection,
			      enum npt_bpf_protocol *protocol_ret, uint32_t *confidence_ret)
{
	uint32_t at = find(table, connection);

	return at != NONE &&
	       npt_tls_handshake_inner(&table->entries[at].handshake, protocol_ret, confidence_ret);
}

bool npt_tls_handshakes_slot_inner(const struct npt_tls_handshakes *table, uint32_t slot,
				   enum npt_bpf_protocol *protocol_ret, uint32_t *confidence_ret)
{
	const struct slot *known = slot < NPT_SLOTS_MAX ? table->slots[slot] : NULL;

	if (!known || known->inner == NPT_PROTOCOL_UNKNOWN)
		return false;
	*protocol_ret = known->inner;
	*confidence_ret = known->confidence;
	return true;
}

void npt_tls_handshakes_stats(const struct npt_tls_handshakes *table,
			      struct npt_tls_handshakes_stats *stats_ret)
{
	*stats_ret = table->stats;
}
