/*
 * authctl, the admin command line: options before the command, the table of
 * commands, help.
 * Runs in: authctl. One command a run; memory is not given back at the end.
 */
#include "authctl/authctl.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

struct authctl_globals authctl_globals;

static const struct command {
	const char *name; /* one or two words; a longer name comes before its beginning */
	int (*run)(int argc, char **argv);
	const char *synopsis;
	const char *help;
} commands[] = {
    {"auth test", authctl_auth_test,
	"[-a socket] [-A mech] [-M master] [-x name=value]... user [password]",
	"Ask the server whether a login is good. Without password: from the terminal or\n"
	"standard input. Exit status: 0 good, 77 refused, 75 nobody could decide.\n"
	"  -a socket      the client socket (default: auth-client in the base_dir)\n"
	"  -A mech        PLAIN (default), LOGIN, CRAM-MD5, SCRAM-SHA-1, SCRAM-SHA-256,\n"
	"                 SCRAM-SHA-512, OAUTHBEARER, XOAUTH2; without a password EXTERNAL\n"
	"                 (user: whom to become) and ANONYMOUS (user: the trace)\n"
	"  -M master      the password is that of this master user (PLAIN, SCRAM)\n"
	"  -x name=value  a parameter of the request: service (default doveadm), rip, lip,\n"
	"                 rport, lport, session, local_name, secured ...\n"},
    {"auth login", authctl_auth_login,
	"[-a socket] [-m socket] [-A mech] [-M master] [-x name=value]... user [password]",
	"Log in as a mail server does: ask, then take the login over on the master socket\n"
	"and show the user's fields. Exit status as of auth test.\n"
	"  -a socket      the login socket (default: auth-login in the base_dir)\n"
	"  -m socket      the master socket (default: auth-master in the base_dir)\n"
	"  -A, -M, -x     as for auth test\n"},
    {"auth lookup", authctl_auth_lookup, "[-a socket] [-x name=value]... [-f field] user...",
	"Show what the passdbs know of users (never passwords). Exit status: 0, 67 no such\n"
	"user, 75 nobody could decide.\n"
	"  -a socket      the master socket (default: auth-userdb in the base_dir)\n"
	"  -f field       only that field's value\n"
	"  -x name=value  a parameter of the request, as for auth test\n"},
    {"auth cache flush", authctl_auth_cache_flush, "[-a socket] [user...]",
	"Forget cached answers, of all users or of those named; * and ? match in names.\n"
	"  -a socket      the master socket (default: auth-master in the base_dir)\n"},
    {"auth cache status", authctl_auth_cache_status, "[-a socket] [reset]",
	"Show how often the cache of answers was of use, and how full it is. Sizes are bytes.\n"
	"  reset          begin to count hits and misses anew\n"
	"  -a socket      the master socket (default: auth-master in the base_dir)\n"},
    {"user", authctl_user, "[-a socket] [-x name=value]... [-f field | -e template | -u] mask...",
	"Show what the userdbs know of users, or with * or ? in a mask: list users.\n"
	"Exit status: 0, 67 no such user, 75 nobody could decide.\n"
	"  -a socket      the master socket (default: auth-userdb in the base_dir)\n"
	"  -f field       only that field's value\n"
	"  -e template    only this text, expanded: '%{userdb:uid} %{home} %u %n %d'\n"
	"  -u             a block of lines for each user\n"
	"  -x name=value  a parameter of the request, as for auth test\n"},
    {"pw upgrade-status", authctl_pw_status, "[-a socket] [-s]",
	"Show how far the passdbs are with better hashes (rehash = yes): good logins by the\n"
	"scheme of the stored password since the workers were started, hashes that were\n"
	"upgraded, failures, and those that something else had changed first.\n"
	"  -s             count the stored passwords of all users, too: each is looked up\n"
	"  -a socket      the master socket (default: auth-master in the base_dir)\n"},
    {"pw", authctl_pw, "[-l] [-P] [-s scheme] [-r rounds] [-u user] [-p password] [-V | -t hash]",
	"Make a password hash. Without -p: from the terminal, twice, or standard input.\n"
	"  -l             list the schemes\n"
	"  -P             prepare the password as auth_password_precis does\n"
	"  -s scheme      default CRYPT; SHA256.HEX and the like choose the encoding\n"
	"  -r rounds      the cost, for schemes that have one\n"
	"  -u user        for schemes that hash the name too\n"
	"  -p password    seen by others for a moment\n"
	"  -V             check the new hash\n"
	"  -t hash        make none; check the password against this {SCHEME}hash\n"},
    {"config check", authctl_config_check, "[--dovecot] [file]",
	"Check a configuration file (default: -c, or the installed one). Exit status: 0 good,\n"
	"78 not, each error on standard error.\n"
	"  --dovecot      a whole dovecot.conf; lists what is not about authentication\n"},
    {"config", authctl_config, "[-n] [--dovecot] [-c file]",
	"Show the settings in effect, secrets hidden.\n"
	"  -n             only those that differ from the defaults\n"
	"  -c file        of this file\n"},
    {"driver test", authctl_driver_test, "[-c file] [--dovecot] [-u user [-p]] section",
	"Try a passdb or userdb with the configuration's own values and say step by step what\n"
	"works. The section: passdb sql, userdb 2, or a driver's name. Run it as root, as authd\n"
	"is started. Exit status: 0 all works, 67 no such user, 75 the backend is down, 77 the\n"
	"password is wrong, 78 the configuration must be mended.\n"
	"  -u user        look this user up; without, one that cannot exist\n"
	"  -p             and try a password, from the terminal or standard input\n"},
    {"reload", authctl_reload, "[--dovecot]",
	"Check the configuration, make the running authd take it, and wait until it has.\n"
	"Exit status: 0 done, 78 the configuration is bad (the old one goes on), 75 authd is\n"
	"not running or did not answer.\n"},
    {"version", authctl_version, "", "Show the version.\n"},
};

static const struct command *running;

void authctl_complain(const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	fflush(stdout);
	char line[1024];
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	fputs("authctl: ", stderr);
	output_text(stderr, line);
	putc('\n', stderr);
}

/* Is that the first word of its name? NULL: any. */
static bool begins_with(const struct command *c, const char *word)
{
	struct span name = span_of(c->name), first;
	return word == NULL || (span_word(&name, " ", &first) && span_eq_str(first, word));
}

static bool is_first_word(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (begins_with(&commands[i], word))
			return true;
	return false;
}

/* All commands, or those whose first word is that. */
static void show_commands(FILE *f, const char *word)
{
	fputs("usage: authctl [-c config] [--dovecot] [-o tab|table|flow|json] command\n", f);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (begins_with(&commands[i], word))
			fprintf(f, "  %s%s%s\n", commands[i].name,
			    *commands[i].synopsis != '\0' ? " " : "", commands[i].synopsis);
	fputs("authctl COMMAND --help explains a command.\n", f);
}

static int show_help(const struct command *c)
{
	printf("usage: authctl %s%s%s\n%s", c->name, *c->synopsis != '\0' ? " " : "", c->synopsis,
	    c->help);
	return EX_OK;
}

int authctl_usage(void)
{
	fflush(stdout);
	fprintf(stderr, "usage: authctl %s %s\n", running->name, running->synopsis);
	return EX_USAGE;
}

int authctl_version(int argc, char **argv UNUSED)
{
	if (argc != 1)
		return authctl_usage();
	printf("authctl %s\n", AUTHD_VERSION);
	return EX_OK;
}

/* How many of the words at argv the command's name takes; 0: it is another command. */
static int name_words(const struct command *c, int argc, char **argv)
{
	struct span rest = span_of(c->name), word;
	int n = 0;
	for (; span_word(&rest, " ", &word); n++)
		if (n == argc || !span_eq_str(word, argv[n]))
			return 0;
	return n;
}

static int run(int argc, char **argv)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		int words = name_words(&commands[i], argc, argv);
		if (words == 0)
			continue;
		running = &commands[i];
		if (words < argc && strcmp(argv[words], "--help") == 0)
			return show_help(running);
		optind = 1;
		argv[words - 1] = mem_strdup("authctl"); /* getopt's messages begin with it */
		return running->run(argc - words + 1, argv + words - 1);
	}
	if (!is_first_word(argv[0])) {
		authctl_complain("there is no command \"%s\"", argv[0]);
		show_commands(stderr, NULL);
		return EX_USAGE;
	}
	if (strcmp(argv[argc - 1], "--help") == 0) {
		show_commands(stdout, argv[0]);
		return EX_OK;
	}
	authctl_complain("%s: one of these is wanted", argv[0]);
	show_commands(stderr, argv[0]);
	return EX_USAGE;
}

static bool set_format(const char *name)
{
	static const char *const names[] = {"", "tab", "table", "flow", "json"};
	for (int i = OUTPUT_TAB; i <= OUTPUT_JSON; i++)
		if (strcmp(name, names[i]) == 0) {
			authctl_globals.format = (enum output_format)i;
			return true;
		}
	authctl_complain("-o %s: there are tab, table, flow and json", name);
	return false;
}

/* A full disk or a closed pipe is not success. */
static int finish(int status)
{
	bool bad = ferror(stdout) != 0;
	if (fclose(stdout) == 0 && !bad)
		return status;
	fputs("authctl: cannot write to standard output\n", stderr);
	return status == EX_OK ? EX_IOERR : status;
}

int main(int argc, char **argv)
{
	int option;
	bool help = false;
	while ((option = getopt(argc, argv, "+c:o:h-:")) != -1) {
		if (option == 'c')
			authctl_globals.config_path = optarg;
		else if (option == 'o' && set_format(optarg))
			continue;
		else if (option == 'h' || (option == '-' && strcmp(optarg, "help") == 0))
			help = true;
		else if (option == '-' && strcmp(optarg, "dovecot") == 0)
			authctl_globals.dovecot = true;
		else if (option == '-' && strcmp(optarg, "version") == 0)
			return finish((printf("authctl %s\n", AUTHD_VERSION), EX_OK));
		else
			return EX_USAGE;
	}
	if (help || (optind < argc && strcmp(argv[optind], "help") == 0)) {
		optind += help ? 0 : 1;
		for (size_t i = 0; i < ARRAY_LEN(commands); i++)
			if (name_words(&commands[i], argc - optind, argv + optind) > 0)
				return finish(show_help(&commands[i]));
		bool known = optind < argc && is_first_word(argv[optind]);
		show_commands(stdout, known ? argv[optind] : NULL);
		return finish(EX_OK);
	}
	if (optind == argc) {
		show_commands(stderr, NULL);
		return EX_USAGE;
	}
	return finish(run(argc - optind, argv + optind));
}
