/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of npt-agent serve.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "agent/service.h"

const char npt_service_help[] =
	"Usage: npt-agent serve --controller URL --ca FILE --token FILE [OPTIONS]\n"
	"\n"
	"The agent of a node: dials the controller, measures the pods that it names, reports.\n"
	"Opens no port. Runs until SIGTERM.\n"
	"\n"
	"  --controller URL   wss://HOST:PORT/v1/agents\n"
	"  --ca FILE          who may sign the controller's and the aggregator's certificates "
	"(PEM)\n"
	"  --token FILE       this pod's projected token, audience npt-controller; read for each "
	"dial\n"
	"  --spool DIRECTORY  keeps windows until the aggregator has them; without it no history\n"
	"  --node NAME        this node; default: the environment's NODE_NAME\n"
	"  --pod-uid UID      this pod; default: the environment's POD_UID\n"
	"  --log-level LEVEL  error, warning, info or debug; default info\n"
	"  --log-format F     text or json; default text\n"
	"  -h, --help         this text\n"
	"\n"
	"Exit codes: 0 ended by a signal; 1 failure; 2 wrong usage; 3 rights are missing; 4 the "
	"kernel\n"
	"lacks a feature.\n";

static const struct option long_options[] = {
	{ "controller", required_argument, NULL, 'c' },
	{ "ca", required_argument, NULL, 'a' },
	{ "token", required_argument, NULL, 't' },
	{ "spool", required_argument, NULL, 's' },
	{ "node", required_argument, NULL, 'n' },
	{ "pod-uid", required_argument, NULL, 'p' },
	{ "log-level", required_argument, NULL, 'l' },
	{ "log-format", required_argument, NULL, 'f' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int take_option(int id, const char *value, struct npt_service_options *options,
		       struct npt_error *err)
{
	const char **fields[128] = {
		['c'] = &options->controller, ['a'] = &options->ca_file,
		['t'] = &options->token_file, ['s'] = &options->spool,
		['n'] = &options->node,       ['p'] = &options->pod_uid,
		['l'] = &options->log_level,
	};

	if (id == 'h') {
		options->help = true;
		return 0;
	}
	if (id == 'f') {
		options->log_json = value[0] == 'j';
		if (strcmp(value, "json") != 0 && strcmp(value, "text") != 0)
			return npt_error_set(err, EINVAL,
					     "--log-format %s is neither text nor json", value);
		return 0;
	}
	*fields[id] = value;
	return 0;
}

static int check(const struct npt_service_options *options, struct npt_error *err)
{
	const struct {
		const char *value, *text;
	} needed[] = {
		{ options->controller, "--controller URL" },
		{ options->ca_file, "--ca FILE" },
		{ options->token_file, "--token FILE" },
		{ options->node, "--node NAME (or NODE_NAME in the environment)" },
	};

	for (size_t i = 0; !options->help && i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (!needed[i].value || needed[i].value[0] == '\0')
			return npt_error_set(err, EINVAL,
					     "%s is missing; see npt-agent serve --help",
					     needed[i].text);
	}
	if (!options->help && strncmp(options->controller, "wss://", 6) != 0 &&
	    strncmp(options->controller, "ws://", 5) != 0)
		return npt_error_set(err, EINVAL,
				     "--controller %s is no WebSocket URL: say "
				     "wss://HOST:PORT/v1/agents",
				     options->controller);
	return 0;
}

int npt_service_options_parse(int argc, char **argv, struct npt_service_options *options_ret,
			      struct npt_error *err)
{
	struct npt_service_options options = {
		.node = getenv("NODE_NAME"),
		.pod_uid = getenv("POD_UID"),
		.log_level = "info",
	};
	const char *word = argv[1]; /* being read; optind may be there still, or behind its value */
	int id, r;

	optind = 0;
	opterr = 0;
	while ((id = getopt_long(argc, argv, "+:h", long_options, NULL)) != -1) {
		if (id == ':' || id == '?')
			return npt_error_set(err, EINVAL, "%s '%s'; see npt-agent serve --help",
					     id == ':' ? "no value for" : "unknown option", word);
		word = argv[optind];
		r = take_option(id, optarg, &options, err);
		if (r < 0)
			return r;
	}
	if (optind < argc)
		return npt_error_set(err, EINVAL, "'%s' is no option; see npt-agent serve --help",
				     argv[optind]);
	r = check(&options, err);
	if (r < 0)
		return r;
	*options_ret = options;
	return 0;
}
