/*
 * What libraries, modules and programs in a worker write to standard error:
 * lines of the log that say from whom they are, so that none of them passes
 * for one of our own. Runs in: parent. The bytes are looked at for line feeds
 * only; what comes too fast waits in the pipe, and is lost when that is full.
 */
#include <errno.h>
#include <unistd.h>

#include "authd/parent.h"

enum { READ_MAX = 512, LINES_MAX = 100, WINDOW_MS = 1000, LAST_READS = 256 };

static void say_line(struct child *c)
{
	if (c->said_len > 0)
		log_warning(
		    "%s (pid %ld) says: %.*s", c->label, (long)c->pid, (int)c->said_len, c->said);
	c->said_len = 0;
	c->said_lines++;
}

static void take(struct child *c, struct span bytes)
{
	for (size_t i = 0; i < bytes.len; i++) {
		char b = bytes.ptr[i];
		if (b != '\n')
			c->said[c->said_len++] = b != '\0' ? b : '?';
		if (b == '\n' || c->said_len == sizeof(c->said))
			say_line(c);
	}
}

/* false: there is no more, for now or for ever */
static bool hear_some(struct child *c)
{
	char buf[READ_MAX];
	ssize_t n = read(c->errors, buf, sizeof(buf));
	if (n > 0)
		take(c, span_make(buf, (size_t)n));
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		child_close_errors(c);
	return n > 0;
}

bool child_is_heard(const struct child *c, int64_t now)
{
	return c->errors >= 0 && (c->said_lines < LINES_MAX || now >= c->said_ms + WINDOW_MS);
}

int64_t child_heard_again(const struct child *c)
{
	return c->said_ms + WINDOW_MS;
}

void child_hear(struct child *c, int64_t now)
{
	if (now >= c->said_ms + WINDOW_MS) {
		c->said_ms = now;
		c->said_lines = 0;
	}
	if (log_is_writable())
		(void)hear_some(c);
	else
		c->said_lines = LINES_MAX; /* the parent waits for no reader of the log */
}

/* Another process may have the pipe, too, and never stop. */
void child_hear_last(struct child *c)
{
	for (int i = 0; i < LAST_READS && c->errors >= 0; i++) {
		if (!log_is_writable() || !hear_some(c))
			break;
	}
	say_line(c);
	child_close_errors(c);
}

void child_close_errors(struct child *c)
{
	if (c->errors >= 0)
		close(c->errors);
	c->errors = -1;
}
