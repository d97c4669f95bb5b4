/* SPDX-License-Identifier: Apache-2.0 */
/*
 * getopt_long() finds the options, before and behind arguments as kubectl takes them; its own
 * messages are off, since ours say what to do.
 */
#include "cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "lib/core/alloc.h"
#include "lib/core/cleanup.h"
#include "lib/core/parse.h"

#define OPTION_FIRST   256 /* getopt's value of the first row of the table */
#define TIMEOUT_MS_MAX 3600000

static const struct {
	const char *name;
	enum npt_cli_output output;
} outputs[] = {
	{ "table", NPT_CLI_TABLE }, { "json", NPT_CLI_JSON }, { "yaml", NPT_CLI_YAML },
	{ "csv", NPT_CLI_CSV },     { "dot", NPT_CLI_DOT },
};

const char *npt_cli_outputs(enum npt_cli_command command)
{
	if (command == NPT_CLI_RUN || command == NPT_CLI_RESULTS)
		return "table json yaml csv dot";
	if (command == NPT_CLI_COMPARE || command == NPT_CLI_DOCTOR)
		return "table json yaml";
	return "";
}

int npt_cli_output_parse(enum npt_cli_command command, const char *text,
			 enum npt_cli_output *output_ret)
{
	size_t count = strcmp(npt_cli_outputs(command), npt_cli_outputs(NPT_CLI_RUN)) == 0
			       ? NPT_ARRAY_SIZE(outputs)
			       : NPT_CLI_YAML + 1;

	for (size_t i = 0; i < count; i++) {
		if (strcmp(text, outputs[i].name) == 0) {
			*output_ret = outputs[i].output;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_seconds(const char *name, const char *text, uint64_t max_seconds,
			 uint64_t *seconds_ret, struct npt_error *err)
{
	uint64_t ms;

	if (npt_parse_duration_ms(text, 1000, max_seconds * 1000, &ms) < 0 || ms % 1000)
		return npt_error_set(err, EINVAL,
				     "--%s %.40s is no time from 1s to %llus in whole seconds",
				     name, text, (unsigned long long)max_seconds);
	*seconds_ret = ms / 1000;
	return 0;
}

/* As kubectl: 0 is none, a bare number is seconds. */
static int parse_timeout(const char *text, uint64_t *ms_ret, struct npt_error *err)
{
	if (strcmp(text, "0") == 0 || strcmp(text, "0s") == 0) {
		*ms_ret = 0;
		return 0;
	}
	if (npt_parse_duration_ms(text, 1, TIMEOUT_MS_MAX, ms_ret) < 0)
		return npt_error_set(err, EINVAL,
				     "--request-timeout %.40s is no time, such as 5s or 2m", text);
	return 0;
}

/* "a,b" into texts of their own, behind those that are there. */
static int parse_list(const char *name, const char *text, char **list, size_t max,
		      struct npt_error *err)
{
	size_t count = 0;

	while (count < max && list[count])
		count++;
	while (true) {
		const char *end = strchrnul(text, ',');

		if (end == text)
			return npt_error_set(err, EINVAL, "--%s has an empty name", name);
		if (count == max)
			return npt_error_set(err, EINVAL, "--%s has more than %zu names", name,
					     max);
		list[count++] = npt_strndup(text, (size_t)(end - text));
		if (*end == '\0')
			return 0;
		text = end + 1;
	}
}

static int parse_layers(const char *text, struct npt_cli_options *options, struct npt_error *err)
{
	static const char *const known[] = { "Base", "Operations", "Protocol", "TLS", "Requests" };
	int r = parse_list("layers", text, options->layers, NPT_CLI_LAYERS_MAX, err);

	for (size_t i = 0; r == 0 && i < NPT_CLI_LAYERS_MAX && options->layers[i]; i++) {
		size_t k = 0;

		while (k < NPT_ARRAY_SIZE(known) && strcasecmp(options->layers[i], known[k]) != 0)
			k++;
		if (k == NPT_ARRAY_SIZE(known))
			return npt_error_set(err, EINVAL,
					     "there is no layer '%.40s': there are Base, "
					     "Operations, Protocol, TLS, Requests",
					     options->layers[i]);
		free(options->layers[i]);
		options->layers[i] = npt_strdup(known[k]);
	}
	return r;
}

static int take_ours(const char *name, char *value, struct npt_cli_options *options,
		     struct npt_error *err)
{
	const struct {
		const char *name;
		const char **text;
	} texts[] = {
		{ "namespace", &options->namespace_name },
		{ "selector", &options->selector },
		{ "name", &options->name },
		{ "token", &options->token },
		{ "service-account", &options->service_account },
		{ "npt-namespace", &options->system_namespace },
	};
	const struct {
		const char *name;
		bool *flag;
	} flags[] = {
		{ "all-namespaces", &options->all_namespaces },
		{ "detach", &options->detach },
		{ "help", &options->help },
	};

	for (size_t i = 0; i < NPT_ARRAY_SIZE(texts); i++) {
		if (strcmp(name, texts[i].name) != 0)
			continue;
		if (value[0] == '\0')
			return npt_error_set(err, EINVAL, "--%s needs a value", name);
		*texts[i].text = value;
		return 0;
	}
	for (size_t i = 0; i < NPT_ARRAY_SIZE(flags); i++) {
		if (strcmp(name, flags[i].name) == 0) {
			*flags[i].flag = true;
			return 0;
		}
	}
	if (strcmp(name, "duration") == 0)
		return parse_seconds(name, value, 3600, &options->duration_seconds, err);
	if (strcmp(name, "interval") == 0)
		return parse_seconds(name, value, 60, &options->interval_seconds, err);
	if (strcmp(name, "request-timeout") == 0)
		return parse_timeout(value, &options->request_timeout_ms, err);
	if (strcmp(name, "layers") == 0)
		return parse_layers(value, options, err);
	if (strcmp(name, "containers") == 0)
		return parse_list(name, value, options->containers, NPT_CLI_CONTAINERS_MAX, err);
	if (npt_cli_output_parse(options->command, value, &options->output) < 0)
		return npt_error_set(err, EINVAL, "-o %.40s is none of: %s", value,
				     npt_cli_outputs(options->command));
	return 0;
}

static int take_option(const struct npt_cli_option *option, char *value,
		       struct npt_cli_options *options, struct npt_error *err)
{
	const char *command = npt_cli_commands[options->command].name;

	if (!(option->commands & 1U << options->command))
		return npt_error_set(err, EINVAL, "%s takes no --%s", command, option->name);
	if (!option->flag)
		return take_ours(option->name, value, options, err);
	if (options->kubectl_count + 2 > NPT_CLI_KUBECTL_MAX)
		return npt_error_set(err, EINVAL, "too many options for kubectl");
	options->kubectl[options->kubectl_count++] = option->flag;
	options->kubectl[options->kubectl_count++] = value;
	return 0;
}

/* getopt's form of the table. */
static void fill(struct option *long_options, char *short_options)
{
	size_t i, at = 0;

	short_options[at++] = ':';
	for (i = 0; npt_cli_options_table[i].name; i++) {
		const struct npt_cli_option *option = &npt_cli_options_table[i];

		long_options[i] =
			(struct option){ .name = option->name,
					 .has_arg = option->value ? required_argument : no_argument,
					 .val = OPTION_FIRST + (int)i };
		if (!option->letter)
			continue;
		short_options[at++] = option->letter;
		if (option->value)
			short_options[at++] = ':';
	}
	long_options[i] = (struct option){ .name = NULL };
	short_options[at] = '\0';
}

static const struct npt_cli_option *find_option(int id)
{
	if (id >= OPTION_FIRST)
		return &npt_cli_options_table[id - OPTION_FIRST];
	for (size_t i = 0; npt_cli_options_table[i].name; i++) {
		if (npt_cli_options_table[i].letter == id)
			return &npt_cli_options_table[i];
	}
	return NULL;
}

static int parse_words(int argc, char **argv, struct npt_cli_options *options,
		       struct npt_error *err)
{
	struct option long_options[NPT_CLI_OPTIONS_MAX];
	char short_options[2 * NPT_CLI_OPTIONS_MAX + 2];
	int id, r = 0;

	fill(long_options, short_options);
	optind = 0;
	opterr = 0;
	while (r == 0 && (id = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
		const struct npt_cli_option *option = find_option(id);
		const char *word = argv[optind > 1 ? optind - 1 : 1];

		if (id == ':')
			r = npt_error_set(err, EINVAL, "%.60s needs a value", word);
		else if (!option)
			r = npt_error_set(err, EINVAL, "there is no option '%.60s'", word);
		else
			r = take_option(option, optarg, options, err);
	}
	options->arguments = argv + optind;
	options->arguments_count = (size_t)(argc - optind);
	return r;
}

static int check(const struct npt_cli_options *options, struct npt_error *err)
{
	const struct npt_cli_command_text *text = &npt_cli_commands[options->command];

	if (options->help)
		return 0;
	if (options->arguments_count < text->min_arguments ||
	    options->arguments_count > text->max_arguments)
		return npt_error_set(err, EINVAL, "%s takes %s", text->name,
				     text->arguments[0] ? text->arguments : "no argument");
	if (options->command == NPT_CLI_RUN &&
	    (options->arguments_count > 0) == (options->selector != NULL))
		return npt_error_set(err, EINVAL,
				     "say what to measure: pods by name, deploy/NAME, svc/NAME, "
				     "sts/NAME, ds/NAME, or -l SELECTOR (one of these)");
	if (options->detach && options->output != NPT_CLI_TABLE)
		return npt_error_set(err, EINVAL, "--detach has no result to print with -o");
	if (options->all_namespaces && options->arguments_count > 0)
		return npt_error_set(err, EINVAL, "-A lists; a task is in one namespace: -n");
	if (options->interval_seconds >
	    (options->duration_seconds ? options->duration_seconds : 60))
		return npt_error_set(err, EINVAL, "--interval is longer than --duration");
	return 0;
}

int npt_cli_options_parse(int argc, char **argv, struct npt_cli_options *options_ret,
			  struct npt_error *err)
{
	struct npt_cli_options *options = options_ret;
	int r;

	*options = (struct npt_cli_options){ .system_namespace = "npt-system" };
	while (strcmp(argv[1], npt_cli_commands[options->command].name) != 0) {
		if (++options->command == NPT_CLI_COMMANDS) {
			options->command = NPT_CLI_RUN;
			return npt_error_set(err, EINVAL, "there is no command '%.60s'", argv[1]);
		}
	}
	r = parse_words(argc - 1, argv + 1, options, err);
	return r < 0 ? r : check(options, err);
}

void npt_cli_options_done(struct npt_cli_options *options)
{
	for (size_t i = 0; i < NPT_CLI_LAYERS_MAX; i++)
		free(options->layers[i]);
	for (size_t i = 0; i < NPT_CLI_CONTAINERS_MAX; i++)
		free(options->containers[i]);
}
