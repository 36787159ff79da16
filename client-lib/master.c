/*
 * The master protocol: USER, PASS, LIST, REQUEST, CACHE-FLUSH, CACHE-STATUS and their replies.
 * Runs in: programs that use libauthd-client.
 */
#include "client-lib/internal.h"

#include <stdlib.h>

struct authd_conn *authd_master_new(void)
{
	struct authd_conn *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->kind = AUTHD_MASTER;
	if (libauthd_put_text(&c->out, "VERSION\t1\t1\n"))
		return c;
	authd_conn_free(c);
	return NULL;
}

/* ---- requests ---- */

static enum authd_status lookup(struct authd_conn *c, const char *command,
    enum libauthd_command kind, const char *user, const struct authd_field *fields, size_t count,
    uint32_t *id_out)
{
	enum authd_status status = libauthd_may(c, AUTHD_MASTER, fields, count, true);
	if (status != AUTHD_OK)
		return status;
	if (user == NULL || *user == '\0')
		return libauthd_usage(c, "the user name is empty");
	size_t from = libauthd_length(&c->out);
	uint32_t id = libauthd_begin(c, command);
	bool ok = id != 0 && libauthd_put(&c->out, "\t", 1) &&
		  libauthd_put_escaped(&c->out, user) && libauthd_put_fields(c, fields, count);
	return libauthd_commit(c, from, ok, id, kind, id_out);
}

enum authd_status authd_master_user(struct authd_conn *c, const char *user,
    const struct authd_field *fields, size_t count, uint32_t *id)
{
	return lookup(c, "USER", LIBAUTHD_USER, user, fields, count, id);
}

enum authd_status authd_master_pass(struct authd_conn *c, const char *user,
    const struct authd_field *fields, size_t count, uint32_t *id)
{
	return lookup(c, "PASS", LIBAUTHD_PASS, user, fields, count, id);
}

enum authd_status authd_master_list(struct authd_conn *c, const char *mask,
    const struct authd_field *fields, size_t count, uint32_t *id_out)
{
	enum authd_status status = libauthd_may(c, AUTHD_MASTER, fields, count, true);
	if (status != AUTHD_OK)
		return status;
	struct authd_field user = {.name = "user", .value = mask};
	size_t from = libauthd_length(&c->out);
	uint32_t id = libauthd_begin(c, "LIST");
	bool ok = id != 0 && libauthd_put_fields(c, &user, mask != NULL ? 1 : 0) &&
		  libauthd_put_fields(c, fields, count);
	return libauthd_commit(c, from, ok, id, LIBAUTHD_LIST, id_out);
}

enum authd_status authd_master_pw_status(struct authd_conn *c, bool stored, uint32_t *id_out)
{
	enum authd_status status = libauthd_may(c, AUTHD_MASTER, NULL, 0, false);
	if (status != AUTHD_OK)
		return status;
	size_t from = libauthd_length(&c->out);
	uint32_t id = libauthd_begin(c, "PW-STATUS");
	bool ok = id != 0 && (!stored || libauthd_put_text(&c->out, "\tstored"));
	return libauthd_commit(c, from, ok, id, LIBAUTHD_LIST, id_out);
}

enum authd_status authd_master_request(struct authd_conn *c, uint32_t client_pid,
    uint32_t client_id, const char *cookie, const struct authd_field *fields, size_t count,
    uint32_t *id_out)
{
	enum authd_status status = libauthd_may(c, AUTHD_MASTER, fields, count, false);
	if (status != AUTHD_OK)
		return status;
	if (cookie == NULL || *cookie == '\0')
		return libauthd_usage(c, "the cookie is empty");
	size_t from = libauthd_length(&c->out);
	uint32_t id = libauthd_begin(c, "REQUEST");
	bool ok = id != 0 && libauthd_put(&c->out, "\t", 1) &&
		  libauthd_put_uint(&c->out, client_pid) && libauthd_put(&c->out, "\t", 1) &&
		  libauthd_put_uint(&c->out, client_id) && libauthd_put(&c->out, "\t", 1) &&
		  libauthd_put_escaped(&c->out, cookie) && libauthd_put_fields(c, fields, count);
	return libauthd_commit(c, from, ok, id, LIBAUTHD_REQUEST, id_out);
}

enum authd_status authd_master_cache_flush(
    struct authd_conn *c, const char *const *users, uint32_t *id_out)
{
	enum authd_status status = libauthd_may(c, AUTHD_MASTER, NULL, 0, false);
	if (status != AUTHD_OK)
		return status;
	size_t from = libauthd_length(&c->out);
	uint32_t id = libauthd_begin(c, "CACHE-FLUSH");
	bool ok = id != 0;
	for (; ok && users != NULL && *users != NULL; users++)
		ok = libauthd_put(&c->out, "\t", 1) && libauthd_put_escaped(&c->out, *users);
	return libauthd_commit(c, from, ok, id, LIBAUTHD_FLUSH, id_out);
}

enum authd_status authd_master_cache_status(struct authd_conn *c, bool reset, uint32_t *id_out)
{
	enum authd_status status = libauthd_may(c, AUTHD_MASTER, NULL, 0, false);
	if (status != AUTHD_OK)
		return status;
	size_t from = libauthd_length(&c->out);
	uint32_t id = libauthd_begin(c, "CACHE-STATUS");
	bool ok = id != 0 && (!reset || libauthd_put_text(&c->out, "\treset"));
	return libauthd_commit(c, from, ok, id, LIBAUTHD_CACHE_STATUS, id_out);
}

/* ---- the handshake ---- */

static bool handshake_line(struct authd_conn *c, struct authd_event *e)
{
	if (!c->version_seen) {
		libauthd_version_line(c);
		return false;
	}
	const char *command = libauthd_field(c, 0);
	if (strcmp(command, "MECH") == 0 || strcmp(command, "CUID") == 0 ||
	    strcmp(command, "COOKIE") == 0)
		return libauthd_break(c, AUTHD_WRONG_SOCKET,
		    "this is a client socket, not a master socket (such as auth-userdb or "
		    "auth-master)");
	if (strcmp(command, "SPID") != 0 ||
	    !libauthd_parse_uint(libauthd_field(c, 1), &c->server_pid) || c->server_pid == 0)
		return libauthd_break(
		    c, AUTHD_PROTOCOL, "the server sent %.40s in its handshake", command);
	c->ready = true;
	e->type = AUTHD_EVENT_READY;
	return true;
}

/* ---- replies ---- */

typedef bool reply_function(struct authd_conn *c, struct authd_event *e);

static bool reply_user(struct authd_conn *c, struct authd_event *e)
{
	const char *user = libauthd_field(c, 2);
	libauthd_set_fields(c, e, 3);
	e->user = user;
	e->type = AUTHD_EVENT_USER;
	return *user != '\0' ||
	       libauthd_break(c, AUTHD_PROTOCOL, "the server sent USER without a user name");
}

static bool reply_pass(struct authd_conn *c, struct authd_event *e)
{
	libauthd_set_fields(c, e, 2);
	e->type = AUTHD_EVENT_PASS;
	return (e->user != NULL && *e->user != '\0') ||
	       libauthd_break(c, AUTHD_PROTOCOL, "the server sent PASS without a user name");
}

static bool reply_not_found(struct authd_conn *c, struct authd_event *e)
{
	libauthd_set_fields(c, e, 2);
	e->type = AUTHD_EVENT_NOT_FOUND;
	e->status = AUTHD_NOT_FOUND;
	return true;
}

/* A lookup that failed was not decided, whatever the reason. */
static bool reply_fail(struct authd_conn *c, struct authd_event *e)
{
	libauthd_set_fields(c, e, 2);
	e->type = AUTHD_EVENT_FAIL;
	e->status = AUTHD_TEMPORARY;
	return true;
}

static bool reply_list(struct authd_conn *c, struct authd_event *e)
{
	e->user = libauthd_field(c, 2);
	e->type = AUTHD_EVENT_LIST;
	return *e->user != '\0' ||
	       libauthd_break(c, AUTHD_PROTOCOL, "the server sent LIST without a user name");
}

static bool reply_done(struct authd_conn *c, struct authd_event *e)
{
	e->type = AUTHD_EVENT_DONE;
	e->status = strcmp(libauthd_field(c, 2), "fail") == 0 ? AUTHD_TEMPORARY : AUTHD_OK;
	return true;
}

static bool reply_flushed(struct authd_conn *c, struct authd_event *e)
{
	uint32_t count;
	e->type = AUTHD_EVENT_FLUSHED;
	if (!libauthd_parse_uint(libauthd_field(c, 2), &count))
		return libauthd_break(c, AUTHD_PROTOCOL, "the server sent OK without a count");
	e->count = count;
	return true;
}

static bool reply_cache_status(struct authd_conn *c, struct authd_event *e)
{
	libauthd_set_fields(c, e, 2);
	e->type = AUTHD_EVENT_CACHE;
	return true;
}

/* Which reply may answer which request. */
static const struct reply {
	const char *word;
	unsigned answers; /* bits: enum libauthd_command */
	reply_function *handle;
	bool more; /* the request goes on */
} replies[] = {
    {"USER", 1u << LIBAUTHD_USER | 1u << LIBAUTHD_REQUEST, reply_user, false},
    {"PASS", 1u << LIBAUTHD_PASS, reply_pass, false},
    {"NOTFOUND", 1u << LIBAUTHD_USER | 1u << LIBAUTHD_PASS | 1u << LIBAUTHD_REQUEST,
	reply_not_found, false},
    {"FAIL", ~0u, reply_fail, false},
    {"LIST", 1u << LIBAUTHD_LIST, reply_list, true},
    {"DONE", 1u << LIBAUTHD_LIST, reply_done, false},
    {"OK", 1u << LIBAUTHD_FLUSH, reply_flushed, false},
    {"OK", 1u << LIBAUTHD_CACHE_STATUS, reply_cache_status, false},
};

static bool is_answer(const struct reply *r, enum libauthd_command command)
{
	return (r->answers >> command & 1) != 0;
}

/* Rather one that answers this command. NULL: there is no such word. */
static const struct reply *find_reply(const char *word, enum libauthd_command command)
{
	const struct reply *found = NULL;
	for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++)
		if (strcmp(replies[i].word, word) == 0 &&
		    (found == NULL || is_answer(&replies[i], command)))
			found = &replies[i];
	return found;
}

static bool reply_line(struct authd_conn *c, struct authd_event *e)
{
	const char *word = libauthd_field(c, 0);
	const struct reply *r = find_reply(word, LIBAUTHD_FLUSH);
	if (r == NULL && (strcmp(word, "CUID") == 0 || strcmp(word, "MECH") == 0))
		return libauthd_break(c, AUTHD_WRONG_SOCKET,
		    "this is a client socket, not a master socket (such as auth-userdb or "
		    "auth-master)");
	if (r == NULL)
		return libauthd_break(c, AUTHD_PROTOCOL, "the server sent %.40s", word);
	struct libauthd_pending *p = libauthd_reply_to(c, libauthd_field(c, 1));
	if (p == NULL)
		return false;
	r = find_reply(word, p->command);
	if (!is_answer(r, p->command))
		return libauthd_break(c, AUTHD_PROTOCOL,
		    "the server answered request %u with %s, which is no answer to it",
		    (unsigned)p->id, word);
	e->id = p->id;
	if (!r->handle(c, e))
		return false;
	if (!r->more)
		libauthd_forget(c, e->id);
	return true;
}

bool libauthd_master_line(struct authd_conn *c, struct authd_event *e)
{
	return c->ready ? reply_line(c, e) : handshake_line(c, e);
}
