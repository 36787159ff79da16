/*
 * Setting up the log. Runs in: parent, front, worker.
 */
#include "authd/logging.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <syslog.h>
#include <unistd.h>

/* stands where mail logs are expected: filters made for Dovecot know this name */
#define SYSLOG_IDENT "dovecot-auth"

static const struct {
	const char *name;
	int number;
} facilities[] = {
    {"mail", LOG_MAIL},
    {"auth", LOG_AUTH},
    {"authpriv", LOG_AUTHPRIV},
    {"daemon", LOG_DAEMON},
    {"user", LOG_USER},
    {"syslog", LOG_SYSLOG},
    {"local0", LOG_LOCAL0},
    {"local1", LOG_LOCAL1},
    {"local2", LOG_LOCAL2},
    {"local3", LOG_LOCAL3},
    {"local4", LOG_LOCAL4},
    {"local5", LOG_LOCAL5},
    {"local6", LOG_LOCAL6},
    {"local7", LOG_LOCAL7},
};

static int facility_number(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(facilities); i++)
		if (strcmp(facilities[i].name, name) == 0)
			return facilities[i].number;
	return -1;
}

bool logging_facility_known(const char *name)
{
	return facility_number(name) >= 0;
}

void logging_print(const struct logging *l, char text[LOGGING_TEXT_MAX])
{
	snprintf(text, LOGGING_TEXT_MAX, "%s,%s,%s", l->format == LOG_FORMAT_JSON ? "json" : "text",
	    l->debug ? "debug" : "quiet", l->facility);
}

bool logging_parse(struct logging *l, const char *text)
{
	struct span rest = span_of(text), format, debug, facility;
	if (!span_split(&rest, ',', &format) || !span_split(&rest, ',', &debug) ||
	    !span_split(&rest, ',', &facility))
		return false;
	l->format = span_eq_str(format, "json") ? LOG_FORMAT_JSON : LOG_FORMAT_TEXT;
	l->debug = span_eq_str(debug, "debug");
	return span_to_cstr(facility, l->facility, sizeof(l->facility));
}

void logging_apply(const struct logging *l, const char *prefix)
{
	log_init(prefix, l->format, l->debug);
	if (l->facility[0] != '\0')
		log_to_syslog(SYSLOG_IDENT, facility_number(l->facility));
}

bool logging_open_file(const char *path, struct err *err)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	if (fd < 0)
		return err_set(
		    err, EX_CANTCREAT, "cannot open the log %s: %s", path, strerror(errno));
	logging_take_fd(fd);
	return true;
}

void logging_take_fd(int fd)
{
	if (fd == log_descriptor())
		return;
	dup3(fd, log_descriptor(), log_descriptor() == STDERR_FILENO ? 0 : O_CLOEXEC);
	close(fd);
	log_output_changed();
}
