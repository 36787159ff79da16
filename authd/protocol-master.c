/*
 * Dovecot's auth master protocol: auth-master (everything) and auth-userdb
 * (lookups only; about oneself only, when the socket is open to everybody).
 * Runs in: front. Owner of the state: the connection.
 */
#include <inttypes.h>

#include "authd/extra-fields.h"
#include "authd/lookup.h"
#include "authd/upgrade-status.h"
#include "authd/protocol-client.h"
#include "authd/trace.h"
#include "base/encode.h"
#include "base/log.h"
#include "mechanisms/token.h"

enum {
	VERSION_MAJOR = 1,
	VERSION_MINOR = 1,
	LINE_MAX_LEN = 8192, /* Dovecot has 1024; what its own clients can read is this */
};

struct master {
	bool has_version;
};

static void master_greet(struct conn *c)
{
	buffer_printf(conn_out(c), "VERSION\t%d\t%d\nSPID\t%u\n", VERSION_MAJOR, VERSION_MINOR,
	    c->front->pid);
}

static void take_version(struct conn *c, struct master *m, struct span args)
{
	struct span field;
	uint32_t major;
	if (!span_split(&args, '\t', &field) || !span_to_u32(field, &major))
		conn_close(c, "its VERSION line is broken");
	else if (major != VERSION_MAJOR)
		conn_close(c, "it speaks another major version of the protocol");
	else
		m->has_version = true;
}

static void take_params(struct request *r, struct span args)
{
	struct span field, key;
	bool escaped = span_find(args, '\x01') >= 0;
	while (span_split(&args, '\t', &field)) {
		struct span value = escaped ? tab_unescape(&r->arena, field) : field;
		if (value.len == 0 || !span_split(&value, '=', &key))
			continue;
		if (r->kind == REQUEST_LIST && span_eq_str(key, "user"))
			r->mask = value;
		else
			request_param(r, key, value);
	}
}

static void fail(struct conn *c, uint32_t id)
{
	buffer_printf(conn_out(c), "FAIL\t%u\n", id);
}

/* id and the request for a lookup; NULL after having answered or closed */
static struct request *new_lookup(struct conn *c, enum request_kind kind, struct span *args)
{
	struct span field;
	uint32_t id;
	if (!span_split(args, '\t', &field) || !span_to_u32(field, &id)) {
		conn_close(c, "BUG: it sent a lookup without a valid id");
		return NULL;
	}
	struct request *r = request_new(c, kind, id);
	if (r == NULL)
		fail(c, id);
	else
		*args =
		    arena_dup(&r->arena, *args); /* what the line says is used where it stands */
	return r;
}

static void take_lookup(struct conn *c, enum request_kind kind, struct span args)
{
	struct span user;
	struct request *r = new_lookup(c, kind, &args);
	if (r == NULL)
		return;
	if (!span_split(&args, '\t', &user)) {
		request_free(r);
		conn_close(c, "BUG: it sent a lookup without a user name");
		return;
	}
	take_params(r, args);
	if (r->vars.v[VAR_SERVICE].len == 0) {
		request_free(r);
		conn_close(c, "BUG: it sent a lookup without a service");
		return;
	}
	if (kind == REQUEST_PASS && c->restricted) {
		log_error(
		    "passdb lookup refused: the client is restricted to its own userdb entry");
		fail(c, r->id);
		request_free(r);
		return;
	}
	request_params_done(r);
	user = tab_unescape(&r->arena, user);
	if (kind == REQUEST_USER)
		lookup_user(r, user);
	else
		lookup_pass(r, user);
}

static void take_list(struct conn *c, struct span args)
{
	struct request *r = new_lookup(c, REQUEST_LIST, &args);
	if (r == NULL)
		return;
	if (c->restricted) {
		log_error(
		    "listing users refused: the client is restricted to its own userdb entry");
		buffer_printf(conn_out(c), "DONE\t%u\tfail\n", r->id);
		request_free(r);
		return;
	}
	take_params(r, args);
	request_params_done(r);
	lookup_list(r);
}

/* PW-STATUS <id> [stored]: "LIST <id> <passdb> <driver> <what> <scheme> <count>" ..., DONE */
static void take_pw_status(struct conn *c, struct span args)
{
	struct request *r = new_lookup(c, REQUEST_LIST, &args);
	if (r == NULL)
		return;
	r->census = span_eq_str(args, "stored");
	request_params_done(r);
	upgrade_status(r);
}

/* REQUEST <id> <client pid> <client's request id> <cookie> [session_pid=N] [request_auth_token] */
static void take_request(struct conn *c, struct span args)
{
	struct span field, key;
	uint32_t id, pid = 0, client_id = 0, session_pid = 0;
	bool good = span_split(&args, '\t', &field) && span_to_u32(field, &id) &&
		    span_split(&args, '\t', &field) && span_to_u32(field, &pid) &&
		    span_split(&args, '\t', &field) && span_to_u32(field, &client_id) &&
		    span_split(&args, '\t', &field);
	if (!good) {
		conn_close(c, "BUG: its REQUEST is broken");
		return;
	}
	struct span cookie = field;
	bool token = false;
	while (span_split(&args, '\t', &field)) {
		if (!span_split(&field, '=', &key))
			continue;
		if (span_eq_str(key, "session_pid") && !span_to_u32(field, &session_pid)) {
			conn_close(c, "BUG: its REQUEST has a broken session_pid");
			return;
		}
		token = token || span_eq_str(key, "request_auth_token");
	}
	struct request *login = client_find_login(c->front, pid, client_id, cookie);
	if (login == NULL) {
		log_error("REQUEST for a login that is not there (pid %u, id %u)", pid, client_id);
		fail(c, id);
		return;
	}
	if (session_pid != 0 && (uint32_t)c->peer.pid != session_pid) {
		log_error("REQUEST with session_pid %u from process %u", session_pid,
		    (unsigned)c->peer.pid);
		fail(c, id);
		return;
	}
	struct request *r = request_new(c, REQUEST_USER, id);
	if (r == NULL) {
		fail(c, id);
		return;
	}
	r->token_wanted = token && session_pid != 0;
	r->session_pid = session_pid;
	lookup_after_login(r, login);
}

static size_t flush_all(struct front *f, struct span mask)
{
	struct generation *g;
	size_t count = 0;
	/* the older ones as well: logins that began before a reload still ask theirs */
	TAILQ_FOREACH(g, &f->generations, link)
	{
		if (g->cache != NULL)
			count += cache_flush(g->cache, mask);
	}
	return count;
}

/* CACHE-FLUSH <id> [<user or mask>...]; without one: everything */
static void take_cache_flush(struct conn *c, uint32_t id, struct span args)
{
	struct span user;
	struct arena a = {0};
	size_t count = 0;
	if (args.ptr == NULL)
		count = flush_all(c->front, SPAN_NULL);
	while (span_split(&args, '\t', &user))
		count += flush_all(c->front, tab_unescape(&a, user));
	arena_free(&a);
	buffer_printf(conn_out(c), "OK\t%u\t%zu\n", id, count);
}

/* CACHE-STATUS <id> [reset] */
static void take_cache_status(struct conn *c, uint32_t id, struct span args)
{
	struct cache *cache = c->front->current->cache;
	struct buffer *out = conn_out(c);
	buffer_printf(out, "OK\t%u", id);
	if (cache != NULL) {
		struct cache_stats s = cache_stats(cache);
		buffer_printf(out,
		    "\thits=%" PRIu64 "\tmisses=%" PRIu64 "\tpos_entries=%" PRIu64
		    "\tneg_entries=%" PRIu64 "\tpos_size=%" PRIu64 "\tneg_size=%" PRIu64
		    "\tused_size=%" PRIu64 "\tmax_size=%" PRIu64,
		    s.hits, s.misses, s.positive, s.negative, s.positive_size, s.negative_size,
		    s.used, s.max);
		if (span_eq_str(args, "reset"))
			cache_reset_stats(cache);
	}
	buffer_append_char(out, '\n');
}

static void take_cache_command(struct conn *c, bool flush, struct span args)
{
	struct span field;
	uint32_t id;
	if (!span_split(&args, '\t', &field) || !span_to_u32(field, &id))
		conn_close(c, "BUG: it sent a command without a valid id");
	else if (flush)
		take_cache_flush(c, id, args);
	else
		take_cache_status(c, id, args);
}

static void take_command(struct conn *c, struct span command, struct span args)
{
	bool full = c->type == LISTENER_MASTER;
	if (span_eq_str(command, "USER"))
		take_lookup(c, REQUEST_USER, args);
	else if (span_eq_str(command, "PASS"))
		take_lookup(c, REQUEST_PASS, args);
	else if (span_eq_str(command, "LIST"))
		take_list(c, args);
	else if (full && span_eq_str(command, "REQUEST"))
		take_request(c, args);
	else if (full && span_eq_str(command, "PW-STATUS"))
		take_pw_status(c, args);
	else if (full && span_eq_str(command, "CACHE-FLUSH"))
		take_cache_command(c, true, args);
	else if (full && span_eq_str(command, "CACHE-STATUS"))
		take_cache_command(c, false, args);
	else if (span_eq_str(command, "CPID"))
		conn_close(c, "BUG: it is an auth client on a master socket");
	else
		conn_close(c, "BUG: it sent an unknown command");
}

static ssize_t master_input(struct conn *c, struct span in)
{
	struct master *m = conn_state(c);
	ssize_t end = span_find(in, '\n');
	if (end < 0)
		return 0;
	if (end > LINE_MAX_LEN) {
		conn_close(c, "BUG: it sent a line that is too long");
		return PROTOCOL_CLOSE;
	}
	struct span args = span_first(in, (size_t)end), command;
	trace_line("master in", args);
	(void)span_split(&args, '\t', &command);
	if (m->has_version)
		take_command(c, command, args);
	else if (span_eq_str(command, "VERSION"))
		take_version(c, m, args);
	else
		conn_close(c, "it did not begin with VERSION");
	return c->closing ? PROTOCOL_CLOSE : end + 1;
}

/* ---- replies ---- */

static void put_pair(struct buffer *out, const char *key, struct span value)
{
	buffer_append_char(out, '\t');
	buffer_append_str(out, key);
	buffer_append_char(out, '=');
	tab_escape(out, value);
}

static void put_head(struct buffer *out, struct span word, uint32_t id)
{
	buffer_append(out, word);
	buffer_append_u64_text(out, id);
}

static void put_fields(
    struct buffer *out, const struct request *r, const struct fields *f, bool passdb)
{
	for (size_t i = 0; i < f->count; i++) {
		if (!passdb || !passdb_field_is_hidden(f->items[i].key))
			extra_field_put(out, r, &f->items[i]);
	}
}

/* What a post-login process learns beside the userdb fields. */
static void put_login(struct buffer *out, struct request *r)
{
	const struct span *v = r->vars.v;
	if (v[VAR_MASTER_USER].len > 0)
		put_pair(out, "master_user", v[VAR_MASTER_USER]);
	put_pair(out, "auth_mech", span_of(r->mech->name));
	if ((r->mech->flags & MECH_ANONYMOUS) != 0)
		buffer_append_str(out, "\tanonymous");
	if (r->token_wanted && secret_is_set(r->generation->token_secret)) {
		struct token_source source = {
		    .user = v[VAR_USER],
		    .session_pid = arena_printf(&r->arena, "%u", r->session_pid),
		    .session = v[VAR_SESSION],
		    .service = v[VAR_SERVICE],
		};
		struct secret token = token_make(&source, r->generation->token_secret, &r->arena);
		put_pair(out, "auth_token", secret_reveal(token));
	}
	if (v[VAR_MASTER_USER].len > 0)
		put_pair(out, "auth_user", v[VAR_AUTH_USER]);
	else if (v[VAR_ORIGINAL_USER].ptr != NULL && !span_eq(v[VAR_ORIGINAL_USER], v[VAR_USER]))
		put_pair(out, "auth_user", v[VAR_ORIGINAL_USER]);
	if (v[VAR_LOCAL_NAME].len > 0)
		put_pair(out, "local_name", v[VAR_LOCAL_NAME]);
}

static void reply_user(struct buffer *out, struct request *r)
{
	put_head(out, SPAN_LIT("USER\t"), r->id);
	buffer_append_char(out, '\t');
	tab_escape(out, r->vars.v[VAR_USER]);
	put_fields(out, r, &r->userdb, false);
	if (r->after_login)
		put_login(out, r);
	buffer_append_char(out, '\n');
}

static void reply_pass(struct buffer *out, struct request *r)
{
	put_head(out, SPAN_LIT("PASS\t"), r->id);
	put_pair(out, "user", r->vars.v[VAR_USER]);
	put_fields(out, r, &r->fields, true);
	buffer_append_char(out, '\n');
}

static void reply_fail(struct buffer *out, const struct request *r)
{
	struct span reason = r->reason;
	if (r->verdict == VERDICT_NO_SCHEME)
		reason = SPAN_LIT("Configured passdbs don't support credentials lookups");
	buffer_printf(out, "FAIL\t%u", r->id);
	if (reason.len > 0)
		put_pair(out, "reason", reason);
	buffer_append_char(out, '\n');
}

static void master_reply(struct conn *c, struct request *r)
{
	struct buffer *out = conn_out(c);
	size_t from = out->len;
	if (r->kind == REQUEST_LIST)
		buffer_printf(out, "DONE\t%u\t%s\n", r->id, r->verdict == VERDICT_OK ? "" : "fail");
	else if (r->verdict == VERDICT_OK && r->kind == REQUEST_USER)
		reply_user(out, r);
	else if (r->verdict == VERDICT_OK)
		reply_pass(out, r);
	else if (r->verdict == VERDICT_INTERNAL || r->verdict == VERDICT_NO_SCHEME)
		reply_fail(out, r);
	else {
		put_head(out, SPAN_LIT("NOTFOUND\t"), r->id);
		buffer_append_char(out, '\n');
	}
	trace_out(r->kind == REQUEST_PASS ? "passdb out" : "userdb out", out, from);
}

static void master_list_item(struct conn *c, struct request *r, struct span user)
{
	struct buffer *out = conn_out(c);
	buffer_printf(out, "LIST\t%u\t", r->id);
	tab_escape(out, user);
	buffer_append_char(out, '\n');
}

const struct protocol protocol_master = {
    .name = "auth-master",
    .state_size = sizeof(struct master),
    .message_max = LINE_MAX_LEN,
    .greet = master_greet,
    .input = master_input,
    .reply = master_reply,
    .list_item = master_list_item,
};
