/* SPDX-License-Identifier: Apache-2.0 */
/*
 * npt-aggregator - takes windows from the agents, keeps them, and serves them.
 */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "aggregator/aggregator.h"
#include "lib/core/cleanup.h"
#include "lib/core/log.h"
#include "lib/core/parse.h"

static const char help[] =
	"Usage: npt-aggregator [OPTIONS]     take windows from agents, keep them, serve them\n"
	"\n"
	"  --listen ADDRESS:PORT   HTTPS: ingest and REST; default :8444\n"
	"  --health ADDRESS:PORT   /healthz and /readyz; default :8081\n"
	"  --tls-cert FILE, --tls-key FILE   the certificate and its key; read again when they\n"
	"                          change; without them plain HTTP, on a loopback address only\n"
	"  --ingest-key FILE       the key that the controller signs ingest tokens with\n"
	"  --store FILE            an SQLite database; default /var/lib/npt/windows.db\n"
	"  --store URL             a ClickHouse server: http(s)://USER@HOST:PORT/DATABASE\n"
	"  --store-password-file FILE   the user's password; read again when it changes\n"
	"  --store-ca FILE         the certificates that a server by https is trusted by\n"
	"  --store-plain-http      plain http to a server on another host, too\n"
	"  --max-age DURATION      tasks whose last window is older are removed; default 168h\n"
	"  --max-mib N             beyond it the oldest tasks are removed; default 4096\n"
	"  --metrics ADDRESS:PORT  /metrics for Prometheus; default: none\n"
	"  --metrics-everybody     without a token; else it needs one that may read all tasks\n"
	"  --metrics-max-series N, --metrics-max-series-per-task N   edges that are told apart;\n"
	"                          the rest are one of peer \"other\"; default 500 and 100\n"
	"  --metrics-keep DURATION of a task after its last window; default 5m\n"
	"  --otlp-endpoint URL     an OpenTelemetry receiver: http[s]://HOST:PORT[/PATH]\n"
	"  --otlp-header-file FILE lines of \"Name: value\" for it; read again each time\n"
	"  --otlp-ca FILE          who signed its certificate; default: what the system trusts\n"
	"  --otlp-interval DURATION   between two pushes; default 10s\n"
	"  --otlp-temporality WHICH   cumulative, as Prometheus and its like want it (default), "
	"or\n"
	"                          delta\n"
	"  --skywalking-endpoint HOST:PORT   a SkyWalking server (OAP), by gRPC\n"
	"  --skywalking-ca FILE    who signed its certificate; default: plain, without TLS\n"
	"  --skywalking-header-file FILE, --skywalking-interval DURATION   as for OTLP; default "
	"5s\n"
	"  --kubeconfig FILE       for development; default: in a pod\n"
	"  --insecure-local        whoever can connect reads everything, without a token; only on "
	"a\n"
	"                          loopback address, and needs no API server\n"
	"  --log-level LEVEL       error, warning, info or debug; default info\n"
	"  --log-format FORMAT     text or json; default text\n"
	"  -h, --help              this text\n"
	"  --version               print the version\n"
	"\n"
	"Exit codes: 0 ended by a signal; 1 failure; 2 wrong usage.\n";

static const struct option long_options[] = {
	{ "listen", required_argument, NULL, 'l' },
	{ "health", required_argument, NULL, 'H' },
	{ "tls-cert", required_argument, NULL, 'c' },
	{ "tls-key", required_argument, NULL, 'k' },
	{ "ingest-key", required_argument, NULL, 'i' },
	{ "store", required_argument, NULL, 's' },
	{ "store-password-file", required_argument, NULL, 'p' },
	{ "store-ca", required_argument, NULL, 'A' },
	{ "store-plain-http", no_argument, NULL, 'n' },
	{ "max-age", required_argument, NULL, 'a' },
	{ "max-mib", required_argument, NULL, 'm' },
	{ "metrics", required_argument, NULL, 'M' },
	{ "metrics-everybody", no_argument, NULL, 'E' },
	{ "metrics-max-series", required_argument, NULL, 'S' },
	{ "metrics-max-series-per-task", required_argument, NULL, 'T' },
	{ "metrics-keep", required_argument, NULL, 'P' },
	{ "otlp-endpoint", required_argument, NULL, 'o' },
	{ "otlp-header-file", required_argument, NULL, 'O' },
	{ "otlp-ca", required_argument, NULL, 'C' },
	{ "otlp-interval", required_argument, NULL, 'J' },
	{ "otlp-temporality", required_argument, NULL, 't' },
	{ "skywalking-endpoint", required_argument, NULL, 'w' },
	{ "skywalking-ca", required_argument, NULL, 'W' },
	{ "skywalking-header-file", required_argument, NULL, 'x' },
	{ "skywalking-interval", required_argument, NULL, 'X' },
	{ "kubeconfig", required_argument, NULL, 'K' },
	{ "insecure-local", no_argument, NULL, 'u' },
	{ "log-level", required_argument, NULL, 'L' },
	{ "log-format", required_argument, NULL, 'F' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

struct settings {
	struct npt_aggregator_options options;
	const char *max_age;
	const char *max_mib;
	const char *log_level;
	const char *log_format;
	enum npt_log_level level;
	bool help;
	bool version;
};

static int parse(int argc, char **argv, struct settings *settings, struct npt_error *err)
{
	struct npt_aggregator_options *options = &settings->options;
	struct npt_exports_options *exports = &options->exports;
	const char **fields[128] = {
		['l'] = &options->listen,
		['H'] = &options->health,
		['c'] = &options->tls_cert,
		['k'] = &options->tls_key,
		['i'] = &options->ingest_key,
		['s'] = &options->store,
		['a'] = &settings->max_age,
		['m'] = &settings->max_mib,
		['K'] = &options->kubeconfig,
		['L'] = &settings->log_level,
		['F'] = &settings->log_format,
		['M'] = &exports->metrics,
		['S'] = &exports->max_series_text,
		['T'] = &exports->max_series_per_task_text,
		['P'] = &exports->keep_text,
		['o'] = &exports->otlp_endpoint,
		['O'] = &exports->otlp_header_file,
		['C'] = &exports->otlp_ca,
		['J'] = &exports->otlp_interval_text,
		['t'] = &exports->otlp_temporality_text,
		['w'] = &exports->skywalking_endpoint,
		['W'] = &exports->skywalking_ca,
		['x'] = &exports->skywalking_header_file,
		['X'] = &exports->skywalking_interval_text,
		['p'] = &options->store_password_file,
		['A'] = &options->store_ca,
	};
	const char *word = argv[1]; /* being read; optind may be there still, or behind its value */
	int id;

	opterr = 0;
	while ((id = getopt_long(argc, argv, "+:h", long_options, NULL)) != -1) {
		if (id == ':' || id == '?')
			return npt_error_set(err, EINVAL, "%s '%s'; see npt-aggregator --help",
					     id == ':' ? "no value for" : "unknown option", word);
		word = argv[optind];
		if (id == 'h')
			settings->help = true;
		else if (id == 'E')
			exports->metrics_everybody = true;
		else if (id == 'V')
			settings->version = true;
		else if (id == 'n')
			options->store_plain_http = true;
		else if (id == 'u')
			options->insecure_local = true;
		else
			*fields[id] = optarg;
	}
	if (optind < argc && strcmp(argv[optind], "version") == 0)
		settings->version = true;
	else if (optind < argc)
		return npt_error_set(err, EINVAL, "'%s' is no option; see npt-aggregator --help",
				     argv[optind]);
	return 0;
}

static int check(struct settings *settings, struct npt_error *err)
{
	int r = npt_log_options_parse(settings->log_level, settings->log_format, &settings->level,
				      err);
	uint64_t mib;

	if (r < 0)
		return r;
	if (npt_parse_duration_ms(settings->max_age, 1000, UINT64_C(315360000000),
				  &settings->options.max_age_ms) < 0)
		return npt_error_set(err, EINVAL, "--max-age %s is not 1s to 87600h",
				     settings->max_age);
	if (npt_parse_u64(settings->max_mib, 1, UINT32_MAX, &mib) < 0)
		return npt_error_set(err, EINVAL, "--max-mib %s is not a number from 1",
				     settings->max_mib);
	settings->options.max_bytes = mib * 1024 * 1024;
	r = npt_exports_options_check(&settings->options.exports, err);
	if (r < 0)
		return r;
	if (settings->options.insecure_local && settings->options.exports.metrics &&
	    !settings->options.exports.metrics_everybody)
		return npt_error_set(err, EINVAL,
				     "--metrics with --insecure-local needs --metrics-everybody: "
				     "there is nobody who knows tokens");
	if (!settings->options.ingest_key)
		return npt_error_set(err, EINVAL,
				     "--ingest-key is needed: the file that "
				     "npt-controller init made");
	return 0;
}

int main(int argc, char **argv)
{
	struct settings settings = {
		.options = { .listen = ":8444",
			     .health = ":8081",
			     .store = "/var/lib/npt/windows.db" },
		.max_age = "168h",
		.max_mib = "4096",
		.log_level = "info",
		.log_format = "text",
	};
	struct npt_error err = NPT_ERROR_NONE;
	int r;

	settings.options.exports = npt_exports_defaults;
	r = parse(argc, argv, &settings, &err);

	if (r >= 0 && (settings.help || settings.version)) {
		(void)fputs(settings.help ? help : "npt-aggregator " NPT_VERSION "\n", stdout);
		return 0;
	}
	if (r >= 0)
		r = check(&settings, &err);
	if (r < 0) {
		fprintf(stderr, "npt-aggregator: %s\n", err.text);
		return 2;
	}
	/* Threads that decode and answer would each keep what they once needed. */
	(void)mallopt(M_ARENA_MAX, 2);
	npt_log_setup("npt-aggregator", settings.level, strcmp(settings.log_format, "json") == 0);
	r = npt_aggregator_run(&settings.options, &err);
	if (r < 0)
		fprintf(stderr, "npt-aggregator: %s\n", err.text);
	return r < 0 ? 1 : 0;
}
