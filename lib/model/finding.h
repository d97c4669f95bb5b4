/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Finding - what the numbers of an edge say: one verdict, one sentence (docs/findings.md has the
 * decision table; a test compares its thresholds with these).
 *
 * Pure: the same report gives the same findings. Both ends of a connection in one report are looked
 * at together and get the same verdict. A wrong verdict is worse than none: what the numbers do not
 * settle is NPT_VERDICT_UNKNOWN, with what is known as its sentence.
 */
#include "lib/model/report.h"

/* Shares are permille of the time of an edge's connections. */
#define NPT_FINDING_TIME_MIN_US            200000 /* before shares mean anything */
#define NPT_FINDING_LIMITED_HIGH           200    /* held up by a window or a buffer */
#define NPT_FINDING_LIMITED_LOW            100
#define NPT_FINDING_UNREAD_HIGH            500 /* data waits for its reader */
#define NPT_FINDING_UNREAD_LOW             200
#define NPT_FINDING_LATE_US                1000 /* a mean that is more than a wakeup */
#define NPT_FINDING_LATE_TIMES             10
#define NPT_FINDING_SILENT_PART            4 /* of all that came is still unread: one in so many */
#define NPT_FINDING_SLOW_BYTES_PER_S       50000000  /* taken while data waits: at most */
#define NPT_FINDING_FAST_BYTES_PER_S       200000000 /* a stream that nothing holds up */
#define NPT_FINDING_QUEUE_BYTES            32768     /* unread per connection: a queue */
#define NPT_FINDING_BUFFER_BYTES           524288    /* sent per RTT: no small buffer */
#define NPT_FINDING_APPLICATION_HIGH       800       /* nothing to send */
#define NPT_FINDING_STREAM_BYTES           1048576   /* sent per connection: not some events */
#define NPT_FINDING_STREAM_BYTES_PER_S     262144
#define NPT_FINDING_ONE_WAY_READS          2   /* messages back per connection, at most */
#define NPT_FINDING_WAITS_HIGH             500 /* a reader waits in its reads */
#define NPT_FINDING_WAITS_READS            5   /* timed reads */
#define NPT_FINDING_LOSS_PERMILLE          10  /* of the segments were sent again */
#define NPT_FINDING_LOSS_MAX_PERMILLE      500 /* more is a peer that does not answer */
#define NPT_FINDING_LOSS_SEGMENTS          10
#define NPT_FINDING_TURNS_MIN              20 /* requests with their responses */
#define NPT_FINDING_TURNS_MANY             100
#define NPT_FINDING_ANSWERED_PERMILLE      1100 /* turns per message, both ways added up */
#define NPT_FINDING_ALTERNATE_PERMILLE     1500 /* not by chance */
#define NPT_FINDING_ALTERNATE_FEW_PERMILLE 1700 /* with less than MANY turns */
#define NPT_FINDING_HEARTBEAT_BYTES        64   /* per turn, each way */
#define NPT_FINDING_SERVER_MIN_US          20000
#define NPT_FINDING_TAIL_MIN_US            200000 /* for one response in twenty */
#define NPT_FINDING_QUICK_US               10000
#define NPT_FINDING_DELAY_MIN_US           10000
#define NPT_FINDING_DOMINATES              2  /* times the other part */
#define NPT_FINDING_RTT_FACTOR             3  /* response / rtt, if the server is not seen */
#define NPT_FINDING_LISTEN_DROPS           3  /* with the accept queue full at the end */
#define NPT_FINDING_FAILED_PERMILLE        50 /* of the connects */
#define NPT_FINDING_OPERATIONS_MIN         20
#define NPT_FINDING_CONFIDENCE_PAIR        900
#define NPT_FINDING_CONFIDENCE_ALONE       700
#define NPT_FINDING_CONFIDENCE_THIN        200 /* less, below FIRM times the minimum */
#define NPT_FINDING_FIRM                   5

/* Sets the finding of every edge; nothing else changes. */
void npt_findings_set(struct npt_report *report);
