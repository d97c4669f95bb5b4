/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words of the command line: what there is, what it is called, what the help says of it.
 */
#include "cli/options.h"

#define OF(command) (1U << NPT_CLI_##command)
#define ASKS        (OF(DOCTOR) | OF(RUN) | OF(WATCH) | OF(EXPLAIN) | OF(COMPARE) | OF(RESULTS))
#define ALL_OF_THEM ((1U << NPT_CLI_COMMANDS) - 1)
#define CALLS       ASKS

const struct npt_cli_option npt_cli_options_table[] = {
	{ "selector", 'l', "SELECTOR", OF(RUN),
	  "pods with these labels: app=web,tier in (a,b),!old", NULL },
	{ "duration", 'd', "TIME", OF(RUN), "how long: 30s, 5m, at most 1h; default 60s", NULL },
	{ "interval", 'i', "TIME", OF(RUN), "length of a window, 1s to 60s; default 5s", NULL },
	{ "layers", 0, "A,B", OF(RUN), "Base, Operations, Protocol, TLS; default the first three",
	  NULL },
	{ "containers", 'c', "A,B", OF(RUN), "only processes of these containers", NULL },
	{ "name", 0, "NAME", OF(RUN), "of the task; default: made of the target's", NULL },
	{ "detach", 0, NULL, OF(RUN), "create the task, print its name and end", NULL },
	{ "output", 'o', "FORMAT", OF(RUN) | OF(RESULTS) | OF(COMPARE) | OF(DOCTOR),
	  "table, json, yaml; of results csv and dot, too", NULL },
	{ "all-namespaces", 'A', NULL, OF(RESULTS), "list the tasks of all namespaces", NULL },
	{ "token", 0, "TOKEN", ASKS,
	  "for the aggregation service (audience npt-aggregator); default: the kubeconfig's",
	  NULL },
	{ "service-account", 0, "[NS/]NAME", ASKS, "ask for a token of this account instead",
	  NULL },
	{ "npt-namespace", 0, "NAME", CALLS, "where NPT is installed; default npt-system", NULL },
	{ "namespace", 'n', "NAME", CALLS, "of the task; default: the context's", NULL },
	{ "request-timeout", 0, "TIME", CALLS, "of one question to the cluster; 0: none", NULL },
	{ "kubeconfig", 0, "FILE", CALLS, "as kubectl's", "--kubeconfig" },
	{ "context", 0, "NAME", CALLS, "as kubectl's", "--context" },
	{ "cluster", 0, "NAME", CALLS, "as kubectl's", "--cluster" },
	{ "user", 0, "NAME", CALLS, "as kubectl's", "--user" },
	{ "as", 0, "USER", CALLS, "as kubectl's", "--as" },
	{ "as-group", 0, "GROUP", CALLS, "as kubectl's", "--as-group" },
	{ "help", 'h', NULL, ALL_OF_THEM, "this text", NULL },
	{ NULL, 0, NULL, 0, NULL, NULL },
};

const struct npt_cli_command_text npt_cli_commands[NPT_CLI_COMMANDS] = {
	{ "run", "POD... | deploy/NAME | svc/NAME | sts/NAME | ds/NAME | -l SELECTOR",
	  "measure pods for a while and print what was found",
	  "Creates a NetworkProfilingTask, waits for its end and prints its result: what is wrong "
	  "in\n"
	  "words, then a line for each edge. Ctrl-C ends the task and prints what was found until\n"
	  "then; a second Ctrl-C ends this command at once.\n"
	  "\n"
	  "Exit codes: 0 succeeded; 1 error; 2 wrong usage; 3 the task failed; 4 not every pod\n"
	  "reported to the end; 130 interrupted.\n",
	  0, 64 },
	{ "watch", "TASK", "follow a task, live, until it ends",
	  "Shows the edges that the task's status lists, once a second on a terminal; elsewhere a\n"
	  "line for each change.\n",
	  1, 1 },
	{ "explain", "TASK [EDGE]", "what was found on each edge, with the numbers behind it",
	  "EDGE is the number of an edge in the table of results, or a part of its text, such as\n"
	  "the name of a process, of a peer, or a port.\n",
	  1, 2 },
	{ "compare", "TASK TASK", "how the edges of two tasks differ, and whether it is noise",
	  "Edges are matched by process name, role, peer and port. A task of another namespace is\n"
	  "NAMESPACE/TASK.\n",
	  2, 2 },
	{ "results", "[TASK]", "the result of a task; without one: a list of the tasks",
	  "json is the Report, exactly as the aggregation service gives it; yaml the same in "
	  "YAML;\n"
	  "csv a line an edge; dot a graph for Graphviz.\n"
	  "\n"
	  "Without a token for the aggregation service the result is made of the task's status,\n"
	  "which has at most 10 edges and no histograms; a line on the standard error says so.\n",
	  0, 1 },
	{ "doctor", "", "what works on each node, layer by layer, and why not",
	  "Looks at the resource, the controller, the aggregation service, the agent of each node\n"
	  "and at what you may do. Exit code 1 if anything is broken.\n",
	  0, 0 },
	{ "version", "", "print the version", "", 0, 0 },
	{ "completion", "bash | zsh | fish", "print a script that completes kubectl-npt",
	  "  bash   source <(kubectl npt completion bash)\n"
	  "  zsh    source <(kubectl npt completion zsh)\n"
	  "  fish   kubectl npt completion fish | source\n"
	  "\n"
	  "For 'kubectl npt' (with a blank) kubectl itself asks a program kubectl_complete-npt, "
	  "which\n"
	  "is beside this one in the release.\n",
	  1, 1 },
};
