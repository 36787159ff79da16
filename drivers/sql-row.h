/*
 * What the columns of a row are for authd.
 */
#ifndef DRIVERS_SQL_ROW_H
#define DRIVERS_SQL_ROW_H

#include "drivers/sql.h"

struct sql_password {
	struct secret password; /* unset: the column is NULL */
	bool noscheme;
	struct span name; /* column password_name; SPAN_NULL: none */
};

/* The password of a row; false and *err when the query does not return one. */
bool sql_row_password(
    const struct sql_row *row, struct arena *a, struct sql_password *p, struct err *err) MUST_CHECK;
/* The other columns, into fields. */
void sql_row_fields(const struct sql_row *row, bool passdb, struct fields *out);
/* The user's name in a row of iterate_query; SPAN_NULL: there is no such column. */
struct span sql_row_user(const struct sql_row *row, struct arena *a);

#endif
