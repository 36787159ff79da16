/*
 * Where a process logs to: worked out by the parent from the configuration,
 * applied by it and, through the environment, by its children.
 */
#ifndef AUTHD_LOGGING_H
#define AUTHD_LOGGING_H

#include "base/err.h"
#include "base/log.h"

struct logging {
	enum log_format format;
	bool debug;
	char facility[16]; /* "": to descriptor 2 */
};

enum { LOGGING_TEXT_MAX = 40 };
void logging_print(const struct logging *l, char text[LOGGING_TEXT_MAX]);
bool logging_parse(struct logging *l, const char *text) MUST_CHECK;

bool logging_facility_known(const char *name);
void logging_apply(const struct logging *l, const char *prefix);

/* Descriptor 2 becomes this file, appended to. */
bool logging_open_file(const char *path, struct err *err) MUST_CHECK;
/* The log's descriptor becomes fd, which is closed (CONTROL_LOG). */
void logging_take_fd(int fd);

#endif
