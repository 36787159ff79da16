/*
 * sandbox_write_only(): what a worker may still write.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "authd/sandbox.h"

static char base[64];

static const char *path(const char *name)
{
	static char out[4][128];
	static unsigned next;
	char *to = out[next++ % 4];
	snprintf(to, sizeof(out[0]), "%s/%s", base, name);
	return to;
}

static int set_up(void **state)
{
	(void)state;
	strcpy(base, "/tmp/authd-test-XXXXXX");
	if (mkdtemp(base) == NULL || mkdir(path("in"), 0755) != 0 || mkdir(path("out"), 0755) != 0)
		return -1;
	int fd = open(path("out/there"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	return fd >= 0 ? close(fd) : -1;
}

static int tear_down(void **state)
{
	(void)state;
	char command[128];
	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	return system(command);
}

static bool can_make(const char *name)
{
	int fd = open(path(name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* In a child, because there is no way back; its exit status is the number of what went wrong. */
static int try_all(const char *dir)
{
	struct err err = {0};
	bool inside = dir != NULL;
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (!sandbox_write_only(dir, &err))
		return 1;
	if (can_make("in/new") != inside)
		return 2;
	if (inside && rename(path("in/new"), path("in/newer")) != 0)
		return 3;
	if (inside && unlink(path("in/newer")) != 0)
		return 4;
	if (can_make("out/new"))
		return 5;
	if (open(path("out/there"), O_WRONLY | O_CLOEXEC) >= 0)
		return 6;
	if (unlink(path("out/there")) == 0)
		return 7;
	if (open(path("out/there"), O_RDONLY | O_CLOEXEC) < 0)
		return 8;
	if (mkdir(path("in/directory"), 0755) == 0)
		return 9;
	return 0;
}

static void check(const char *dir)
{
	int status;
	const char *missing = sandbox_missing();
	if (missing != NULL) {
		print_message("not here: %s\n", missing);
		skip();
	}
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(try_all(dir));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_nowhere(void **state)
{
	(void)state;
	check(NULL);
}

static void test_one_directory(void **state)
{
	(void)state;
	check(path("in"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_nowhere, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_one_directory, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
