/*
 * authctl reload: SIGHUP to the parent, and its answer from BASE_DIR/authd.status,
 * which the parent replaces by renaming when a reload is done or has failed.
 * Runs in: authctl.
 */
#include "authctl/authctl.h"

#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

enum { WAIT_MS = 60000, STEP_MS = 50, STATUS_MAX = 4096 };

struct status {
	uint64_t changes; /* finished reloads, good or bad */
	bool ok;
	char message[512];
};

/* False: no such file, or not one of ours. */
static bool read_status(const char *path, struct status *s)
{
	char text[STATUS_MAX];
	FILE *f = fopen(path, "re");
	*s = (struct status){0};
	if (f == NULL)
		return false;
	struct span rest = span_make(text, fread(text, 1, sizeof(text), f)), line;
	fclose(f);
	bool counted = false;
	while (span_split(&rest, '\n', &line)) {
		if (span_starts(line, "changes="))
			counted = span_to_u64(span_skip(line, strlen("changes=")), &s->changes);
		else if (span_starts(line, "reload="))
			s->ok = span_eq_str(span_skip(line, strlen("reload=")), "ok");
		else if (span_starts(line, "message=") &&
			 !span_to_cstr(
			     span_skip(line, strlen("message=")), s->message, sizeof(s->message)))
			s->message[sizeof(s->message) - 1] = '\0';
	}
	return counted;
}

/* The daemon's pid; 0 and it said why. */
static pid_t read_pid(const char *path)
{
	char text[32] = "";
	uint32_t pid = 0;
	FILE *f = fopen(path, "re");
	if (f == NULL) {
		authctl_complain(
		    "%s: %s. Is authd running, with this base_dir?", path, strerrordesc_np(errno));
		return 0;
	}
	size_t n = fread(text, 1, sizeof(text), f);
	fclose(f);
	if (span_to_u32(span_trim(span_make(text, n)), &pid) && pid > 1 && pid <= INT32_MAX)
		return (pid_t)pid;
	authctl_complain("%s: there is no process id in it", path);
	return 0;
}

/* A pid file that outlived its process may name anybody's by now. */
static bool is_authd(pid_t pid)
{
	char path[64], name[64] = "";
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return errno != ENOENT; /* without /proc: as the file says */
	if (fgets(name, sizeof(name), f) == NULL)
		name[0] = '\0';
	fclose(f);
	return span_starts(span_of(name), "authd");
}

static int wait_for_change(const char *path, uint64_t before)
{
	const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
	for (int waited = 0; waited < WAIT_MS; waited += STEP_MS) {
		struct status s;
		if (read_status(path, &s) && s.changes != before) {
			if (s.ok)
				printf("reloaded%s%s\n", *s.message != '\0' ? ": " : "", s.message);
			else
				authctl_complain(
				    "the reload failed, the old configuration goes on%s%s",
				    *s.message != '\0' ? ": " : "", s.message);
			return s.ok ? EX_OK : EX_CONFIG;
		}
		nanosleep(&step, NULL);
	}
	authctl_complain("authd did not answer in %d seconds; see its log", WAIT_MS / 1000);
	return EX_TEMPFAIL;
}

static int reload(const char *pid_path, const char *status_path)
{
	struct status before;
	pid_t pid = read_pid(pid_path);
	if (pid == 0)
		return EX_TEMPFAIL;
	read_status(status_path, &before); /* none yet counts as 0 */
	int failed = !is_authd(pid) ? ESRCH : kill(pid, SIGHUP) != 0 ? errno : 0;
	if (failed == 0)
		return wait_for_change(status_path, before.changes);
	if (failed == ESRCH)
		authctl_complain("authd (process %d) is not running: it died and left %s behind",
		    (int)pid, pid_path);
	else
		authctl_complain("cannot signal authd (process %d): %s. Run this as root, or as "
				 "the user who started it",
		    (int)pid, strerrordesc_np(failed));
	return EX_TEMPFAIL;
}

int authctl_reload(int argc, char **argv)
{
	int option;
	while ((option = getopt_long(argc, argv, "+", authctl_dovecot_option, NULL)) != -1) {
		if (option != 'd')
			return authctl_usage();
		authctl_globals.dovecot = true;
	}
	if (optind != argc)
		return authctl_usage();
	struct config *c = authctl_load(authctl_config_path(), authctl_globals.dovecot);
	if (c == NULL) {
		authctl_complain("%s is not good: nothing was done", authctl_config_path());
		return EX_CONFIG;
	}
	char *pid_path = mem_printf("%s/authd.pid", c->process->base_dir);
	char *status_path = mem_printf("%s/authd.status", c->process->base_dir);
	int status = reload(pid_path, status_path);
	mem_free(&pid_path);
	mem_free(&status_path);
	config_free(&c);
	return status;
}
