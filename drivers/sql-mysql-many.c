/*
 * Several questions to MariaDB as one statement: a UNION ALL of the same query,
 * each time with the values of another question, whose number is the first
 * column. One round for all of them; the library cannot send a second
 * statement before the first one's answer. Runs in: worker, in a lane.
 */
#include <string.h>
#include <sysexits.h>

#include "base/mem.h"
#include "base/span.h"
#include "drivers/sql-mysql.h"

enum { SERVER_MIN = 101100 }; /* older ones were not looked at */

/* ---- the statement ---- */

static struct span without_end(struct span text)
{
	while (text.len > 0 && strchr("; \t\r\n", text.ptr[text.len - 1]) != NULL)
		text.len--;
	return text;
}

/*
 * One that is not needed, because there are fewer questions, has a WHERE that
 * is not true. The limit is there because the server's sql_select_limit,
 * which means one question's rows, would cut off the last ones' answers.
 */
static void write_text(struct buffer *b, struct span query, unsigned size)
{
	for (unsigned i = 0; i < size; i++) {
		buffer_printf(b, "%sSELECT %u, q.* FROM (", i > 0 ? " UNION ALL " : "", i);
		buffer_append(b, query);
		buffer_append_str(b, "\n) q WHERE ?");
	}
	buffer_append_str(b, " LIMIT 18446744073709551615");
	buffer_append_char(b, '\0');
}

static bool is_suitable(const struct mysql_conn *c, const struct sql_query *q)
{
	return !q->apart && mariadb_connection(c->my) &&
	       mysql_get_server_version(c->my) >= SERVER_MIN;
}

enum kind { KIND_TEXT = 1, KIND_WHOLE, KIND_OTHER };

static enum kind kind_of(const MYSQL_FIELD *f)
{
	switch (f->type) {
	case MYSQL_TYPE_VARCHAR:
	case MYSQL_TYPE_VAR_STRING:
	case MYSQL_TYPE_STRING:
	case MYSQL_TYPE_TINY_BLOB:
	case MYSQL_TYPE_BLOB:
	case MYSQL_TYPE_MEDIUM_BLOB:
	case MYSQL_TYPE_LONG_BLOB:
		return KIND_TEXT;
	case MYSQL_TYPE_TINY:
	case MYSQL_TYPE_SHORT:
	case MYSQL_TYPE_INT24:
	case MYSQL_TYPE_LONG:
	case MYSQL_TYPE_LONGLONG:
		return KIND_WHOLE;
	default:
		return KIND_OTHER;
	}
}

/* The same value in the one looks as it does in the other. */
static bool is_same_column(const MYSQL_FIELD *x, const MYSQL_FIELD *y)
{
	const unsigned marks = UNSIGNED_FLAG | ZEROFILL_FLAG;
	if (x->name_length != y->name_length || memcmp(x->name, y->name, x->name_length) != 0)
		return false;
	if (x->type == MYSQL_TYPE_NULL) /* it has no other value */
		return true;
	enum kind kind = kind_of(x);
	if (kind != kind_of(y) || x->charsetnr != y->charsetnr)
		return false;
	if (kind == KIND_TEXT)
		return true;
	bool same = kind == KIND_WHOLE || (x->type == y->type && x->decimals == y->decimals);
	return same && (x->flags & marks) == (y->flags & marks) &&
	       ((x->flags & ZEROFILL_FLAG) == 0 || x->length == y->length);
}

/* A UNION may give a column another type than the query alone. */
static bool is_same_shape(const struct mysql_statement *alone, const struct mysql_statement *many)
{
	if (alone->meta == NULL || many->meta == NULL || many->count != alone->count + 1)
		return false;
	const MYSQL_FIELD *x = mysql_fetch_fields(alone->meta);
	const MYSQL_FIELD *y = mysql_fetch_fields(many->meta) + 1;
	for (unsigned i = 0; i < alone->count; i++) {
		if (!is_same_column(&x[i], &y[i]))
			return false;
	}
	return true;
}

static enum sql_result prepare(struct mysql_conn *c, struct mysql_statement *s,
    const struct sql_query *q, unsigned size, struct err *err)
{
	struct buffer b = {0};
	write_text(&b, without_end(span_of(q->text)), size);
	enum sql_result r = sql_mysql_prepare(c, s, buffer_span(&b).ptr, err);
	buffer_free(&b);
	return r;
}

/* ---- its questions and answers ---- */

struct group {
	struct sql_item *items[ASK_MANY_MAX];
	unsigned count, size;
};

/* The first one's values stand where none are needed, so that types stay the same. */
static enum sql_result run(
    struct mysql_conn *c, struct mysql_statement *s, const struct group *g, struct err *err)
{
	size_t params = g->items[0]->query->count, n = 0;
	MYSQL_BIND *binds =
	    arena_alloc(g->items[0]->arena, g->size * (params + 1) * sizeof(*binds));
	for (unsigned i = 0; i < g->size; i++) {
		const struct sql_item *item = g->items[i < g->count ? i : 0];
		for (size_t j = 0; j < params; j++)
			sql_mysql_bind(&binds[n++], item->values[j].bytes);
		sql_mysql_bind(&binds[n++], i < g->count ? SPAN_LIT("1") : SPAN_LIT("0"));
	}
	return sql_mysql_run(c, s, binds, n, err);
}

static bool take_row(struct mysql_statement *s, const struct group *g)
{
	uint64_t i;
	const struct mysql_column *first = &s->columns[0];
	if (!span_to_u64(span_make(first->bytes, first->len), &i) || i >= g->count)
		return false;
	struct sql_item *item = g->items[i];
	if (item->rows++ == 0)
		sql_mysql_row(s, 1, item->arena, &item->row);
	return true;
}

static enum sql_result take_rows(
    struct mysql_conn *c, struct mysql_statement *s, const struct group *g, struct err *err)
{
	enum sql_result r;
	unsigned slot = g->items[0]->query->slot;
	bool good = is_same_shape(&c->slots[slot], s);
	c->alone[slot] = !good;
	c->running = s;
	while ((r = sql_mysql_fetch(c, err)) == SQL_ROW)
		good = good && take_row(s, g);
	return good || r != SQL_END ? r : SQL_FAILED;
}

static enum sql_result ask_group(struct mysql_conn *c, struct group *g, struct err *err)
{
	const struct sql_query *q = g->items[0]->query;
	unsigned which = 0;
	for (g->size = MYSQL_MANY_FIRST; g->size < g->count; g->size *= 2)
		which++;
	struct mysql_statement *s = &c->many[q->slot][which];
	enum sql_result r = SQL_ROW;
	if (s->st == NULL && (r = prepare(c, s, q, g->size, err)) != SQL_ROW)
		c->alone[q->slot] = true;
	if (r != SQL_ROW)
		return r;
	r = run(c, s, g, err);
	if (r == SQL_FAILED)
		sql_mysql_drop(s); /* the tables may have changed under it */
	return r == SQL_ROW ? take_rows(c, s, g, err) : r;
}

/* Those with this slot's query, when they can be asked together. */
static void make_group(const struct mysql_conn *c, struct sql_item *items, size_t count,
    unsigned slot, struct group *g)
{
	*g = (struct group){0};
	/* a query that was not asked alone may be none, with ends and brackets of its own */
	if (c->alone[slot] || c->slots[slot].meta == NULL)
		return;
	for (size_t i = 0; i < count; i++) {
		if (items[i].query->slot == slot && is_suitable(c, items[i].query))
			g->items[g->count++] = &items[i];
	}
}

enum sql_result sql_mysql_execute_all(
    void *conn, struct sql_item *items, size_t count, int64_t until, struct err *err)
{
	struct mysql_conn *c = conn;
	c->until = until;
	for (size_t i = 0; i < count; i++)
		items[i].alone = true;
	for (unsigned slot = 0; slot < MYSQL_MANY_SLOTS; slot++) {
		struct group g;
		make_group(c, items, count, slot, &g);
		if (g.count < MYSQL_MANY_MIN)
			continue;
		enum sql_result r = ask_group(c, &g, err);
		if (r != SQL_END)
			return r;
		if (!sql_mysql_finish(c)) {
			err_set(err, EX_TEMPFAIL, "mysql %s: a result does not end", c->host);
			return SQL_LOST;
		}
		for (unsigned i = 0; i < g.count; i++)
			g.items[i]->alone = false;
	}
	return SQL_END;
}
