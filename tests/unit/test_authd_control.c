/*
 * Messages between the parent and its children, with and without a
 * descriptor, whole and broken.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "authd/control.h"

struct pair {
	int a, b;
};

static int setup(void **state)
{
	static struct pair p;
	int fds[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0)
		return -1;
	p = (struct pair){fds[0], fds[1]};
	*state = &p;
	return 0;
}

static int teardown(void **state)
{
	struct pair *p = *state;
	close(p->a);
	close(p->b);
	return 0;
}

static void test_message_without_fd(void **state)
{
	struct pair *p = *state;
	struct err err = {0};
	char buf[CONTROL_PACKET_MAX];
	struct control_message m, sent = {.type = CONTROL_FAILED,
				      .generation = 7,
				      .index = 3,
				      .text = SPAN_LIT("why\0not"),
				      .fd = -1};
	assert_true(control_send(p->a, &sent, &err));
	assert_int_equal(control_receive(p->b, &m, buf, sizeof(buf), &err), 1);
	assert_int_equal(m.type, CONTROL_FAILED);
	assert_int_equal(m.generation, 7);
	assert_int_equal(m.index, 3);
	assert_true(span_eq(m.text, sent.text));
	assert_int_equal(m.fd, -1);
	assert_int_equal(control_receive(p->b, &m, buf, sizeof(buf), &err), 0);
}

static void test_descriptor_travels(void **state)
{
	struct pair *p = *state;
	struct err err = {0};
	char buf[CONTROL_PACKET_MAX];
	struct control_message m;
	struct buffer read_back = {0};
	int fd = control_memfd(SPAN_LIT("a section"), &err);
	assert_true(fd >= 0);
	struct control_message sent = {.type = CONTROL_WORKER_CONFIG, .fd = fd};
	assert_true(control_send(p->a, &sent, &err));
	close(fd);
	assert_int_equal(control_receive(p->b, &m, buf, sizeof(buf), &err), 1);
	assert_true(m.fd >= 0);
	assert_int_equal(fcntl(m.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_true(control_read_memfd(m.fd, &read_back, &err));
	assert_true(span_eq_str(buffer_span(&read_back), "a section"));
	assert_int_equal(write(m.fd, "x", 1), -1); /* sealed */
	close(m.fd);
	buffer_free(&read_back);
}

static void test_end_is_told(void **state)
{
	struct pair *p = *state;
	struct err err = {0};
	char buf[CONTROL_PACKET_MAX];
	struct control_message m;
	shutdown(p->a, SHUT_RDWR);
	assert_int_equal(control_receive(p->b, &m, buf, sizeof(buf), &err), -1);
	assert_string_equal(err.text, "closed");
	assert_false(
	    control_send(p->b, &(struct control_message){.type = CONTROL_READY, .fd = -1}, &err));
}

static void test_broken_packets_are_refused(void **state)
{
	static const char *const broken[] = {
	    "x", "\x05\0\0\0\x01", "\xff\xff\xff\xff\xff\xff\xff\xff"};
	static const size_t lengths[] = {1, 5, 8};
	struct pair *p = *state;
	char buf[CONTROL_PACKET_MAX];
	struct control_message m;
	for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
		struct err err = {0};
		assert_int_equal(send(p->a, broken[i], lengths[i], 0), lengths[i]);
		assert_int_equal(control_receive(p->b, &m, buf, sizeof(buf), &err), -1);
		assert_string_not_equal(err.text, "");
	}
}

static void test_packet_that_does_not_fit_is_refused(void **state)
{
	struct pair *p = *state;
	struct err err = {0};
	char small[16];
	struct control_message m,
	    sent = {
		.type = CONTROL_FAILED, .text = SPAN_LIT("longer than sixteen bytes"), .fd = -1};
	assert_true(control_send(p->a, &sent, &err));
	assert_int_equal(control_receive(p->b, &m, small, sizeof(small), &err), -1);
}

/* Descriptors in a message that is refused must not stay open. */
static void test_broken_packet_leaks_no_descriptor(void **state)
{
	struct pair *p = *state;
	struct err err = {0};
	char small[8];
	struct control_message m;
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	struct control_message sent = {
	    .type = CONTROL_LOG, .text = SPAN_LIT("long enough"), .fd = fds[1]};
	assert_true(control_send(p->a, &sent, &err));
	close(fds[1]);
	assert_int_equal(control_receive(p->b, &m, small, sizeof(small), &err), -1);
	assert_int_equal(read(fds[0], small, 1), 0); /* nobody holds the other end */
	close(fds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_message_without_fd, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_descriptor_travels, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_end_is_told, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_broken_packets_are_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		test_packet_that_does_not_fit_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		test_broken_packet_leaks_no_descriptor, setup, teardown),
	};
	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
