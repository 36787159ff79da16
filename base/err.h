/*
 * Details of a failure, for a person to read. Functions return bool or a
 * pointer; this says why. Never holds a secret. Messages have no trailing
 * period and no newline.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/macros.h"

struct err {
	int code; /* a sysexits(3) code, 0 when unset */
	char text[480];
};

/* The same as = {0} without filling all of it: for what every request does. */
static inline void err_clear(struct err *err)
{
	err->code = 0;
	err->text[0] = '\0';
}

/* Always returns false, so that "return err_set(...)" reads well. err may be NULL. */
bool err_set(struct err *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* "WHAT: <the text so far>" */
bool err_prefix(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
