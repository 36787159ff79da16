/*
 * Dovecot's auth client protocol: sockets for logins (auth-client and any
 * other name), for Dovecot's login processes (login) and for tokens. The
 * socket's type says what is allowed. Two handshakes: all at once, minor 2
 * (Dovecot 2.3; Exim knows no other), or with the mechanisms held back until
 * the client has said its version, minor 4, which has channel binding
 * (Dovecot 2.4; sockets with type = auth or login).
 * Runs in: front. Owner of the state: the connection.
 */
#include "authd/protocol-client.h"

#include <stdio.h>

#include <sodium.h>

#include "authd/ask.h"
#include "authd/login.h"
#include "authd/trace.h"
#include "base/encode.h"
#include "base/log.h"

enum { VERSION_MAJOR = 1, LINE_MAX_LEN = 16384 };
enum {
	MINOR_OLDER = 2,
	MINOR_NEWER = 4,
	/* what a minor version brought */
	MINOR_EMPTY_RESP = 2,
	MINOR_BINDING = 3,
	MINOR_CANCELLED = 4,
};

struct client {
	bool has_version;
	uint32_t minor; /* what both ends know */
	uint32_t pid;
	char cookie[33];
	char pid_text[12]; /* for %p */
};

static bool is_token(const struct conn *c)
{
	return c->type == LISTENER_TOKEN || c->type == LISTENER_TOKEN_LOGIN;
}

/* ---- handshake ---- */

static void put_mech(struct buffer *out, const struct mech *m)
{
	static const struct {
		unsigned flag;
		const char *name;
	} flags[] = {
	    {MECH_PRIVATE, "private"},
	    {MECH_ANONYMOUS, "anonymous"},
	    {MECH_PLAINTEXT, "plaintext"},
	    {MECH_DICTIONARY, "dictionary"},
	    {MECH_ACTIVE, "active"},
	    {MECH_FORWARD_SECRECY, "forward-secrecy"},
	    {MECH_MUTUAL_AUTH, "mutual-auth"},
	    {MECH_CHANNEL_BINDING, "channel-binding"},
	};
	buffer_printf(out, "MECH\t%s", m->name);
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		if ((m->flags & flags[i].flag) != 0)
			buffer_printf(out, "\t%s", flags[i].name);
	}
	buffer_append_char(out, '\n');
}

static bool is_offered(const struct client *cl, const struct mech *m)
{
	return (m->flags & MECH_CHANNEL_BINDING) == 0 || cl->minor >= MINOR_BINDING;
}

/* MECH comes before SPID. */
static void put_offer(struct conn *c, const struct client *cl)
{
	struct buffer *out = conn_out(c);
	const struct generation *g = c->front->current;
	if (is_token(c)) {
		put_mech(out, mech_find(SPAN_LIT("DOVECOT-TOKEN")));
	} else {
		for (size_t i = 0; g->mechs[i] != NULL; i++) {
			if (is_offered(cl, g->mechs[i]))
				put_mech(out, g->mechs[i]);
		}
	}
	buffer_printf(out, "SPID\t%u\nCUID\t%u\nCOOKIE\t%s\nDONE\n", c->front->pid, c->connect_uid,
	    cl->cookie);
}

/* Clients of the older kind wait for everything before they speak. */
static void client_greet(struct conn *c)
{
	struct client *cl = conn_state(c);
	unsigned char random[16];
	randombytes_buf(random, sizeof(random));
	sodium_bin2hex(cl->cookie, sizeof(cl->cookie), random, sizeof(random));
	buffer_printf(
	    conn_out(c), "VERSION\t%d\t%d\n", VERSION_MAJOR, c->newer ? MINOR_NEWER : MINOR_OLDER);
	if (!c->newer)
		put_offer(c, cl);
}

static void take_version(struct conn *c, struct client *cl, struct span args)
{
	struct span field;
	uint32_t major, minor = c->newer ? MINOR_NEWER : MINOR_OLDER;
	if (!span_split(&args, '\t', &field) || !span_to_u32(field, &major) ||
	    !span_split(&args, '\t', &field) || !span_to_u32(field, &cl->minor) ||
	    args.ptr != NULL) {
		conn_close(c, "its VERSION line is broken");
	} else if (major != VERSION_MAJOR) {
		conn_close(c, "it speaks another major version of the protocol");
	} else {
		cl->has_version = true;
		if (cl->minor > minor)
			cl->minor = minor;
		if (c->newer)
			put_offer(c, cl);
	}
}

/* Is there another living login process with this pid? A dead one's connection is closed now. */
static bool pid_is_taken(struct conn *c, uint32_t pid)
{
	struct conn *other;
	TAILQ_FOREACH(other, &c->front->conns, entry)
	{
		if (other == c || other->closing || !client_is_login(other) ||
		    other->protocol != c->protocol)
			continue;
		const struct client *cl = conn_state(other);
		if (cl->pid != pid)
			continue;
		if (!conn_peer_is_gone(other))
			return true;
		conn_close(other, NULL);
	}
	return false;
}

static void take_cpid(struct conn *c, struct client *cl, struct span args)
{
	uint32_t pid;
	if (cl->pid != 0) {
		conn_close(c, "BUG: it sent CPID twice");
	} else if (!span_to_u32(args, &pid) || pid == 0) {
		conn_close(c, "BUG: its CPID is not a process id");
	} else if (client_is_login(c) && pid_is_taken(c, pid)) {
		log_error("BUG: Authentication client gave a PID %u of existing connection", pid);
		conn_close(c, NULL);
	} else {
		cl->pid = pid;
		snprintf(cl->pid_text, sizeof(cl->pid_text), "%u", pid);
	}
}

/* ---- AUTH ---- */

/* What resp= holds: *initial stays NULL when it counts as absent. False: not base64. */
static bool take_initial(
    struct request *r, const struct client *cl, struct span resp, struct span *initial)
{
	*initial = SPAN_NULL;
	if (resp.ptr == NULL)
		return true;
	if (resp.len == 0) {
		/* Exim and Postfix send an empty one when there is none */
		if (cl->minor >= MINOR_EMPTY_RESP)
			*initial = SPAN_LIT("");
		return true;
	}
	if (span_eq_str(resp, "="))
		*initial = SPAN_LIT("");
	else
		*initial = base64_decode(&r->arena, resp);
	return initial->ptr != NULL;
}

/* All parameters; resp= must be the last. False: the line is broken. */
static bool take_params(struct request *r, struct span args, struct span *resp)
{
	struct span field, key;
	bool escaped = span_find(args, '\x01') >= 0;
	*resp = SPAN_NULL;
	while (span_split(&args, '\t', &field)) {
		if (span_starts(field, "resp=")) {
			*resp = span_skip(field, strlen("resp="));
			return args.ptr == NULL;
		}
		struct span value = escaped ? tab_unescape(&r->arena, field) : field;
		if (value.len == 0 || !span_split(&value, '=', &key))
			continue;
		request_param(r, key, value);
	}
	return true;
}

static const struct mech *allowed_mech(struct conn *c, const struct client *cl, struct span name)
{
	if (is_token(c))
		return span_eq_ci(name, SPAN_LIT("DOVECOT-TOKEN")) ? mech_find(name) : NULL;
	const struct mech *m = generation_mech(c->front->current, name);
	return m != NULL && is_offered(cl, m) ? m : NULL;
}

/* An outage too: those who take FAIL for a wrong password are told by closing. */
static void refuse_full(struct conn *c, uint32_t id, struct span params)
{
	struct span field;
	log_warning("too many requests at once; one is told to try again");
	while (span_split(&params, '\t', &field)) {
		if (span_eq_str(field, "nologin")) {
			request_close_when_idle(c);
			return;
		}
	}
	buffer_printf(conn_out(c), "FAIL\t%u\tcode=temp_fail\n", id);
}

static void take_auth(struct conn *c, const struct client *cl, struct span args)
{
	struct span field, resp, initial;
	uint32_t id;
	if (!span_split(&args, '\t', &field) || !span_to_u32(field, &id) || id == 0) {
		conn_close(c, "BUG: AUTH has no valid id");
		return;
	}
	if (!span_split(&args, '\t', &field)) {
		conn_close(c, "BUG: AUTH names no mechanism");
		return;
	}
	const struct mech *mech = allowed_mech(c, cl, field);
	if (mech == NULL) {
		conn_close(c, "BUG: AUTH with a mechanism that was not offered");
		return;
	}
	if (request_find(c, id) != NULL) {
		conn_close(c, "BUG: AUTH with an id that is in use");
		return;
	}
	if (c->front->draining) {
		/* the next server takes it */
		request_close_when_idle(c);
		return;
	}
	struct request *r = request_new(c, REQUEST_LOGIN, id);
	if (r == NULL) {
		refuse_full(c, id, args);
		return;
	}
	args = arena_dup(&r->arena, args); /* what the line says is used where it stands */
	r->mech = mech;
	r->vars.v[VAR_PID] = span_of(cl->pid_text); /* a request does not outlive its connection */
	if (!take_params(r, args, &resp)) {
		request_free(r);
		conn_close(c, "BUG: AUTH has parameters after resp=");
		return;
	}
	if (r->vars.v[VAR_SERVICE].len == 0) {
		request_free(r);
		conn_close(c, "BUG: AUTH has no service");
		return;
	}
	request_params_done(r);
	/* the login process shows them where there is something to bind to */
	bool has_channel = span_eq_str(r->vars.v[VAR_SECURED], "TLS");
	r->plus_offered = r->generation->has_plus && cl->minor >= MINOR_BINDING && has_channel;
	if (take_initial(r, cl, resp, &initial))
		login_start(r, initial);
	else
		login_refuse_now(
		    r, REPLY_INVALID_BASE64, "Invalid base64 data in initial response");
}

/* ---- CONT, CANCEL ---- */

static void refuse_base64(struct request *r)
{
	login_refuse_now(r, REPLY_INVALID_BASE64, "Invalid base64 data in continued response");
}

/* "#" says that it is no message of the mechanism's but the login process's own word. */
static void take_binding(struct request *r, struct span data, struct span params)
{
	struct span param, key, binding = SPAN_NULL;
	if (!span_eq_str(data, "#")) {
		refuse_base64(r);
		return;
	}
	while (span_split(&params, '\t', &param)) {
		if (span_split(&param, '=', &key) && span_eq_str(key, "channel_binding"))
			binding = param;
	}
	if (binding.ptr != NULL) {
		binding = base64_decode(&r->arena, binding);
		if (binding.ptr == NULL) {
			refuse_base64(r);
			return;
		}
	}
	login_binding(r, binding);
}

static void take_cont(struct conn *c, const struct client *cl, struct span args)
{
	struct span field;
	uint32_t id;
	if (!span_split(&args, '\t', &field) || !span_to_u32(field, &id) || args.ptr == NULL) {
		conn_close(c, "BUG: CONT is broken");
		return;
	}
	struct request *r = request_find(c, id);
	if (r == NULL) {
		buffer_printf(
		    conn_out(c), "FAIL\t%u\treason=Authentication request timed out\n", id);
		return;
	}
	if (r->state != REQUEST_CLIENT) {
		ask_forget(r);
		login_refuse_now(r, REPLY_NONE, "Unexpected continuation");
		return;
	}
	/* newer clients may send parameters behind the data */
	struct span data = args;
	if (cl->minor >= MINOR_BINDING)
		(void)span_split(&args, '\t', &data);
	if (r->binding_wanted) {
		take_binding(r, data, args);
		return;
	}
	struct span bytes = span_eq_str(data, "=") ? SPAN_LIT("") : base64_decode(&r->arena, data);
	if (bytes.ptr == NULL)
		refuse_base64(r);
	else
		login_continue(r, bytes);
}

static void take_cancel(struct conn *c, const struct client *cl, struct span args)
{
	uint32_t id;
	if (!span_to_u32(args, &id)) {
		conn_close(c, "BUG: CANCEL is broken");
		return;
	}
	struct request *r = request_find(c, id);
	if (r != NULL)
		request_free(r);
	if (cl->minor >= MINOR_CANCELLED)
		buffer_printf(conn_out(c), "CANCELLED\t%u\n", id);
}

static ssize_t client_input(struct conn *c, struct span in)
{
	struct client *cl = conn_state(c);
	ssize_t end = span_find(in, '\n');
	if (end < 0)
		return 0;
	if (end > LINE_MAX_LEN) {
		conn_close(c, "BUG: it sent a line of more than 16384 bytes");
		return PROTOCOL_CLOSE;
	}
	struct span args = span_first(in, (size_t)end), command;
	trace_line("client in", args);
	(void)span_split(&args, '\t', &command);
	if (!cl->has_version) {
		if (span_eq_str(command, "VERSION"))
			take_version(c, cl, args);
		else
			conn_close(c, "it did not begin with VERSION");
	} else if (cl->pid == 0 || span_eq_str(command, "CPID")) {
		if (span_eq_str(command, "CPID"))
			take_cpid(c, cl, args);
		else
			conn_close(c, "it did not say its CPID");
	} else if (span_eq_str(command, "AUTH")) {
		take_auth(c, cl, args);
	} else if (span_eq_str(command, "CONT")) {
		take_cont(c, cl, args);
	} else if (span_eq_str(command, "CANCEL")) {
		take_cancel(c, cl, args);
	} else {
		conn_close(c, "BUG: it sent an unknown command");
	}
	return c->closing ? PROTOCOL_CLOSE : end + 1;
}

struct request *client_find_login(struct front *f, uint32_t pid, uint32_t id, struct span cookie)
{
	struct conn *c;
	TAILQ_FOREACH(c, &f->conns, entry)
	{
		if (c->closing || c->protocol != &protocol_client || !client_is_login(c))
			continue;
		const struct client *cl = conn_state(c);
		if (cl->pid != pid)
			continue;
		if (cookie.len != sizeof(cl->cookie) - 1 ||
		    sodium_memcmp(cookie.ptr, cl->cookie, cookie.len) != 0)
			return NULL;
		struct request *r = request_find(c, id);
		return r != NULL && r->state == REQUEST_LINGER ? r : NULL;
	}
	return NULL;
}

const struct protocol protocol_client = {
    .name = "auth-client",
    .state_size = sizeof(struct client),
    .message_max = LINE_MAX_LEN,
    .greet = client_greet,
    .input = client_input,
    .challenge = client_challenge,
    .reply = client_reply,
};
