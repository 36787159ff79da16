/*
 * The blocking layer: one call, one answer, by a deadline.
 * Runs in: programs that use libauthd-client. A link owns its socket and its
 * connection.
 */
#include "client-lib/link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 16384 };

/* ---- bytes ---- */

/* Sends what there is. False: the server is gone (what it said before may still be read). */
static bool link_send(struct authd_link *l)
{
	const void *data;
	size_t length;
	while ((length = authd_conn_output(l->conn, &data)) > 0) {
		ssize_t n = send(l->fd, data, length, MSG_NOSIGNAL);
		if (n >= 0)
			authd_conn_sent(l->conn, (size_t)n);
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			return true;
		else if (errno != EINTR)
			return false;
	}
	return true;
}

static void link_receive(struct authd_link *l)
{
	char data[READ_SIZE];
	ssize_t n = recv(l->fd, data, sizeof(data), 0);
	if (n > 0)
		authd_conn_feed(l->conn, data, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
		authd_conn_eof(l->conn);
	explicit_bzero(data, n > 0 ? (size_t)n : 0);
}

enum authd_status libauthd_link_next(struct authd_link *l, struct authd_event *e)
{
	while (authd_conn_next(l->conn, e) == AUTHD_EVENT_NONE) {
		const void *data;
		if (authd_conn_status(l->conn) != AUTHD_OK)
			return libauthd_link_fail(&l->error, authd_conn_status(l->conn), 0, "%s",
			    authd_conn_error(l->conn));
		bool gone = !link_send(l);
		short events = POLLIN;
		if (!gone && authd_conn_output(l->conn, &data) > 0)
			events |= POLLOUT;
		if (!libauthd_wait(l->fd, events, l->deadline))
			return libauthd_link_fail(
			    &l->error, AUTHD_TEMPORARY, ETIMEDOUT, "no answer in time");
		link_receive(l);
		if (gone && authd_conn_status(l->conn) == AUTHD_OK)
			authd_conn_sent(l->conn, SIZE_MAX); /* only reading makes sense now */
	}
	return AUTHD_OK;
}

void libauthd_link_start(struct authd_link *l, int timeout_ms)
{
	l->deadline = libauthd_now() + timeout_ms;
	l->error = (struct authd_error){0};
}

/* ---- connecting ---- */

void authd_disconnect(struct authd_link *l)
{
	if (l == NULL)
		return;
	if (l->fd >= 0)
		close(l->fd);
	authd_conn_free(l->conn);
	free(l);
}

const struct authd_error *authd_link_error(const struct authd_link *l)
{
	return &l->error;
}

struct authd_conn *authd_link_conn(struct authd_link *l)
{
	return l->conn;
}

static enum authd_status link_open(struct authd_link *l, const char *address)
{
	if (l->conn == NULL)
		return libauthd_link_fail(&l->error, AUTHD_NO_MEMORY, 0, "out of memory");
	l->fd = libauthd_connect(address, l->deadline, &l->error);
	if (l->fd < 0)
		return l->error.status;
	struct authd_event e;
	enum authd_status status = libauthd_link_next(l, &e);
	if (status == AUTHD_OK && e.type != AUTHD_EVENT_READY)
		return libauthd_link_fail(&l->error, e.status, 0, "%.120s: %s", address, e.reason);
	if (status == AUTHD_TEMPORARY)
		return libauthd_link_fail(&l->error, status, ETIMEDOUT,
		    "%.120s: the server did not greet in time", address);
	return status;
}

struct authd_link *authd_connect(
    enum authd_kind kind, const char *address, int timeout_ms, struct authd_error *error)
{
	struct authd_link *l = calloc(1, sizeof(*l));
	if (l == NULL) {
		if (error != NULL)
			libauthd_link_fail(error, AUTHD_NO_MEMORY, 0, "out of memory");
		return NULL;
	}
	l->fd = -1;
	l->conn = kind == AUTHD_CLIENT ? authd_client_new(0) : authd_master_new();
	libauthd_link_start(l, timeout_ms);
	if (link_open(l, address) == AUTHD_OK)
		return l;
	if (error != NULL)
		*error = l->error;
	authd_disconnect(l);
	return NULL;
}

/* ---- answers ---- */

/* A request that could not be made. */
static enum authd_status not_made(struct authd_link *l, enum authd_status status)
{
	return libauthd_link_fail(&l->error, status, 0, "%s",
	    status == AUTHD_NO_MEMORY ? "out of memory" : authd_conn_error(l->conn));
}

/* The next event of that request. Others are late ones of requests given up. */
static enum authd_status answer(struct authd_link *l, uint32_t id, struct authd_event *e)
{
	enum authd_status status;
	do {
		status = libauthd_link_next(l, e);
	} while (status == AUTHD_OK && e->id != id && e->type != AUTHD_EVENT_CLOSED);
	if (status != AUTHD_OK) {
		*e = (struct authd_event){.type = AUTHD_EVENT_FAIL, .status = status, .id = id};
		authd_conn_cancel(l->conn, id);
		return status;
	}
	if (authd_conn_status(l->conn) != AUTHD_OK)
		libauthd_link_fail(
		    &l->error, authd_conn_status(l->conn), 0, "%s", authd_conn_error(l->conn));
	else if (e->status == AUTHD_TEMPORARY)
		libauthd_link_fail(&l->error, AUTHD_TEMPORARY, 0, "the server %s%s",
		    e->reason != NULL ? "says: " : "could not decide",
		    e->reason != NULL ? e->reason : "");
	else
		libauthd_link_fail(&l->error, e->status, 0, "%s", authd_status_name(e->status));
	return e->status;
}

/* The answer to a request that was just made, or why it was not. The id comes by address: it is
 * set by another argument's call. */
static enum authd_status finish(
    struct authd_link *l, enum authd_status made, const uint32_t *id, struct authd_event *e)
{
	if (made == AUTHD_OK)
		return answer(l, *id, e);
	*e = (struct authd_event){.type = AUTHD_EVENT_FAIL, .status = made};
	return not_made(l, made);
}

/* ---- logging in ---- */

/* RFC 4616: authzid NUL authcid NUL passwd */
static bool put_plain(struct libauthd_bytes *out, const struct authd_login *login)
{
	const char *authcid = login->master != NULL ? login->master : login->user;
	return libauthd_put_text(out, login->master != NULL ? login->user : "") &&
	       libauthd_put(out, "", 1) && libauthd_put_text(out, authcid) &&
	       libauthd_put(out, "", 1) && libauthd_put_text(out, login->password);
}

/* RFC 5801 section 4: what would end the name */
static bool put_saslname(struct libauthd_bytes *out, const char *name)
{
	bool ok = true;
	for (; ok && *name != '\0'; name++)
		ok = *name == ','   ? libauthd_put_text(out, "=2C")
		     : *name == '=' ? libauthd_put_text(out, "=3D")
				    : libauthd_put(out, name, 1);
	return ok;
}

static bool put_token(struct libauthd_bytes *out, const char *token)
{
	return libauthd_put_text(out, "\x01"
				      "auth=Bearer ") &&
	       libauthd_put_text(out, token) && libauthd_put_text(out, "\x01\x01");
}

/* RFC 7628 section 3.1 */
static bool put_oauthbearer(struct libauthd_bytes *out, const struct authd_login *login)
{
	return libauthd_put_text(out, "n,a=") && put_saslname(out, login->user) &&
	       libauthd_put_text(out, ",") && put_token(out, login->password);
}

static bool put_xoauth2(struct libauthd_bytes *out, const struct authd_login *login)
{
	return libauthd_put_text(out, "user=") && libauthd_put_text(out, login->user) &&
	       put_token(out, login->password);
}

static const struct login_mech {
	const char *name;
	bool (*put)(struct libauthd_bytes *out, const struct authd_login *login); /* NULL: asked */
	int answers; /* to challenges */
} login_mechs[] = {
    {"PLAIN", put_plain, 0},
    {"LOGIN", NULL, 2}, /* the name, then the password */
    /* a refusal may come as a challenge, to which anything may be said (section 3.2.3) */
    {"OAUTHBEARER", put_oauthbearer, 1},
    {"XOAUTH2", put_xoauth2, 1},
};

static const struct login_mech *find_login_mech(const struct authd_login *login)
{
	const char *name = login->mech != NULL ? login->mech : "PLAIN";
	for (size_t i = 0; i < sizeof(login_mechs) / sizeof(login_mechs[0]); i++) {
		if (strcasecmp(login_mechs[i].name, name) == 0)
			return login->master == NULL || i == 0 ? &login_mechs[i] : NULL;
	}
	return NULL;
}

static enum authd_status begin_own(
    struct authd_link *l, const struct authd_login *login, uint32_t *id)
{
	const struct authd_auth auth = {
	    .mech = login->mech,
	    .fields = login->fields,
	    .field_count = login->field_count,
	    .initial = login->initial,
	    .initial_length = login->initial_length,
	};
	return authd_client_auth(l->conn, &auth, id);
}

static enum authd_status begin_login(struct authd_link *l, const struct login_mech *mech,
    const struct authd_login *login, uint32_t *id)
{
	struct libauthd_bytes message = {0};
	if (login->respond != NULL)
		return begin_own(l, login, id);
	if (mech == NULL)
		return libauthd_usage(l->conn,
		    "authd_authenticate() does PLAIN, LOGIN, OAUTHBEARER and XOAUTH2, a master "
		    "user with PLAIN only");
	struct authd_auth auth = {
	    .mech = mech->name,
	    .fields = login->fields,
	    .field_count = login->field_count,
	};
	if (mech->put == NULL)
		return authd_client_auth(l->conn, &auth, id);
	enum authd_status status = AUTHD_NO_MEMORY;
	if (mech->put(&message, login)) {
		auth.initial = message.data + message.start;
		auth.initial_length = libauthd_length(&message);
		status = authd_client_auth(l->conn, &auth, id);
	}
	libauthd_bytes_free(&message);
	return status;
}

/* What to say to the challenge in *e, the i-th; any status but AUTHD_OK: nothing. */
static enum authd_status next_answer(const struct authd_login *login, const struct login_mech *mech,
    int i, const struct authd_event *e, const void **text, size_t *length)
{
	if (login->respond != NULL)
		return login->respond(login->context, e->data, e->data_length, text, length)
			   ? AUTHD_OK
			   : AUTHD_USAGE;
	if (i == mech->answers)
		return AUTHD_PROTOCOL;
	const char *answers[] = {login->user, login->password};
	const char *answer = mech->put == NULL ? answers[i] : "\x01";
	*text = answer;
	*length = strlen(answer);
	return AUTHD_OK;
}

enum authd_status authd_authenticate(
    struct authd_link *l, const struct authd_login *login, int timeout_ms, struct authd_event *e)
{
	uint32_t id = 0;
	const struct login_mech *mech = find_login_mech(login);
	libauthd_link_start(l, timeout_ms);
	enum authd_status status = finish(l, begin_login(l, mech, login, &id), &id, e);
	for (int i = 0; e->type == AUTHD_EVENT_CONTINUE; i++) {
		const void *text = NULL;
		size_t length = 0;
		enum authd_status wrong = next_answer(login, mech, i, e, &text, &length);
		if (wrong != AUTHD_OK) {
			authd_conn_cancel(l->conn, id);
			*e = (struct authd_event){.type = AUTHD_EVENT_FAIL, .id = id};
			return libauthd_link_fail(&l->error, e->status = wrong, 0,
			    wrong == AUTHD_USAGE
				? "given up by the caller"
				: "the server asks for more than the mechanism has");
		}
		status = finish(l, authd_client_continue(l->conn, id, text, length), &id, e);
	}
	return status;
}

/* ---- lookups ---- */

enum authd_status authd_lookup_user(struct authd_link *l, const char *user,
    const struct authd_field *fields, size_t count, int timeout_ms, struct authd_event *e)
{
	uint32_t id = 0;
	libauthd_link_start(l, timeout_ms);
	return finish(l, authd_master_user(l->conn, user, fields, count, &id), &id, e);
}

enum authd_status authd_lookup_pass(struct authd_link *l, const char *user,
    const struct authd_field *fields, size_t count, int timeout_ms, struct authd_event *e)
{
	uint32_t id = 0;
	libauthd_link_start(l, timeout_ms);
	return finish(l, authd_master_pass(l->conn, user, fields, count, &id), &id, e);
}

enum authd_status authd_list(struct authd_link *l, const char *mask,
    const struct authd_field *fields, size_t count, int timeout_ms,
    bool (*each)(void *context, const char *user), void *context)
{
	uint32_t id = 0;
	struct authd_event e;
	libauthd_link_start(l, timeout_ms);
	enum authd_status status =
	    finish(l, authd_master_list(l->conn, mask, fields, count, &id), &id, &e);
	for (; e.type == AUTHD_EVENT_LIST; status = answer(l, id, &e)) {
		if (mask != NULL && !authd_mask_match(mask, e.user))
			continue;
		if (!each(context, e.user))
			return authd_conn_cancel(l->conn, id);
	}
	return status;
}

enum authd_status authd_pw_status(struct authd_link *l, bool stored, int timeout_ms,
    bool (*each)(void *context, const char *line), void *context)
{
	uint32_t id = 0;
	struct authd_event e;
	libauthd_link_start(l, timeout_ms);
	enum authd_status status = finish(l, authd_master_pw_status(l->conn, stored, &id), &id, &e);
	for (; e.type == AUTHD_EVENT_LIST; status = answer(l, id, &e)) {
		if (!each(context, e.user))
			return authd_conn_cancel(l->conn, id);
	}
	return status;
}

enum authd_status authd_request(struct authd_link *l, uint32_t client_pid, uint32_t client_id,
    const char *cookie, const struct authd_field *fields, size_t count, int timeout_ms,
    struct authd_event *e)
{
	uint32_t id = 0;
	libauthd_link_start(l, timeout_ms);
	enum authd_status status = finish(l,
	    authd_master_request(l->conn, client_pid, client_id, cookie, fields, count, &id), &id,
	    e);
	bool decided = e->type == AUTHD_EVENT_FAIL && e->status == AUTHD_TEMPORARY &&
		       l->error.errnum == 0 && authd_conn_status(l->conn) == AUTHD_OK &&
		       (e->code == NULL || strcmp(e->code, "temp_fail") != 0);
	if (!decided)
		return status;
	return e->status = libauthd_link_fail(&l->error, AUTHD_REFUSED, 0,
		   "the server refused the request%s%s", e->reason != NULL ? ": " : "",
		   e->reason != NULL ? e->reason : "");
}

enum authd_status authd_cache_flush(
    struct authd_link *l, const char *const *users, int timeout_ms, uint64_t *count)
{
	uint32_t id = 0;
	struct authd_event e;
	libauthd_link_start(l, timeout_ms);
	enum authd_status status =
	    finish(l, authd_master_cache_flush(l->conn, users, &id), &id, &e);
	*count = e.count;
	return status;
}

enum authd_status authd_cache_status(
    struct authd_link *l, bool reset, int timeout_ms, struct authd_event *e)
{
	uint32_t id = 0;
	libauthd_link_start(l, timeout_ms);
	return finish(l, authd_master_cache_status(l->conn, reset, &id), &id, e);
}
