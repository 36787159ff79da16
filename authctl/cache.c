/*
 * authctl auth cache flush and status, with doveadm's output.
 * Runs in: authctl.
 */
#include "authctl/authctl.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

enum { NUMBER_SIZE = 24 };

/* The link of a command whose one option is -a; NULL and the exit status. */
static struct authd_link *connect_with_options(int argc, char **argv, int args_max, int *status)
{
	const char *socket = NULL;
	int option;
	while ((option = getopt(argc, argv, "+a:")) != -1) {
		if (option != 'a') {
			*status = authctl_usage();
			return NULL;
		}
		socket = optarg;
	}
	if (argc - optind > args_max) {
		*status = authctl_usage();
		return NULL;
	}
	*status = EX_TEMPFAIL;
	return authctl_connect(AUTHD_MASTER, socket, "auth-master");
}

static void print_flushed(uint64_t count)
{
	static const char *const columns[] = {"entries"};
	struct output out;
	char text[NUMBER_SIZE];
	snprintf(text, sizeof(text), "%" PRIu64, count);
	if (authctl_globals.format == OUTPUT_DEFAULT) {
		printf("%s cache entries flushed\n", text);
		return;
	}
	output_begin(&out, OUTPUT_DEFAULT, columns, ARRAY_LEN(columns));
	output_row(&out, (const char *[]){text});
	output_end(&out);
}

int authctl_auth_cache_flush(int argc, char **argv)
{
	int result;
	uint64_t count = 0;
	struct authd_link *link = connect_with_options(argc, argv, argc, &result);
	if (link == NULL)
		return result;
	const char *const *users = optind < argc ? (const char *const *)argv + optind : NULL;
	enum authd_status status = authd_cache_flush(link, users, AUTHCTL_TIMEOUT_MS, &count);
	if (status == AUTHD_OK)
		print_flushed(count);
	result = status == AUTHD_OK ? EX_OK : authctl_failed(link, status);
	authd_disconnect(link);
	return result;
}

/* ---- status ---- */

static const char *field(const struct authd_event *e, const char *name)
{
	for (size_t i = 0; i < e->field_count; i++) {
		if (strcmp(e->fields[i].name, name) == 0 && e->fields[i].value != NULL)
			return e->fields[i].value;
	}
	return "0";
}

static void print_status(const struct authd_event *e)
{
	static const char *const columns[] = {"hits", "misses", "hit_ratio_percent", "pos_entries",
	    "neg_entries", "pos_size", "neg_size", "used_size", "max_size"};
	const char *cells[ARRAY_LEN(columns)];
	char ratio[NUMBER_SIZE];
	double hits = strtod(field(e, "hits"), NULL), misses = strtod(field(e, "misses"), NULL);
	double asked = hits + misses;
	struct output out;
	snprintf(ratio, sizeof(ratio), "%.2f", asked > 0 ? hits * 100 / asked : 0);
	for (size_t i = 0; i < ARRAY_LEN(columns); i++)
		cells[i] =
		    strcmp(columns[i], "hit_ratio_percent") == 0 ? ratio : field(e, columns[i]);
	output_begin(&out, OUTPUT_FLOW, columns, ARRAY_LEN(columns));
	output_row(&out, cells);
	output_end(&out);
}

int authctl_auth_cache_status(int argc, char **argv)
{
	int result;
	struct authd_event e;
	struct authd_link *link = connect_with_options(argc, argv, 1, &result);
	if (link == NULL)
		return result;
	bool reset = optind < argc;
	if (reset && strcmp(argv[optind], "reset") != 0) {
		authd_disconnect(link);
		return authctl_usage();
	}
	enum authd_status status = authd_cache_status(link, reset, AUTHCTL_TIMEOUT_MS, &e);
	if (status == AUTHD_OK && e.field_count == 0)
		authctl_complain("the server has no cache (auth_cache_size = 0)");
	else if (status == AUTHD_OK)
		print_status(&e);
	result = status == AUTHD_OK ? EX_OK : authctl_failed(link, status);
	authd_disconnect(link);
	return result;
}
