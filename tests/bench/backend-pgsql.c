/* The PostgreSQL client of backend.h: one prepared statement. */
#include <postgresql/libpq-fe.h>

#include "backend.h"

const int backend_argc = 2;
const char *const backend_usage = "CONNINFO QUERY";

void *backend_connect(char **argv)
{
	PGconn *pg = PQconnectdb(argv[0]);
	if (PQstatus(pg) != CONNECTION_OK)
		backend_die(argv[0], PQerrorMessage(pg));
	PGresult *r = PQprepare(pg, "ask", argv[1], 0, NULL);
	if (PQresultStatus(r) != PGRES_COMMAND_OK)
		backend_die(argv[1], PQerrorMessage(pg));
	PQclear(r);
	return pg;
}

bool backend_ask(void *conn, const char *user)
{
	PGresult *r = PQexecPrepared(conn, "ask", 1, &user, NULL, NULL, 0);
	bool found = PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) == 1;
	PQclear(r);
	return found;
}
