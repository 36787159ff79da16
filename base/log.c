/*
 * Writing log lines. One write(2) a line, so lines of several processes do
 * not mix. A log that cannot be written is not fatal.
 */
#include "base/log.h"

#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"

enum { WAITING_MAX = 1024 * 1024, WAITING_FULL = 32 * 1024, WAITING_KEPT = 128 * 1024 };

static struct {
	char prefix[96];
	int fd;
	enum log_format format;
	bool debug;
	bool syslog;
	bool batch, urgent;
	bool output_known, output_is_file;
	struct buffer waiting;
	unsigned long dropped;
} state = {.prefix = "authd", .fd = STDERR_FILENO};

static const char *const level_names[] = {"Debug", "Info", "Warning", "Error", "Fatal"};
static const int syslog_levels[] = {LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERR, LOG_CRIT};

void log_init(const char *prefix, enum log_format format, bool debug)
{
	snprintf(state.prefix, sizeof(state.prefix), "%s", prefix);
	state.format = format;
	state.output_known = false;
	state.debug = debug;
}

void log_to_syslog(const char *ident, int facility)
{
	openlog(ident, LOG_NDELAY | LOG_PID, facility);
	state.syslog = true;
}

void log_set_debug(bool debug)
{
	state.debug = debug;
}

bool log_debug_enabled(void)
{
	return state.debug;
}

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

static void append_clean(struct buffer *b, struct span s)
{
	if (!span_has_control(s)) {
		buffer_append(b, s);
		return;
	}
	char *at = buffer_reserve(b, s.len);
	for (size_t i = 0; i < s.len; i++)
		at[i] = is_control(s.ptr[i]) ? '?' : s.ptr[i];
	buffer_commit(b, s.len);
}

static void append_json(struct buffer *b, struct span s)
{
	buffer_append_char(b, '"');
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		if (c == '"' || c == '\\')
			buffer_printf(b, "\\%c", c);
		else if (c < 0x20 || c >= 0x7f) /* bytes of unknown charset: as Latin-1 */
			buffer_printf(b, "\\u%04x", c);
		else
			buffer_append_char(b, (char)c);
	}
	buffer_append_char(b, '"');
}

/* "Nov 22 10:02:13 ", made once a second */
static struct span time_stamp(void)
{
	static _Thread_local char stamp[40];
	static _Thread_local size_t len;
	static _Thread_local time_t made;
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	if (ts.tv_sec != made || len == 0) {
		struct tm tm;
		localtime_r(&ts.tv_sec, &tm);
		len = strftime(stamp, sizeof(stamp), "%b %d %H:%M:%S ", &tm);
		made = ts.tv_sec;
	}
	return span_make(stamp, len);
}

static void format_text(struct buffer *b, enum log_level level, struct span text)
{
	if (!state.syslog)
		buffer_append(b, time_stamp());
	buffer_append_str(b, state.prefix);
	buffer_append(b, SPAN_LIT(": "));
	buffer_append_str(b, level_names[level]);
	buffer_append(b, SPAN_LIT(": "));
	append_clean(b, text);
}

static void format_json(
    struct buffer *b, enum log_level level, struct span text, const struct log_value *values)
{
	struct timespec ts;
	struct tm tm;
	char stamp[40];
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	buffer_printf(b, "{\"time\":\"%s.%06ldZ\",\"process\":", stamp, ts.tv_nsec / 1000);
	append_json(b, span_of(state.prefix));
	buffer_printf(b, ",\"level\":\"%s\",\"message\":", level_names[level]);
	append_json(b, text);
	for (; values != NULL && values->name != NULL; values++) {
		buffer_printf(b, ",\"%s\":", values->name);
		if (values->is_number)
			buffer_printf(b, "%lld", (long long)values->number);
		else
			append_json(b, values->text);
	}
	buffer_append_char(b, '}');
}

/* Writing there never has to wait for a reader. */
static bool is_a_file(void)
{
	struct stat st;
	if (!state.output_known) {
		state.output_is_file = fstat(state.fd, &st) == 0 && S_ISREG(st.st_mode);
		state.output_known = true;
	}
	return state.output_is_file;
}

void log_output_changed(void)
{
	state.output_known = false;
}

void log_to_descriptor(int fd)
{
	state.fd = fd;
	state.output_known = false;
}

int log_descriptor(void)
{
	return state.fd;
}

/* Without blocking: what poll() finds writable takes PIPE_BUF bytes. */
static bool is_writable(void)
{
	struct pollfd p = {state.fd, POLLOUT, 0};
	return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0;
}

bool log_is_writable(void)
{
	return state.syslog || is_a_file() || is_writable();
}

/* As many whole lines as fit in one atomic write; of a longer line a part: more might block. */
static size_t whole_lines(struct span s)
{
	if (s.len <= PIPE_BUF)
		return s.len;
	ssize_t end = span_rfind(span_first(s, PIPE_BUF), '\n');
	return end >= 0 ? (size_t)end + 1 : PIPE_BUF;
}

void log_flush(void)
{
	state.urgent = false;
	if (state.waiting.len == 0)
		return;
	bool file = is_a_file();
	while (state.waiting.len > 0) {
		struct span s = buffer_span(&state.waiting);
		if (!file && !is_writable())
			break;
		ssize_t n = write(state.fd, s.ptr, file ? s.len : whole_lines(s));
		if (n <= 0)
			break;
		buffer_consume(&state.waiting, (size_t)n);
	}
	/* used again at the end of the next turn, unless a jam has made it large */
	if (state.waiting.len == 0 && state.waiting.size > WAITING_KEPT)
		buffer_free(&state.waiting);
}

void log_batch(bool on)
{
	state.batch = on;
	if (!on)
		log_flush();
}

/* Bounded: a log that nobody reads costs lines, not memory. */
static void keep(struct buffer *line)
{
	if (state.waiting.len + line->len > WAITING_MAX) {
		state.dropped++;
		return;
	}
	if (state.dropped > 0) {
		buffer_printf(&state.waiting, "%s: Warning: %lu log lines were lost\n",
		    state.prefix, state.dropped);
		state.dropped = 0;
	}
	buffer_append(&state.waiting, buffer_span(line));
	state.urgent = true;
}

static void emit(enum log_level level, struct span text, const struct log_value *values)
{
	/* threads of a worker log too, each with a line of its own */
	static _Thread_local struct buffer line;
	struct buffer *b = &line;
	b->start = b->len = 0;
	if (state.format == LOG_FORMAT_JSON)
		format_json(b, level, text, values);
	else
		format_text(b, level, text);
	if (state.syslog) {
		syslog(syslog_levels[level], "%.*s", (int)b->len, b->data);
	} else {
		buffer_append_char(b, '\n');
		if (state.batch)
			keep(b);
		else
			(void)!write(state.fd, b->data, b->len);
	}
	if (!state.batch)
		buffer_free(b); /* a thread may end at any time */
}

void log_line(enum log_level level, const struct log_value *values, struct span text)
{
	bool urgent = state.urgent;
	if (level > LOG_LEVEL_DEBUG || state.debug)
		emit(level, text, values);
	state.urgent = urgent;
}

void log_flush_urgent(void)
{
	if (state.urgent)
		log_flush();
}

void log_flush_full(void)
{
	if (state.urgent || state.waiting.len >= WAITING_FULL)
		log_flush();
}

bool log_is_json(void)
{
	return state.format == LOG_FORMAT_JSON;
}

static void emit_va(enum log_level level, const struct log_value *values, const char *fmt,
    va_list ap) __attribute__((format(printf, 3, 0)));

static void emit_va(
    enum log_level level, const struct log_value *values, const char *fmt, va_list ap)
{
	char *text = NULL;
	int n = vasprintf(&text, fmt, ap);
	if (n >= 0)
		emit(level, span_make(text, (size_t)n), values);
	free(text);
}

void log_event(enum log_level level, const struct log_value *values, const char *fmt, ...)
{
	va_list ap;
	if (level == LOG_LEVEL_DEBUG && !state.debug)
		return;
	va_start(ap, fmt);
	emit_va(level, values, fmt, ap);
	va_end(ap);
}

void log_debug(const char *fmt, ...)
{
	va_list ap;
	if (!state.debug)
		return;
	va_start(ap, fmt);
	emit_va(LOG_LEVEL_DEBUG, NULL, fmt, ap);
	va_end(ap);
}

void log_info(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	emit_va(LOG_LEVEL_INFO, NULL, fmt, ap);
	va_end(ap);
}

void log_warning(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	emit_va(LOG_LEVEL_WARNING, NULL, fmt, ap);
	va_end(ap);
}

void log_error(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	emit_va(LOG_LEVEL_ERROR, NULL, fmt, ap);
	va_end(ap);
}

void log_fatal(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	emit_va(LOG_LEVEL_FATAL, NULL, fmt, ap);
	va_end(ap);
}
