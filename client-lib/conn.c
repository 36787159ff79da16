/*
 * What both kinds of connection share: bytes to lines to words, the requests
 * that wait for an answer, and the end of a connection.
 * Runs in: programs that use libauthd-client. The connection owns everything
 * that its events point to.
 */
#include "client-lib/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_SLOTS = 16 };

/* ---- errors ---- */

bool libauthd_break(struct authd_conn *c, enum authd_status status, const char *fmt, ...)
{
	if (c->status != AUTHD_OK)
		return false;
	c->status = status;
	va_list args;
	va_start(args, fmt);
	vsnprintf(c->error, sizeof(c->error), fmt, args);
	va_end(args);
	for (char *p = c->error; *p != '\0'; p++) /* it may quote the peer: keep it one line */
		if ((unsigned char)*p < ' ' || *p == 127)
			*p = '?';
	return false;
}

enum authd_status libauthd_usage(struct authd_conn *c, const char *fmt, ...)
{
	if (c->status != AUTHD_OK) /* why it broke matters more */
		return AUTHD_USAGE;
	va_list args;
	va_start(args, fmt);
	vsnprintf(c->error, sizeof(c->error), fmt, args);
	va_end(args);
	return AUTHD_USAGE;
}

const char *authd_status_name(enum authd_status status)
{
	switch (status) {
	case AUTHD_OK:
		return "ok";
	case AUTHD_REFUSED:
		return "refused";
	case AUTHD_NOT_FOUND:
		return "no such user";
	case AUTHD_TEMPORARY:
		return "temporary failure";
	case AUTHD_WRONG_SOCKET:
		return "wrong kind of socket";
	case AUTHD_PROTOCOL:
		return "protocol error";
	case AUTHD_USAGE:
		return "wrong usage";
	case AUTHD_NO_MEMORY:
		return "out of memory";
	}
	return "unknown status";
}

/* ---- the requests that wait ---- */

static size_t slot_of(const struct authd_conn *c, uint32_t id)
{
	return id * UINT32_C(2654435761) & (c->pending_size - 1);
}

struct libauthd_pending *libauthd_find(struct authd_conn *c, uint32_t id)
{
	if (c->pending_count == 0 || id == 0)
		return NULL;
	for (size_t i = slot_of(c, id);; i = (i + 1) & (c->pending_size - 1)) {
		if (c->pending[i].id == id)
			return &c->pending[i];
		if (c->pending[i].id == 0)
			return NULL;
	}
}

static void pending_insert(struct authd_conn *c, struct libauthd_pending p)
{
	size_t i = slot_of(c, p.id);
	while (c->pending[i].id != 0)
		i = (i + 1) & (c->pending_size - 1);
	c->pending[i] = p;
}

static bool pending_add(struct authd_conn *c, uint32_t id, enum libauthd_command command)
{
	if (c->pending_count >= c->pending_size / 2) {
		size_t old_size = c->pending_size;
		struct libauthd_pending *old = c->pending;
		size_t size = old_size == 0 ? FIRST_SLOTS : old_size * 2;
		struct libauthd_pending *slots = calloc(size, sizeof(*slots));
		if (slots == NULL)
			return false;
		c->pending = slots;
		c->pending_size = size;
		for (size_t i = 0; i < old_size; i++)
			if (old[i].id != 0)
				pending_insert(c, old[i]);
		free(old);
	}
	pending_insert(c, (struct libauthd_pending){.id = id, .command = command});
	c->pending_count++;
	return true;
}

void libauthd_forget(struct authd_conn *c, uint32_t id)
{
	struct libauthd_pending *p = libauthd_find(c, id);
	if (p == NULL)
		return;
	p->id = 0;
	c->pending_count--;
	/* those behind it may have stood there only because this slot was taken */
	size_t mask = c->pending_size - 1;
	for (size_t i = ((size_t)(p - c->pending) + 1) & mask; c->pending[i].id != 0;
	     i = (i + 1) & mask) {
		struct libauthd_pending moved = c->pending[i];
		c->pending[i].id = 0;
		pending_insert(c, moved);
	}
}

struct libauthd_pending *libauthd_reply_to(struct authd_conn *c, const char *id_text)
{
	uint32_t id;
	if (!libauthd_parse_uint(id_text, &id) || id == 0) {
		libauthd_break(c, AUTHD_PROTOCOL, "the server sent a reply without a valid id");
		return NULL;
	}
	struct libauthd_pending *p = libauthd_find(c, id);
	if (p == NULL && id > c->last_id && !c->id_wrapped)
		libauthd_break(c, AUTHD_PROTOCOL,
		    "the server sent a reply to request %u, which was never made", (unsigned)id);
	return p;
}

static uint32_t next_id(struct authd_conn *c)
{
	do {
		if (++c->last_id == 0) {
			c->last_id = 1;
			c->id_wrapped = true;
		}
	} while (libauthd_find(c, c->last_id) != NULL);
	return c->last_id;
}

/* ---- requests ---- */

enum authd_status libauthd_may(struct authd_conn *c, enum authd_kind kind,
    const struct authd_field *fields, size_t count, bool need_service)
{
	if (c->status != AUTHD_OK)
		return libauthd_usage(c, "the connection is closed");
	if (c->kind != kind)
		return libauthd_usage(c, "this request needs a %s connection",
		    kind == AUTHD_CLIENT ? "client" : "master");
	if (!c->ready)
		return libauthd_usage(c, "the handshake is not complete");
	bool service = false;
	for (size_t i = 0; i < count; i++) {
		const char *name = fields[i].name;
		if (name == NULL || *name == '\0' || strchr(name, '=') != NULL)
			return libauthd_usage(c, "parameter %zu has no valid name", i + 1);
		if (strcmp(name, "resp") == 0)
			return libauthd_usage(c, "resp= is not a parameter: use the initial "
						 "response");
		if (strcmp(name, "service") == 0 && fields[i].value != NULL)
			service = fields[i].value[0] != '\0';
	}
	if (need_service && !service)
		return libauthd_usage(c, "the parameter \"service\" is missing");
	return AUTHD_OK;
}

uint32_t libauthd_begin(struct authd_conn *c, const char *command)
{
	uint32_t id = next_id(c);
	bool ok = libauthd_put_text(&c->out, command) && libauthd_put(&c->out, "\t", 1) &&
		  libauthd_put_uint(&c->out, id);
	return ok ? id : 0;
}

bool libauthd_put_fields(struct authd_conn *c, const struct authd_field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!libauthd_put(&c->out, "\t", 1) ||
		    !libauthd_put_escaped(&c->out, fields[i].name))
			return false;
		if (fields[i].value != NULL && (!libauthd_put(&c->out, "=", 1) ||
						   !libauthd_put_escaped(&c->out, fields[i].value)))
			return false;
	}
	return true;
}

enum authd_status libauthd_commit(struct authd_conn *c, size_t from, bool complete, uint32_t id,
    enum libauthd_command command, uint32_t *id_out)
{
	size_t max = c->kind == AUTHD_CLIENT ? AUTHD_CLIENT_LINE_MAX : AUTHD_MASTER_SEND_LINE_MAX;
	size_t length = libauthd_length(&c->out) - from;
	if (complete && length > max) {
		libauthd_cut(&c->out, from);
		return libauthd_usage(
		    c, "the request is too long: %zu bytes, and the server takes %zu", length, max);
	}
	if (!complete || !libauthd_put(&c->out, "\n", 1) || !pending_add(c, id, command)) {
		libauthd_cut(&c->out, from);
		return AUTHD_NO_MEMORY;
	}
	*id_out = id;
	return AUTHD_OK;
}

enum authd_status authd_conn_cancel(struct authd_conn *c, uint32_t id)
{
	if (libauthd_find(c, id) == NULL)
		return AUTHD_OK;
	libauthd_forget(c, id);
	if (c->kind != AUTHD_CLIENT || c->status != AUTHD_OK)
		return AUTHD_OK;
	size_t from = libauthd_length(&c->out);
	if (libauthd_put_text(&c->out, "CANCEL\t") && libauthd_put_uint(&c->out, id) &&
	    libauthd_put(&c->out, "\n", 1))
		return AUTHD_OK;
	libauthd_cut(&c->out, from);
	return AUTHD_NO_MEMORY;
}

/* ---- lines and words ---- */

static bool add_word(struct authd_conn *c, char *word, size_t length)
{
	if (c->field_count == c->field_size) {
		size_t size = c->field_size == 0 ? 32 : c->field_size * 2;
		struct authd_field *fields = reallocarray(c->fields, size, sizeof(*fields));
		if (fields == NULL)
			return libauthd_break(c, AUTHD_NO_MEMORY, "out of memory");
		c->fields = fields;
		c->field_size = size;
	}
	length = libauthd_unescape(word, length);
	word[length] = '\0';
	c->fields[c->field_count++] = (struct authd_field){.name = word, .length = length};
	return true;
}

/* The line of that length at the start of c->in becomes words. */
static bool take_line(struct authd_conn *c, size_t length)
{
	const char *line = c->in.data + c->in.start;
	libauthd_cut(&c->line, 0);
	c->field_count = 0;
	if (memchr(line, '\0', length) != NULL)
		return libauthd_break(c, AUTHD_PROTOCOL, "the server sent a NUL byte");
	if (!libauthd_put(&c->line, line, length) || !libauthd_put(&c->line, "", 1))
		return libauthd_break(c, AUTHD_NO_MEMORY, "out of memory");
	libauthd_eat(&c->in, length + 1);
	char *word = c->line.data + c->line.start, *end = word + length;
	for (;;) {
		char *tab = memchr(word, '\t', (size_t)(end - word));
		if (!add_word(c, word, (size_t)((tab != NULL ? tab : end) - word)))
			return false;
		if (tab == NULL)
			return true;
		word = tab + 1;
	}
}

/* True when a line was taken; false: none yet, or the connection broke. */
static bool next_line(struct authd_conn *c)
{
	size_t max = c->kind == AUTHD_CLIENT ? AUTHD_CLIENT_LINE_MAX : AUTHD_MASTER_LINE_MAX;
	size_t have = libauthd_length(&c->in);
	if (have == 0)
		return false;
	const char *start = c->in.data + c->in.start;
	const char *lf = memchr(start + c->scanned, '\n', have - c->scanned);
	size_t length = lf != NULL ? (size_t)(lf - start) : have;
	if (length > max)
		return libauthd_break(
		    c, AUTHD_PROTOCOL, "the server sent a line of more than %zu bytes", max);
	c->scanned = lf != NULL ? 0 : have;
	return lf != NULL && take_line(c, length);
}

const char *libauthd_field(const struct authd_conn *c, size_t n)
{
	/* an escaped NUL inside a word that is one value: no value that we know holds one */
	if (n >= c->field_count || strlen(c->fields[n].name) != c->fields[n].length)
		return "";
	return c->fields[n].name;
}

void libauthd_set_fields(struct authd_conn *c, struct authd_event *e, size_t from)
{
	size_t n = from < c->field_count ? from : c->field_count;
	e->fields = c->fields + n;
	for (size_t i = n; i < c->field_count; i++) {
		struct authd_field word = c->fields[i];
		if (word.length == 0) /* dovecot-auth 2.3 leaves empty ones */
			continue;
		char *text = c->line.data + (word.name - c->line.data);
		char *equals = memchr(text, '=', word.length);
		struct authd_field f = {.name = text};
		if (equals != NULL) {
			*equals = '\0';
			f.value = equals + 1;
			f.length = word.length - (size_t)(f.value - text);
		}
		bool cut = f.value != NULL && strlen(f.value) != f.length;
		const char **target = strcmp(text, "user") == 0	    ? &e->user
				      : strcmp(text, "code") == 0   ? &e->code
				      : strcmp(text, "reason") == 0 ? &e->reason
								    : NULL;
		if (target != NULL && cut) {
			libauthd_break(
			    c, AUTHD_PROTOCOL, "the server sent a NUL byte in %s=", text);
			return;
		}
		if (target != NULL)
			*target = f.value;
		c->fields[n++] = f;
	}
	c->field_count = n;
	e->field_count = (size_t)(c->fields + n - e->fields);
}

bool libauthd_version_line(struct authd_conn *c)
{
	uint32_t major, minor;
	if (strcmp(libauthd_field(c, 0), "VERSION") != 0 || c->field_count < 3 ||
	    !libauthd_parse_uint(libauthd_field(c, 1), &major) ||
	    !libauthd_parse_uint(libauthd_field(c, 2), &minor))
		return libauthd_break(c, AUTHD_PROTOCOL, "the server did not begin with VERSION");
	if (major != 1)
		return libauthd_break(c, AUTHD_PROTOCOL,
		    "the server speaks version %u of the protocol, this library version 1",
		    (unsigned)major);
	c->version_seen = true;
	return true;
}

/* ---- the connection ---- */

void authd_conn_free(struct authd_conn *c)
{
	if (c == NULL)
		return;
	libauthd_bytes_free(&c->in);
	libauthd_bytes_free(&c->out);
	libauthd_bytes_free(&c->line);
	for (size_t i = 0; i < c->mech_count; i++)
		free((char *)c->mechs[i].name);
	free(c->mechs);
	free(c->fields);
	free(c->pending);
	explicit_bzero(c, sizeof(*c)); /* the cookie */
	free(c);
}

enum authd_status authd_conn_feed(struct authd_conn *c, const void *data, size_t length)
{
	if (c->status == AUTHD_OK && !libauthd_put(&c->in, data, length))
		libauthd_break(c, AUTHD_NO_MEMORY, "out of memory");
	return c->status;
}

void authd_conn_eof(struct authd_conn *c)
{
	c->eof = true;
}

size_t authd_conn_output(const struct authd_conn *c, const void **data)
{
	*data = c->out.data != NULL ? c->out.data + c->out.start : NULL;
	return libauthd_length(&c->out);
}

void authd_conn_sent(struct authd_conn *c, size_t length)
{
	libauthd_eat(&c->out, length);
}

/* The connection is broken: an answer for each request that waits, then the end, once. */
static enum authd_event_type next_loss(struct authd_conn *c, struct authd_event *e)
{
	for (size_t i = 0; c->pending_count > 0 && i < c->pending_size; i++) {
		if (c->pending[i].id == 0)
			continue;
		e->id = c->pending[i].id;
		libauthd_forget(c, e->id);
		e->status = AUTHD_TEMPORARY;
		return e->type = AUTHD_EVENT_FAIL;
	}
	if (c->closed_told)
		return AUTHD_EVENT_NONE;
	c->closed_told = true;
	e->status = c->status;
	e->reason = c->error;
	return e->type = AUTHD_EVENT_CLOSED;
}

enum authd_event_type authd_conn_next(struct authd_conn *c, struct authd_event *e)
{
	*e = (struct authd_event){0};
	while (c->status == AUTHD_OK && next_line(c)) {
		bool event = c->kind == AUTHD_CLIENT ? libauthd_client_line(c, e)
						     : libauthd_master_line(c, e);
		if (event && c->status == AUTHD_OK)
			return e->type;
		*e = (struct authd_event){0};
	}
	libauthd_cut(&c->line, 0);
	if (c->status == AUTHD_OK && c->eof)
		libauthd_break(c, AUTHD_TEMPORARY, "the server closed the connection%s",
		    c->ready ? "" : " before its handshake was complete");
	return c->status == AUTHD_OK ? AUTHD_EVENT_NONE : next_loss(c, e);
}

enum authd_status authd_conn_status(const struct authd_conn *c)
{
	return c->status;
}

const char *authd_conn_error(const struct authd_conn *c)
{
	return c->error;
}

size_t authd_conn_pending(const struct authd_conn *c)
{
	return c->pending_count;
}

uint32_t authd_conn_server_pid(const struct authd_conn *c)
{
	return c->server_pid;
}

uint32_t authd_conn_connect_uid(const struct authd_conn *c)
{
	return c->connect_uid;
}

const char *authd_conn_cookie(const struct authd_conn *c)
{
	return c->cookie;
}

size_t authd_conn_mechs(const struct authd_conn *c, const struct authd_mech **mechs)
{
	*mechs = c->mechs;
	return c->mech_count;
}

bool authd_mask_match(const char *mask, const char *user)
{
	const char *star = NULL, *retry = NULL;
	while (*user != '\0') {
		char m = *mask, u = *user;
		if (m >= 'A' && m <= 'Z')
			m += 'a' - 'A';
		if (u >= 'A' && u <= 'Z')
			u += 'a' - 'A';
		if (m == '*') {
			star = ++mask;
			retry = user;
		} else if (m != '\0' && (m == '?' || m == u)) {
			mask++;
			user++;
		} else if (star != NULL) {
			mask = star;
			user = ++retry;
		} else {
			return false;
		}
	}
	while (*mask == '*')
		mask++;
	return *mask == '\0';
}
