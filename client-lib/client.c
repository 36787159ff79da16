/*
 * The client protocol: handshake, AUTH, CONT, CANCEL, and their replies.
 * Runs in: programs that use libauthd-client.
 *
 * We say minor version 2: an empty resp= is an initial response then, and the
 * server sends neither CANCELLED nor parameters on CONT.
 */
#include "client-lib/internal.h"

#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

enum { MECHS_MAX = 256, COOKIE_LENGTH = 32 };

struct authd_conn *authd_client_new(uint32_t client_pid)
{
	struct authd_conn *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->kind = AUTHD_CLIENT;
	if (client_pid == 0)
		client_pid = (uint32_t)getpid();
	if (libauthd_put_text(&c->out, "VERSION\t1\t2\nCPID\t") &&
	    libauthd_put_uint(&c->out, client_pid) && libauthd_put(&c->out, "\n", 1))
		return c;
	authd_conn_free(c);
	return NULL;
}

const struct authd_mech *authd_conn_find_mech(const struct authd_conn *c, const char *name)
{
	for (size_t i = 0; i < c->mech_count; i++)
		if (strcasecmp(c->mechs[i].name, name) == 0)
			return &c->mechs[i];
	return NULL;
}

/* ---- requests ---- */

/* resp= must be the last; "=" is the empty one for servers of any version. */
static bool put_initial(struct authd_conn *c, const struct authd_auth *auth)
{
	if (auth->initial == NULL)
		return true;
	if (!libauthd_put_text(&c->out, "\tresp="))
		return false;
	if (auth->initial_length == 0)
		return libauthd_put(&c->out, "=", 1);
	return libauthd_put_base64(&c->out, auth->initial, auth->initial_length);
}

enum authd_status authd_client_auth(
    struct authd_conn *c, const struct authd_auth *auth, uint32_t *id_out)
{
	enum authd_status status =
	    libauthd_may(c, AUTHD_CLIENT, auth->fields, auth->field_count, true);
	if (status != AUTHD_OK)
		return status;
	const struct authd_mech *mech =
	    auth->mech == NULL ? NULL : authd_conn_find_mech(c, auth->mech);
	if (mech == NULL) /* servers close the whole connection for it */
		return libauthd_usage(c, "the server does not offer the mechanism %s",
		    auth->mech == NULL ? "(none given)" : auth->mech);
	size_t from = libauthd_length(&c->out);
	uint32_t id = libauthd_begin(c, "AUTH");
	bool ok = id != 0 && libauthd_put(&c->out, "\t", 1) &&
		  libauthd_put_escaped(&c->out, mech->name) &&
		  libauthd_put_fields(c, auth->fields, auth->field_count) && put_initial(c, auth);
	return libauthd_commit(c, from, ok, id, LIBAUTHD_AUTH, id_out);
}

enum authd_status authd_client_continue(
    struct authd_conn *c, uint32_t id, const void *data, size_t length)
{
	enum authd_status status = libauthd_may(c, AUTHD_CLIENT, NULL, 0, false);
	if (status != AUTHD_OK)
		return status;
	struct libauthd_pending *p = libauthd_find(c, id);
	if (p == NULL || p->command != LIBAUTHD_AUTH_ASKED)
		return libauthd_usage(c, "the server asked nothing for request %u", (unsigned)id);
	size_t from = libauthd_length(&c->out);
	bool ok = libauthd_put_text(&c->out, "CONT\t") && libauthd_put_uint(&c->out, id) &&
		  libauthd_put(&c->out, "\t", 1) && libauthd_put_base64(&c->out, data, length) &&
		  libauthd_put(&c->out, "\n", 1);
	if (ok && libauthd_length(&c->out) - from > AUTHD_CLIENT_LINE_MAX + 1) {
		libauthd_cut(&c->out, from);
		return libauthd_usage(c, "the answer is too long: %zu bytes", length);
	}
	if (!ok) {
		libauthd_cut(&c->out, from);
		return AUTHD_NO_MEMORY;
	}
	p->command = LIBAUTHD_AUTH;
	return AUTHD_OK;
}

/* ---- the handshake ---- */

static unsigned mech_flag(const char *word)
{
	static const char *const words[] = {"private", "anonymous", "plaintext", "dictionary",
	    "active", "forward-secrecy", "mutual-auth", "channel-binding"};
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i], word) == 0)
			return 1u << i;
	return 0; /* unknown ones mean nothing to us */
}

static bool add_mech(struct authd_conn *c)
{
	const char *name = libauthd_field(c, 1);
	if (*name == '\0')
		return libauthd_break(c, AUTHD_PROTOCOL, "the server sent MECH without a name");
	if (c->mech_count == MECHS_MAX)
		return libauthd_break(c, AUTHD_PROTOCOL, "the server sent too many mechanisms");
	struct authd_mech mech = {.name = strdup(name)};
	struct authd_mech *mechs = reallocarray(c->mechs, c->mech_count + 1, sizeof(*mechs));
	if (mechs != NULL)
		c->mechs = mechs;
	if (mechs == NULL || mech.name == NULL) {
		free((char *)mech.name);
		return libauthd_break(c, AUTHD_NO_MEMORY, "out of memory");
	}
	for (size_t i = 2; i < c->field_count; i++)
		mech.flags |= mech_flag(libauthd_field(c, i));
	c->mechs[c->mech_count++] = mech;
	return true;
}

static bool set_cookie(struct authd_conn *c)
{
	const char *cookie = libauthd_field(c, 1);
	if (c->cookie[0] != '\0' || strlen(cookie) != COOKIE_LENGTH ||
	    strspn(cookie, "0123456789abcdefABCDEF") != COOKIE_LENGTH)
		return libauthd_break(c, AUTHD_PROTOCOL, "the server sent a wrong COOKIE");
	memcpy(c->cookie, cookie, COOKIE_LENGTH + 1);
	return true;
}

static bool handshake_done(struct authd_conn *c, struct authd_event *e)
{
	if (c->mech_count == 0)
		return libauthd_break(c, AUTHD_PROTOCOL, "the server offers no mechanisms");
	if (c->cookie[0] == '\0' || c->server_pid == 0)
		return libauthd_break(c, AUTHD_PROTOCOL, "the server's handshake has no %s",
		    c->server_pid == 0 ? "SPID" : "COOKIE");
	c->ready = true;
	e->type = AUTHD_EVENT_READY;
	return true;
}

/* True when the handshake is done: the event. */
static bool handshake_line(struct authd_conn *c, struct authd_event *e)
{
	if (!c->version_seen) {
		libauthd_version_line(c);
		return false;
	}
	const char *command = libauthd_field(c, 0), *value = libauthd_field(c, 1);
	if (strcmp(command, "DONE") == 0)
		return handshake_done(c, e);
	if (strcmp(command, "MECH") == 0) {
		add_mech(c);
	} else if (strcmp(command, "SPID") == 0) {
		if (c->mech_count == 0) /* a master socket says nothing else */
			return libauthd_break(c, AUTHD_WRONG_SOCKET,
			    "this is a master socket, not a client socket (such as auth-client)");
		if (!libauthd_parse_uint(value, &c->server_pid) || c->server_pid == 0)
			libauthd_break(c, AUTHD_PROTOCOL, "the server sent a wrong SPID");
	} else if (strcmp(command, "CUID") == 0) {
		if (!libauthd_parse_uint(value, &c->connect_uid))
			libauthd_break(c, AUTHD_PROTOCOL, "the server sent a wrong CUID");
	} else if (strcmp(command, "COOKIE") == 0) {
		set_cookie(c);
	} else {
		libauthd_break(
		    c, AUTHD_PROTOCOL, "the server sent %.40s in its handshake", command);
	}
	return false;
}

/* ---- replies ---- */

/* Base64 in a word of the line becomes the event's data. */
static bool set_data(struct authd_conn *c, struct authd_event *e, const char *text, size_t length)
{
	char *data = c->line.data + (text - c->line.data);
	if (!libauthd_base64_decode(data, &length))
		return libauthd_break(c, AUTHD_PROTOCOL, "the server sent invalid base64");
	e->data = data;
	e->data_length = length;
	return true;
}

/* resp= of OK and FAIL is decoded apart: the field keeps its text. */
static bool set_final_data(struct authd_conn *c, struct authd_event *e)
{
	for (size_t i = 0; i < e->field_count; i++) {
		struct authd_field *f = &c->fields[e->fields - c->fields + (ptrdiff_t)i];
		if (strcmp(f->name, "resp") != 0 || f->value == NULL)
			continue;
		if (!set_data(c, e, f->value, f->length))
			return false;
		/* one buffer serves both: the field goes */
		memmove(f, f + 1, (e->field_count - i - 1) * sizeof(*f));
		e->field_count--;
		return true;
	}
	return true;
}

static bool reply_continue(struct authd_conn *c, struct libauthd_pending *p, struct authd_event *e)
{
	if (p->command == LIBAUTHD_AUTH_ASKED)
		return libauthd_break(c, AUTHD_PROTOCOL,
		    "the server sent a second challenge for request %u", (unsigned)p->id);
	p->command = LIBAUTHD_AUTH_ASKED;
	e->type = AUTHD_EVENT_CONTINUE;
	if (c->field_count < 3) {
		e->data = "";
		return true;
	}
	return set_data(c, e, c->fields[2].name, c->fields[2].length);
}

static enum authd_status fail_status(const struct authd_event *e)
{
	/* the answer to a CONT that the server has no request for any more: a time-out */
	static const char expired[] = "Authentication request timed out";
	if (e->code != NULL)
		return strcmp(e->code, "temp_fail") == 0 ? AUTHD_TEMPORARY : AUTHD_REFUSED;
	return e->reason != NULL && strcmp(e->reason, expired) == 0 ? AUTHD_TEMPORARY
								    : AUTHD_REFUSED;
}

static bool reply_final(struct authd_conn *c, struct authd_event *e, bool ok)
{
	libauthd_set_fields(c, e, 2);
	e->type = ok ? AUTHD_EVENT_OK : AUTHD_EVENT_FAIL;
	if (!ok)
		e->status = fail_status(e);
	else if (e->user == NULL || *e->user == '\0')
		return libauthd_break(c, AUTHD_PROTOCOL, "the server sent OK without a user name");
	if (c->status != AUTHD_OK || !set_final_data(c, e))
		return false;
	libauthd_forget(c, e->id);
	return true;
}

static bool reply_line(struct authd_conn *c, struct authd_event *e)
{
	const char *command = libauthd_field(c, 0);
	bool cont = strcmp(command, "CONT") == 0, ok = strcmp(command, "OK") == 0;
	if (!cont && !ok && strcmp(command, "FAIL") != 0)
		return false; /* CANCELLED and what newer servers may say */
	struct libauthd_pending *p = libauthd_reply_to(c, libauthd_field(c, 1));
	if (p == NULL)
		return false;
	e->id = p->id;
	return cont ? reply_continue(c, p, e) : reply_final(c, e, ok);
}

bool libauthd_client_line(struct authd_conn *c, struct authd_event *e)
{
	return c->ready ? reply_line(c, e) : handshake_line(c, e);
}
