/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that it needs is in a directory of its own, which nobody else can read: the key, the store,
 * and windows on their way (agent/upload.h).
 */
#include "agent/local_service.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "agent/upload.h"
#include "lib/core/alloc.h"
#include "lib/core/clock.h"
#include "lib/core/log.h"
#include "lib/model/report_protobuf.h"
#include "lib/net/digest.h"
#include "lib/net/http_client.h"
#include "lib/net/token.h"

#define PROGRAM     "npt-aggregator"
#define NAME        "local"
#define START_MS    10000
#define STOP_MS     5000
#define DRAIN_MS    5000
#define STEP_MS     20
#define TOKEN_MS    UINT64_C(86400000)
#define SPOOL_BYTES (64ULL * 1024 * 1024)

struct npt_local_service {
	pid_t child;
	char *directory;
	char *listen;
	char *ingest_url;
	char *report_url;
	char *token;
	char uid[33]; /* of the task and the pod that this run is as if of */
	struct npt_upload *upload;
};

static char *in_directory(const struct npt_local_service *service, const char *name)
{
	return npt_format("%s/%s", service->directory, name);
}

static int write_key(const struct npt_local_service *service, const uint8_t *key, size_t size)
{
	npt_auto_free char *path = in_directory(service, "key");
	npt_auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd >= 0 && write(fd, key, size) == (ssize_t)size ? 0 : -errno;
}

static int make_directory(struct npt_local_service *service, struct npt_error *err)
{
	const char *parent = getenv("TMPDIR");
	uint8_t key[NPT_TOKEN_KEY_BYTES_MIN];
	struct npt_token token = { .expires_unix_ms = npt_clock_unix_ms() + TOKEN_MS };

	service->directory = npt_format("%s/npt-XXXXXX", parent && parent[0] ? parent : "/tmp");
	if (!mkdtemp(service->directory)) {
		int r = npt_error_set(err, errno, "cannot make a directory for results: %s",
				      strerror(errno));

		free(npt_take(service->directory));
		return r;
	}
	npt_random_bytes(key, sizeof(key));
	if (write_key(service, key, sizeof(key)) < 0)
		return npt_error_set(err, EIO, "cannot write in %s", service->directory);
	(void)snprintf(token.task_uid, sizeof(token.task_uid), "%s", service->uid);
	(void)snprintf(token.namespace_name, sizeof(token.namespace_name), NAME);
	(void)snprintf(token.name, sizeof(token.name), NAME);
	(void)snprintf(token.node, sizeof(token.node), NAME);
	return npt_token_mint(key, sizeof(key), &token, &service->token, err);
}

/* Beside this program, or where a build has it; else what PATH says. */
static char *find_program(void)
{
	static const char *const ways[] = { "", "../aggregator/" };
	char self[PATH_MAX] = "";
	char *name;

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) <= 0)
		return npt_strdup(PROGRAM);
	name = strrchr(self, '/');
	for (size_t i = 0; name && i < NPT_ARRAY_SIZE(ways); i++) {
		npt_auto_free char *path =
			npt_format("%.*s/%s" PROGRAM, (int)(name - self), self, ways[i]);

		if (access(path, X_OK) == 0)
			return npt_take(path);
	}
	return npt_strdup(PROGRAM);
}

/* In the child. What it says goes where the agent's own words go; its end is that of the agent. */
static void __attribute__((noreturn)) become(char *const *arguments)
{
	sigset_t none;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	/* Ctrl-C is for the agent, which ends its child when it is done with it. */
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	(void)dup2(STDERR_FILENO, STDOUT_FILENO);
	(void)execvp(arguments[0], arguments);
	_exit(127);
}

static int start_child(struct npt_local_service *service, struct npt_error *err)
{
	npt_auto_free char *program = find_program();
	npt_auto_free char *key = in_directory(service, "key");
	npt_auto_free char *store = in_directory(service, "windows.db");
	char *arguments[] = { program,
			      (char[]){ "--insecure-local" },
			      (char[]){ "--listen" },
			      service->listen,
			      (char[]){ "--health" },
			      (char[]){ "127.0.0.1:0" },
			      (char[]){ "--ingest-key" },
			      key,
			      (char[]){ "--store" },
			      store,
			      (char[]){ "--log-level" },
			      (char[]){ "warning" },
			      NULL };

	service->child = fork();
	if (service->child == 0)
		become(arguments);
	if (service->child < 0)
		return npt_error_set(err, errno, "cannot fork: %s", strerror(errno));
	return 0;
}

static int child_ended(struct npt_local_service *service, int status, struct npt_error *err)
{
	service->child = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return npt_error_set(err, ENOENT,
				     PROGRAM " is neither beside this program nor in PATH");
	return npt_error_set(err, EIO, PROGRAM " did not start");
}

/* It answers, or is gone. */
static int wait_until_it_answers(struct npt_local_service *service, struct npt_error *err)
{
	const struct npt_http_client_options options = { .ca_file = NULL };
	npt_auto(npt_http_client_free) struct npt_http_client *client = NULL;
	npt_auto_free char *url = npt_format("http://%s/v1/openapi.json", service->listen);
	const struct npt_http_request request = { .method = "GET", .url = url, .timeout_ms = 1000 };
	int r = npt_http_client_new(&options, &client, err);

	for (int waited = 0; r == 0 && waited < START_MS; waited += STEP_MS) {
		npt_auto(npt_http_response_done) struct npt_http_response response = { .status =
											       0 };
		int status;

		if (waitpid(service->child, &status, WNOHANG) == service->child)
			return child_ended(service, status, err);
		if (npt_http_perform(client, &request, &response, NULL) == 0 &&
		    response.status == 200)
			return 0;
		(void)poll(NULL, 0, STEP_MS);
	}
	return r < 0 ? r : npt_error_set(err, ETIMEDOUT, PROGRAM " does not answer");
}

static int start_upload(struct npt_local_service *service, struct npt_error *err)
{
	npt_auto_free char *directory = in_directory(service, "spool");
	const struct npt_upload_options options = { .directory = directory,
						    .max_bytes = SPOOL_BYTES };

	return npt_upload_new(&options, &service->upload, err);
}

int npt_local_service_start(const char *listen, struct npt_local_service **service_ret,
			    struct npt_error *err)
{
	npt_auto(npt_local_service_free) struct npt_local_service *service =
		npt_alloc(1, sizeof(*service));
	int r;

	npt_random_id(service->uid);
	service->listen = npt_strdup(listen);
	service->ingest_url = npt_format("http://%s/v1/ingest", listen);
	service->report_url = npt_format("http://%s/v1/tasks/%s", listen, service->uid);
	r = make_directory(service, err);
	if (r == 0)
		r = start_child(service, err);
	if (r == 0)
		r = wait_until_it_answers(service, err);
	if (r == 0)
		r = start_upload(service, err);
	if (r < 0)
		return r;
	*service_ret = npt_take(service);
	return 0;
}

void npt_local_service_push(struct npt_local_service *service, struct npt_report *window)
{
	npt_auto_free void *data = NULL;
	struct npt_error err = NPT_ERROR_NONE;
	struct npt_upload_window item = { .url = service->ingest_url,
					  .token = service->token,
					  .task_uid = service->uid,
					  .pod_uid = service->uid,
					  .instance = window->instance,
					  .sequence = window->sequence };

	(void)snprintf(window->task.uid, sizeof(window->task.uid), "%s", service->uid);
	(void)snprintf(window->task.namespace_name, sizeof(window->task.namespace_name), NAME);
	(void)snprintf(window->task.name, sizeof(window->task.name), NAME);
	(void)snprintf(window->pod.uid, sizeof(window->pod.uid), "%s", service->uid);
	(void)snprintf(window->pod.namespace_name, sizeof(window->pod.namespace_name), NAME);
	(void)snprintf(window->pod.name, sizeof(window->pod.name), NAME);
	(void)snprintf(window->node, sizeof(window->node), NAME);
	npt_report_to_protobuf(window, &data, &item.size_bytes);
	item.data = data;
	if (npt_upload_push(service->upload, &item, &err) < 0)
		npt_log_error("a window is not served", "error", err.text);
}

void npt_local_service_drain(struct npt_local_service *service)
{
	struct npt_upload_stats stats;

	if (npt_upload_drain(service->upload, NULL, DRAIN_MS))
		return;
	npt_upload_stats(service->upload, service->uid, service->uid, &stats);
	npt_log_error("not all windows are served", "error", stats.last_error);
}

const char *npt_local_service_url(const struct npt_local_service *service)
{
	return service->report_url;
}

static void end_child(const struct npt_local_service *service)
{
	if (service->child <= 0)
		return;
	(void)kill(service->child, SIGTERM);
	for (int waited = 0; waited < STOP_MS; waited += STEP_MS) {
		if (waitpid(service->child, NULL, WNOHANG) != 0)
			return;
		(void)poll(NULL, 0, STEP_MS);
	}
	(void)kill(service->child, SIGKILL);
	(void)waitpid(service->child, NULL, 0);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *position)
{
	(void)status;
	(void)type;
	(void)position;
	return remove(path);
}

void npt_local_service_free(struct npt_local_service *service)
{
	if (!service)
		return;
	npt_upload_free(service->upload);
	end_child(service);
	if (service->directory)
		(void)nftw(service->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	free(service->directory);
	free(service->listen);
	free(service->ingest_url);
	free(service->report_url);
	free(service->token);
	free(service);
}
