/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scripts know nothing: they ask this program. So they need no change when an option comes.
 */
#include "cli/completion.h"

#include <errno.h>
#include <string.h>

#include "cli/cluster.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "lib/core/alloc.h"

#define OUTPUT_BYTES_MAX (1024U * 1024)
#define NO_FILES         ":4\n" /* of cobra: no completion by names of files */
#define FILES            ":0\n"
#define TIMEOUT_MS       3000

static const char bash_script[] =
	"_kubectl_npt() {\n"
	"	local IFS=$'\\n' line\n"
	"	COMPREPLY=()\n"
	"	while read -r line; do\n"
	"		[[ $line == :* ]] || COMPREPLY+=(\"${line%%$'\\t'*}\")\n"
	"	done < <(\"${COMP_WORDS[0]}\" __complete \"${COMP_WORDS[@]:1:COMP_CWORD}\" "
	"2>/dev/null)\n"
	"}\n"
	"complete -o default -F _kubectl_npt kubectl-npt\n";

static const char zsh_script[] =
	"#compdef kubectl-npt\n"
	"_kubectl_npt() {\n"
	"	local line\n"
	"	local -a found\n"
	"	while IFS= read -r line; do\n"
	"		[[ $line == :* ]] || found+=(\"${${line//:/\\\\:}/$'\\t'/:}\")\n"
	"	done < <(\"${words[1]}\" __complete \"${(@)words[2,CURRENT]}\" 2>/dev/null)\n"
	"	_describe kubectl-npt found\n"
	"}\n"
	"compdef _kubectl_npt kubectl-npt\n";

static const char fish_script[] =
	"function __kubectl_npt_complete\n"
	"	set -l words (commandline -opc) (commandline -ct)\n"
	"	$words[1] __complete $words[2..-1] 2>/dev/null | string match -rv '^:'\n"
	"end\n"
	"complete -c kubectl-npt -f -a '(__kubectl_npt_complete)'\n";

const char *npt_completion_script(const char *shell)
{
	static const struct {
		const char *shell, *script;
	} table[] = { { "bash", bash_script }, { "zsh", zsh_script }, { "fish", fish_script } };

	for (size_t i = 0; i < NPT_ARRAY_SIZE(table); i++) {
		if (strcmp(shell, table[i].shell) == 0)
			return table[i].script;
	}
	return NULL;
}

int npt_command_completion(const struct npt_cli_options *options, struct npt_error *err)
{
	const char *script = npt_completion_script(options->arguments[0]);

	if (!script)
		return npt_error_set(err, EINVAL, "'%.40s' is none of bash, zsh, fish",
				     options->arguments[0]);
	return npt_print_text(script, strlen(script), err);
}

static void offer(struct npt_buffer *out, const char *begin, const char *word, const char *about)
{
	if (strncmp(word, begin, strlen(begin)) == 0)
		(void)npt_buffer_appendf(out, "%s\t%s\n", word, about);
}

static void offer_options(struct npt_buffer *out, enum npt_cli_command command, const char *begin)
{
	for (size_t i = 0; npt_cli_options_table[i].name; i++) {
		const struct npt_cli_option *option = &npt_cli_options_table[i];
		npt_auto_free char *word = npt_format("--%s", option->name);

		if (option->commands & 1U << command)
			offer(out, begin, word, option->help);
	}
}

/* The words of a text with blanks between. */
static void offer_words(struct npt_buffer *out, const char *begin, const char *text)
{
	while (*text) {
		size_t length = strcspn(text, " |");
		npt_auto_free char *word = npt_strndup(text, length);

		if (length > 0)
			offer(out, begin, word, "");
		text += length;
		text += strspn(text, " |");
	}
}

/* The option whose value is wanted, or NULL: of the word before, if it is one that takes any. */
static const struct npt_cli_option *pending(const char *word)
{
	for (size_t i = 0; npt_cli_options_table[i].name; i++) {
		const struct npt_cli_option *option = &npt_cli_options_table[i];

		if (!option->value)
			continue;
		if (word[0] == '-' && word[1] == '-' && strcmp(word + 2, option->name) == 0)
			return option;
		if (option->letter && word[0] == '-' && word[1] == option->letter && !word[2])
			return option;
	}
	return NULL;
}

static enum npt_cli_command find_command(const char *word)
{
	unsigned int i = 0;

	while (i < NPT_CLI_COMMANDS && strcmp(word, npt_cli_commands[i].name) != 0)
		i++;
	return (enum npt_cli_command)i;
}

static bool offer_value(struct npt_buffer *out, const struct npt_cli_option *option,
			enum npt_cli_command command, const char *begin)
{
	if (strcmp(option->name, "output") == 0)
		offer_words(out, begin, npt_cli_outputs(command));
	else if (strcmp(option->name, "layers") == 0)
		offer_words(out, begin, "Base Operations Protocol TLS Requests");
	(void)npt_buffer_append_text(out,
				     strcmp(option->name, "kubeconfig") == 0 ? FILES : NO_FILES);
	return false;
}

bool npt_completion_append(struct npt_buffer *out, int count, char *const *words)
{
	const char *begin = count > 0 ? words[count - 1] : "";
	const struct npt_cli_option *option = count > 2 ? pending(words[count - 2]) : NULL;
	enum npt_cli_command command;

	if (count < 2) {
		for (size_t i = 0; i < NPT_CLI_COMMANDS; i++)
			offer(out, begin, npt_cli_commands[i].name, npt_cli_commands[i].summary);
		(void)npt_buffer_append_text(out, NO_FILES);
		return false;
	}
	command = find_command(words[0]);
	if (command == NPT_CLI_COMMANDS)
		return false;
	if (option)
		return offer_value(out, option, command, begin);
	if (begin[0] == '-')
		offer_options(out, command, begin);
	else if (command == NPT_CLI_COMPLETION)
		offer_words(out, begin, npt_cli_commands[command].arguments);
	else if (command == NPT_CLI_RUN)
		offer_words(out, begin, "deploy/ svc/ sts/ ds/");
	else if (strstr(npt_cli_commands[command].arguments, "TASK"))
		return true;
	(void)npt_buffer_append_text(out, NO_FILES);
	return false;
}

/* Names of tasks, in the namespace that the words before say. Silence is no error here. */
static void append_tasks(struct npt_buffer *out, int count, char **words)
{
	npt_auto(npt_cluster_close) struct npt_cluster cluster = { .proxy = NPT_CHILD_NONE };
	npt_auto_free char **argv = npt_alloc((size_t)count + 2, sizeof(*argv));
	struct npt_cli_options options = { .command = NPT_CLI_RUN };
	struct npt_error err = NPT_ERROR_NONE;
	json_t *list = NULL, *task;
	size_t i;

	argv[0] = words[0];
	memcpy(argv + 1, words, (size_t)(count - 1) * sizeof(*argv));
	/* Arguments are missing still; options are read before they are counted. */
	(void)npt_cli_options_parse(count, argv, &options, &err);
	options.request_timeout_ms = TIMEOUT_MS;
	if (npt_cluster_open(&cluster, &options, &err) == 0)
		(void)npt_cluster_get(&cluster, "list the tasks", &list, &err,
				      "/apis/netprof.io/v1alpha1/namespaces/%s/"
				      "networkprofilingtasks?limit=500",
				      cluster.namespace_name);
	json_array_foreach(json_object_get(list, "items"), i, task)
		offer(out, words[count - 1], npt_cluster_text(task, "metadata/name"),
		      npt_cluster_text(task, "status/phase"));
	json_decref(list);
	npt_cli_options_done(&options);
}

int npt_completion_complete(int count, char **words)
{
	npt_auto(npt_buffer_done) struct npt_buffer out = NPT_BUFFER(OUTPUT_BYTES_MAX);
	struct npt_error err = NPT_ERROR_NONE;

	if (npt_completion_append(&out, count, words)) {
		append_tasks(&out, count, words);
		(void)npt_buffer_append_text(&out, NO_FILES);
	}
	return npt_print_text(out.data ? out.data : "", out.size_bytes, &err) < 0 ? NPT_CLI_ERROR
										  : NPT_CLI_OK;
}
