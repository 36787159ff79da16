/*
 * Runs a program with input on descriptor 3 and its reply on descriptor 4, and
 * ends it when its time is over. Runs in: worker, in a lane.
 * Owner: this function owns the child until it is reaped, always before it
 * returns; what the program left running in its process group is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/wheel.h"
#include "drivers/checkpassword.h"

enum { INPUT_MAX = 32 * 1024, POLL_MS = 50, INPUT_FD = 3, OUTPUT_FD = 4 };

/* All of it is in the pipe before anybody reads: it has room for more than this. */
static int make_input(struct span input, struct err *err)
{
	int fds[2];
	if (input.len > INPUT_MAX) {
		err_set(err, EX_DATAERR, "name and password are too long for a program");
		return -1;
	}
	if (pipe2(fds, O_CLOEXEC) != 0) {
		err_set(err, EX_OSERR, "pipe: %s", strerror(errno));
		return -1;
	}
	bool ok = write(fds[1], input.ptr, input.len) == (ssize_t)input.len;
	close(fds[1]);
	if (ok)
		return fds[0];
	err_set(err, EX_OSERR, "writing to a pipe: %s", strerror(errno));
	close(fds[0]);
	return -1;
}

static int spawn(const struct checkpassword_run *run, int input, int output, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t how;
	sigset_t all, none;
	sigfillset(&all);
	sigemptyset(&none);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&how);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&files, input, INPUT_FD);
	posix_spawn_file_actions_adddup2(&files, output, OUTPUT_FD);
	posix_spawn_file_actions_addclosefrom_np(&files, OUTPUT_FD + 1);
	posix_spawnattr_setflags(
	    &how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setpgroup(&how, 0);
	posix_spawnattr_setsigdefault(&how, &all);
	posix_spawnattr_setsigmask(&how, &none);
	int e = posix_spawn(pid, run->argv[0], &files, &how, run->argv, run->env);
	posix_spawnattr_destroy(&how);
	posix_spawn_file_actions_destroy(&files);
	return e;
}

/* True: the end of what it writes. */
static bool read_some(struct checkpassword_run *run, int fd)
{
	char spill[512];
	size_t room = sizeof(run->reply) - run->reply_len;
	ssize_t n = room > 0 ? read(fd, run->reply + run->reply_len, room)
			     : read(fd, spill, sizeof(spill)); /* too much; judged later */
	if (n > 0 && room > 0)
		run->reply_len += (size_t)n;
	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

/* It stays a zombie, so that its number still means it. */
static bool ended(pid_t pid)
{
	siginfo_t info = {.si_pid = 0};
	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == pid;
}

/* With whatever it may have left behind in its process group. */
static void end(struct checkpassword_run *run, pid_t pid)
{
	int status = 0;
	kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	run->exited = WIFEXITED(status);
	run->status = run->exited ? WEXITSTATUS(status) : WTERMSIG(status);
}

/* False: its time is over. A descendant that keeps descriptor 4 open is not waited for. */
static bool wait_for_end(struct checkpassword_run *run, pid_t pid, int fd)
{
	int pidfd = pidfd_open(pid, 0); /* only wakes us early; -1 is passed over by poll() */
	struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};
	bool done = false;
	while (!done && clock_ms() < run->deadline_ms) {
		int64_t wait = run->deadline_ms - clock_ms();
		(void)poll(p, ARRAY_LEN(p), wait > POLL_MS && pidfd < 0 ? POLL_MS : (int)wait);
		if (p[0].fd >= 0 && p[0].revents != 0 && read_some(run, fd))
			p[0].fd = -1;
		done = ended(pid);
	}
	if (pidfd >= 0)
		close(pidfd);
	return done;
}

static void drain(struct checkpassword_run *run, int fd)
{
	size_t before;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	do {
		before = run->reply_len;
	} while (!read_some(run, fd) && run->reply_len > before);
}

bool checkpassword_run(struct checkpassword_run *run, struct err *err)
{
	int out[2] = {-1, -1};
	pid_t pid = -1;
	bool ok = false;
	int input = make_input(run->input, err);
	if (input < 0)
		return false;
	if (pipe2(out, O_CLOEXEC) != 0) {
		err_set(err, EX_OSERR, "pipe: %s", strerror(errno));
		goto out;
	}
	int e = spawn(run, input, out[1], &pid);
	close(out[1]);
	if (e != 0) {
		err_set(err, EX_OSERR, "%s cannot be run: %s", run->argv[0], strerror(e));
		goto out;
	}
	ok = wait_for_end(run, pid, out[0]);
	end(run, pid);
	if (ok)
		drain(run, out[0]);
	else
		err_set(err, EX_TEMPFAIL, "%s has not ended in time, killed", run->argv[0]);
	if (ok && run->reply_len == sizeof(run->reply))
		ok = err_set(err, EX_DATAERR, "the program's reply is too long");
out:
	close(input);
	if (out[0] >= 0)
		close(out[0]);
	return ok;
}
