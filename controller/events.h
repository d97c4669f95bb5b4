/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Events - how other threads (reflectors, the channel's server, the API worker) reach the
 * controller's own thread: a bounded queue of these.
 */
#include <stdint.h>

#include "lib/core/queue.h"
#include "lib/kube/pod.h"
#include "lib/model/channel.h"
#include "lib/model/task.h"

enum npt_event_kind {
	NPT_EVENT_TASK,         /* task */
	NPT_EVENT_TASK_GONE,    /* uid */
	NPT_EVENT_TASKS_SYNCED, /* every task that there is was told */
	NPT_EVENT_POD,          /* uid of the task, pod */
	NPT_EVENT_POD_GONE,     /* uid of the task, text: uid of the pod */
	NPT_EVENT_PODS_TROUBLE, /* uid of the task, text: why its pods are not known */
	NPT_EVENT_PODS_SYNCED,  /* uid of the task */
	NPT_EVENT_AGENT_OPEN,   /* socket, text: the Authorization header */
	NPT_EVENT_AGENT_FRAME,  /* socket, message */
	NPT_EVENT_AGENT_CLOSED, /* socket */
	NPT_EVENT_REVIEWED,     /* socket, outcome, text: the node or why not */
	NPT_EVENT_WRITTEN,      /* uid of the task, outcome, text: error; version */
	NPT_EVENT_NAMED,        /* socket, message: names */
	NPT_EVENT_PUBLISHED,    /* outcome, text: error */
};

struct npt_event {
	enum npt_event_kind kind;
	char uid[NPT_UID_BYTES];
	uint64_t socket;
	int outcome;
	char *text;
	struct npt_task *task;
	struct npt_pod *pod;
	struct npt_channel_message *message;
};

struct npt_event *npt_event_new(enum npt_event_kind kind);
void npt_event_free(struct npt_event *event);
NPT_DEFINE_AUTO(struct npt_event *, npt_event_free)
/* A queue that frees what is left in it. */
struct npt_queue *npt_event_queue_new(size_t max_events);
/*
 * Waits while the queue is full: what the API server says must not be lost. Gives up only when the
 * queue is closed.
 */
void npt_event_push(struct npt_queue *queue, struct npt_event *event);
