/*
 * Steps of a driver's test, and advice about those that failed.
 * Runs in: authd --test-driver. Nothing is fatal.
 */
#include "drivers/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "conf/template.h"

void driver_step(struct driver_report *r, enum step kind, const char *what, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	struct arena a = {0};
	r->step(r, kind, what, arena_cstr(&a, template_shown(&a, span_of(text))));
	arena_free(&a);
}

void driver_failed(
    struct driver_report *r, const char *what, const char *words, enum step otherwise)
{
	for (size_t i = 0; i < r->advice_count; i++) {
		const struct driver_advice *a = &r->advice[i];
		char todo[600];
		if (strcasestr(words, a->words) == NULL)
			continue;
		snprintf(todo, sizeof(todo), a->what, r->file);
		driver_step(r, a->kind, what, "%s\n%s", words, todo);
		return;
	}
	driver_step(r, otherwise, what, "%s", words);
}
