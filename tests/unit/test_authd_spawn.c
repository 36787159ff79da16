/*
 * What a child is started with, restart delays, identities and the log's
 * plan on their way through the environment, and the sandbox.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "authd/backoff.h"
#include "authd/control.h"
#include "authd/logging.h"
#include "authd/privileges.h"
#include "authd/sandbox.h"
#include "authd/spawn.h"

/* ---- a child: this program again, which tells what it finds ---- */

static int report_from_child(void)
{
	char text[256];
	int n = snprintf(text, sizeof(text), "%s", getenv("PROBE"));
	for (int fd = 0; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			n += snprintf(text + n, sizeof(text) - (size_t)n, " %d", fd);
	if (getenv("HOME") != NULL || getsid(0) != getpid())
		return 1;
	return send(CONTROL_FD, text, (size_t)n, 0) == n ? 0 : 1;
}

static void start_and_read(bool channel, bool with_errors, char *text, size_t size)
{
	const char *environment[] = {"PROBE=child", "ASAN_OPTIONS=detect_leaks=0", NULL};
	struct err err = {0};
	int ours, theirs, chan_ours = -1, chan_theirs = -1, status;
	int stray = open("/dev/null", O_RDONLY); /* not close-on-exec: must not get through */
	assert_true(stray >= 0);
	assert_true(spawn_init("", &err));
	assert_true(spawn_pair(SOCK_SEQPACKET, 0, false, &ours, &theirs, &err));
	if (channel)
		assert_true(spawn_pair(SOCK_STREAM, 65536, true, &chan_ours, &chan_theirs, &err));
	int errors[2] = {-1, -1};
	if (with_errors)
		assert_int_equal(pipe(errors), 0);
	const struct spawn s = {"authd: test", environment, theirs, chan_theirs, errors[1]};
	pid_t pid = spawn_child(&s, &err);
	assert_true(pid > 0);
	close(theirs);
	if (with_errors) {
		close(errors[0]);
		close(errors[1]);
	}
	ssize_t n = recv(ours, text, size - 1, 0);
	assert_true(n > 0);
	text[n] = '\0';
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(ours);
	close(stray);
	if (channel) {
		assert_int_equal(fcntl(chan_ours, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
		close(chan_ours);
		close(chan_theirs);
	}
}

static void test_child_has_the_agreed_descriptors_only(void **state)
{
	char text[256];
	(void)state;
	start_and_read(false, false, text, sizeof(text));
	assert_string_equal(text, "child 0 1 2 3");
	start_and_read(true, false, text, sizeof(text));
	assert_string_equal(text, "child 0 1 2 3 4");
	start_and_read(true, true, text, sizeof(text));
	assert_string_equal(text, "child 0 1 2 3 4 5");
}

/* ---- restart delays ---- */

static void test_backoff_doubles_and_is_forgiven(void **state)
{
	static const int64_t expected[] = {
	    0, 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000, 10000};
	struct backoff b = {0};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(expected); i++)
		assert_int_equal(backoff_died(&b, 5), expected[i]);
	assert_int_equal(backoff_died(&b, BACKOFF_FORGIVEN_MS - 1), 10000);
	assert_int_equal(backoff_died(&b, BACKOFF_FORGIVEN_MS), 0);
	assert_int_equal(backoff_died(&b, 5), 100);
}

/* ---- identities ---- */

static void test_identity_text(void **state)
{
	const struct identity id = {
	    .uid = 65534, .gid = 4294967294U, .groups = {5, 8}, .group_count = 2};
	struct identity back;
	char text[IDENTITY_TEXT_MAX];
	(void)state;
	identity_print(&id, text);
	assert_string_equal(text, "65534,4294967294,5,8");
	assert_true(identity_parse(&back, text));
	assert_int_equal(back.uid, id.uid);
	assert_int_equal(back.gid, id.gid);
	assert_int_equal(back.group_count, 2);
	assert_int_equal(back.groups[1], 8);
}

static void test_identity_text_that_is_wrong(void **state)
{
	static const char *const wrong[] = {"", "1", "1,2", "1,2,x", "-1,2,3", "1,,3", "1,2,3,"};
	struct identity id;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_false(identity_parse(&id, wrong[i]));
}

static void test_identity_of_users(void **state)
{
	struct identity id = {0};
	struct err err = {0};
	uid_t uid = 77;
	(void)state;
	assert_true(identity_lookup(&id, "root", "", &err));
	assert_int_equal(id.uid, 0);
	assert_true(id.group_count >= 1);
	assert_false(identity_lookup(&id, "no-such-user-here", "", &err));
	assert_non_null(strstr(err.text, "adduser --system"));
	assert_true(identity_uid("", &uid, &err));
	assert_int_equal(uid, 77);
	assert_true(identity_uid("1234567", &uid, &err));
	assert_int_equal(uid, 1234567);
	assert_false(identity_uid("no-such-user-here", &uid, &err));
}

/* ---- the log's plan ---- */

static void test_logging_text(void **state)
{
	struct logging plan = {.format = LOG_FORMAT_JSON, .debug = true, .facility = "local3"},
		       back;
	char text[LOGGING_TEXT_MAX];
	(void)state;
	logging_print(&plan, text);
	assert_true(logging_parse(&back, text));
	assert_int_equal(back.format, LOG_FORMAT_JSON);
	assert_true(back.debug);
	assert_string_equal(back.facility, "local3");
	assert_false(logging_parse(&back, "text"));
	assert_true(logging_facility_known("mail"));
	assert_false(logging_facility_known("male"));
}

/* ---- the sandbox: what it lets through and what it stops ---- */

enum { STATUS_ERRNO = 100 }; /* + errno: the call was refused */

static int try_in_sandbox(enum sandbox_kind kind, int (*what)(void))
{
	struct err err = {0};
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (!sandbox_enter(kind, &err))
			_exit(99);
		errno = 0;
		_exit(what() < 0 ? STATUS_ERRNO + errno : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int do_exec(void)
{
	return execl("/bin/true", "true", (char *)NULL);
}

static int do_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static int do_open_to_read(void)
{
	return open("/etc/passwd", O_RDONLY);
}

static int do_open_to_write(void)
{
	return open("/dev/null", O_WRONLY);
}

static int do_executable_memory(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? -1 : 0;
}

static int do_event_loop_things(void)
{
	int fds[2];
	void *p = malloc(4 * 1024 * 1024);
	memset(p, 1, 4 * 1024 * 1024);
	free(p);
	return pipe(fds) == 0 && write(fds[1], "x", 1) == 1 &&
		       fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0
		   ? 0
		   : -1;
}

static bool killed(int status)
{
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

static void test_sandbox(void **state)
{
	const char *missing = sandbox_missing();
	(void)state;
	if (missing != NULL && (strstr(missing, "sanitizers") || strstr(missing, "no seccomp")))
		skip();
	assert_int_equal(try_in_sandbox(SANDBOX_FRONT, do_event_loop_things), 0);
	assert_true(killed(try_in_sandbox(SANDBOX_FRONT, do_exec)));
	assert_true(killed(try_in_sandbox(SANDBOX_FRONT, do_socket)));
	assert_true(killed(try_in_sandbox(SANDBOX_FRONT, do_open_to_write)));
	assert_true(WEXITSTATUS(try_in_sandbox(SANDBOX_FRONT, do_open_to_read)) > STATUS_ERRNO);
	assert_true(
	    WEXITSTATUS(try_in_sandbox(SANDBOX_FRONT, do_executable_memory)) > STATUS_ERRNO);
	assert_int_equal(
	    WEXITSTATUS(try_in_sandbox(SANDBOX_FRONT_SYSLOG, do_socket)), STATUS_ERRNO + EPERM);
	assert_true(killed(try_in_sandbox(SANDBOX_WORKER, do_exec)));
	assert_int_equal(try_in_sandbox(SANDBOX_WORKER, do_socket), 0);
	assert_int_equal(try_in_sandbox(SANDBOX_WORKER, do_open_to_write), 0);
	assert_int_equal(try_in_sandbox(SANDBOX_WORKER_PROGRAMS, do_exec), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_child_has_the_agreed_descriptors_only),
	    cmocka_unit_test(test_backoff_doubles_and_is_forgiven),
	    cmocka_unit_test(test_identity_text),
	    cmocka_unit_test(test_identity_text_that_is_wrong),
	    cmocka_unit_test(test_identity_of_users),
	    cmocka_unit_test(test_logging_text),
	    cmocka_unit_test(test_sandbox),
	};
	if (getenv("PROBE") != NULL)
		return report_from_child();
	return cmocka_run_group_tests_name("spawn", tests, NULL, NULL);
}
