/*
 * One request to a provider, by libcurl: bounded in time and size, without
 * redirects, TLS verified. Runs in: worker, a lane. Owner: the lane has a
 * handle, which keeps its connection; libcurl's copies of a token end with
 * the request. Nothing of a request or of an answer's text is ever logged.
 */
#include <stdio.h>
#include <sysexits.h>

#include "base/mem.h"
#include "base/wheel.h"
#include "drivers/curl-setup.h"
#include "drivers/oauth2-parts.h"

enum { PATIENCE_MS = 30 * 1000 };

bool oauth2_http_open(struct oauth2_http *h, const struct oauth2_settings *set, struct err *err)
{
	h->set = set;
	if (!curl_setup_start(err))
		return false;
	h->curl = curl_easy_init();
	return h->curl != NULL || err_set(err, EX_SOFTWARE, "libcurl does not start");
}

void oauth2_http_close(struct oauth2_http *h)
{
	curl_easy_cleanup(h->curl);
	h->curl = NULL;
}

/* RFC 3986 section 2.3: what is not unreserved is escaped. */
void oauth2_escape(struct buffer *b, struct span value)
{
	if (value.len == 0)
		return;
	char *text = curl_easy_escape(NULL, value.ptr, (int)value.len);
	if (text == NULL)
		mem_panic("curl_easy_escape");
	buffer_append_str(b, text);
	mem_wipe(text, strlen(text));
	curl_free(text);
}

void oauth2_form_add(struct buffer *b, const char *name, struct span value)
{
	buffer_printf(b, "%s%s=", b->len > 0 ? "&" : "", name);
	oauth2_escape(b, value);
}

/* ---- headers ---- */

struct headers {
	struct curl_slist *list;
	struct arena *arena;
	bool failed;
};

static void add_header(struct headers *h, const char *name, struct span value)
{
	struct curl_slist *more = curl_slist_append(
	    h->list, arena_printf(h->arena, "%s: %.*s", name, SPAN_ARG(value)).ptr);
	if (more == NULL)
		h->failed = true;
	else
		h->list = more;
}

static bool is_plain(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if ((unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f)
			return false;
	}
	return s.len > 0;
}

/* What a client sent may be anything; it does not begin another header. */
static void add_about(struct headers *h, const char *name, struct span value, struct span port)
{
	if (!is_plain(value))
		return;
	if (!is_plain(port))
		add_header(h, name, value);
	else if (span_find(value, ':') >= 0)
		add_header(h, name,
		    arena_printf(h->arena, "[%.*s]:%.*s", SPAN_ARG(value), SPAN_ARG(port)));
	else
		add_header(
		    h, name, arena_printf(h->arena, "%.*s:%.*s", SPAN_ARG(value), SPAN_ARG(port)));
}

static bool set_headers(CURL *c, struct headers *h, const struct oauth2_request *rq)
{
	/* RFC 7662 and RFC 9701: an answer may be a signed token otherwise */
	add_header(h, "Accept", SPAN_LIT("application/json"));
	if (secret_is_set(rq->bearer))
		add_header(h, "Authorization",
		    arena_join(h->arena, SPAN_LIT("Bearer "), secret_reveal(rq->bearer)));
	if (rq->about != NULL) {
		const struct span *v = rq->about->v;
		add_about(h, "X-Dovecot-Auth-Service", v[VAR_SERVICE], SPAN_NULL);
		add_about(h, "X-Dovecot-Auth-Local", v[VAR_LIP], v[VAR_LPORT]);
		add_about(h, "X-Dovecot-Auth-Remote", v[VAR_RIP], v[VAR_RPORT]);
	}
	return !h->failed && curl_easy_setopt(c, CURLOPT_HTTPHEADER, h->list) == CURLE_OK;
}

/* ---- the rest of a request; whatever cannot be set would make it less safe ---- */

static bool set_tls(CURL *c, const struct oauth2_settings *set)
{
	const struct curl_tls tls = {
	    !set->tls_allow_invalid_cert, set->tls_ca_cert_file, set->tls_ca_cert_dir};
	bool ok = curl_setup_tls(c, &tls);
	if (set->tls_cert_file[0] != '\0')
		ok = ok && curl_easy_setopt(c, CURLOPT_SSLCERT, set->tls_cert_file) == CURLE_OK &&
		     curl_easy_setopt(c, CURLOPT_SSLKEY, set->tls_key_file) == CURLE_OK;
	if (set->tls_cipher_suite[0] != '\0')
		ok = ok && curl_easy_setopt(c, CURLOPT_SSL_CIPHER_LIST, set->tls_cipher_suite) ==
			       CURLE_OK;
	return ok;
}

static bool set_time(CURL *c, const struct oauth2_settings *set, int64_t deadline_ms)
{
	int64_t left = deadline_ms > 0 ? deadline_ms - clock_ms() : PATIENCE_MS;
	if (set->timeout_msecs > 0 && (int64_t)set->timeout_msecs < left)
		left = set->timeout_msecs;
	long idle_s = set->max_idle_time_msecs < 1000 ? 1 : (long)(set->max_idle_time_msecs / 1000);
	bool ok = curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, left > 0 ? (long)left : 1L) == CURLE_OK;
	return ok && curl_easy_setopt(c, CURLOPT_MAXAGE_CONN, idle_s) == CURLE_OK;
}

/* RFC 6749 section 2.3.1: both are escaped before they become HTTP's name and password. */
static bool set_client(CURL *c, const struct oauth2_settings *set, struct arena *a)
{
	struct buffer b = {0};
	oauth2_escape(&b, span_of(set->client_id));
	const char *id = arena_cstr(a, buffer_span(&b));
	buffer_consume(&b, b.len);
	oauth2_escape(&b, span_of(set->client_secret));
	const char *secret = arena_cstr(a, buffer_span(&b));
	buffer_free(&b);
	return curl_easy_setopt(c, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_USERNAME, id) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_PASSWORD, secret) == CURLE_OK;
}

static bool set_form(CURL *c, struct secret form)
{
	struct span s = secret_reveal(form);
	/* libcurl reads it while the request lasts */
	return curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)s.len) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_POSTFIELDS, s.ptr) == CURLE_OK;
}

static bool set_where(CURL *c, const char *url)
{
	return curl_easy_setopt(c, CURLOPT_URL, url) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_PROXY, "") == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_USERAGENT, "authd/" AUTHD_VERSION) == CURLE_OK;
}

/* ---- what comes back ---- */

struct body {
	struct buffer bytes;
	size_t max;
	bool too_long;
};

static size_t take_body(char *data, size_t size, size_t count, void *ctx)
{
	struct body *b = ctx;
	if (size * count > b->max - b->bytes.len) {
		b->too_long = true;
		return 0;
	}
	buffer_append(&b->bytes, span_make(data, size * count));
	return size * count;
}

static bool perform(CURL *c, struct body *body, char *error, struct err *err)
{
	if (curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body) != CURLE_OK ||
	    curl_easy_setopt(c, CURLOPT_WRITEDATA, body) != CURLE_OK ||
	    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, error) != CURLE_OK)
		return err_set(err, EX_SOFTWARE, "libcurl lacks what is needed");
	CURLcode rc = curl_easy_perform(c);
	if (body->too_long)
		return err_set(err, EX_TEMPFAIL, "the provider's answer is too long");
	if (rc != CURLE_OK)
		return err_set(err, EX_TEMPFAIL, "the provider does not answer: %.300s",
		    error[0] != '\0' ? error : curl_easy_strerror(rc));
	return true;
}

static json_t *read_object(const struct buffer *b)
{
	struct span text = buffer_span(b);
	json_t *json =
	    text.len == 0 ? NULL : json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(json))
		return json;
	json_decref(json);
	return NULL;
}

/* Copied if it is nothing but a name, which may be shown. */
static void note_error(struct oauth2_reply *reply, const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz_");
	if (n < sizeof(reply->error) && (name[n] == '\0' || name[n] == '"'))
		memcpy(reply->error, name, n);
}

static void read_error(CURL *c, struct oauth2_reply *reply)
{
	const char *name = json_string_value(json_object_get(reply->body, "error"));
	struct curl_header *header;
	if (name != NULL) {
		note_error(reply, name);
		return;
	}
	if (curl_easy_header(c, "WWW-Authenticate", 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return;
	name = strstr(header->value, "error=\"");
	if (name != NULL)
		note_error(reply, name + strlen("error=\""));
}

bool oauth2_http_ask(struct oauth2_http *h, const struct oauth2_request *rq, struct arena *a,
    struct oauth2_reply *reply, struct err *err)
{
	char error[CURL_ERROR_SIZE] = "";
	struct body body = {.max = rq->body_max};
	struct headers headers = {.arena = a};
	CURL *c = h->curl;
	*reply = (struct oauth2_reply){0};
	bool set = set_where(c, rq->url) && set_tls(c, h->set) &&
		   set_time(c, h->set, rq->deadline_ms) && set_headers(c, &headers, rq);
	if (set && secret_is_set(rq->form))
		set = set_form(c, rq->form);
	if (set && rq->as_client && h->set->client_id[0] != '\0')
		set = set_client(c, h->set, a);
	bool ok = set ? perform(c, &body, error, err)
		      : err_set(err, EX_SOFTWARE, "libcurl lacks what is needed");
	if (ok && curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &reply->status) == CURLE_OK) {
		reply->body = read_object(&body.bytes);
		read_error(c, reply);
	}
	for (struct curl_slist *l = headers.list; l != NULL; l = l->next)
		mem_wipe(l->data, strlen(l->data));
	curl_slist_free_all(headers.list);
	buffer_free(&body.bytes);
	curl_easy_reset(c); /* all but the connections */
	return ok;
}
