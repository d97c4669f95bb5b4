/* SPDX-License-Identifier: Apache-2.0 */
/*
 * npt-controller - watches NetworkProfilingTasks and has agents carry them out.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "controller/controller.h"
#include "controller/init.h"
#include "lib/core/cleanup.h"
#include "lib/core/log.h"
#include "lib/net/url.h"

static const char help[] =
	"Usage: npt-controller run [OPTIONS]     watch tasks, dispatch them, write their status\n"
	"       npt-controller init [OPTIONS]    make certificates and keys, if they are not "
	"there\n"
	"       npt-controller version           print the version\n"
	"\n"
	"  --listen :PORT          the agents' channel; default :9443\n"
	"  --health :PORT          /healthz and /readyz; default :8081\n"
	"  --tls-cert FILE, --tls-key FILE   the channel's certificate; read again when they "
	"change\n"
	"  --ingest-key FILE       shared with the aggregator; without it no history is kept\n"
	"  --ingest-url URL        where agents post their windows\n"
	"  --result-url URL        where people find results; the task's uid is appended\n"
	"  --namespace NAME        where the agents' service account is; default: this pod's\n"
	"  --agent-account NAME    the agents' service account; default npt-agent\n"
	"  --kubeconfig FILE       for development; default: in a pod\n"
	"  --log-level LEVEL       error, warning, info or debug; default info\n"
	"  --log-format FORMAT     text or json; default text\n"
	"  -h, --help              this text\n"
	"\n"
	"Exit codes: 0 ended by a signal; 1 failure; 2 wrong usage.\n";

static const struct option long_options[] = {
	{ "listen", required_argument, NULL, 'l' },
	{ "health", required_argument, NULL, 'H' },
	{ "tls-cert", required_argument, NULL, 'c' },
	{ "tls-key", required_argument, NULL, 'k' },
	{ "ingest-key", required_argument, NULL, 'i' },
	{ "ingest-url", required_argument, NULL, 'u' },
	{ "result-url", required_argument, NULL, 'r' },
	{ "namespace", required_argument, NULL, 'n' },
	{ "agent-account", required_argument, NULL, 'a' },
	{ "kubeconfig", required_argument, NULL, 'K' },
	{ "log-level", required_argument, NULL, 'L' },
	{ "log-format", required_argument, NULL, 'F' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

struct settings {
	struct npt_controller_options options;
	const char *log_level;
	const char *log_format;
	bool help;
};

static int parse(int argc, char **argv, struct settings *settings, struct npt_error *err)
{
	struct npt_controller_options *options = &settings->options;
	const char **fields[128] = {
		['l'] = &options->listen,        ['H'] = &options->health,
		['c'] = &options->tls_cert,      ['k'] = &options->tls_key,
		['i'] = &options->ingest_key,    ['u'] = &options->ingest_url,
		['r'] = &options->result_url,    ['n'] = &options->namespace_name,
		['a'] = &options->agent_account, ['K'] = &options->kubeconfig,
		['L'] = &settings->log_level,    ['F'] = &settings->log_format,
	};
	const char *word = argv[1]; /* being read; optind may be there still, or behind its value */
	int id;

	opterr = 0;
	while ((id = getopt_long(argc, argv, "+:h", long_options, NULL)) != -1) {
		if (id == ':' || id == '?')
			return npt_error_set(err, EINVAL, "%s '%s'; see npt-controller --help",
					     id == ':' ? "no value for" : "unknown option", word);
		word = argv[optind];
		if (id == 'h')
			settings->help = true;
		else
			*fields[id] = optarg;
	}
	if (optind < argc)
		return npt_error_set(err, EINVAL, "'%s' is no option; see npt-controller --help",
				     argv[optind]);
	return 0;
}

static int check_run(const struct npt_controller_options *options, struct npt_error *err)
{
	struct npt_url url;

	if (!options->tls_cert || !options->tls_key)
		return npt_error_set(
			err, EINVAL,
			"--tls-cert and --tls-key are needed; npt-controller init makes "
			"them");
	if (options->ingest_key && !options->ingest_url)
		return npt_error_set(err, EINVAL, "--ingest-key needs --ingest-url");
	if (options->ingest_url && npt_url_parse(options->ingest_url, "http", &url, err) < 0)
		return npt_error_wrap(err, "--ingest-url");
	return 0;
}

/* Words that need no options. */
static bool answer(const char *command)
{
	if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0 ||
	    strcmp(command, "help") == 0)
		(void)fputs(help, stdout);
	else if (strcmp(command, "--version") == 0 || strcmp(command, "version") == 0)
		(void)puts("npt-controller " NPT_VERSION);
	else
		return false;
	return true;
}

int main(int argc, char **argv)
{
	struct settings settings = {
		.options = { .listen = ":9443", .health = ":8081", .agent_account = "npt-agent" },
		.log_level = "info",
		.log_format = "text",
	};
	enum npt_log_level level = NPT_LOG_INFO;
	struct npt_error err = NPT_ERROR_NONE;
	const char *command = argc > 1 ? argv[1] : "";
	bool init = strcmp(command, "init") == 0, run = strcmp(command, "run") == 0;
	int r = 0;

	if (answer(command))
		return 0;
	if (init || run)
		r = parse(argc - 1, argv + 1, &settings, &err);
	else if (command[0] == '\0')
		r = npt_error_set(&err, EINVAL, "a command is missing; see npt-controller --help");
	else
		r = npt_error_set(&err, EINVAL,
				  "there is no command '%s'; see npt-controller --help", command);
	if (r >= 0)
		r = npt_log_options_parse(settings.log_level, settings.log_format, &level, &err);
	if (r >= 0 && settings.help) {
		(void)fputs(help, stdout);
		return 0;
	}
	if (r >= 0 && run)
		r = check_run(&settings.options, &err);
	npt_log_setup("npt-controller", level, strcmp(settings.log_format, "json") == 0);
	if (r >= 0)
		r = init ? npt_init(&settings.options, &err)
			 : npt_controller_run(&settings.options, &err);
	if (r < 0)
		fprintf(stderr, "npt-controller: %s\n", err.text);
	return r == -EINVAL ? 2 : r < 0 ? 1 : 0;
}
