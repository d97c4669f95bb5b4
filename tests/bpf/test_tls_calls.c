/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of a TLS library that we make up: functions of this very program with the arguments and
 * results of real ones, on a real connection. What is counted where, and what is not.
 */
#include "agent/probe/probe.h"
#include "agent/probe/uprobe_multi.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/probe/features.h"
#include "lib/core/alloc.h"
#include "tests/support/own_offset.h"
#include "tests/support/test.h"

#define SCOPE    1
#define OVERHEAD 17 /* TLS 1.3: what a record has more than its plaintext */
#define HEAD     5
#define SELF     "/proc/self/exe"
#define REQUEST  "GET /plain HTTP/1.1\r\nHost: inside\r\n\r\n"
#define RESPONSE "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

/* What a library keeps of a connection. */
struct session {
	int fd;
	char received[4096]; /* plaintext that the next read finds */
};

/* --- the library: what it writes is a record of noise of the right length -------------------- */

static size_t put_record(char *record, size_t plaintext_bytes)
{
	size_t bytes = plaintext_bytes + OVERHEAD;

	memset(record, 0x5a, HEAD + bytes);
	record[0] = 23;
	record[1] = record[2] = 3;
	record[3] = (char)(bytes >> 8);
	record[4] = (char)bytes;
	return HEAD + bytes;
}

static bool send_record(const struct session *session, size_t plaintext_bytes)
{
	char record[8192];
	size_t bytes = put_record(record, plaintext_bytes);

	return send(session->fd, record, bytes, MSG_NOSIGNAL) == (ssize_t)bytes;
}

static bool receive_record(const struct session *session)
{
	char record[8192];

	return recv(session->fd, record, sizeof(record), 0) > 0;
}

__attribute__((noinline)) static int fake_write(struct session *session, const void *buffer,
						int bytes)
{
	__asm__ volatile("" : : "r"(buffer) : "memory");
	return send_record(session, (size_t)bytes) ? bytes : -1;
}

__attribute__((noinline)) static int fake_read(struct session *session, void *buffer, int bytes)
{
	int have = (int)strlen(session->received);

	if (!have || !receive_record(session) || have > bytes)
		return -1;
	memcpy(buffer, session->received, (size_t)have);
	return have;
}

__attribute__((noinline)) static int fake_write_ex(struct session *session, const void *buffer,
						   size_t bytes, size_t *written)
{
	__asm__ volatile("" : : "r"(buffer) : "memory");
	*written = bytes;
	return send_record(session, bytes);
}

__attribute__((noinline)) static int fake_write_ex2(struct session *session, const void *buffer,
						    size_t bytes, uint64_t flags, size_t *written)
{
	__asm__ volatile("" : : "r"(buffer), "r"(flags) : "memory");
	*written = bytes;
	return send_record(session, bytes);
}

/* To memory: whoever calls it does the rest. */
__attribute__((noinline)) static int fake_write_memory(struct session *session, const void *buffer,
						       int bytes)
{
	__asm__ volatile("" : : "r"(session), "r"(buffer) : "memory");
	return bytes;
}

/* As BoringSSL's read is one of its peek; what counts is what the program gets. */
__attribute__((noinline)) static int fake_outer(struct session *session, void *buffer, int bytes)
{
	return fake_read(session, buffer, bytes) / 2;
}

__attribute__((noinline)) static int fake_liar(struct session *session, const void *buffer,
					       int bytes)
{
	__asm__ volatile("" : : "r"(session), "r"(buffer) : "memory");
	return bytes + 1;
}

__attribute__((noinline)) static void fake_free(struct session *session)
{
	__asm__ volatile("" : : "r"(session) : "memory");
}

/* --- the world ------------------------------------------------------------------------------- */

struct world {
	struct npt_features *features;
	struct npt_probe *probe;
	uint32_t netns;
	uint64_t start_ns; /* of this process, as the kernel tells it */
	int links[32];
	size_t links_count;
	struct session client, server; /* two ends of one connection */
};

static void keep(struct world *world, int link, const struct npt_error *err)
{
	NPT_CHECK(link >= 0);
	NPT_CHECK_STR(err->text, "");
	world->links[world->links_count++] = link;
}

static void probe_call(struct world *world, uintptr_t function, enum npt_bpf_tls_form form,
		       bool writes)
{
	int begin = npt_probe_tls_program(world->probe, NPT_TLS_PROGRAM_BEGIN);
	int end = npt_probe_tls_program(world->probe, NPT_TLS_PROGRAM_END);
	uint64_t offset = npt_test_own_offset(function), cookie = NPT_TLS_COOKIE(form, writes);
	struct npt_error err = NPT_ERROR_NONE;

	keep(world, npt_uprobe_multi_attach(end, SELF, &offset, &cookie, 1, getpid(), true, &err),
	     &err);
	keep(world,
	     npt_uprobe_multi_attach(begin, SELF, &offset, &cookie, 1, getpid(), false, &err),
	     &err);
}

static void probe_library(struct world *world)
{
	uint64_t freed = npt_test_own_offset((uintptr_t)fake_free);
	struct npt_error err = NPT_ERROR_NONE;

	probe_call(world, (uintptr_t)fake_write, NPT_TLS_RETURNS_BYTES, true);
	probe_call(world, (uintptr_t)fake_read, NPT_TLS_RETURNS_BYTES, false);
	probe_call(world, (uintptr_t)fake_write_ex, NPT_TLS_RETURNS_ONE, true);
	probe_call(world, (uintptr_t)fake_write_ex2, NPT_TLS_RETURNS_ONE, true);
	probe_call(world, (uintptr_t)fake_write_memory, NPT_TLS_RETURNS_BYTES, true);
	probe_call(world, (uintptr_t)fake_outer, NPT_TLS_RETURNS_BYTES, false);
	probe_call(world, (uintptr_t)fake_liar, NPT_TLS_RETURNS_BYTES, true);
	keep(world,
	     npt_uprobe_multi_attach(npt_probe_tls_program(world->probe, NPT_TLS_PROGRAM_FREE),
				     SELF, &freed, NULL, 1, getpid(), false, &err),
	     &err);
}

/* In a namespace of its own, so that nobody else's connections are there. */
static bool enter_namespace(struct world *world)
{
	struct ifreq request = { .ifr_name = "lo" };
	npt_auto_close int fd = -1;
	struct stat status;

	if (!NPT_CHECK(unshare(CLONE_NEWNET) == 0))
		return false;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	request.ifr_flags = IFF_UP;
	NPT_CHECK(ioctl(fd, SIOCSIFFLAGS, &request) == 0);
	NPT_CHECK(stat("/proc/thread-self/ns/net", &status) == 0);
	world->netns = (uint32_t)status.st_ino;
	return true;
}

static bool connect_ends(struct session *client, struct session *server)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	npt_auto_close int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(address);

	memset(client, 0, sizeof(*client));
	memset(server, 0, sizeof(*server));
	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!NPT_CHECK(bind(listener, (struct sockaddr *)&address, size) == 0 &&
		       listen(listener, 1) == 0 &&
		       getsockname(listener, (struct sockaddr *)&address, &size) == 0 &&
		       connect(client->fd, (struct sockaddr *)&address, size) == 0))
		return false;
	server->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	return NPT_CHECK(server->fd >= 0);
}

static bool begin(struct world *world)
{
	struct npt_probe_options options = { .operations = true, .protocol = true, .tls = true };
	struct npt_error err = NPT_ERROR_NONE;

	memset(world, 0, sizeof(*world));
	if (geteuid() != 0) {
		npt_test_skip("needs root: loads BPF programs");
		return false;
	}
	if (!enter_namespace(world) || !NPT_CHECK(npt_features_new(&world->features, NULL) == 0))
		return false;
	if (!NPT_CHECK(npt_probe_open(&world->probe, world->features, &options, &err) == 0)) {
		NPT_CHECK_STR(err.text, "");
		return false;
	}
	if (!npt_probe_abilities(world->probe)->tls_calls) {
		npt_test_skip(
			"the kernel lacks uprobe.multi (6.6+), or dynptrs in tracing (6.12+)");
		return false;
	}
	NPT_CHECK(npt_probe_add_scope(world->probe, world->netns, SCOPE, false, NPT_SLOTS_MAX,
				      &err) == 0);
	probe_library(world);
	return connect_ends(&world->client, &world->server);
}

static void end(struct world *world)
{
	for (size_t i = 0; i < world->links_count; i++)
		(void)close(world->links[i]);
	if (world->client.fd > 0)
		(void)close(world->client.fd);
	if (world->server.fd > 0)
		(void)close(world->server.fd);
	npt_probe_close(world->probe);
	npt_features_free(world->features);
}

static void take_start(void *context, const struct npt_bpf_tls_process *process)
{
	uint64_t *start_ns = context;

	if (process->pid == (uint32_t)getpid())
		*start_ns = process->start_ns;
}

/* Calls of this process that are in no edge. */
static void check_unassigned(struct world *world, uint64_t calls)
{
	npt_probe_read_tls_processes(world->probe, take_start, &world->start_ns);
	NPT_CHECK(world->start_ns != 0);
	NPT_CHECK_INT(npt_probe_tls_unassigned(world->probe, (uint32_t)getpid(), world->start_ns),
		      calls);
}

/* All edges of one side, added up. */
static struct npt_bpf_speech seen(const struct world *world, enum npt_bpf_role role)
{
	const struct npt_bpf_slot *slots = npt_probe_slots(world->probe);
	struct npt_bpf_speech sum = { 0 };

	for (uint32_t i = NPT_SLOT_FIRST; i < NPT_SLOTS_MAX && slots[i].ever_used; i++) {
		const struct npt_bpf_speech *speech = &npt_probe_speeches(world->probe)[i];

		if (slots[i].key.role != role)
			continue;
		sum.label = speech->label ? speech->label : sum.label;
		sum.tls_writes += speech->tls_writes;
		sum.tls_written_bytes += speech->tls_written_bytes;
		sum.tls_reads += speech->tls_reads;
		sum.tls_read_bytes += speech->tls_read_bytes;
	}
	return sum;
}

static void check(const struct world *world, enum npt_bpf_role role, uint64_t writes,
		  uint64_t written, uint64_t reads, uint64_t read_bytes)
{
	struct npt_bpf_speech speech = seen(world, role);

	NPT_CHECK_INT(speech.tls_writes, writes);
	NPT_CHECK_INT(speech.tls_written_bytes, written);
	NPT_CHECK_INT(speech.tls_reads, reads);
	NPT_CHECK_INT(speech.tls_read_bytes, read_bytes);
}

static void check_label(const struct world *world, enum npt_bpf_role role, uint32_t protocol)
{
	uint32_t label = seen(world, role).label;

	NPT_CHECK_INT(NPT_LABEL_TLS(label), NPT_BPF_TLS_YES);
	NPT_CHECK_INT(NPT_LABEL_PROTOCOL(label), protocol);
}

/* The other end is no library's: it takes what there is. */
static void drain(const struct session *session)
{
	NPT_CHECK(receive_record(session));
}

/* --- tests ----------------------------------------------------------------------------------- */

static void talk(struct world *world)
{
	const int request = (int)strlen(REQUEST), response = (int)strlen(RESPONSE);
	char buffer[256];

	NPT_CHECK_INT(fake_write(&world->client, REQUEST, request), request);
	(void)snprintf(world->server.received, sizeof(world->server.received), REQUEST);
	NPT_CHECK_INT(fake_read(&world->server, buffer, sizeof(buffer)), request);
	NPT_CHECK_INT(fake_write(&world->server, RESPONSE, response), response);
	(void)snprintf(world->client.received, sizeof(world->client.received), RESPONSE);
	NPT_CHECK_INT(fake_read(&world->client, buffer, sizeof(buffer)), response);
	check(world, NPT_BPF_CLIENT, 1, (uint64_t)request, 1, (uint64_t)response);
	check(world, NPT_BPF_SERVER, 1, (uint64_t)response, 1, (uint64_t)request);
	check_label(world, NPT_BPF_CLIENT, NPT_PROTOCOL_HTTP1);
	check_label(world, NPT_BPF_SERVER, NPT_PROTOCOL_HTTP1);
	check_unassigned(world, 0);
}

static void calls_and_their_plaintext_are_seen(void)
{
	struct world world;

	if (begin(&world))
		talk(&world);
	end(&world);
}

static void bytes_are_told_in_each_of_the_known_forms(void)
{
	struct world world;
	size_t written = 0;

	if (begin(&world)) {
		NPT_CHECK_INT(fake_write_ex(&world.client, REQUEST, 10, &written), 1);
		NPT_CHECK_INT(fake_write_ex2(&world.client, REQUEST, 20, 0, &written), 1);
		NPT_CHECK_INT(fake_write_ex2(&world.client, REQUEST, 30, 3, &written), 1);
		drain(&world.server);
		check(&world, NPT_BPF_CLIENT, 3, 60, 0, 0);
	}
	end(&world);
}

static void what_failed_is_not_counted_and_what_makes_no_sense_is_lost(void)
{
	struct world world;
	char buffer[8];

	if (begin(&world)) {
		NPT_CHECK_INT(fake_read(&world.client, buffer, sizeof(buffer)), -1);
		NPT_CHECK_INT(fake_write(&world.client, REQUEST, 5), 5); /* its session is known */
		NPT_CHECK_INT(fake_liar(&world.client, REQUEST, 5), 6);
		drain(&world.server);
		check(&world, NPT_BPF_CLIENT, 1, 5, 0, 0);
		NPT_CHECK_INT(npt_probe_loss(world.probe, NPT_LOSS_TLS_CALL), 1);
	}
	end(&world);
}

static void only_the_outermost_call_counts(void)
{
	struct world world;
	char buffer[256];

	if (begin(&world)) {
		NPT_CHECK_INT(fake_write(&world.client, REQUEST, 8), 8);
		(void)snprintf(world.server.received, sizeof(world.server.received), "12345678");
		NPT_CHECK_INT(fake_outer(&world.server, buffer, sizeof(buffer)), 4);
		check(&world, NPT_BPF_SERVER, 0, 0, 1, 4);
		NPT_CHECK_INT(fake_write(&world.server, RESPONSE, 9), 9);
		drain(&world.client);
		check(&world, NPT_BPF_SERVER, 1, 9, 1, 4);
	}
	end(&world);
}

/* Three connections and their sessions, of which each writes its own length. */
static void a_session_that_writes_to_memory_is_found_by_the_records_length(void)
{
	const int request = (int)strlen(REQUEST);
	struct session other_client, other_server;
	struct world world;

	if (begin(&world) && connect_ends(&other_client, &other_server)) {
		NPT_CHECK_INT(fake_write_memory(&world.client, REQUEST, request), request);
		NPT_CHECK(send_record(&other_client, 3000)); /* somebody else's record */
		drain(&other_server);
		check(&world, NPT_BPF_CLIENT, 0, 0, 0, 0);
		check_unassigned(&world, 1);
		NPT_CHECK_INT(fake_write_memory(&world.client, REQUEST, request), request);
		check_unassigned(&world, 2);
		NPT_CHECK(send_record(&world.client, (size_t)request));
		drain(&world.server);
		check(&world, NPT_BPF_CLIENT, 2, 2 * (uint64_t)request, 0, 0); /* both are its */
		check_unassigned(&world, 0);
		check_label(&world, NPT_BPF_CLIENT, NPT_PROTOCOL_HTTP1);
		(void)close(other_client.fd);
		(void)close(other_server.fd);
	}
	end(&world);
}

/* The address of one session, used again for another connection. */
static void a_session_that_is_freed_is_another_one_afterwards(void)
{
	const int request = (int)strlen(REQUEST);
	struct world world;

	if (begin(&world)) {
		NPT_CHECK_INT(fake_write_memory(&world.client, REQUEST, request), request);
		fake_free(&world.client);
		NPT_CHECK_INT(fake_write(&world.client, "*1\r\n$4\r\nPING\r\n", 14), 14);
		drain(&world.server);
		check(&world, NPT_BPF_CLIENT, 1, 14, 0, 0);
		check_unassigned(&world, 1); /* what was kept with the first one */
	}
	end(&world);
}

/*
 * More sessions than are kept, one call each. The oldest have made room: a connection that is found
 * later gets what its session has made since, and the rest stays without one.
 */
static void calls_whose_session_made_room_are_not_forgotten(void)
{
	const uint64_t sessions = 20000;
	npt_auto_free char *addresses = npt_alloc(sessions, 1);
	struct world world;

	if (begin(&world)) {
		NPT_CHECK(send_record(&world.server, 9)); /* this process is seen */
		drain(&world.client);
		NPT_CHECK_INT(fake_write_memory(&world.client, REQUEST, 10), 10);
		for (uint64_t i = 0; i < sessions; i++)
			(void)fake_write_memory((struct session *)(void *)&addresses[i], REQUEST,
						10);
		check_unassigned(&world, sessions + 1);
		NPT_CHECK_INT(fake_write(&world.client, REQUEST, 11), 11);
		drain(&world.server);
		check(&world, NPT_BPF_CLIENT, 1, 11, 0, 0);
		check_unassigned(&world, sessions + 1);
		NPT_CHECK_INT(npt_probe_loss(world.probe, NPT_LOSS_TLS_CALL), 0);
		npt_probe_forget_tls_unassigned(world.probe, (uint32_t)getpid(), world.start_ns);
		check_unassigned(&world, 0);
	}
	end(&world);
}

static const struct npt_test tests[] = {
	NPT_TEST(calls_and_their_plaintext_are_seen),
	NPT_TEST(bytes_are_told_in_each_of_the_known_forms),
	NPT_TEST(what_failed_is_not_counted_and_what_makes_no_sense_is_lost),
	NPT_TEST(only_the_outermost_call_counts),
	NPT_TEST(a_session_that_writes_to_memory_is_found_by_the_records_length),
	NPT_TEST(a_session_that_is_freed_is_another_one_afterwards),
	NPT_TEST(calls_whose_session_made_room_are_not_forgotten),
};
NPT_TEST_MAIN(tests)
