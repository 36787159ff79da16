/*
 * What a row means: its columns as a password, as extra fields, as the name
 * of a user. Runs in: worker. Owner of everything: the question's arena.
 */
#include <string.h>
#include <sysexits.h>

#include "drivers/sql-row.h"

bool sql_state_is_about_values(const char *state)
{
	/* cardinality, data, integrity, deadlock; what a procedure says of its own (PostgreSQL: P0)
	 */
	static const char *const classes[] = {"21", "22", "23", "40", "45", "P0"};
	for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
		if (strncmp(state, classes[i], 2) == 0)
			return true;
	}
	return false;
}

static bool is_userdb(struct span name)
{
	return span_starts(name, "userdb_");
}

/* The first counts. */
static void take_password(struct sql_password *p, struct arena *a, struct span value, bool noscheme)
{
	if (value.ptr == NULL || secret_is_set(p->password))
		return;
	p->password = secret_of(arena_dup(a, value));
	p->noscheme = noscheme;
}

bool sql_row_password(
    const struct sql_row *row, struct arena *a, struct sql_password *p, struct err *err)
{
	bool has_column = false;
	*p = (struct sql_password){0};
	for (size_t i = 0; i < row->count; i++) {
		struct span name = row->names[i];
		bool noscheme = span_eq_str(name, "password_noscheme");
		if (noscheme || span_eq_str(name, "password")) {
			has_column = true;
			take_password(p, a, row->values[i], noscheme);
		} else if (span_eq_str(name, "password_name")) {
			p->name = arena_dup(a, row->values[i]);
		} else if (span_eq_str(name, "nopassword") && row->values[i].ptr != NULL) {
			has_column = true;
		}
	}
	return has_column ||
	       err_set(err, EX_CONFIG, "Password query must return a field named 'password'");
}

static bool is_password(struct span name)
{
	return span_eq_str(name, "password") || span_eq_str(name, "password_noscheme");
}

void sql_row_fields(const struct sql_row *row, bool passdb, struct fields *out)
{
	bool has_password = false;
	for (size_t i = 0; i < row->count; i++) {
		struct span name = row->names[i];
		if (passdb && span_eq_str(name, "password_name"))
			continue;
		if (passdb && is_password(name) && !has_password) {
			has_password = row->values[i].ptr != NULL;
			continue; /* a second one stays a field, of which the worker complains */
		}
		if (row->values[i].ptr != NULL)
			fields_set(out, name, row->values[i]);
		else if (passdb && is_userdb(name))
			/* no value, but a prefetch userdb knows that it was asked for */
			fields_set(out, SPAN_LIT("userdb_"), SPAN_NULL);
	}
}

static struct span column(const struct sql_row *row, const char *name)
{
	for (size_t i = 0; i < row->count; i++) {
		if (span_eq_str(row->names[i], name))
			return row->values[i].ptr != NULL ? row->values[i] : SPAN_LIT("");
	}
	return SPAN_NULL;
}

struct span sql_row_user(const struct sql_row *row, struct arena *a)
{
	if (row->count > 0 && span_eq_str(row->names[0], "user"))
		return column(row, "user");
	struct span username = column(row, "username"), domain = column(row, "domain");
	if (username.ptr == NULL || domain.len == 0)
		return username;
	return arena_printf(a, "%.*s@%.*s", SPAN_ARG(username), SPAN_ARG(domain));
}
