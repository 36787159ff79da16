/*
 * One connection to an LDAP server, and what is known of the servers.
 * A connection passes through the states connect, StartTLS, bind, ready;
 * each has a deadline. A server that fails is left alone for a while by all
 * lanes, then one lane tries it before the others do.
 * Runs in: worker, module ldap.so. Owner: the driver's state; a connection is
 * used by its lane only, struct ldap_servers by all.
 */
#ifndef DRIVERS_LDAP_CONN_H
#define DRIVERS_LDAP_CONN_H

#include <ldap.h>

#include "base/err.h"
#include "base/verdict.h"
#include "drivers/ldap-settings.h"

/* ---- ldap-servers.c ---- */

struct ldap_servers;

/* One for all states with the same settings. */
struct ldap_servers *ldap_servers_get(const struct ldap_settings *set);
void ldap_servers_put(struct ldap_servers *s);
/*
 * The server to try next, none of those in the bit mask tried; -1: none now, and *err says
 * since when. Each one picked must be told to be good or bad, or be left.
 */
int ldap_servers_pick(struct ldap_servers *s, unsigned tried, int64_t deadline_ms, struct err *err);
void ldap_servers_good(struct ldap_servers *s, int server);
void ldap_servers_bad(struct ldap_servers *s, int server, const char *why);
/* Nothing was learned about it. */
void ldap_servers_leave(struct ldap_servers *s, int server);
bool ldap_servers_is_good(struct ldap_servers *s, int server);
/* Whether there is another good one. */
bool ldap_servers_has_other(struct ldap_servers *s, int server);

/* ---- ldap-conn.c ---- */

enum ldap_conn_kind {
	CONN_SERVICE, /* bound as dn: searches */
	CONN_USER,    /* where users' passwords are tried */
};

struct ldap_conn {
	const struct ldap_settings *set;
	struct ldap_servers *servers;
	enum ldap_conn_kind kind;
	LDAP *ld;   /* NULL: not connected */
	int server; /* of set->servers */
	int64_t used_ms;
	bool hasty;	  /* it failed for want of time that the question did not have */
	int64_t until_ms; /* of the step at hand: reads and writes fail then */
	bool looking;	  /* ... or it goes on another time */
	size_t room;	  /* what that step may still read: a hostile server sends for ever */
	size_t written;	  /* since an answer was last waited for */
	/* read from the socket, not yet by libldap or its TLS */
	char ahead[4096];
	size_t ahead_at, ahead_end;
	struct ldap_conncb connected;
};

enum ldap_call {
	CALL_DONE,   /* the server answered */
	CALL_LOST,   /* the connection failed and is closed; another one may do better */
	CALL_FAILED, /* nothing more can be tried: *err */
};

/* A connection that is ready, on whichever server has one. CALL_DONE or CALL_FAILED */
enum ldap_call ldap_conn_ready(
    struct ldap_conn *c, int64_t deadline_ms, struct err *err) MUST_CHECK;
/*
 * The next message of msgid (all: the whole answer at once). *res belongs to the caller.
 * CALL_DONE or CALL_LOST with *err.
 */
enum ldap_call ldap_conn_wait(struct ldap_conn *c, int msgid, bool all, int64_t deadline_ms,
    LDAPMessage **res, struct err *err) MUST_CHECK;
/* The whole answer, as soon as it is there: CALL_DONE with *res NULL when it is not. */
enum ldap_call ldap_conn_look(
    struct ldap_conn *c, int msgid, LDAPMessage **res, struct err *err) MUST_CHECK;
/* How many ms the answer to what is sent now may take. */
int64_t ldap_conn_patience(const struct ldap_conn *c, int64_t deadline_ms);
/* It did not come in so many. CALL_LOST */
enum ldap_call ldap_conn_late(struct ldap_conn *c, int msgid, int64_t ms, struct err *err);
/* Closes it; blame: the server is to be left alone for a while. CALL_LOST */
enum ldap_call ldap_conn_lost(
    struct ldap_conn *c, bool blame, struct err *err, const char *fmt, ...) PRINTF_LIKE(4, 5);
void ldap_conn_close(struct ldap_conn *c);
const char *ldap_conn_uri(const struct ldap_conn *c);

/* The result code of a whole answer, and the server's own words, which live in the arena. */
int ldap_conn_code(struct ldap_conn *c, LDAPMessage *res, struct arena *a, const char **text,
    LDAPControl ***controls);
/* The server itself is not well: ask another one. */
bool ldap_code_is_outage(int code);

/* ---- ldap-test.c ---- */

struct driver_report;
bool ldap_test(const void *settings, struct driver_report *r);

/* ---- ldap-bind.c ---- */

/* As dn of the settings, simple or SASL. */
enum ldap_call ldap_bind_service(
    struct ldap_conn *c, int64_t deadline_ms, struct err *err) MUST_CHECK;
/*
 * As a user: the question, and its answer, or (judge) what an answer means, which belongs to it
 * then. CALL_DONE: *verdict, with *err for the log
 */
enum ldap_call ldap_bind_send(struct ldap_conn *c, const char *dn, struct span password, int *msgid,
    struct err *err) MUST_CHECK;
enum ldap_call ldap_bind_take(struct ldap_conn *c, const char *dn, int msgid, int64_t deadline_ms,
    struct arena *a, enum verdict *verdict, struct err *err) MUST_CHECK;
enum ldap_call ldap_bind_judge(struct ldap_conn *c, const char *dn, LDAPMessage *res,
    struct arena *a, enum verdict *verdict, struct err *err) MUST_CHECK;

/* ---- ldap-search.c ---- */

struct ldap_entry {
	struct span dn; /* SPAN_NULL: there is none */
	struct ldap_entry_attr {
		const char *name;
		struct ldap_values values;
	} * attrs;
	size_t count;
};

struct ldap_query {
	const char *base, *filter;
	int scope;
	const char *const *attrs;
	int limit;		/* of entries; 0: none */
	bool base_is_users_own; /* that it does not exist means that there is no such user */
};

enum ldap_call ldap_search_send(
    struct ldap_conn *c, const struct ldap_query *q, int *msgid, struct err *err) MUST_CHECK;
/* Its answer. CALL_DONE: *found is 0 or 1; more than one is CALL_FAILED. */
enum ldap_call ldap_search_take(struct ldap_conn *c, const struct ldap_query *q, int msgid,
    int64_t deadline_ms, struct arena *a, struct ldap_entry *entry, size_t *found,
    struct err *err) MUST_CHECK;

/* One entry of an answer; false: it does not decode. */
bool ldap_search_entry(
    struct ldap_conn *c, LDAPMessage *msg, struct arena *a, struct ldap_entry *out) MUST_CHECK;

void ldap_entry_copy(const struct ldap_entry *from, struct arena *a, struct ldap_entry *out);

/* false: stop */
typedef bool ldap_each(void *ctx, const struct ldap_entry *entry);
/* All entries, page by page when the server can; the arena is reset after each. */
bool ldap_search_all(struct ldap_conn *c, const struct ldap_query *q, struct arena *a,
    ldap_each *each, void *ctx, struct err *err) MUST_CHECK;

struct ldap_values ldap_entry_values(const struct ldap_entry *entry, const char *attr);

#endif
