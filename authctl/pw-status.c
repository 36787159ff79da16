/*
 * authctl pw upgrade-status: asks the server how many users still have weak
 * hashes. Runs in: authctl.
 */
#include "authctl/authctl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COLUMNS = 5, CENSUS_TIMEOUT_MS = 10 * 60 * 1000 };

/* "1 sql logins SSHA 12" */
static bool print_line(void *context, const char *line)
{
	struct output *out = context;
	char copy[256], *rest = copy;
	const char *cells[COLUMNS] = {"", "", "", "", ""};
	snprintf(copy, sizeof(copy), "%s", line);
	for (size_t i = 0; i < COLUMNS && rest != NULL; i++)
		cells[i] = strsep(&rest, " ");
	output_row(out, cells);
	return true;
}

int authctl_pw_status(int argc, char **argv)
{
	static const char *const columns[COLUMNS] = {"passdb", "driver", "what", "scheme", "count"};
	const char *socket = NULL;
	bool stored = false;
	int option;
	struct output out;
	while ((option = getopt(argc, argv, "a:s")) != -1) {
		if (option == 'a')
			socket = optarg;
		else if (option == 's')
			stored = true;
		else
			return authctl_usage();
	}
	if (optind != argc)
		return authctl_usage();
	struct authd_link *link = authctl_connect(AUTHD_MASTER, socket, "auth-master");
	if (link == NULL)
		return EX_TEMPFAIL;
	output_begin(&out, OUTPUT_TABLE, columns, COLUMNS);
	enum authd_status status = authd_pw_status(
	    link, stored, stored ? CENSUS_TIMEOUT_MS : AUTHCTL_TIMEOUT_MS, print_line, &out);
	output_end(&out);
	int result = status == AUTHD_OK ? EX_OK : authctl_failed(link, status);
	authd_disconnect(link);
	return result;
}
