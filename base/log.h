/*
 * The log: one line a call, to standard error, a file or syslog, as text or
 * as JSON. Text lines look like Dovecot's: "Nov 22 10:02:13 auth: Info: ...".
 * Control characters are replaced. There is no way to print a struct secret.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/span.h"

enum log_level {
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_INFO,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_ERROR,
	LOG_LEVEL_FATAL
};
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* prefix is copied: "auth", "master", "auth-worker(passwd-file)" */
void log_init(const char *prefix, enum log_format format, bool debug);
void log_to_syslog(const char *ident, int facility); /* standard error is the default */
void log_set_debug(bool debug);
bool log_debug_enabled(void);

void log_debug(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_info(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_warning(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_error(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_fatal(const char *fmt, ...) PRINTF_LIKE(1, 2); /* logs; does not exit */

/*
 * Gathers lines and writes them together at log_flush(). A log that does not
 * take them (a full pipe) never blocks the caller: lines are dropped and counted.
 */
void log_batch(bool on);
void log_flush(void);
void log_flush_urgent(void); /* only if more waits than log_line()s */
void log_flush_full(
    void); /* the same, or if it is much: whoever calls this calls log_flush() soon */
void log_output_changed(void);	/* the descriptor was replaced */
void log_to_descriptor(int fd); /* in place of standard error; still the caller's */
int log_descriptor(void);
bool log_is_writable(void); /* a few lines would not have to wait for a reader */

/* A line with named values beside the text; in JSON they are members, in text they are not shown.
 */
struct log_value {
	const char *name; /* NULL ends the list */
	struct span text; /* when number is false */
	bool is_number;
	int64_t number;
};
/* The same with a text that is ready; the cheapest way, for what every request does. */
void log_line(enum log_level level, const struct log_value *values, struct span text);
bool log_is_json(void); /* values are worth collecting */
void log_event(enum log_level level, const struct log_value *values, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

#endif
