/* The SQLite client of backend.h: one prepared statement; every column is read. */
#include <sqlite3.h>
#include <stdlib.h>

#include "backend.h"

const int backend_argc = 2;
const char *const backend_usage = "FILE QUERY";

struct conn {
	sqlite3 *db;
	sqlite3_stmt *st;
};

void *backend_connect(char **argv)
{
	struct conn *c = calloc(1, sizeof(*c));
	if (c == NULL)
		backend_die("sqlite", "out of memory");
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
	if (sqlite3_open_v2(argv[0], &c->db, flags, NULL) != SQLITE_OK ||
	    sqlite3_busy_timeout(c->db, 5000) != SQLITE_OK ||
	    sqlite3_prepare_v3(c->db, argv[1], -1, SQLITE_PREPARE_PERSISTENT, &c->st, NULL) !=
		SQLITE_OK)
		backend_die(argv[0], sqlite3_errmsg(c->db));
	return c;
}

bool backend_ask(void *conn, const char *user)
{
	struct conn *c = conn;
	bool ok = sqlite3_bind_text(c->st, 1, user, -1, SQLITE_STATIC) == SQLITE_OK &&
		  sqlite3_step(c->st) == SQLITE_ROW;
	for (int i = 0; ok && i < sqlite3_column_count(c->st); i++)
		ok = sqlite3_column_text(c->st, i) != NULL;
	ok = ok && sqlite3_step(c->st) == SQLITE_DONE;
	sqlite3_reset(c->st);
	return ok;
}
