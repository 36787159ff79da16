/*
 * The floors under the figures of backends: a plain C client that asks the
 * same server the same question, as a good client would, in so many threads
 * with a connection each. backend.c has the loop and main(); one of
 * backend-mysql.c, -pgsql.c, -sqlite.c and -ldap.c has the client.
 *
 *   backend-X CONNECTIONS SECONDS USERS ARGUMENT...
 */
#ifndef BENCH_BACKEND_H
#define BENCH_BACKEND_H

#include <stdbool.h>

/* how many ARGUMENTs, and what they are */
extern const int backend_argc;
extern const char *const backend_usage;

/* One connection, in its thread; ends the process where that fails. */
void *backend_connect(char **argv);
/* Whether the user was found and is as he should be. */
bool backend_ask(void *conn, const char *user);

void backend_die(const char *what, const char *why) __attribute__((noreturn));

#endif
