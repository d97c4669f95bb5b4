/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two threads beside this one: the channel's (libwebsockets) and the upload's. The channel's thread
 * only decodes frames and queues them; this one owns everything else and wakes for the queue, for
 * each full second, for slices and for signals.
 *
 * Nothing that the controller says is a command: a wanted message is the whole truth about what
 * this node should do, and the assignments are made equal to it.
 */
#include "agent/service.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/utsname.h>

#include "agent/assignment.h"
#include "agent/capabilities.h"
#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/log.h"
#include "lib/core/queue.h"
#include "lib/net/digest.h"
#include "lib/net/websocket.h"

#define EVENTS_MAX 64
#define FLUSH_MS   5000
#define EARLY_NS   (500 * NPT_NS_PER_MS)

enum event_kind { EVENT_OPEN, EVENT_CLOSED, EVENT_MESSAGE };

struct event {
	enum event_kind kind;
	struct npt_channel_message *message;
	char *text;
};

struct service {
	const struct npt_service_options *options;
	struct npt_assignment_tools tools;
	struct npt_measure *measure;
	struct npt_watch *watch;
	struct npt_names *names;
	struct npt_upload *upload;
	struct npt_websocket *websocket;
	struct npt_queue *events;
	struct npt_assigned *assigned[NPT_CHANNEL_ASSIGNMENTS_MAX];
	size_t assigned_count;
	char instance[NPT_UID_BYTES];
	struct npt_capabilities capabilities;
	uint64_t refused_frames;
	uint64_t next_find_ns;
	uint64_t early_ns; /* one more look, soon after something new is wanted; 0: none */
	int signal_fd;
	bool connected;
	bool stop;
};

static void free_event(void *item)
{
	struct event *event = item;

	npt_channel_message_free(event->message);
	free(event->text);
	free(event);
}

/* --- the channel's thread --- */

static void queue_event(struct service *service, struct event event)
{
	struct event *item = npt_memdup(&event, sizeof(event));

	/* A full queue drops; the next wanted message says everything again. */
	if (npt_queue_push(service->events, item) < 0)
		free_event(item);
}

static void on_open(void *context)
{
	queue_event(context, (struct event){ .kind = EVENT_OPEN });
}

static void on_close(void *context, const char *reason)
{
	queue_event(context, (struct event){ .kind = EVENT_CLOSED, .text = npt_strdup(reason) });
}

static void on_message(void *context, const char *data, size_t size_bytes)
{
	struct service *service = context;
	struct npt_channel_message *message = NULL;
	struct npt_error err = NPT_ERROR_NONE;

	if (npt_channel_decode(data, size_bytes, &message, &err) < 0) {
		npt_log_warning("frame refused", "error", err.text, "refused",
				npt_log_u64(++service->refused_frames));
		return;
	}
	queue_event(service, (struct event){ .kind = EVENT_MESSAGE, .message = message });
}

/* --- this thread --- */

static void send_message(struct service *service, const struct npt_channel_message *message)
{
	npt_auto_free char *frame = NULL;

	if (!service->connected)
		return;
	frame = npt_channel_encode(message);
	/* -ENOTCONN: the connection just went; hello repairs it. */
	(void)npt_websocket_send(service->websocket, frame, strlen(frame));
}

static void describe_all(struct service *service, struct npt_channel_message *hello)
{
	hello->held = npt_alloc(service->assigned_count, sizeof(*hello->held));
	hello->held_count = service->assigned_count;
	for (size_t i = 0; i < service->assigned_count; i++)
		npt_assigned_describe(service->assigned[i], false, &hello->held[i]);
}

static void say_hello(struct service *service)
{
	npt_auto(npt_channel_message_free) struct npt_channel_message *hello =
		npt_channel_message_new(NPT_CHANNEL_HELLO);
	struct utsname system = { 0 };

	(void)uname(&system);
	hello->proto = NPT_CHANNEL_PROTO;
	(void)snprintf(hello->node, sizeof(hello->node), "%s", service->options->node);
	(void)snprintf(hello->pod_uid, sizeof(hello->pod_uid), "%s",
		       service->options->pod_uid ? service->options->pod_uid : "");
	(void)snprintf(hello->instance, sizeof(hello->instance), "%s", service->instance);
	(void)snprintf(hello->version, sizeof(hello->version), "%s", NPT_VERSION);
	(void)snprintf(hello->kernel, sizeof(hello->kernel), "%s", system.release);
	memcpy(hello->layers, service->capabilities.layers, sizeof(hello->layers));
	memcpy(hello->unavailable, service->capabilities.unavailable, sizeof(hello->unavailable));
	describe_all(service, hello);
	send_message(service, hello);
}

/* Some pods of an assignment; each message stands for itself. */
static void send_pods(struct service *service, const struct npt_held_assignment *held, size_t first)
{
	npt_auto(npt_channel_message_free) struct npt_channel_message *summary =
		npt_channel_message_new(NPT_CHANNEL_SUMMARY);
	size_t left = held->pods_count - first;

	summary->held = npt_memdup(held, sizeof(*held));
	summary->held_count = 1;
	summary->held->pods_count =
		left < NPT_CHANNEL_SUMMARY_PODS ? left : NPT_CHANNEL_SUMMARY_PODS;
	summary->held->pods =
		npt_memdup(held->pods + first, summary->held->pods_count * sizeof(*held->pods));
	send_message(service, summary);
}

static void send_summary(struct service *service)
{
	for (size_t i = 0; i < service->assigned_count; i++) {
		struct npt_held_assignment held = { .pods = NULL };

		npt_assigned_describe(service->assigned[i], true, &held);
		for (size_t first = 0; first == 0 || first < held.pods_count;
		     first += NPT_CHANNEL_SUMMARY_PODS)
			send_pods(service, &held, first);
		free(held.pods);
	}
}

static void ask_names(struct service *service)
{
	npt_auto(npt_channel_message_free) struct npt_channel_message *resolve =
		npt_channel_message_new(NPT_CHANNEL_RESOLVE);

	if (!service->connected)
		return;
	resolve->addresses = npt_alloc(NPT_CHANNEL_ADDRESSES_MAX, sizeof(*resolve->addresses));
	resolve->addresses_count =
		npt_names_questions(service->names, npt_clock_monotonic_ns(), resolve->addresses,
				    NPT_CHANNEL_ADDRESSES_MAX);
	if (resolve->addresses_count > 0)
		send_message(service, resolve);
}

static struct npt_assigned *find_assigned(struct service *service, const char *id)
{
	for (size_t i = 0; i < service->assigned_count; i++) {
		if (strcmp(npt_assigned_id(service->assigned[i]), id) == 0)
			return service->assigned[i];
	}
	return NULL;
}

static bool is_wanted(const struct npt_channel_message *message, const char *id)
{
	for (size_t i = 0; i < message->assignments_count; i++) {
		if (strcmp(message->assignments[i].id, id) == 0)
			return true;
	}
	return false;
}

static void take_wanted(struct service *service, const struct npt_channel_message *message)
{
	size_t kept = 0;

	for (size_t i = 0; i < service->assigned_count; i++) {
		if (is_wanted(message, npt_assigned_id(service->assigned[i])))
			service->assigned[kept++] = service->assigned[i];
		else
			npt_assigned_free(service->assigned[i]);
	}
	service->assigned_count = kept;
	for (size_t i = 0; i < message->assignments_count; i++) {
		struct npt_assigned *assigned = find_assigned(service, message->assignments[i].id);

		if (assigned)
			npt_assigned_update(assigned, &message->assignments[i]);
		else if (service->assigned_count < NPT_CHANNEL_ASSIGNMENTS_MAX)
			service->assigned[service->assigned_count++] =
				npt_assigned_new(&service->tools, &message->assignments[i]);
	}
}

static void take_message(struct service *service, const struct npt_channel_message *message)
{
	if (message->type == NPT_CHANNEL_WANTED)
		take_wanted(service, message);
	else if (message->type == NPT_CHANNEL_NAMES)
		npt_names_learn(service->names, message->names, message->names_count,
				npt_clock_monotonic_ns());
}

static void tell(void *context, uint32_t scope, uint32_t slot, const struct npt_edge *delta)
{
	struct service *service = context;

	for (size_t i = 0; i < service->assigned_count; i++)
		npt_assigned_tell(service->assigned[i], scope, slot, delta);
}

#define FIND_PERIOD_NS (5 * NPT_NS_PER_SECOND)

static void read_measure(struct service *service)
{
	struct npt_error err = NPT_ERROR_NONE;
	uint64_t now = npt_clock_monotonic_ns();

	if (now >= service->next_find_ns) {
		if (npt_measure_find_sockets(service->measure, &err) < 0)
			npt_log_error("cannot look for sockets", "error", err.text);
		service->next_find_ns = now + FIND_PERIOD_NS;
	}
	if (npt_measure_read(service->measure, tell, service, &err) < 0)
		npt_log_error("cannot read", "error", err.text);
}

/* Several tasks share one agent, and what they may cost together. */
static void set_budget(struct service *service)
{
	uint64_t cpu_millicores = 0, memory_mib = 0;

	for (size_t i = 0; i < service->assigned_count; i++)
		npt_assigned_add_budget(service->assigned[i], &cpu_millicores, &memory_mib);
	npt_measure_set_budget(
		service->measure,
		(uint32_t)(cpu_millicores < UINT32_MAX ? cpu_millicores : UINT32_MAX),
		(uint32_t)(memory_mib < UINT32_MAX ? memory_mib : UINT32_MAX));
}

/* And what one of them asks for is measured. */
static void set_layers(struct service *service)
{
	bool layers[NPT_LAYER_COUNT] = { false };

	for (size_t i = 0; i < service->assigned_count; i++)
		npt_assigned_add_layers(service->assigned[i], layers);
	npt_measure_set_layers(service->measure, layers[NPT_LAYER_PROTOCOL], layers[NPT_LAYER_TLS]);
}

/* Looks, reads, steps; what begins to be measured here is in the next summary. */
static void work(struct service *service)
{
	uint64_t now = npt_clock_unix_ms();

	set_budget(service);
	set_layers(service);
	npt_watch_look(service->watch);
	for (size_t i = 0; i < service->assigned_count; i++)
		npt_assigned_follow(service->assigned[i]);
	read_measure(service);
	for (size_t i = 0; i < service->assigned_count; i++)
		npt_assigned_step(service->assigned[i], now);
	ask_names(service);
	send_summary(service);
}

static void take_events(struct service *service)
{
	bool changed = false;
	struct event *event;

	while ((event = npt_queue_pop(service->events))) {
		switch (event->kind) {
		case EVENT_OPEN:
			npt_log_info("connected to the controller");
			service->connected = true;
			say_hello(service);
			break;
		case EVENT_CLOSED:
			npt_log_warning("no connection to the controller; it is dialled again",
					"url", service->options->controller, "reason", event->text);
			service->connected = false;
			break;
		case EVENT_MESSAGE:
			take_message(service, event->message);
			changed |= event->message->type == NPT_CHANNEL_WANTED;
			break;
		}
		free_event(event);
	}
	if (!changed)
		return;
	work(service);
	/* The controller writes a status each second; the next is to have first data already. */
	service->early_ns = npt_clock_monotonic_ns() + EARLY_NS;
}

static int wait_ms(const struct service *service)
{
	const uint64_t due_ns[] = { npt_measure_due_ns(service->measure), service->early_ns };
	uint64_t wait = 1000 - npt_clock_unix_ms() % 1000;
	uint64_t now_ns = npt_clock_monotonic_ns();

	for (size_t i = 0; i < NPT_ARRAY_SIZE(due_ns); i++) {
		uint64_t until = due_ns[i] > now_ns ? (due_ns[i] - now_ns) / NPT_NS_PER_MS : 0;

		if (due_ns[i] && until < wait)
			wait = until;
	}
	return (int)wait;
}

/* Each full second, and once soon after something new is wanted. */
static bool is_due(struct service *service, uint64_t *last_second)
{
	uint64_t second = npt_clock_unix_ms() / 1000;
	bool early = service->early_ns && npt_clock_monotonic_ns() >= service->early_ns;
	bool due = second != *last_second || early;

	*last_second = second;
	if (early)
		service->early_ns = 0;
	return due;
}

static void loop(struct service *service)
{
	uint64_t last_second = 0;

	while (!service->stop) {
		struct pollfd fds[] = {
			{ .fd = service->signal_fd, .events = POLLIN },
			{ .fd = npt_queue_fd(service->events), .events = POLLIN },
			{ .fd = npt_measure_fd(service->measure), .events = POLLIN },
		};

		(void)poll(fds, NPT_ARRAY_SIZE(fds), wait_ms(service));
		if (fds[0].revents)
			service->stop = true;
		take_events(service);
		npt_measure_attend(service->measure);
		if (is_due(service, &last_second))
			work(service);
	}
}

/*
 * At the end of the process: what was measured so far becomes a window, the controller hears the
 * last totals, and the aggregator has a moment to take what there is. What it does not take stays
 * in the spool, for the next process in this pod.
 */
static void flush(struct service *service)
{
	uint64_t now = npt_clock_unix_ms();

	read_measure(service);
	for (size_t i = 0; i < service->assigned_count; i++)
		npt_assigned_cut(service->assigned[i], now);
	send_summary(service);
	if (service->upload && !npt_upload_drain(service->upload, NULL, FLUSH_MS))
		npt_log_warning("windows are left in the spool");
}

static int open_signals(struct service *service, struct npt_error *err)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	service->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (service->signal_fd < 0)
		return npt_error_set(err, errno, "cannot wait for signals: %s",
				     npt_errno_name(errno));
	return 0;
}

static int start(struct service *service, struct npt_error *err)
{
	struct npt_measure_options measure_options = { .operations = true };
	struct npt_upload_options upload_options = { .directory = service->options->spool,
						     .ca_file = service->options->ca_file };
	struct npt_websocket_options websocket_options = {
		.url = service->options->controller,
		.ca_file = service->options->ca_file,
		.token_file = service->options->token_file,
		.max_frame_bytes = NPT_CHANNEL_FRAME_BYTES,
		.context = service,
		.on_open = on_open,
		.on_message = on_message,
		.on_close = on_close,
	};
	int r = npt_measure_new(&service->measure, &measure_options, err);

	if (r < 0)
		return r;
	service->watch = npt_watch_new(service->measure);
	service->names = npt_names_new();
	service->events = npt_queue_new(EVENTS_MAX, free_event);
	if (service->options->spool) {
		r = npt_upload_new(&upload_options, &service->upload, err);
		if (r < 0)
			return r;
	}
	service->tools = (struct npt_assignment_tools){
		.measure = service->measure,
		.watch = service->watch,
		.names = service->names,
		.upload = service->upload,
		.instance = service->instance,
		.node = service->options->node,
	};
	return npt_websocket_start(&websocket_options, &service->websocket, err);
}

static void end(struct service *service)
{
	npt_websocket_free(service->websocket);
	for (size_t i = 0; i < service->assigned_count; i++)
		npt_assigned_free(service->assigned[i]);
	npt_upload_free(service->upload);
	npt_queue_free(service->events);
	npt_names_free(service->names);
	npt_watch_free(service->watch);
	npt_measure_free(service->measure);
	if (service->signal_fd >= 0)
		(void)close(service->signal_fd);
}

int npt_service_run(const struct npt_service_options *options, struct npt_error *err)
{
	npt_auto_free struct service *service = npt_alloc(1, sizeof(*service));
	int r;

	service->options = options;
	service->signal_fd = -1;
	npt_random_id(service->instance);
	r = open_signals(service, err);
	if (r >= 0)
		npt_capabilities_find(&service->capabilities);
	if (r >= 0)
		r = start(service, err);
	if (r >= 0) {
		npt_log_info("agent started", "node", options->node, "instance", service->instance,
			     "version", NPT_VERSION);
		loop(service);
		npt_log_info("agent stopping");
		flush(service);
	}
	end(service);
	return r;
}
