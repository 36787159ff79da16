/*
 * The name of a default password scheme: one that is not known would make
 * every login an internal failure, so it is said when the file is read.
 * Runs in: parent, authctl; pure.
 */
#include "drivers/drivers.h"
#include "schemes/scheme.h"

enum { SCHEMES_MAX = 128 };

void driver_check_scheme(const struct driver_check *c, const char *row, const char *name)
{
	const char *names[SCHEMES_MAX];
	size_t count = 0;
	if (name[0] == '\0' || scheme_find(span_of(name)) != NULL)
		return;
	for (; scheme_table[count] != NULL && count < SCHEMES_MAX; count++)
		names[count] = scheme_table[count]->name;
	char *upper = arena_cstr(c->arena, span_of(name));
	for (char *p = upper; *p != '\0'; p++)
		*p = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
	const char *near = nearest_name(span_of(upper), names, count);
	driver_check_says(c, row, "\"%.60s\" is no password scheme%s%s%s", name,
	    near != NULL ? ", did you mean \"" : "", near != NULL ? near : "",
	    near != NULL ? "\"?" : "");
}
