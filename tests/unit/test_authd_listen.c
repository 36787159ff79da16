/*
 * Listening sockets: modes from the first moment, stale files, what must not
 * be removed, and whose file it is.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include <cmocka.h>

#include "authd/listen.h"

static char dir[64], path[100];
static const struct listen_access plain = {.mode = 0600, .uid = (uid_t)-1, .gid = (gid_t)-1};

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/authd-listen.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/auth-client", dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static bool open_at(struct listen_socket *s, unsigned mode, struct err *err)
{
	struct listen_access access = plain;
	bool refused = false;
	access.mode = mode;
	return listen_unix(s, path, &access, &refused, err);
}

static bool can_connect(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	bool ok = connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0;
	close(fd);
	return ok;
}

static mode_t mode_now(void)
{
	struct stat st;
	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode & 07777;
}

static void test_mode_is_as_asked_whatever_the_umask(void **state)
{
	struct listen_socket s;
	struct err err = {0};
	(void)state;
	mode_t old = umask(0077);
	assert_true(open_at(&s, 0666, &err));
	umask(old);
	assert_int_equal(mode_now(), 0666);
	assert_true(can_connect());
	assert_int_equal(fcntl(s.fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	listen_close(&s);
	assert_int_equal(access(path, F_OK), -1);
}

static void test_adjust_changes_the_mode_of_ours_only(void **state)
{
	struct listen_socket s;
	struct listen_access wider = plain;
	struct err err = {0};
	bool refused = false;
	(void)state;
	wider.mode = 0660;
	assert_true(open_at(&s, 0600, &err));
	assert_true(listen_adjust(&s, &wider, &refused, &err));
	assert_int_equal(mode_now(), 0660);
	unlink(path);
	assert_false(listen_in_place(&s));
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_false(listen_adjust(&s, &wider, &refused, &err));
	assert_int_equal(unlink(path), 0);
	listen_close(&s);
}

static void test_stale_file_is_replaced(void **state)
{
	struct listen_socket s;
	struct err err = {0};
	(void)state;
	assert_true(open_at(&s, 0600, &err));
	close(s.fd); /* as if killed: the file stays */
	free(s.name);
	assert_false(can_connect());
	assert_true(open_at(&s, 0600, &err));
	assert_true(can_connect());
	listen_close(&s);
}

static void test_somebody_elses_is_left_alone(void **state)
{
	struct listen_socket first, second;
	struct err err = {0};
	(void)state;
	assert_true(open_at(&first, 0600, &err));
	assert_false(open_at(&second, 0600, &err));
	assert_int_equal(err.code, EX_CANTCREAT);
	assert_non_null(strstr(err.text, "is listening"));
	assert_true(listen_in_place(&first));
	assert_true(can_connect());
	listen_close(&first);
}

static void test_what_is_no_socket_is_never_removed(void **state)
{
	struct listen_socket s;
	struct err err = {0};
	(void)state;
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_false(open_at(&s, 0600, &err));
	assert_non_null(strstr(err.text, "no socket"));
	assert_int_equal(access(path, F_OK), 0);
}

static void test_close_leaves_a_successors_file(void **state)
{
	struct listen_socket first, second;
	struct err err = {0};
	(void)state;
	assert_true(open_at(&first, 0600, &err));
	unlink(path);
	assert_true(open_at(&second, 0600, &err));
	listen_close(&first);
	assert_true(listen_in_place(&second));
	assert_true(can_connect());
	listen_close(&second);
}

static void test_path_too_long(void **state)
{
	struct listen_socket s;
	struct err err = {0};
	bool refused = false;
	char deep[200];
	(void)state;
	memset(deep, 'x', sizeof(deep) - 1);
	deep[0] = '/';
	deep[sizeof(deep) - 1] = '\0';
	assert_false(listen_unix(&s, deep, &plain, &refused, &err));
	assert_int_equal(err.code, EX_CONFIG);
}

static void test_directories_under_base_only(void **state)
{
	char base[96], login[128], file[160], other[128];
	struct stat st;
	struct err err = {0};
	(void)state;
	snprintf(base, sizeof(base), "%s/run", dir);
	snprintf(login, sizeof(login), "%s/login", base);
	snprintf(file, sizeof(file), "%s/login", login);
	snprintf(other, sizeof(other), "%s/elsewhere/auth", dir);
	assert_true(listen_make_directories(base, file, &err));
	assert_int_equal(stat(base, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_int_equal(stat(login, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	assert_true(listen_make_directories(base, other, &err));
	*strrchr(other, '/') = '\0';
	assert_int_equal(access(other, F_OK), -1);
	assert_int_equal(rmdir(login), 0);
	assert_int_equal(rmdir(base), 0);
}

static void test_inet(void **state)
{
	struct listen_socket s, again;
	struct err err = {0};
	struct sockaddr_storage ss;
	socklen_t size = sizeof(ss);
	(void)state;
	assert_true(listen_inet(&s, "127.0.0.1", 0, &err)); /* 0: any free port */
	assert_int_equal(getsockname(s.fd, (struct sockaddr *)&ss, &size), 0);
	assert_int_equal(ss.ss_family, AF_INET);
	assert_true(listen_in_place(&s));
	listen_close(&s);
	assert_false(listen_inet(&again, "no.such.host.invalid", 1, &err));
	assert_int_equal(err.code, EX_CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		test_mode_is_as_asked_whatever_the_umask, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		test_adjust_changes_the_mode_of_ours_only, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_stale_file_is_replaced, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_somebody_elses_is_left_alone, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		test_what_is_no_socket_is_never_removed, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_close_leaves_a_successors_file, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_path_too_long, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_directories_under_base_only, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_inet, setup, teardown),
	};
	return cmocka_run_group_tests_name("listen", tests, NULL, NULL);
}
