/*
 * The log, read back from a pipe that stands in for standard error: one line
 * a call whatever is in it, valid JSON, and never a wait for a reader.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "base/log.h"

static int saved_stderr, reader;

static int redirect(void **state UNUSED)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) != 0)
		return -1;
	saved_stderr = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	reader = ends[0];
	fcntl(reader, F_SETFL, O_NONBLOCK);
	return 0;
}

static int restore(void **state UNUSED)
{
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	close(reader);
	log_batch(false);
	return 0;
}

static void read_all(struct buffer *b)
{
	ssize_t n;
	while ((n = read(reader, buffer_reserve(b, 4096), 4096)) > 0)
		buffer_commit(b, (size_t)n);
}

/* what has been logged, as a string; one buffer, used again */
static const char *logged(void)
{
	static char text[64 * 1024];
	struct buffer b = {0};
	read_all(&b);
	assert_true(b.len < sizeof(text));
	if (b.len > 0)
		memcpy(text, b.data, b.len);
	text[b.len] = '\0';
	buffer_free(&b);
	return text;
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;
	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

static const char *after_stamp(const char *line)
{
	static const size_t len = sizeof("Nov 22 10:02:13 ") - 1;
	assert_true(strlen(line) > len);
	return line + len;
}

static void test_text(void **state UNUSED)
{
	log_init("auth", LOG_FORMAT_TEXT, false);
	log_info("hello %d", 5);
	assert_string_equal(after_stamp(logged()), "auth: Info: hello 5\n");
	log_error("%.*s", SPAN_ARG(SPAN_LIT("a\nauth: Info: forged\r\x1b[0m\x7f")));
	assert_string_equal(after_stamp(logged()), "auth: Error: a?auth: Info: forged??[0m?\n");
	log_warning("\xc3\xa9"); /* what is no control character stays */
	assert_string_equal(after_stamp(logged()), "auth: Warning: \xc3\xa9\n");
}

static void test_debug(void **state UNUSED)
{
	static const struct log_value none[] = {{0}};
	log_init("auth", LOG_FORMAT_TEXT, false);
	log_debug("x");
	log_event(LOG_LEVEL_DEBUG, none, "x");
	assert_string_equal(logged(), "");
	assert_false(log_debug_enabled());
	log_init("auth", LOG_FORMAT_TEXT, true);
	assert_true(log_debug_enabled());
	log_debug("x");
	log_event(LOG_LEVEL_DEBUG, none, "y");
	assert_int_equal(count(logged(), "auth: Debug: "), 2);
}

static void test_long_prefix(void **state UNUSED)
{
	char prefix[300];
	memset(prefix, 'p', sizeof(prefix) - 1);
	prefix[sizeof(prefix) - 1] = '\0';
	log_init(prefix, LOG_FORMAT_TEXT, false);
	log_info("x");
	assert_non_null(strstr(logged(), "ppp: Info: x\n"));
}

static void test_json(void **state UNUSED)
{
	const struct log_value values[] = {
	    {.name = "user", .text = SPAN_LIT("a\"b\\c\n\x00\x7f\xe9")},
	    {.name = "usec", .is_number = true, .number = INT64_MIN},
	    {.name = "none", .text = SPAN_NULL},
	    {0},
	};
	log_init("auth", LOG_FORMAT_JSON, false);
	log_event(LOG_LEVEL_INFO, values, "tab\there");
	const char *line = logged();
	assert_non_null(strstr(line, "\"process\":\"auth\",\"level\":\"Info\",\"message\":"
				     "\"tab\\u0009here\",\"user\":\"a\\\"b\\\\c\\u000a\\u0000"
				     "\\u007f\\u00e9\",\"usec\":-9223372036854775808,"
				     "\"none\":\"\"}\n"));
	assert_memory_equal(line, "{\"time\":\"2", 10);
	assert_int_equal(count(line, "\n"), 1);
	/* in text the values are not shown */
	log_init("auth", LOG_FORMAT_TEXT, false);
	log_event(LOG_LEVEL_INFO, values, "only this");
	assert_string_equal(after_stamp(logged()), "auth: Info: only this\n");
}

static void test_batch(void **state UNUSED)
{
	log_init("auth", LOG_FORMAT_TEXT, false);
	log_batch(true);
	log_info("one");
	log_info("two");
	assert_string_equal(logged(), "");
	log_flush();
	const char *text = logged();
	assert_int_equal(count(text, "\n"), 2);
	assert_true(strstr(text, "one") < strstr(text, "two"));
	log_info("three");
	log_batch(false); /* writes what waits */
	assert_int_equal(count(logged(), "three\n"), 1);
}

/* What a turn has logged goes into a file whole and in order, several times over. */
static void test_batch_into_a_file(void **state UNUSED)
{
	char path[] = "/tmp/test_base_log.XXXXXX", line[32];
	struct buffer b = {0};
	int fd = mkostemp(path, O_APPEND);
	assert_true(fd >= 0);
	unlink(path);
	dup2(fd, STDERR_FILENO);
	log_init("auth", LOG_FORMAT_TEXT, false);
	log_batch(true);
	for (int i = 0; i < 4000; i++) {
		log_info("line %d", i);
		if (i % 1000 == 999)
			log_flush();
	}
	assert_true(lseek(fd, 0, SEEK_SET) == 0);
	ssize_t n;
	while ((n = read(fd, buffer_reserve(&b, 65536), 65536)) > 0)
		buffer_commit(&b, (size_t)n);
	close(fd);
	buffer_append_char(&b, '\0');
	const char *at = b.data;
	for (int i = 0; i < 4000; i++) {
		snprintf(line, sizeof(line), "auth: Info: line %d\n", i);
		at = strstr(at, line);
		assert_non_null(at);
	}
	assert_int_equal(count(b.data, "\n"), 4000);
	buffer_free(&b);
	log_batch(false);
}

/* leaves room for exactly so many bytes of one page each */
static void fill_pipe(void)
{
	static char page[4096];
	int flags = fcntl(STDERR_FILENO, F_GETFL);
	memset(page, '.', sizeof(page));
	fcntl(STDERR_FILENO, F_SETFL, flags | O_NONBLOCK);
	while (write(STDERR_FILENO, page, sizeof(page)) > 0)
		;
	fcntl(STDERR_FILENO, F_SETFL, flags); /* from here on a write that does not fit blocks */
}

static void drop_one_page(void)
{
	char page[4096];
	assert_int_equal(read(reader, page, sizeof(page)), sizeof(page));
}

/* A pipe that nobody reads: nothing blocks, memory is bounded, what is lost is counted. */
static void test_full_pipe(void **state UNUSED)
{
	char filler[1001];
	unsigned long lost = 0;
	struct buffer b = {0};
	memset(filler, 'f', sizeof(filler) - 1);
	filler[sizeof(filler) - 1] = '\0';
	log_init("auth", LOG_FORMAT_TEXT, false);
	log_batch(true);
	fill_pipe();
	for (int i = 0; i < 5000; i++) {
		log_info("%s", filler);
		log_flush();
	}
	/* now the reader comes back */
	for (int i = 0; i < 1000; i++) {
		read_all(&b);
		log_flush();
	}
	log_info("the end");
	log_flush();
	read_all(&b);
	buffer_append_char(&b, '\0');
	const char *text = b.data;
	const char *told = strstr(text, " log lines were lost");
	assert_non_null(told);
	while (told > text && told[-1] != ' ')
		told--;
	lost = strtoul(told, NULL, 10);
	assert_true(lost > 0);
	assert_int_equal(count(text, "auth: Info: fff") + lost, 5000);
	assert_int_equal(count(text, "the end\n"), 1);
	buffer_free(&b);
	log_batch(false);
}

/* A line of more than PIPE_BUF bytes does not block either when there is room for a part of it. */
static void test_long_line_on_a_nearly_full_pipe(void **state UNUSED)
{
	static char line[5 * PIPE_BUF];
	struct buffer b = {0};
	memset(line, 'l', sizeof(line) - 1);
	log_init("auth", LOG_FORMAT_TEXT, false);
	log_batch(true);
	fill_pipe();
	drop_one_page();
	alarm(10); /* a blocked write would be for ever */
	log_info("%s", line);
	log_info("behind it");
	log_flush();
	for (int i = 0; i < 20; i++) {
		read_all(&b);
		log_flush();
	}
	alarm(0);
	read_all(&b);
	buffer_append_char(&b, '\0');
	const char *at = strstr(b.data, "auth: Info: lll");
	assert_non_null(at);
	assert_int_equal(strspn(strchr(at, 'l'), "l"), sizeof(line) - 1);
	assert_int_equal(count(b.data, "behind it\n"), 1);
	buffer_free(&b);
	log_batch(false);
}

#define LOG_TEST(f) cmocka_unit_test_setup_teardown(f, redirect, restore)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    LOG_TEST(test_text),
	    LOG_TEST(test_debug),
	    LOG_TEST(test_long_prefix),
	    LOG_TEST(test_json),
	    LOG_TEST(test_batch),
	    LOG_TEST(test_batch_into_a_file),
	    LOG_TEST(test_full_pipe),
	    LOG_TEST(test_long_line_on_a_nearly_full_pipe),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
