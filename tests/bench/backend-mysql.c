/* The MariaDB client of backend.h: one prepared statement, rows taken as they are. */
#include <mariadb/mysql.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"

const int backend_argc = 5;
const char *const backend_usage = "SOCKET USER PASSWORD DATABASE QUERY";

struct conn {
	MYSQL *my;
	MYSQL_STMT *st;
	char columns[8][256];
};

void *backend_connect(char **argv)
{
	struct conn *c = calloc(1, sizeof(*c));
	MYSQL_BIND out[8] = {0};
	if (c == NULL || (c->my = mysql_init(NULL)) == NULL)
		backend_die("mysql", "out of memory");
	if (mysql_real_connect(c->my, NULL, argv[1], argv[2], argv[3], 0, argv[0], 0) == NULL)
		backend_die(argv[0], mysql_error(c->my));
	c->st = mysql_stmt_init(c->my);
	if (c->st == NULL || mysql_stmt_prepare(c->st, argv[4], strlen(argv[4])) != 0)
		backend_die(argv[4], mysql_error(c->my));
	for (int i = 0; i < 8; i++) {
		out[i].buffer_type = MYSQL_TYPE_STRING;
		out[i].buffer = c->columns[i];
		out[i].buffer_length = sizeof(c->columns[i]);
	}
	if (mysql_stmt_field_count(c->st) > 8 || mysql_stmt_bind_result(c->st, out) != 0)
		backend_die(argv[4], "has too many columns");
	return c;
}

bool backend_ask(void *conn, const char *user)
{
	struct conn *c = conn;
	MYSQL_BIND in = {.buffer_type = MYSQL_TYPE_STRING,
	    .buffer = (void *)user,
	    .buffer_length = strlen(user)};
	bool found = mysql_stmt_bind_param(c->st, &in) == 0 && mysql_stmt_execute(c->st) == 0 &&
		     mysql_stmt_fetch(c->st) == 0;
	return found && mysql_stmt_fetch(c->st) == MYSQL_NO_DATA &&
	       mysql_stmt_free_result(c->st) == 0;
}
