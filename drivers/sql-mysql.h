/*
 * What the two files of the SQL driver's backend for MySQL and MariaDB share:
 * sql-mysql.c asks one question at a time, sql-mysql-many.c several at once.
 */
#ifndef DRIVERS_SQL_MYSQL_H
#define DRIVERS_SQL_MYSQL_H

#include <mariadb/mysql.h>

#include "drivers/sql.h"

enum { MYSQL_COLUMN_SIZE = 512 };

struct mysql_column {
	char bytes[MYSQL_COLUMN_SIZE];
	unsigned long len;
	my_bool null, cut;
};

struct mysql_statement {
	MYSQL_STMT *st;
	unsigned count;
	MYSQL_RES *meta;
	struct mysql_column *columns;
	MYSQL_BIND *binds;
};

/* Statements for 4, 8 and 16 questions; fewer than 3 are asked one by one as quickly. */
enum { MYSQL_MANY_MIN = 3, MYSQL_MANY_FIRST = 4, MYSQL_MANY_SIZES = 3 };
enum { MYSQL_MANY_SLOTS = SQL_USER + 1 };

struct mysql_conn {
	MYSQL *my;
	const char *host;
	int64_t until;
	struct mysql_statement slots[SQL_SLOTS];
	struct mysql_statement many[MYSQL_MANY_SLOTS][MYSQL_MANY_SIZES];
	bool alone[MYSQL_MANY_SLOTS]; /* its questions cannot be asked together */
	struct mysql_statement *running;
	bool at_end;
};

/* ---- sql-mysql.c; each bounded by conn->until ---- */

enum sql_result sql_mysql_prepare(
    struct mysql_conn *c, struct mysql_statement *s, const char *text, struct err *err);
/* SQL_ROW: there may be rows. */
enum sql_result sql_mysql_run(struct mysql_conn *c, struct mysql_statement *s, MYSQL_BIND *binds,
    size_t count, struct err *err);
void sql_mysql_bind(MYSQL_BIND *b, struct span value);
/* The next row of what is running, which sql_mysql_row() then shows from its first column on. */
enum sql_result sql_mysql_fetch(struct mysql_conn *c, struct err *err);
void sql_mysql_row(struct mysql_statement *s, unsigned first, struct arena *a, struct sql_row *row);
/* Ends what is running; false: the connection must be closed. */
bool sql_mysql_finish(void *conn);
void sql_mysql_drop(struct mysql_statement *s);

/* ---- sql-mysql-many.c ---- */

enum sql_result sql_mysql_execute_all(
    void *conn, struct sql_item *items, size_t count, int64_t until, struct err *err);

#endif
