/*
 * authctl driver test: hands over to "authd --test-driver", for the drivers
 * and their libraries are in authd alone.
 * Runs in: authctl.
 */
#include "authctl/authctl.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

/* The authd beside this authctl: they are installed together. */
static char *authd_path(void)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[n > 0 ? n : 0] = '\0';
	char *slash = strrchr(self, '/');
	if (slash == NULL)
		return mem_strdup(AUTHD_PREFIX "/sbin/authd");
	*slash = '\0';
	return mem_printf("%s/authd", self);
}

/* On a pipe as standard input, never in an argument. */
static bool pass_on(struct secret password)
{
	int ends[2];
	struct span s = secret_reveal(password);
	bool ok = pipe(ends) == 0 && write(ends[1], s.ptr, s.len) == (ssize_t)s.len &&
		  dup2(ends[0], STDIN_FILENO) == STDIN_FILENO;
	if (!ok) {
		authctl_complain("pipe: %s", strerrordesc_np(errno));
		return false;
	}
	close(ends[0]);
	close(ends[1]);
	return true;
}

static char *join(int count, char **words)
{
	struct buffer b = {0};
	for (int i = 0; i < count; i++) {
		if (i > 0)
			buffer_append_char(&b, ' ');
		buffer_append_str(&b, words[i]);
	}
	buffer_append_char(&b, '\0');
	return mem_strdup(buffer_span(&b).ptr);
}

int authctl_driver_test(int argc, char **argv)
{
	const char *args[12], *user = NULL;
	bool password = false;
	size_t n = 0;
	int option;
	while ((option = getopt_long(argc, argv, "+c:u:p", authctl_dovecot_option, NULL)) != -1) {
		if (option == 'c')
			authctl_globals.config_path = optarg;
		else if (option == 'u')
			user = optarg;
		else if (option == 'p')
			password = true;
		else if (option == 'd')
			authctl_globals.dovecot = true;
		else
			return authctl_usage();
	}
	if (optind == argc || (password && user == NULL))
		return authctl_usage();
	char *program = authd_path();
	args[n++] = program;
	if (authctl_globals.config_path != NULL) {
		args[n++] = "-c";
		args[n++] = authctl_globals.config_path;
	}
	if (authctl_globals.dovecot)
		args[n++] = "--dovecot";
	if (user != NULL) {
		args[n++] = "--user";
		args[n++] = user;
	}
	if (password) {
		struct arena a = {0};
		struct secret given = authctl_read_password("Password: ", &a);
		if (!secret_is_set(given) || !pass_on(given))
			return EX_NOINPUT;
		arena_free(&a);
		args[n++] = "--password-on-stdin";
	}
	args[n++] = "--test-driver";
	args[n++] = join(argc - optind, argv + optind);
	args[n] = NULL;
	execv(program, (char **)args);
	authctl_complain(
	    "%s: %s. Is authd installed beside authctl?", program, strerrordesc_np(errno));
	return EX_UNAVAILABLE;
}
