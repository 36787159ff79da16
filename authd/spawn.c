/*
 * Starting children. Runs in: parent; between fork and exec only
 * async-signal-safe calls are made.
 */
#include "authd/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "authd/control.h"

enum { FD_PARKED = 64 }; /* above everything that a child is given */

static int program_fd = -1;

bool spawn_init(const char *argv0, struct err *err)
{
	program_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	if (program_fd < 0 && strchr(argv0, '/') != NULL)
		program_fd = open(argv0, O_PATH | O_CLOEXEC);
	if (program_fd < 0)
		return err_set(err, EX_OSERR, "opening /proc/self/exe: %s", strerror(errno));
	return true;
}

bool spawn_pair(
    int type, int buffer_bytes, bool nonblock_ours, int *ours, int *theirs, struct err *err)
{
	int pair[2];
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) != 0)
		return err_set(err, EX_OSERR, "socketpair: %s", strerror(errno));
	for (int i = 0; i < 2 && buffer_bytes > 0; i++) {
		/* more than the system's usual limit only as root; less is no error */
		if (setsockopt(pair[i], SOL_SOCKET, SO_SNDBUFFORCE, &buffer_bytes, sizeof(int)) !=
		    0)
			(void)setsockopt(
			    pair[i], SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof(int));
		if (setsockopt(pair[i], SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes, sizeof(int)) !=
		    0)
			(void)setsockopt(
			    pair[i], SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof(int));
	}
	if (nonblock_ours && fcntl(pair[0], F_SETFL, O_NONBLOCK) != 0) {
		err_set(err, EX_OSERR, "fcntl: %s", strerror(errno));
		close(pair[0]);
		close(pair[1]);
		return false;
	}
	*ours = pair[0];
	*theirs = pair[1];
	return true;
}

/* Out of the way of the low numbers first, so that no dup2() hits one that is still needed. */
static int park(int fd)
{
	return fd < 0 ? -1 : fcntl(fd, F_DUPFD, FD_PARKED);
}

static bool place(int from, int to)
{
	return dup2(from, to) == to;
}

static NO_RETURN void become_child(const struct spawn *s)
{
	char *argv[] = {(char *)s->title, NULL};
	char **environment = (char **)s->environment;
	sigset_t none;
	int null = park(open("/dev/null", O_RDWR));
	int control = park(s->control), channel = park(s->channel), program = park(program_fd);
	int errors = park(s->errors);
	if (null < 0 || control < 0 || program < 0 || (s->channel >= 0 && channel < 0) ||
	    (s->errors >= 0 && errors < 0))
		_exit(EX_OSERR);
	if (!place(null, 0) || !place(null, 1) || !place(control, CONTROL_FD))
		_exit(EX_OSERR);
	if (channel >= 0 && !place(channel, CHANNEL_FD))
		_exit(EX_OSERR);
	if (channel < 0)
		close(CHANNEL_FD);
	if (errors >= 0 && (!place(STDERR_FILENO, LOG_FD) || !place(errors, STDERR_FILENO)))
		_exit(EX_OSERR);
	close_range(errors >= 0 ? LOG_FD + 1 : CHANNEL_FD + 1, (unsigned)program - 1, 0);
	close_range((unsigned)program + 1, ~0U, 0);
	fcntl(program, F_SETFD, FD_CLOEXEC);
	setsid(); /* a terminal's Ctrl-C is for the parent alone */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execveat(program, "", argv, environment, AT_EMPTY_PATH);
	_exit(EX_OSERR);
}

pid_t spawn_child(const struct spawn *s, struct err *err)
{
	pid_t pid = fork();
	if (pid == 0)
		become_child(s);
	if (pid < 0)
		err_set(err, EX_OSERR, "fork: %s", strerror(errno));
	return pid;
}
