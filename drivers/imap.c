/*
 * imap: a password is right when an IMAP server takes it. Runs in: worker; a
 * lane waits for the server, each login has a connection of its own.
 * Owner: the libcurl handle lives for one login; libcurl's copies of the
 * password end with it.
 */
#include "drivers/imap.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/wheel.h"
#include "drivers/curl-setup.h"
#include "drivers/imap-reply.h"
#include "drivers/report.h"

enum {
	PATIENCE_MS = 30 * 1000,
	/* in base64 less than the 8000 bytes of a command that servers take (RFC 2683, 3.2.1.5) */
	LOGIN_MAX = 5000,
};

struct imap_state {
	const struct imap_settings *set;
};

static void *imap_open(const void *settings, struct err *err)
{
	if (!curl_setup_start(err))
		return NULL;
	struct imap_state *s = mem_alloc(sizeof(*s));
	s->set = settings;
	if (s->set->rawlog_dir[0] != '\0')
		log_warning("imap: rawlog_dir is ignored: such logs would hold passwords");
	return s;
}

/* ---- what goes out ---- */

static bool is_plain_text(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
			return false;
	}
	return true;
}

/* A template may be made of what a user typed: nothing but a host's name goes into the URL. */
static bool is_host(struct span s)
{
	if (s.len == 0 || s.len > 255)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		if (!isalnum((unsigned char)c) && strchr(".-_:", c) == NULL)
			return false;
	}
	return span_find(s, '\0') < 0;
}

static const char *make_url(const struct imap_settings *set, struct question *q)
{
	struct span host = template_expand(set->host, q->vars, q->arena, NULL, NULL, &q->err);
	if (host.ptr == NULL)
		return NULL;
	if (!is_host(host)) {
		err_set(&q->err, 0, "\"%.100s\" is no host", arena_cstr(q->arena, host));
		return NULL;
	}
	bool v6 = span_find(host, ':') >= 0;
	return arena_printf(q->arena, "%s://%s%.*s%s:%u/",
	    set->ssl == IMAP_SSL_IMAPS ? "imaps" : "imap", v6 ? "[" : "", SPAN_ARG(host),
	    v6 ? "]" : "", set->port)
	    .ptr;
}

/* ---- what comes back ---- */

static size_t take_line(char *data, size_t size, size_t count, void *ctx)
{
	imap_reply_line(ctx, span_make(data, size * count));
	return size * count;
}

static size_t take_body(char *data UNUSED, size_t size, size_t count, void *ctx UNUSED)
{
	return size * count;
}

/* ---- one login ---- */

/* Whatever cannot be set would make the login less safe than it is meant to be. */
static bool set_tls(CURL *c, const struct imap_settings *set)
{
	const struct curl_tls tls = {!set->allow_invalid_cert, set->ca_file, set->ca_dir};
	long use = set->ssl == IMAP_SSL_NO ? (long)CURLUSESSL_NONE : (long)CURLUSESSL_ALL;
	return curl_easy_setopt(c, CURLOPT_USE_SSL, use) == CURLE_OK && curl_setup_tls(c, &tls);
}

static bool set_login(CURL *c, const char *url, const char *user, const char *password)
{
	bool ok = curl_easy_setopt(c, CURLOPT_URL, url) == CURLE_OK;
	ok = ok && curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "imap,imaps") == CURLE_OK;
	ok = ok && curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK;
	ok = ok && curl_easy_setopt(c, CURLOPT_USERNAME, user) == CURLE_OK;
	ok = ok && curl_easy_setopt(c, CURLOPT_PASSWORD, password) == CURLE_OK;
	/* without it libcurl would list the mailboxes */
	return ok && curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, "NOOP") == CURLE_OK;
}

static bool set_rest(CURL *c, struct imap_reply *reply, char *error, int64_t deadline_ms)
{
	int64_t left = deadline_ms > 0 ? deadline_ms - clock_ms() : PATIENCE_MS;
	bool ok = curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
	ok = ok && curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, left > 0 ? (long)left : 1L) == CURLE_OK;
	ok = ok && curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_line) == CURLE_OK;
	ok = ok && curl_easy_setopt(c, CURLOPT_HEADERDATA, reply) == CURLE_OK;
	ok = ok && curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body) == CURLE_OK;
	return ok && curl_easy_setopt(c, CURLOPT_ERRORBUFFER, error) == CURLE_OK;
}

static enum verdict judge(struct question *q, CURLcode rc, const struct imap_reply *reply,
    const char *error, bool one_host)
{
	if (reply->preauth) {
		err_set(&q->err, 0,
		    "the IMAP server greets with PREAUTH: it asks for no password, so it judges "
		    "none");
		return VERDICT_INTERNAL;
	}
	if (rc == CURLE_OK && reply->last == IMAP_TAGGED_OK)
		return VERDICT_OK;
	if (rc == CURLE_LOGIN_DENIED) {
		if (imap_reply_is_outage(reply))
			q->backend = BACKEND_AWAY;
		return imap_reply_verdict(reply, &q->err);
	}
	err_set(&q->err, EX_TEMPFAIL, "%.300s", error[0] != '\0' ? error : curl_easy_strerror(rc));
	q->backend = one_host ? BACKEND_DOWN : BACKEND_AWAY;
	return VERDICT_INTERNAL;
}

static enum verdict imap_ask(void *state, struct question *q)
{
	const struct imap_settings *set = ((struct imap_state *)state)->set;
	struct span password = secret_reveal(q->password);
	char error[CURL_ERROR_SIZE] = "";
	struct imap_reply reply = {.last = IMAP_TAGGED_NONE};
	struct span user = template_expand(set->username, q->vars, q->arena, NULL, NULL, &q->err);
	q->backend = BACKEND_UNSAID;
	if (user.ptr == NULL)
		return VERDICT_INTERNAL;
	/* without a name libcurl would not log in at all, and that would look like success */
	if (user.len == 0 || !is_plain_text(user))
		return VERDICT_UNKNOWN_USER;
	if (password.ptr == NULL || !is_plain_text(password))
		return VERDICT_MISMATCH;
	if (user.len + password.len > LOGIN_MAX) {
		err_set(&q->err, 0, "name and password are longer than an IMAP command");
		return VERDICT_MISMATCH;
	}
	const char *url = make_url(set, q);
	if (url == NULL)
		return VERDICT_INTERNAL;
	CURL *c = curl_easy_init();
	q->backend = BACKEND_ANSWERS;
	enum verdict v = VERDICT_INTERNAL;
	if (c != NULL && set_tls(c, set) &&
	    set_login(c, url, arena_cstr(q->arena, user), arena_cstr(q->arena, password)) &&
	    set_rest(c, &reply, error, q->deadline_ms))
		v = judge(q, curl_easy_perform(c), &reply, error, template_is_constant(set->host));
	else
		err_set(&q->err, EX_SOFTWARE, "libcurl lacks what is needed");
	curl_easy_cleanup(c);
	return v;
}

static void imap_close(void *state)
{
	mem_free(&state);
}

/* The host may be a template: then only a user's login shows where it leads. */
static bool imap_test(const void *settings, struct driver_report *r)
{
	const struct imap_settings *set = settings;
	char port[16];
	if (!template_is_constant(set->host))
		return true;
	snprintf(port, sizeof(port), "%u", set->port);
	r->unverified = set->allow_invalid_cert;
	int fd = r->reach(r, template_text(set->host), port, "the IMAP server");
	if (fd >= 0 && set->ssl != IMAP_SSL_NO)
		r->certificate(r, fd, set->ssl == IMAP_SSL_IMAPS ? TLS_AT_ONCE : TLS_IMAP,
		    template_text(set->host), set->ca_file, set->ca_dir);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

extern const struct driver authd_driver;
const struct driver authd_driver = {
    .abi = DRIVER_ABI,
    .spec = &spec_imap,
    .can = CAN_VERIFY,
    .lanes = LANES_OWN,
    .open = imap_open,
    .ask = imap_ask,
    .close = imap_close,
    .test = imap_test,
};
