/*
 * One connection: connect, StartTLS, bind, ready. Every step has a deadline,
 * which reads and writes keep to, so that a server that hangs costs no more
 * than that. Runs in: worker, in a lane. Referrals are not followed: passwords go
 * to servers that the administrator named.
 */
#include "drivers/ldap-conn.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

#include "base/mem.h"
#include "base/wheel.h"

enum {
	CONNECT_MS = 5000,
	STEP_MS = 10000,       /* one answer */
	PROBE_MS = 2000,       /* of a server that failed before, or of an idle connection */
	HASTE_MS = 200,	       /* no connection is begun with less than this left */
	FAIR_MS = 1000,	       /* less patience than this proves nothing about the server */
	IDLE_MS = 30000,       /* then the connection is tried before it is used */
	MESSAGE_MAX = 4 << 20, /* one entry */
	ANSWER_MAX = 2 * MESSAGE_MAX,
	SMALL_WRITE = 8192,
};

const char *ldap_conn_uri(const struct ldap_conn *c)
{
	return c->set->servers[c->server];
}

void ldap_conn_close(struct ldap_conn *c)
{
	if (c->ld != NULL)
		ldap_unbind_ext(c->ld, NULL, NULL);
	c->ld = NULL;
	c->ahead_at = c->ahead_end = 0;
}

/* How long a step may take: with another server at hand, half of what is left is for that one. */
static int64_t patience(const struct ldap_conn *c, int64_t deadline_ms, int64_t most)
{
	int64_t left = deadline_ms - clock_ms();
	bool other = ldap_servers_has_other(c->servers, c->server);
	if (!ldap_servers_is_good(c->servers, c->server) && most > PROBE_MS)
		most = PROBE_MS;
	if (other)
		left /= 2;
	return left < most ? left : most;
}

static struct timeval timeval_of(int64_t ms)
{
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};
}

enum ldap_call ldap_conn_lost(
    struct ldap_conn *c, bool blame, struct err *err, const char *fmt, ...)
{
	char text[sizeof(err->text)];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_set(err, EX_TEMPFAIL, "%s: %s", ldap_conn_uri(c), text);
	ldap_conn_close(c);
	if (blame)
		ldap_servers_bad(c->servers, c->server, err->text);
	return CALL_LOST;
}

bool ldap_code_is_outage(int code)
{
	return code == LDAP_BUSY || code == LDAP_UNAVAILABLE || code == LDAP_OTHER ||
	       code == LDAP_OPERATIONS_ERROR || code == LDAP_SERVER_DOWN;
}

static void begin_step(struct ldap_conn *c, int64_t until_ms)
{
	c->until_ms = until_ms;
	c->looking = false;
	c->room = ANSWER_MAX;
	c->written = 0;
}

/* ---- waiting for answers ---- */

static int last_code(const struct ldap_conn *c)
{
	int code = LDAP_SERVER_DOWN;
	ldap_get_option(c->ld, LDAP_OPT_RESULT_CODE, &code);
	return code;
}

enum ldap_call ldap_conn_late(struct ldap_conn *c, int msgid, int64_t ms, struct err *err)
{
	ldap_abandon_ext(c->ld, msgid, NULL, NULL);
	c->hasty = ms < FAIR_MS;
	return ldap_conn_lost(c, ms >= FAIR_MS, err, "no answer in %lld ms", (long long)ms);
}

int64_t ldap_conn_patience(const struct ldap_conn *c, int64_t deadline_ms)
{
	return patience(c, deadline_ms, STEP_MS);
}

static enum ldap_call arrived(struct ldap_conn *c, int type, struct err *err)
{
	if (type < 0 && c->room == 0)
		return ldap_conn_lost(c, false, err, "an answer of more than %d bytes", ANSWER_MAX);
	if (type < 0)
		return ldap_conn_lost(
		    c, false, err, "connection lost (%s)", ldap_err2string(last_code(c)));
	c->used_ms = clock_ms();
	return CALL_DONE;
}

static enum ldap_call wait_for(
    struct ldap_conn *c, int msgid, bool all, int64_t ms, LDAPMessage **res, struct err *err)
{
	*res = NULL;
	struct timeval tv = timeval_of(ms > 0 ? ms : 0);
	begin_step(c, clock_ms() + ms);
	int type = ldap_result(c->ld, msgid, all ? LDAP_MSG_ALL : LDAP_MSG_ONE, &tv, res);
	return type != 0 ? arrived(c, type, err) : ldap_conn_late(c, msgid, ms, err);
}

enum ldap_call ldap_conn_wait(struct ldap_conn *c, int msgid, bool all, int64_t deadline_ms,
    LDAPMessage **res, struct err *err)
{
	return wait_for(c, msgid, all, ldap_conn_patience(c, deadline_ms), res, err);
}

/* What has been read already is of no interest to poll(). */
static bool has_more(const struct ldap_conn *c)
{
	Sockbuf *sb = NULL;
	return ldap_get_option(c->ld, LDAP_OPT_SOCKBUF, &sb) == LDAP_OPT_SUCCESS && sb != NULL &&
	       ber_sockbuf_ctrl(sb, LBER_SB_OPT_DATA_READY, NULL) > 0;
}

/* What is readable need not be an answer: a part of one, or what TLS has to say. */
enum ldap_call ldap_conn_look(struct ldap_conn *c, int msgid, LDAPMessage **res, struct err *err)
{
	struct timeval none = {0, 0};
	int type;
	begin_step(c, clock_ms());
	c->looking = true;
	do {
		*res = NULL;
		type = ldap_result(c->ld, msgid, LDAP_MSG_ALL, &none, res);
	} while (type == 0 && has_more(c));
	c->looking = false;
	return type != 0 ? arrived(c, type, err) : CALL_DONE;
}

int ldap_conn_code(struct ldap_conn *c, LDAPMessage *res, struct arena *a, const char **text,
    LDAPControl ***controls)
{
	int code = LDAP_OTHER;
	char *words = NULL;
	int rc = ldap_parse_result(c->ld, res, &code, NULL, &words, NULL, controls, 0);
	if (text != NULL)
		*text = words != NULL ? arena_cstr(a, span_of(words)) : "";
	ldap_memfree(words);
	return rc == LDAP_SUCCESS ? code : rc;
}

/*
 * ---- a layer below TLS that knows the deadline ----
 * libldap has none for the TLS handshake and for the rest of a message that
 * has begun to come (and with GnuTLS it spins on a socket that would block).
 */

static int limit_setup(Sockbuf_IO_Desc *d, void *conn)
{
	ber_len_t most = MESSAGE_MAX;
	d->sbiod_pvt = conn;
	ber_sockbuf_ctrl(d->sbiod_sb, LBER_SB_OPT_SET_MAX_INCOMING, &most);
	return 0;
}

static int limit_remove(Sockbuf_IO_Desc *d)
{
	d->sbiod_pvt = NULL;
	return 0;
}

static int limit_ctrl(Sockbuf_IO_Desc *d, int what, void *arg)
{
	const struct ldap_conn *c = d->sbiod_pvt;
	if (what == LBER_SB_OPT_DATA_READY && c->ahead_at < c->ahead_end)
		return 1;
	return LBER_SBIOD_CTRL_NEXT(d, what, arg);
}

static bool wait_until(Sockbuf_IO_Desc *d, short events)
{
	const struct ldap_conn *c = d->sbiod_pvt;
	struct pollfd p = {.fd = -1, .events = events};
	ber_sockbuf_ctrl(d->sbiod_sb, LBER_SB_OPT_GET_FD, &p.fd);
	for (;;) {
		int64_t left = c->until_ms - clock_ms();
		int n = poll(&p, 1, left > 0 ? (int)left : 0);
		if (n > 0)
			return true;
		if (n < 0 && errno == EINTR)
			continue;
		errno = c->looking ? EAGAIN : ETIMEDOUT;
		return false;
	}
}

/* libldap reads a message in bits of a few bytes: the system is asked once for all that is there.
 */
static ber_slen_t limit_read(Sockbuf_IO_Desc *d, void *buf, ber_len_t len)
{
	struct ldap_conn *c = d->sbiod_pvt;
	if (c->ahead_at == c->ahead_end) {
		if (c->room == 0 || !wait_until(d, POLLIN))
			return -1;
		ber_slen_t n = LBER_SBIOD_READ_NEXT(d, c->ahead, sizeof(c->ahead));
		if (n <= 0)
			return n;
		c->ahead_at = 0;
		c->ahead_end = (size_t)n;
		c->room -= c->ahead_end < c->room ? c->ahead_end : c->room;
	}
	size_t n = c->ahead_end - c->ahead_at;
	if (n > len)
		n = len;
	memcpy(buf, c->ahead + c->ahead_at, n);
	mem_wipe(c->ahead + c->ahead_at, n);
	c->ahead_at += n;
	return (ber_slen_t)n;
}

/* What is small fits into the socket's buffer, when little else is under way. */
static ber_slen_t limit_write(Sockbuf_IO_Desc *d, void *buf, ber_len_t len)
{
	struct ldap_conn *c = d->sbiod_pvt;
	c->written += len;
	if (c->written > SMALL_WRITE && !wait_until(d, POLLOUT))
		return -1;
	return LBER_SBIOD_WRITE_NEXT(d, buf, len);
}

static int add_limit(LDAP *ld UNUSED, Sockbuf *sb, LDAPURLDesc *srv UNUSED,
    struct sockaddr *addr UNUSED, struct ldap_conncb *ctx)
{
	static Sockbuf_IO limit = {
	    limit_setup, limit_remove, limit_ctrl, limit_read, limit_write, NULL};
	enum { BELOW_TLS = LBER_SBIOD_LEVEL_PROVIDER + 5 };
	return ber_sockbuf_add_io(sb, &limit, BELOW_TLS, ctx->lc_arg);
}

static void no_more(LDAP *ld UNUSED, Sockbuf *sb UNUSED, struct ldap_conncb *ctx UNUSED)
{
}

/* ---- opening ---- */

/* What is not set is as ldap.conf(5) has it: a handle begins without the TLS part of that. */
static int set_string(LDAP *ld, int option, const char *value)
{
	char *own = NULL;
	if (value[0] == '\0' && ldap_get_option(NULL, option, &own) == LDAP_OPT_SUCCESS)
		value = own != NULL ? own : "";
	int rc = value[0] != '\0' ? ldap_set_option(ld, option, value) : LDAP_OPT_SUCCESS;
	ldap_memfree(own);
	return rc;
}

static int set_authorities(LDAP *ld, const struct ldap_settings *s)
{
	bool ours = s->tls_ca_cert_file[0] != '\0' || s->tls_ca_cert_dir[0] != '\0';
	int rc = LDAP_OPT_SUCCESS;
	if (!ours || s->tls_ca_cert_file[0] != '\0')
		rc |= set_string(ld, LDAP_OPT_X_TLS_CACERTFILE, s->tls_ca_cert_file);
	if (!ours || s->tls_ca_cert_dir[0] != '\0')
		rc |= set_string(ld, LDAP_OPT_X_TLS_CACERTDIR, s->tls_ca_cert_dir);
	return rc;
}

static int set_tls(LDAP *ld, const struct ldap_settings *s)
{
	static const int require[] = {LDAP_OPT_X_TLS_NEVER, LDAP_OPT_X_TLS_HARD,
	    LDAP_OPT_X_TLS_DEMAND, LDAP_OPT_X_TLS_ALLOW, LDAP_OPT_X_TLS_TRY};
	const int client = 0;
	int rc = set_authorities(ld, s);
	rc |= set_string(ld, LDAP_OPT_X_TLS_CERTFILE, s->tls_cert_file);
	rc |= set_string(ld, LDAP_OPT_X_TLS_KEYFILE, s->tls_key_file);
	rc |= set_string(ld, LDAP_OPT_X_TLS_CIPHER_SUITE, s->tls_cipher_suite);
	rc |= ldap_set_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &require[s->tls_require_cert]);
	return rc | ldap_set_option(ld, LDAP_OPT_X_TLS_NEWCTX, &client);
}

static int set_options(LDAP *ld, const struct ldap_settings *s)
{
	static const int derefs[] = {
	    LDAP_DEREF_NEVER, LDAP_DEREF_SEARCHING, LDAP_DEREF_FINDING, LDAP_DEREF_ALWAYS};
	const int version = (int)s->version;
	int rc = ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version);
	rc |= ldap_set_option(ld, LDAP_OPT_DEREF, &derefs[s->deref]);
	rc |= ldap_set_option(ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
	rc |= ldap_set_option(ld, LDAP_OPT_RESTART, LDAP_OPT_ON);
	rc |= ldap_set_option(ld, LDAP_OPT_X_SASL_NOCANON, LDAP_OPT_ON);
	return rc;
}

/* In words that somebody can act on; none: when neither libldap nor errno has any. */
static const char *cause(const char *words, int e, const char *none)
{
	/* what GnuTLS says of the -1 that is libldap's for a certificate */
	if (words != NULL && strcmp(words, "(unknown error code)") == 0)
		return "the server's certificate is not trusted, or has expired";
	if (words != NULL && words[0] != '\0')
		return words;
	if (e == ENOTCONN)
		return "nobody takes the connection there";
	return e != 0 ? strerror(e) : none;
}

static const char *why(const struct ldap_conn *c, int code, const char *none, struct arena *a)
{
	char *words = NULL;
	int e = errno;
	ldap_get_option(c->ld, LDAP_OPT_DIAGNOSTIC_MESSAGE, &words);
	bool any = words != NULL && words[0] != '\0';
	const char *more = any || code == LDAP_SERVER_DOWN ? cause(words, e, none) : "";
	const char *text =
	    arena_printf(a, "%s%s%s", ldap_err2string(code), more[0] != '\0' ? ": " : "", more).ptr;
	ldap_memfree(words);
	return text;
}

static enum ldap_call connect_step(
    struct ldap_conn *c, int64_t deadline_ms, struct arena *a, struct err *err)
{
	int rc = ldap_initialize(&c->ld, ldap_conn_uri(c));
	if (rc != LDAP_SUCCESS)
		return ldap_conn_lost(c, true, err, "%s", ldap_err2string(rc));
	int64_t ms = patience(c, deadline_ms, CONNECT_MS);
	struct timeval tv = timeval_of(ms > 1 ? ms : 1);
	if (set_options(c->ld, c->set) != LDAP_OPT_SUCCESS)
		return ldap_conn_lost(c, true, err, "the connection's options cannot be set");
	bool tls = c->set->tls || strncmp(ldap_conn_uri(c), "ldaps://", 8) == 0;
	if (tls && set_tls(c->ld, c->set) != LDAP_OPT_SUCCESS)
		return ldap_conn_lost(c, true, err,
		    "TLS cannot be set up: are tls_ca_cert_file and the other tls_ files "
		    "readable?");
	ldap_set_option(c->ld, LDAP_OPT_NETWORK_TIMEOUT, &tv);
	begin_step(c, clock_ms() + ms);
	c->connected = (struct ldap_conncb){.lc_add = add_limit, .lc_del = no_more, .lc_arg = c};
	ldap_set_option(c->ld, LDAP_OPT_CONNECT_CB, &c->connected);
	errno = 0;
	rc = ldap_connect(c->ld);
	if (rc != LDAP_SUCCESS)
		return ldap_conn_lost(
		    c, true, err, "connecting: %s", why(c, rc, "does its name resolve?", a));
	return CALL_DONE;
}

static enum ldap_call start_tls_step(
    struct ldap_conn *c, int64_t deadline_ms, struct arena *a, struct err *err)
{
	LDAPMessage *res = NULL;
	const char *text = "";
	int msgid;
	int rc = ldap_start_tls(c->ld, NULL, NULL, &msgid);
	if (rc != LDAP_SUCCESS)
		return ldap_conn_lost(c, true, err, "StartTLS: %s", why(c, rc, "", a));
	int64_t ms = patience(c, deadline_ms, CONNECT_MS);
	if (wait_for(c, msgid, true, ms, &res, err) != CALL_DONE) {
		err_prefix(err, "StartTLS");
		return CALL_LOST;
	}
	rc = ldap_conn_code(c, res, a, &text, NULL);
	ldap_msgfree(res);
	if (rc != LDAP_SUCCESS)
		return ldap_conn_lost(
		    c, true, err, "StartTLS refused: %s (%s)", ldap_err2string(rc), text);
	begin_step(c, clock_ms() + patience(c, deadline_ms, CONNECT_MS));
	errno = 0;
	rc = ldap_install_tls(c->ld);
	if (rc != LDAP_SUCCESS)
		return ldap_conn_lost(c, true, err, "TLS: %s", why(c, rc, "", a));
	return CALL_DONE;
}

static enum ldap_call open_steps(
    struct ldap_conn *c, int64_t deadline_ms, struct arena *a, struct err *err)
{
	enum ldap_call call = connect_step(c, deadline_ms, a, err);
	if (call == CALL_DONE && c->set->tls && strncmp(ldap_conn_uri(c), "ldap://", 7) == 0)
		call = start_tls_step(c, deadline_ms, a, err);
	if (call == CALL_DONE && c->kind == CONN_SERVICE)
		call = ldap_bind_service(c, deadline_ms, err);
	if (call == CALL_DONE)
		c->used_ms = clock_ms();
	return call;
}

/* ---- is it still alive? ---- */

static bool root_dse_answers(struct ldap_conn *c, int64_t deadline_ms)
{
	static char *none[] = {(char *)"1.1", NULL};
	struct err ignored = {0};
	LDAPMessage *res = NULL;
	int msgid;
	if (ldap_search_ext(c->ld, "", LDAP_SCOPE_BASE, NULL, none, 0, NULL, NULL, NULL, 1,
		&msgid) != LDAP_SUCCESS)
		return false;
	if (wait_for(c, msgid, true, patience(c, deadline_ms, PROBE_MS), &res, &ignored) !=
	    CALL_DONE)
		return false;
	ldap_msgfree(res);
	return true; /* any answer is one, a refusal too */
}

static bool is_usable(struct ldap_conn *c, int64_t deadline_ms)
{
	struct pollfd p = {.fd = -1, .events = POLLIN};
	if (c->ld == NULL || !ldap_servers_is_good(c->servers, c->server))
		return false;
	ldap_get_option(c->ld, LDAP_OPT_DESC, &p.fd);
	if (p.fd < 0 || c->ahead_at < c->ahead_end || poll(&p, 1, 0) != 0)
		return false; /* nothing was asked: this is the server's goodbye */
	return clock_ms() - c->used_ms < IDLE_MS || root_dse_answers(c, deadline_ms);
}

/* ---- the face ---- */

static enum ldap_call open_somewhere(
    struct ldap_conn *c, int64_t deadline_ms, struct arena *a, struct err *err)
{
	c->hasty = false;
	for (unsigned tried = 0;; tried |= 1U << c->server) {
		if (deadline_ms - clock_ms() < HASTE_MS) {
			c->hasty = true;
			/* what went wrong with the others says more */
			if (tried == 0)
				err_set(
				    err, EX_TEMPFAIL, "no time left to connect to an LDAP server");
			return CALL_FAILED;
		}
		int server = ldap_servers_pick(c->servers, tried, deadline_ms, err);
		if (server < 0)
			return CALL_FAILED;
		c->server = server;
		c->hasty = false;
		if (open_steps(c, deadline_ms, a, err) == CALL_DONE) {
			ldap_servers_good(c->servers, server);
			return CALL_DONE;
		}
		if (c->hasty)
			ldap_servers_leave(c->servers, server);
		else
			ldap_servers_bad(c->servers, server, err->text);
	}
}

enum ldap_call ldap_conn_ready(struct ldap_conn *c, int64_t deadline_ms, struct err *err)
{
	if (is_usable(c, deadline_ms))
		return CALL_DONE;
	ldap_conn_close(c);
	struct arena a = {0};
	enum ldap_call call = open_somewhere(c, deadline_ms, &a, err);
	arena_free(&a);
	return call;
}
