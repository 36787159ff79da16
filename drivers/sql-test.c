/*
 * "authctl driver test" of the SQL driver: each host is reached, its
 * certificate looked at, and logged in to; then the queries as they will be
 * sent, without values. Runs in: authd --test-driver.
 */
#include <unistd.h>

#include "base/wheel.h"
#include "drivers/report.h"
#include "drivers/sql.h"

static const struct driver_advice advice[] = {
    {"(1045)", STEP_BROKEN,
	"access denied for the service account: check user= and password= in %s"},
    {"(1698)", STEP_BROKEN,
	"access denied for the service account: check user= and password= in %s"},
    {"(2002)", STEP_DOWN, "is the server running, and is host= in %s right?"},
    {"(1044)", STEP_BROKEN,
	"the account may not use this database: GRANT it SELECT, or check dbname= in %s"},
    {"(1049)", STEP_BROKEN, "there is no such database: check dbname= in %s"},
    {"password authentication failed", STEP_BROKEN,
	"access denied for the service account: check user= and password= in %s"},
    {"no password supplied", STEP_BROKEN, "the server wants a password: set password= in %s"},
    {"no pg_hba.conf entry", STEP_BROKEN,
	"the server lets nobody in from here with this user, database and encryption: see its "
	"pg_hba.conf, and %s"},
    {"role \"", STEP_BROKEN, "there is no such account: check user= in %s"},
    {"database \"", STEP_BROKEN, "check dbname= in %s"},
    {"certificate", STEP_BROKEN,
	"the server's certificate is refused, see above; the TLS words are in %s"},
    {"SSL", STEP_BROKEN, "TLS does not work, see above; its words are in %s"},
    {"TLS", STEP_BROKEN, "TLS does not work, see above; its words are in %s"},
    {"(1146)", STEP_BROKEN, "there is no such table: check the queries and dbname= in %s"},
    {"(1054)", STEP_BROKEN, "there is no such column: check the queries in %s"},
    {"(1142)", STEP_BROKEN, "the account may not read it: GRANT it SELECT; the queries are in %s"},
    {"(1064)", STEP_BROKEN, "check the queries in %s"},
    {"does not exist", STEP_BROKEN, "check the queries and dbname= in %s"},
    {"permission denied", STEP_BROKEN,
	"the account may not read it: GRANT it SELECT; the queries are in %s"},
    {"syntax error", STEP_BROKEN, "check the queries in %s"},
    {"no such table", STEP_BROKEN, "check the queries, and the path of the database, in %s"},
    {"no such column", STEP_BROKEN, "check the queries in %s"},
    {"unable to open", STEP_BROKEN, "is the path in %s right, and may the worker read it?"},
    {"not a database", STEP_BROKEN, "the path in %s is that of some other file"},
};

/* false: there is no use in going on with this host */
static bool reach(struct driver_report *r, const struct sql_settings *set, const char *host)
{
	static const enum driver_tls tls[] = {[SQL_KIND_MYSQL] = TLS_MYSQL,
	    [SQL_KIND_PGSQL] = TLS_PGSQL,
	    [SQL_KIND_SQLITE] = TLS_AT_ONCE};
	struct sql_target t = {0};
	sql_backend.describe(set->to, host, &t);
	if (t.port[0] == '\0')
		return true;
	r->unverified = t.unverified;
	r->any_name = t.any_name;
	int fd = r->reach(r, host, t.port, t.server);
	if (fd >= 0 && t.tls)
		r->certificate(r, fd, tls[set->kind], host, t.ca_file, t.ca_dir);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool log_in(struct driver_report *r, const struct sql_settings *set, const char *host)
{
	const char *what = set->kind == SQL_KIND_SQLITE ? "open" : "login";
	struct err err = {0};
	int64_t until = clock_ms() + (int64_t)set->to->connect_timeout;
	void *conn = sql_backend.connect(set->to, host, until, &err);
	if (conn == NULL) {
		driver_failed(r, what, err.text, STEP_DOWN);
		return false;
	}
	driver_step(r, STEP_GOOD, what, "%s%s%s", host[0] != '\0' ? host : "the default host",
	    set->to->user != NULL ? " as " : "", set->to->user != NULL ? set->to->user : "");
	sql_backend.close(conn);
	return true;
}

static void show_query(struct driver_report *r, const char *name, const struct sql_query *q)
{
	if (q != NULL && q->text[0] != '\0')
		driver_step(r, STEP_GOOD, name, "%s", q->text);
}

bool sql_test(const void *settings, struct driver_report *r)
{
	const struct sql_settings *set = settings;
	bool any = false;
	r->advice = advice;
	r->advice_count = ARRAY_LEN(advice);
	for (size_t i = 0; i < set->to->host_count; i++) {
		if (reach(r, set, set->to->hosts[i]) && log_in(r, set, set->to->hosts[i]))
			any = true;
	}
	if (any && !r->userdb)
		show_query(r, "password_query", set->queries[SQL_PASSWORD]);
	if (any && r->userdb) {
		const struct sql_query *list = set->queries[SQL_ITERATE];
		show_query(r, "user_query", set->queries[SQL_USER]);
		if (list != NULL && list->text[0] != '\0')
			driver_step(r, STEP_NOTE, "iterate_query",
			    "%s is not tried: authctl user '*' tries it", list->text);
	}
	return any;
}
