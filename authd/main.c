/*
 * The program: options, and which of its processes this one is.
 * Runs in: parent, front, worker.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "authd/child.h"
#include "authd/driver-test.h"
#include "authd/parent.h"

static const char usage_text[] =
    "usage: authd [-c FILE] [--dovecot]\n"
    "\n"
    "  -c, --config FILE  the configuration (default /etc/authd/authd.conf)\n"
    "      --dovecot      FILE is a whole dovecot.conf (default /etc/dovecot/dovecot.conf);\n"
    "                     what is not about authentication is passed over\n"
    "  -F, --foreground   accepted and ignored: authd always stays in the foreground\n"
    "      --version      print the version\n"
    "  -h, --help         print this\n"
    "      --test-driver SECTION   what \"authctl driver test\" runs\n"
    "\n"
    "Signals: SIGHUP reloads the configuration, SIGUSR1 opens the log anew, SIGTERM ends it.\n"
    "The configuration can be checked without starting: authctl config check FILE\n";

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"dovecot", no_argument, NULL, 'D'},
    {"foreground", no_argument, NULL, 'F'},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {"test-driver", required_argument, NULL, 'T'},
    {"user", required_argument, NULL, 'u'},
    {"password-on-stdin", no_argument, NULL, 'p'},
    {0},
};

static int wrong_usage(const char *what)
{
	if (what != NULL)
		fprintf(stderr, "authd: unexpected argument: %s\n", what);
	fputs(usage_text, stderr);
	return EX_USAGE;
}

/* A descriptor 0, 1 or 2 that is closed would be taken by the next socket. */
static bool open_standard_files(void)
{
	int fd;
	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	return fd >= 0 && close(fd) == 0;
}

int main(int argc, char **argv)
{
	struct parent_options options = {.argv0 = argc > 0 ? argv[0] : ""};
	struct driver_test_options test = {0};
	const char *role = child_role();
	int c;
	if (role != NULL)
		return child_main(role);
	if (!open_standard_files())
		return EX_OSERR;
	while ((c = getopt_long(argc, argv, "c:Fh", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			options.config_path = optarg;
			break;
		case 'D':
			options.dovecot = true;
			break;
		case 'F':
			break;
		case 'T':
			test.section = optarg;
			break;
		case 'u':
			test.user = optarg;
			break;
		case 'p':
			test.password_on_stdin = true;
			break;
		case 'V':
			puts("authd " AUTHD_VERSION);
			return EX_OK;
		case 'h':
			fputs(usage_text, stdout);
			return EX_OK;
		default:
			return wrong_usage(NULL);
		}
	}
	if (optind < argc)
		return wrong_usage(argv[optind]);
	if (test.section == NULL)
		return parent_main(&options);
	test.config_path = parent_config_path(&options);
	test.dovecot = options.dovecot;
	return driver_test_main(&test);
}
