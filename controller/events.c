/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A slow controller makes its sources wait, not its queue grow.
 */
#include "controller/events.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "lib/core/alloc.h"

struct npt_event *npt_event_new(enum npt_event_kind kind)
{
	struct npt_event *event = npt_alloc(1, sizeof(*event));

	event->kind = kind;
	return event;
}

void npt_event_free(struct npt_event *event)
{
	if (!event)
		return;
	if (event->task)
		npt_task_done(event->task);
	npt_channel_message_free(event->message);
	free(event->task);
	free(event->pod);
	free(event->text);
	free(event);
}

static void free_item(void *item)
{
	npt_event_free(item);
}

struct npt_queue *npt_event_queue_new(size_t max_events)
{
	return npt_queue_new(max_events, free_item);
}

void npt_event_push(struct npt_queue *queue, struct npt_event *event)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	int r;

	while ((r = npt_queue_push(queue, event)) == -ENOSPC)
		(void)nanosleep(&pause, NULL);
	if (r < 0)
		npt_event_free(event);
}
