/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Report - what was measured: the one object that the agent prints, posts and stores, that REST
 * returns and that kubectl-npt shows (docs/api.md has its JSON).
 *
 * A Window holds the differences of one interval of one pod (or of one local scope); the Report is
 * the sum of its Windows. Plain values but for the array of edges; owned by whoever called
 * npt_report_new() or a decoder. Not shared between threads.
 *
 * Units: microseconds, bytes, segments, packets; saturating at 2^53-1 in JSON.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/core/cleanup.h"
#include "lib/core/error.h"
#include "lib/core/histogram.h"

#define NPT_NAME_BYTES             254 /* a Kubernetes name (253) and its NUL */
#define NPT_UID_BYTES              64
#define NPT_PROCESS_BYTES          64
#define NPT_COMM_BYTES             16
#define NPT_ADDRESS_BYTES          46 /* IPv6 as text */
#define NPT_ENDPOINT_BYTES         56 /* "[IPv6]:port" */
#define NPT_REASON_BYTES           40 /* a drop reason, an errno name, a metric */
#define NPT_TEXT_BYTES             256
#define NPT_REPORT_EDGES_MAX       8192
#define NPT_EDGE_FAILED_MAX        8
#define NPT_EDGE_DROPS_MAX         8
#define NPT_EDGE_RESETS_MAX        5
#define NPT_REPORT_UNAVAILABLE_MAX 24
#define NPT_REPORT_SOURCES_MAX     24
#define NPT_REPORT_DEGRADED_MAX    8
#define NPT_EDGE_ALERTS_MAX        4
#define NPT_PROTOCOL_BYTES         16
#define NPT_PROTOCOL_UNSAID        "unknown"
#define NPT_PROTOCOL_TITLE_BYTES   32
#define NPT_SNI_BYTES              128
#define NPT_ALPN_BYTES             64 /* "offered: " and what a proxy of Istio offers */
#define NPT_CIPHER_BYTES           48
#define NPT_REPORT_TLS_MAX         128
#define NPT_EDGE_ID_BYTES          17
#define NPT_NUMBER_MAX             ((UINT64_C(1) << 53) - 1)

enum npt_report_kind { NPT_REPORT_WINDOW, NPT_REPORT_REPORT };

/* Of the times; counts are exact, or the metric is named in unavailable. */
enum npt_quality {
	NPT_QUALITY_EXACT,
	NPT_QUALITY_SAMPLED,
	NPT_QUALITY_ESTIMATED,
	NPT_QUALITY_UNAVAILABLE
};

enum npt_role { NPT_ROLE_UNKNOWN, NPT_ROLE_CLIENT, NPT_ROLE_SERVER };

enum npt_peer_kind {
	NPT_PEER_ADDRESS, /* outside of what we know */
	NPT_PEER_PROCESS, /* of the same pod */
	NPT_PEER_POD,
	NPT_PEER_SERVICE,
	NPT_PEER_NODE,
};

/* What an edge's numbers say (docs/findings.md); worst ones last. */
enum npt_verdict {
	NPT_VERDICT_UNKNOWN, /* the numbers do not say */
	NPT_VERDICT_NONE,    /* they say that nothing is wrong */
	NPT_VERDICT_SENDER_APPLICATION,
	NPT_VERDICT_SENDER_BUFFER,
	NPT_VERDICT_RECEIVER_WINDOW,
	NPT_VERDICT_RECEIVER_APPLICATION,
	NPT_VERDICT_NETWORK_DELAY,
	NPT_VERDICT_NETWORK_LOSS,
	NPT_VERDICT_SERVER,
	NPT_VERDICT_LISTENER,
	NPT_VERDICT_CONNECT_FAILURE,
	NPT_VERDICT_COUNT,
};

enum npt_tls { NPT_TLS_UNKNOWN, NPT_TLS_NO, NPT_TLS_YES };

/* The metrics that have a count and times; the order is the JSON's. */
enum npt_metric_id {
	NPT_METRIC_WRITE,
	NPT_METRIC_READ,
	NPT_METRIC_RTT,
	NPT_METRIC_CONNECT,
	NPT_METRIC_ACCEPT,
	NPT_METRIC_CLOSE,
	NPT_METRIC_RESPONSE, /* last byte of a request -> first byte of its response */
	NPT_METRIC_UNREAD,   /* data is there to be read -> the next read */
	NPT_METRIC_COUNT,
};

struct npt_metric {
	uint64_t count;
	uint64_t bytes;      /* write and read only */
	uint64_t min_micros; /* rtt only: the kernel's own minimum, without delayed ACKs; 0: unknown
			      */
	uint64_t overlapped; /* response only: turns left out, since messages crossed each other */
	enum npt_quality quality;
	struct npt_histogram micros; /* micros.count = timed operations, <= count when sampled */
};

struct npt_named_count {
	char name[NPT_REASON_BYTES];
	uint64_t count;
};

struct npt_named_reason {
	char name[NPT_REASON_BYTES];
	char reason[NPT_TEXT_BYTES];
};

struct npt_process {
	uint32_t pid;                 /* in the host's PID namespace; 0 = not known */
	uint64_t start_ns;            /* CLOCK_BOOTTIME at its start: tells a reused pid apart */
	char name[NPT_PROCESS_BYTES]; /* basename of the executable */
	char comm[NPT_COMM_BYTES];
	char container[NPT_NAME_BYTES];
	char pod[NPT_NAME_BYTES];
};

struct npt_peer {
	enum npt_peer_kind kind;
	char name[NPT_NAME_BYTES]; /* process: executable; pod, service, node: its name */
	char namespace_name[NPT_NAME_BYTES];
	uint32_t pid; /* of a process */
	char address[NPT_ADDRESS_BYTES];
	uint16_t port;                    /* the service's port, on both roles */
	char asked[NPT_ENDPOINT_BYTES];   /* what the client asked for */
	char reached[NPT_ENDPOINT_BYTES]; /* where it really went, or "unknown" */
};

struct npt_edge {
	struct npt_process process;
	enum npt_role role;
	struct npt_peer peer;
	char transport[8]; /* "tcp" or "udp" */
	/*
	 * What is spoken, as docs/protocols.md names it ("http1", "unknown"), and how sure that is.
	 * With TLS it is what is inside. It becomes known late and may change: later wins.
	 */
	char protocol[NPT_PROTOCOL_BYTES];
	uint32_t protocol_confidence_permille;
	enum npt_tls tls;
	/*
	 * 0: the first protocol of this process, peer and port. A port that speaks several has an
	 * edge for each further one, told apart by this number: part of who the edge is.
	 */
	uint32_t label;
	/* Of the last handshake that was seen; "" if none was. */
	struct {
		char version[8]; /* "1.3" */
		char sni[NPT_SNI_BYTES];
		char alpn[NPT_ALPN_BYTES]; /* agreed on; "offered: h2,http/1.1" where that is hidden
					    */
		char cipher[NPT_CIPHER_BYTES]; /* the IANA name */
	} tls_facts;
	/* TLS handshakes that ended in the window, by what is on the wire. */
	struct {
		uint64_t count; /* completed */
		uint64_t resumed;
		uint64_t client_certificates; /* asked for by the server */
		uint64_t failed; /* ended by an alert or a close before they were complete */
		struct npt_named_count alerts_sent[NPT_EDGE_ALERTS_MAX]; /* "" ends */
		struct npt_named_count alerts_received[NPT_EDGE_ALERTS_MAX];
		struct npt_histogram micros; /* ClientHello to Finished */
	} handshakes;
	/* Calls of the TLS library, with the plaintext that they moved (layer TLS). */
	struct {
		uint64_t writes;
		uint64_t written_bytes;
		uint64_t reads;
		uint64_t read_bytes;
	} tls_calls;
	struct {
		uint64_t open;   /* gauge, at the end of the window */
		uint64_t opened; /* became ESTABLISHED while measured */
		uint64_t found;  /* older than the task, seen for the first time */
		uint64_t closed;
		/* That turned out to speak another protocol than the rest of their edge, and went
		 * on in the edge of that: what they had counted until then stayed. */
		uint64_t moved_in;
		uint64_t moved_out;
		uint64_t kernel_tls; /* that turned out to have their TLS made by the kernel */
		struct npt_named_count failed[NPT_EDGE_FAILED_MAX]; /* by errno name; "" ends */
	} connections;
	struct {
		uint64_t bytes;
		uint64_t segments;
	} sent, received;
	struct npt_metric metrics[NPT_METRIC_COUNT];
	struct {
		uint64_t segments; /* tcp_info's total_retrans; bytes apart, parts of it follow */
		uint64_t bytes;
		uint64_t syn;
		uint64_t tail_loss; /* tail-loss probes that sent old data again */
		uint64_t spurious;  /* DSACKs received */
	} retransmit;
	struct npt_named_count drops[NPT_EDGE_DROPS_MAX]; /* by kernel reason; "" ends */
	uint64_t drops_unspecified; /* kfree_skb() without a reason: said, not counted as drops */
	struct npt_named_count
		resets_sent[NPT_EDGE_RESETS_MAX]; /* by the kernel's reason; "" ends */
	struct npt_named_count resets_received[NPT_EDGE_RESETS_MAX]; /* by errno name; "" ends */
	/* What the sender waited for, over all connections of the edge; the sum is their time. */
	struct {
		uint64_t application_micros;    /* nothing to send, nothing on its way */
		uint64_t receive_window_micros; /* the receiver's window was full */
		uint64_t send_buffer_micros;    /* the send buffer was too small */
		uint64_t network_micros;        /* busy otherwise: data on its way */
	} limited;
	/* Gauges, added up over the connections at the end of the window; listenDrops is a counter.
	 */
	struct {
		uint64_t unread_bytes;
		uint64_t unsent_bytes;
		uint64_t accept_backlog; /* of the listener, on its own edge (role server) */
		uint64_t accept_backlog_max;
		uint64_t syn_backlog;
		uint64_t listen_drops; /* connects that the listener turned away: its backlog was
					  full */
	} queue;
	/* Made of the numbers above by npt_findings_set(); never merged, never on the wire. */
	struct {
		enum npt_verdict verdict;
		uint32_t confidence_permille;
		char text[NPT_TEXT_BYTES];
	} finding;
	/*
	 * Of an edge with TLS: the plain hop of the same process that has the same messages. Set by
	 * npt_hops_link(); never merged, never on the wire. All 0 where none is linked.
	 */
	struct {
		char name[NPT_PROTOCOL_BYTES];     /* what is inside of the TLS by it */
		char protocol[NPT_PROTOCOL_BYTES]; /* what is spoken on it */
		char process[NPT_PROCESS_BYTES];   /* the program at its other end */
		uint32_t pid;
		uint16_t port;
	} hop;
};

enum npt_tls_coverage {
	NPT_COVERAGE_NONE,     /* nothing is known but that it is TLS */
	NPT_COVERAGE_METADATA, /* what handshakes show */
	NPT_COVERAGE_FULL,     /* the library's calls are seen: what is inside is classified */
};

/* What is seen of the TLS of a process, a line for each library that it uses. */
struct npt_tls_use {
	uint32_t pid;
	uint64_t start_ns;
	char process[NPT_PROCESS_BYTES];
	char library[NPT_REASON_BYTES]; /* "OpenSSL", "Go crypto/tls", "unknown" */
	char version[NPT_REASON_BYTES]; /* "3.0.17"; "" if unknown */
	char how[NPT_TEXT_BYTES];       /* "uprobe.multi on SSL_read, SSL_write of libssl.so.3" */
	enum npt_tls_coverage coverage;
	char why[NPT_TEXT_BYTES]; /* why not more; "" if full */
	/* Gauge: calls that were seen, of which no connection is known (yet): they are in no edge.
	 */
	uint64_t unassigned_calls;
};

struct npt_report {
	enum npt_report_kind kind;
	uint64_t start_unix_ms;
	uint64_t duration_ms;
	char instance[NPT_UID_BYTES]; /* random per agent process */
	uint64_t sequence;            /* contiguous per (task, pod, instance), from 1 */
	struct {
		char namespace_name[NPT_NAME_BYTES];
		char name[NPT_NAME_BYTES];
		char uid[NPT_UID_BYTES];
	} task, pod;
	char node[NPT_NAME_BYTES];
	struct npt_edge *edges;
	size_t edges_count;
	size_t edges_room;    /* of the array */
	uint64_t other_edges; /* how many did not fit and were folded into "other" */
	struct {
		uint64_t events; /* failed map operations and the like, in the kernel */
		uint64_t edges;
	} lost;
	struct npt_named_reason unavailable[NPT_REPORT_UNAVAILABLE_MAX]; /* "" ends */
	struct npt_named_reason sources[NPT_REPORT_SOURCES_MAX]; /* where each metric is from */
	struct npt_tls_use *tls; /* by pid and library; NULL if none */
	size_t tls_count;
	uint64_t tls_other; /* lines that found no room */
	struct {
		uint64_t cpu_ms;   /* of the agent itself */
		uint64_t hooks_ms; /* of its hooks in others: operations by ns_per_operation */
		uint64_t ns_per_operation;
		uint64_t memory_kib;
		char degraded[NPT_REPORT_DEGRADED_MAX][NPT_TEXT_BYTES]; /* "" ends */
	} cost;
};

struct npt_report *npt_report_new(void);
void npt_report_free(struct npt_report *report);
NPT_DEFINE_AUTO(struct npt_report *, npt_report_free)

/* Room for so many at once, before the first is added. */
void npt_report_expect_edges(struct npt_report *report, size_t count);
/* A zeroed edge at the end of the array, borrowed until the next call; NULL at the maximum. */
struct npt_edge *npt_report_add_edge(struct npt_report *report);
/* A zeroed line, borrowed until the next call; NULL at the maximum (and tls_other counts). */
struct npt_tls_use *npt_report_add_tls(struct npt_report *report);
/* Adds to the named count, or to the last place, renamed "other", when all are taken. */
void npt_named_count_add(struct npt_named_count *counts, size_t max, const char *name,
			 uint64_t count);
void npt_report_set_source(struct npt_report *report, const char *metric, const char *source);
void npt_report_set_unavailable(struct npt_report *report, const char *metric, const char *reason);

/*
 * How far a metric may be trusted, which is what everybody asks who shows or judges its times: its
 * own quality, but for responses of which more than 5 % crossed each other. What is left of those
 * are the turns that did not: a choice, not a sample, so the metric counts as unavailable.
 */
enum npt_quality npt_metric_quality(enum npt_metric_id id, const struct npt_metric *metric);
/* How bad it is, to sort by: 0 for "nothing is wrong" and for "the numbers do not say". */
unsigned int npt_verdict_severity(enum npt_verdict verdict);
/*
 * For qsort() of pointers to edges: worst finding first, then most bytes; as
 * npt_edge_summary_compare() does it with summaries.
 */
int npt_edge_worst_first(const void *left, const void *right);

/* Whether it names one: neither "" nor "unknown". */
bool npt_protocol_is_known(const char *protocol);
/*
 * What is spoken on an edge as everybody shows it, and how sure that is: what was read there, or
 * else what its hop tells (npt_edge_is_named_by_hop()). Borrowed from the edge.
 */
const char *npt_edge_protocol(const struct npt_edge *edge);
uint32_t npt_edge_protocol_confidence_permille(const struct npt_edge *edge);
bool npt_edge_is_named_by_hop(const struct npt_edge *edge);
/*
 * For eyes: "HTTP", "HTTPS", "MySQL (TLS)"; "TCP" or "TCP (TLS)" if no more is known than that. As
 * it is named, if it is of a later version.
 */
void npt_protocol_title(const char *protocol, enum npt_tls tls, const char *transport,
			char title_ret[static NPT_PROTOCOL_TITLE_BYTES]);
void npt_edge_protocol_title(const struct npt_edge *edge,
			     char title_ret[static NPT_PROTOCOL_TITLE_BYTES]);

const char *npt_metric_name(enum npt_metric_id id);
const char *npt_quality_name(enum npt_quality quality);
const char *npt_role_name(enum npt_role role);
const char *npt_peer_kind_name(enum npt_peer_kind kind);
const char *npt_tls_name(enum npt_tls tls);
const char *npt_tls_coverage_name(enum npt_tls_coverage coverage);
/* "Network" is one name for two verdicts, which their cause ("delay", "loss") tells apart; the
 * others have no cause: "". */
const char *npt_verdict_name(enum npt_verdict verdict);
const char *npt_verdict_cause(enum npt_verdict verdict);

/* One line of JSON (no newline), the caller's to free. Never fails. */
char *npt_report_to_json(const struct npt_report *report);
/* The same in pieces, for a report that is made edge by edge: before, edges with "," between,
 * after. All are the caller's to free. */
char *npt_edge_to_json(const struct npt_edge *edge);
/* Two parts of that: which edge it is, with what it speaks; and what was counted. */
char *npt_edge_identity_to_json(const struct npt_edge *edge);
char *npt_edge_counters_to_json(const struct npt_edge *edge);
void npt_report_json_frame(const struct npt_report *report, char **before_ret, char **after_ret);
