/* SPDX-License-Identifier: Apache-2.0 */
/*
 * getopt_long() finds the options; its own messages are off, since ours say what to do.
 */
#include "agent/options.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/cleanup.h"
#include "lib/core/parse.h"

#define HINT          "; see npt-agent run --help"
#define SERVE_DEFAULT "127.0.0.1:8444"
#define LAYERS        "Base,Operations,Protocol,TLS"

const char npt_run_help[] =
	"Usage: npt-agent run TARGET [OPTIONS]\n"
	"       npt-agent run [OPTIONS] -- COMMAND [ARGUMENT...]\n"
	"\n"
	"Measures the TCP connections of a process, a container or a network namespace on this\n"
	"machine: who talks to whom, how much, how fast. Changes nothing in what it measures.\n"
	"\n"
	"Target (one of)\n"
	"  --pid PID          this process and its children\n"
	"  --container ID     the processes of a container (64 hexadecimal digits, or the first "
	"12)\n"
	"  --cgroup PATH      the processes of a control group and of those below it\n"
	"  --netns PATH       everything in a network namespace (/run/netns/NAME, "
	"/proc/PID/ns/net)\n"
	"  -- COMMAND ...     starts a command and measures it and its children\n"
	"\n"
	"Options\n"
	"  --duration TIME    how long: 30, 30s, 5m, at most 1h; default: 60s, with a command: "
	"until\n"
	"                     it ends\n"
	"  --interval TIME    length of a window, 1s to 60s; default 5s\n"
	"  --layers A,B       Base, Operations, Protocol, TLS; default Base,Operations,Protocol\n"
	"  --output FORMAT    table (live) or json (a Window a line, at the end a Report)\n"
	"  --serve[=ADDRESS:PORT]  serves the results by HTTP while it measures, and then until\n"
	"                     Ctrl-C: the API of npt-aggregator; default 127.0.0.1:8444, a "
	"loopback\n"
	"                     address in any case, since whoever can connect reads\n"
	"  --budget-cpu N     millicores that measuring may cost, its hooks included; default 200, "
	"0: "
	"any\n"
	"  --budget-memory N  MiB that it may hold; default 64, 0: any. Rather than cost more, "
	"less is\n"
	"                     measured, and the report says what and since when\n"
	"  --no-trampolines   do without fentry, as on hosts that refuse it: times are sampled\n"
	"  --log-level LEVEL  error, warning, info or debug; default warning\n"
	"  -h, --help         this text\n"
	"\n"
	"Ctrl-C ends the measurement and prints the report.\n"
	"\n"
	"Exit codes: 0 done; 1 failure; 2 wrong usage; 3 rights are missing; 4 the kernel lacks a\n"
	"feature; 5 the target is gone.\n";

static int parse_pid(const char *text, uint32_t *pid_ret, struct npt_error *err)
{
	uint64_t pid;

	if (npt_parse_u64(text, 1, INT32_MAX, &pid) < 0)
		return npt_error_set(err, EINVAL, "--pid %s is not a process number" HINT, text);
	*pid_ret = (uint32_t)pid;
	return 0;
}

static int parse_time(const char *name, const char *text, uint64_t min_ms, uint64_t max_ms,
		      uint64_t *ms_ret, struct npt_error *err)
{
	if (npt_parse_duration_ms(text, min_ms, max_ms, ms_ret) < 0)
		return npt_error_set(err, EINVAL, "%s %s is not a time from %llus to %llus" HINT,
				     name, text, (unsigned long long)(min_ms / 1000),
				     (unsigned long long)(max_ms / 1000));
	return 0;
}

static int parse_number(const char *name, const char *text, uint32_t *number_ret,
			struct npt_error *err)
{
	uint64_t number;

	if (npt_parse_u64(text, 0, 1000000, &number) < 0)
		return npt_error_set(err, EINVAL, "%s %s is not a number from 0 to 1000000" HINT,
				     name, text);
	*number_ret = (uint32_t)number;
	return 0;
}

static int parse_layer(const char *name, struct npt_run_options *options, struct npt_error *err)
{
	if (strcmp(name, "Base") == 0)
		return 0;
	if (strcmp(name, "Operations") == 0)
		options->operations = true;
	else if (strcmp(name, "Protocol") == 0)
		options->protocol = true;
	else if (strcmp(name, "TLS") == 0)
		options->tls = true;
	else if (strcmp(name, "Requests") == 0)
		return npt_error_set(err, EINVAL,
				     "the layer %s is not in this version: use " LAYERS, name);
	else
		return npt_error_set(err, EINVAL, "there is no layer '%s': use " LAYERS HINT, name);
	return 0;
}

static int parse_layers(const char *text, struct npt_run_options *options, struct npt_error *err)
{
	options->operations = options->protocol = options->tls = false;
	while (true) {
		const char *end = strchrnul(text, ',');
		npt_auto_free char *name = npt_strndup(text, (size_t)(end - text));
		int r = parse_layer(name, options, err);

		if (r < 0 || *end == '\0')
			return r;
		text = end + 1;
	}
}

static int parse_output(const char *text, struct npt_run_options *options, struct npt_error *err)
{
	if (strcmp(text, "table") == 0)
		options->output = NPT_RUN_TABLE;
	else if (strcmp(text, "json") == 0)
		options->output = NPT_RUN_JSON;
	else
		return npt_error_set(err, EINVAL, "--output %s is neither table nor json" HINT,
				     text);
	return 0;
}

enum option_id {
	OPTION_PID = 256,
	OPTION_CONTAINER,
	OPTION_CGROUP,
	OPTION_NETNS,
	OPTION_DURATION,
	OPTION_INTERVAL,
	OPTION_LAYERS,
	OPTION_OUTPUT,
	OPTION_BUDGET_CPU,
	OPTION_BUDGET_MEMORY,
	OPTION_SERVE,
	OPTION_NO_TRAMPOLINES,
	OPTION_LOG_LEVEL,
};

static const struct option long_options[] = {
	{ "pid", required_argument, NULL, OPTION_PID },
	{ "container", required_argument, NULL, OPTION_CONTAINER },
	{ "cgroup", required_argument, NULL, OPTION_CGROUP },
	{ "netns", required_argument, NULL, OPTION_NETNS },
	{ "duration", required_argument, NULL, OPTION_DURATION },
	{ "interval", required_argument, NULL, OPTION_INTERVAL },
	{ "layers", required_argument, NULL, OPTION_LAYERS },
	{ "output", required_argument, NULL, OPTION_OUTPUT },
	{ "serve", optional_argument, NULL, OPTION_SERVE },
	{ "budget-cpu", required_argument, NULL, OPTION_BUDGET_CPU },
	{ "budget-memory", required_argument, NULL, OPTION_BUDGET_MEMORY },
	{ "no-trampolines", no_argument, NULL, OPTION_NO_TRAMPOLINES },
	{ "log-level", required_argument, NULL, OPTION_LOG_LEVEL },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int take_target(int id, char *value, struct npt_run_options *options, unsigned int *targets,
		       struct npt_error *err)
{
	static const enum npt_run_target by_id[] = { NPT_RUN_PID, NPT_RUN_CONTAINER, NPT_RUN_CGROUP,
						     NPT_RUN_NETNS };

	(*targets)++;
	options->target = by_id[id - OPTION_PID];
	options->text = value;
	return id == OPTION_PID ? parse_pid(value, &options->pid, err) : 0;
}

static int take_option(int id, char *value, struct npt_run_options *options, unsigned int *targets,
		       struct npt_error *err)
{
	switch (id) {
	case OPTION_PID:
	case OPTION_CONTAINER:
	case OPTION_CGROUP:
	case OPTION_NETNS:
		return take_target(id, value, options, targets, err);
	case OPTION_DURATION:
		return parse_time("--duration", value, 1000, 3600000, &options->duration_ms, err);
	case OPTION_INTERVAL:
		return parse_time("--interval", value, 1000, 60000, &options->interval_ms, err);
	case OPTION_LAYERS:
		return parse_layers(value, options, err);
	case OPTION_OUTPUT:
		return parse_output(value, options, err);
	case OPTION_BUDGET_CPU:
		return parse_number("--budget-cpu", value, &options->budget_cpu_millicores, err);
	case OPTION_BUDGET_MEMORY:
		return parse_number("--budget-memory", value, &options->budget_memory_mib, err);
	case OPTION_SERVE:
		options->serve = value ? value : SERVE_DEFAULT;
		return 0;
	case OPTION_NO_TRAMPOLINES:
		options->no_trampolines = true;
		return 0;
	case OPTION_LOG_LEVEL:
		options->log_level = value;
		return 0;
	case 'h':
		options->help = true;
		return 0;
	default:
		return -EINVAL;
	}
}

static int check_targets(int argc, char **argv, struct npt_run_options *options,
			 unsigned int targets, struct npt_error *err)
{
	bool command = optind < argc && strcmp(argv[optind - 1], "--") == 0;

	if (options->help)
		return 0;
	if (optind < argc && !command)
		return npt_error_set(err, EINVAL,
				     "'%s' is no option; a command comes after --" HINT,
				     argv[optind]);
	if (command) {
		options->target = NPT_RUN_COMMAND;
		options->command = argv + optind;
		targets++;
	}
	if (targets == 0)
		return npt_error_set(err, EINVAL,
				     "nothing to measure is named: give --pid, "
				     "--container, --cgroup, --netns or -- COMMAND" HINT);
	if (targets > 1)
		return npt_error_set(err, EINVAL, "more than one target is named" HINT);
	if (options->duration_ms == 0 && !command)
		options->duration_ms = 60000;
	return 0;
}

int npt_run_options_parse(int argc, char **argv, struct npt_run_options *options_ret,
			  struct npt_error *err)
{
	struct npt_run_options options = {
		.interval_ms = 5000,
		.operations = true,
		.protocol = true,
		.budget_cpu_millicores = 200,
		.budget_memory_mib = 64,
		.log_level = "warning",
	};
	unsigned int targets = 0;
	const char *word = argv[1]; /* being read; optind may be there still, or behind its value */
	int id, r;

	optind = 0;
	opterr = 0;
	while ((id = getopt_long(argc, argv, "+:h", long_options, NULL)) != -1) {
		if (id == ':')
			return npt_error_set(err, EINVAL, "%s needs a value" HINT, word);
		if (id == '?')
			return npt_error_set(err, EINVAL, "unknown option '%s'" HINT, word);
		word = argv[optind];
		r = take_option(id, optarg, &options, &targets, err);
		if (r < 0)
			return r;
	}
	r = check_targets(argc, argv, &options, targets, err);
	if (r < 0)
		return r;
	*options_ret = options;
	return 0;
}
