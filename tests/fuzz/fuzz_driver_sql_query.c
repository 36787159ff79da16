/*
 * Queries of the SQL driver. Whatever the configuration says: no crash, no
 * placeholder without its parameter, and a literal of the statement never
 * holds a variable.
 */
#include <stdlib.h>

#include "drivers/sql.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count_marks(const char *text, char mark)
{
	size_t n = 0;
	for (; *text != '\0'; text++)
		n += *text == mark;
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum sql_backend_kind kinds[] = {
	    SQL_KIND_MYSQL, SQL_KIND_PGSQL, SQL_KIND_SQLITE};
	struct arena a = {0};
	struct err err = {0};
	if (size < 1 || size > 4096)
		return 0;
	struct span text = span_make(data + 1, size - 1);
	enum sql_dialect dialect = (enum sql_dialect)(data[0] % 4);
	struct sql_query *q = sql_query_parse(&a, dialect, text, &err);
	if (q == NULL && err.text[0] == '\0')
		abort();
	if (q != NULL && count_marks(q->text, dialect == SQL_PGSQL ? '$' : '?') < q->count)
		abort();
	struct err why = {0};
	if (sql_connect_parse(&a, kinds[data[0] % 3], text, &why) == NULL && why.text[0] == '\0')
		abort();
	arena_free(&a);
	return 0;
}
