/*
 * ldap: users in a directory. Either the hash is fetched and compared by the
 * worker, or (auth_bind) the server is asked to take the password.
 * Runs in: worker, module ldap.so. Owner: the state has two connections, one
 * for searches and one for users' binds, so that searches are never made with
 * a user's rights and no bind has to be undone.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/wheel.h"
#include "drivers/driver.h"
#include "drivers/drivers.h"
#include "drivers/ldap-conn.h"
#include "drivers/ldap-escape.h"

enum { DEFAULT_PATIENCE_MS = 30000, MARGIN_MS = 100 };

struct ldap_state {
	const struct ldap_settings *set;
	struct ldap_servers *servers;
	struct ldap_conn service, user;
};

/* One question on its way. */
struct asking {
	struct ldap_state *s;
	struct question *q;
	const struct ldap_attrs *attrs;
	int64_t deadline_ms;
	bool unwritable;	    /* a variable that no entry can have */
	struct ldap_entry *entries; /* one for each source of attrs */
	/* asked for together with others' */
	bool ahead; /* the first entry is there, or found says that there is none */
	size_t found;
	int msgid;
	struct ldap_query query;
};

/* ---- texts ---- */

/* The text, or NULL: *v says what that means. */
static char *expand(
    struct asking *k, const struct template *t, template_escape *escape, enum verdict *v)
{
	struct question *q = k->q;
	struct span text = template_expand(t, q->vars, q->arena, escape, &k->unwritable, &q->err);
	if (text.ptr != NULL)
		return arena_cstr(q->arena, text);
	*v = VERDICT_INTERNAL;
	q->backend = BACKEND_UNSAID;
	if (k->unwritable) {
		*v = VERDICT_UNKNOWN_USER;
		err_set(&q->err, 0, "unknown user (his name is not UTF-8)");
	}
	return NULL;
}

static int scope_of(const struct ldap_settings *set)
{
	static const int scopes[] = {LDAP_SCOPE_SUBTREE, LDAP_SCOPE_ONELEVEL, LDAP_SCOPE_BASE};
	return scopes[set->scope];
}

/* The question ends here: nobody answered, or (FAILED with a connection) an answer of no use. */
static void note_outage(struct asking *k, const struct ldap_conn *c, enum ldap_call call)
{
	struct question *q = k->q;
	if (call == CALL_LOST || (call == CALL_FAILED && c->ld == NULL))
		q->backend = c->hasty ? BACKEND_AWAY : BACKEND_DOWN;
	else if (call == CALL_FAILED && q->err.code == EX_UNAVAILABLE)
		q->backend = BACKEND_DOWN;
	else if (call == CALL_FAILED && q->err.code == EX_TEMPFAIL)
		q->backend = BACKEND_AWAY;
}

/* ---- searching ---- */

/* Again on another connection as long as there are servers left. */
static enum ldap_call search(
    struct asking *k, const struct ldap_query *query, struct ldap_entry *entry, size_t *found)
{
	enum ldap_call call = CALL_LOST;
	for (size_t i = 0; call == CALL_LOST && i <= k->s->set->server_count; i++) {
		struct ldap_conn *c = &k->s->service;
		call = ldap_conn_ready(c, k->deadline_ms, &k->q->err);
		int msgid;
		if (call == CALL_DONE)
			call = ldap_search_send(c, query, &msgid, &k->q->err);
		if (call == CALL_DONE)
			call = ldap_search_take(
			    c, query, msgid, k->deadline_ms, k->q->arena, entry, found, &k->q->err);
	}
	note_outage(k, &k->s->service, call);
	return call;
}

/* false: there is none, *v says what that means */
static bool make_query(struct asking *k, const struct template *filter, enum verdict *v)
{
	const struct ldap_settings *set = k->s->set;
	k->query = (struct ldap_query){
	    .base = expand(k, set->base, ldap_escape_dn, v),
	    .filter = expand(k, filter, ldap_escape_filter, v),
	    .scope = scope_of(set),
	    .attrs = k->attrs->sources[0].attrs,
	    .base_is_users_own = !template_is_constant(set->base),
	};
	return k->query.base != NULL && k->query.filter != NULL;
}

static enum verdict find_user(struct asking *k, const struct template *filter)
{
	enum verdict v = VERDICT_INTERNAL;
	if (!k->ahead) {
		if (!make_query(k, filter, &v))
			return v;
		if (search(k, &k->query, &k->entries[0], &k->found) != CALL_DONE)
			return VERDICT_INTERNAL;
	}
	k->q->err = (struct err){0}; /* of a server before this one */
	return k->found > 0 ? VERDICT_OK : VERDICT_UNKNOWN_USER;
}

/* ---- fields ---- */

static struct ldap_values values_of(void *ctx, size_t source, const char *attr)
{
	return ldap_entry_values(&((struct asking *)ctx)->entries[source], attr);
}

static struct span dn_of(void *ctx, size_t source)
{
	return ((struct asking *)ctx)->entries[source].dn;
}

static void several(void *ctx, const char *attr, const char *field)
{
	const struct asking *k = ctx;
	log_warning("ldap(%.*s): attribute %s has several values, the first one is taken%s%s",
	    SPAN_ARG(span_first(k->q->vars->v[VAR_USER], 64)), attr, field != NULL ? " for " : "",
	    field != NULL ? field : "");
}

static struct ldap_reader reader_of(struct asking *k)
{
	return (struct ldap_reader){k, values_of, dn_of, several};
}

static bool fetch_source(struct asking *k, size_t source)
{
	const struct ldap_reader reader = reader_of(k);
	struct question *q = k->q;
	size_t found;
	struct span dn = ldap_attrs_dn(k->attrs, source, q->vars, &reader, q->arena, &q->err);
	if (dn.ptr == NULL)
		return false;
	if (dn.len == 0 || !ldap_is_utf8(dn))
		return true;
	const struct ldap_query query = {
	    .base = arena_cstr(q->arena, dn),
	    .filter = "(objectClass=*)",
	    .scope = LDAP_SCOPE_BASE,
	    .attrs = k->attrs->sources[source].attrs,
	    .base_is_users_own = true,
	};
	return search(k, &query, &k->entries[source], &found) == CALL_DONE;
}

static enum verdict set_fields(struct asking *k)
{
	const struct ldap_reader reader = reader_of(k);
	struct question *q = k->q;
	for (size_t i = 1; i < k->attrs->source_count; i++) {
		if (!fetch_source(k, i))
			return VERDICT_INTERNAL;
	}
	q->err = (struct err){0};
	return ldap_attrs_expand(
		   k->attrs, q->vars, &reader, q->kind == ASK_USERDB, &q->entry.fields, &q->err)
		   ? VERDICT_OK
		   : VERDICT_INTERNAL;
}

static enum verdict show(struct asking *k, const struct template *filter)
{
	enum verdict v = find_user(k, filter);
	return v == VERDICT_OK ? set_fields(k) : v;
}

/* ---- binding ---- */

static enum verdict try_password(struct asking *k, const char *dn)
{
	struct question *q = k->q;
	enum ldap_call call = CALL_LOST;
	int v = VERDICT_INTERNAL;
	for (size_t i = 0; call == CALL_LOST && i <= k->s->set->server_count; i++) {
		struct ldap_conn *c = &k->s->user;
		call = ldap_conn_ready(c, k->deadline_ms, &q->err);
		if (call != CALL_DONE)
			break;
		q->err = (struct err){0};
		call = ldap_bind_user(
		    c, dn, secret_reveal(q->password), k->deadline_ms, q->arena, &v, &q->err);
	}
	note_outage(k, &k->s->user, call);
	return call == CALL_DONE ? (enum verdict)v : VERDICT_INTERNAL;
}

static enum verdict verify(struct asking *k)
{
	const struct ldap_settings *set = k->s->set;
	struct question *q = k->q;
	enum verdict v;
	if (secret_reveal(q->password).len == 0) {
		/* servers take it for an anonymous bind, which succeeds */
		err_set(&q->err, 0, "Login attempt with empty password");
		q->backend = BACKEND_UNSAID;
		return VERDICT_MISMATCH;
	}
	if (template_text(set->auth_bind_userdn)[0] != '\0') {
		const char *dn = expand(k, set->auth_bind_userdn, ldap_escape_dn, &v);
		return dn != NULL ? try_password(k, dn) : v;
	}
	v = show(k, set->pass_filter);
	if (v == VERDICT_OK && k->entries[0].dn.len == 0) {
		err_set(&q->err, EX_CONFIG, "the user's entry has no DN to bind as");
		return VERDICT_INTERNAL;
	}
	return v == VERDICT_OK ? try_password(k, arena_cstr(q->arena, k->entries[0].dn)) : v;
}

/* ---- the driver ---- */

static void read_ldaprc(const char *path)
{
	static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
	static bool done;
	pthread_mutex_lock(&once);
	if (!done && path[0] != '\0')
		setenv("LDAPRC", path, 1); /* libldap looks there when it is first used */
	done = true;
	pthread_mutex_unlock(&once);
}

static struct span stand_in(void *ctx UNUSED, struct arena *a UNUSED, struct span value UNUSED)
{
	return SPAN_LIT("x");
}

/* What the administrator wrote must be a DN; then one that is none is the user's doing. */
static bool check_dn(const char *row, const struct template *t, struct err *err)
{
	static const struct vars none;
	struct arena a = {0};
	LDAPDN dn = NULL;
	struct span text = template_expand(t, &none, &a, stand_in, NULL, NULL);
	bool ok = text.ptr == NULL || text.len == 0 ||
		  ldap_str2dn(arena_cstr(&a, text), &dn, LDAP_DN_FORMAT_LDAPV3) == LDAP_SUCCESS;
	ldap_dnfree(dn);
	if (!ok)
		err_set(err, EX_CONFIG, "ldap: %s: \"%.*s\" is no distinguished name", row,
		    SPAN_ARG(template_shown(&a, span_of(template_text(t)))));
	arena_free(&a);
	return ok;
}

static void *ldap_open_state(const void *settings, struct err *err)
{
	const struct ldap_settings *set = settings;
	if (!check_dn("base", set->base, err) ||
	    !check_dn("auth_bind_userdn", set->auth_bind_userdn, err))
		return NULL;
	struct ldap_state *s = mem_alloc(sizeof(*s));
	s->set = set;
	read_ldaprc(s->set->ldaprc_path);
	s->servers = ldap_servers_get(s->set);
	s->service = (struct ldap_conn){.set = s->set, .servers = s->servers, .kind = CONN_SERVICE};
	s->user = (struct ldap_conn){.set = s->set, .servers = s->servers, .kind = CONN_USER};
	return s;
}

static void ldap_close_state(void *state)
{
	struct ldap_state *s = state;
	ldap_conn_close(&s->service);
	ldap_conn_close(&s->user);
	ldap_servers_put(s->servers);
	mem_free(&s);
}

static struct asking begin(struct ldap_state *s, struct question *q)
{
	struct asking k = {
	    .s = s, .q = q, .attrs = q->kind == ASK_USERDB ? s->set->user : s->set->pass};
	k.deadline_ms =
	    q->deadline_ms > 0 ? q->deadline_ms - MARGIN_MS : clock_ms() + DEFAULT_PATIENCE_MS;
	k.entries = arena_alloc(q->arena, k.attrs->source_count * sizeof(*k.entries));
	q->entry.default_scheme = s->set->default_pass_scheme;
	return k;
}

static enum verdict answer(struct asking *k)
{
	const struct ldap_settings *set = k->s->set;
	switch (k->q->kind) {
	case ASK_VERIFY:
		return verify(k);
	case ASK_PASSDB:
		if (set->auth_bind && template_text(set->auth_bind_userdn)[0] != '\0')
			return VERDICT_NO_SCHEME;
		return show(k, set->pass_filter);
	case ASK_USERDB:
		return show(k, set->user_filter);
	}
	return VERDICT_INTERNAL;
}

static enum verdict ldap_ask(void *state, struct question *q)
{
	struct asking k = begin(state, q);
	return answer(&k);
}

/* ---- several at once ---- */

static bool send_ahead(struct asking *k)
{
	const struct ldap_settings *set = k->s->set;
	enum verdict ignored;
	struct err err = {0};
	bool user = k->q->kind == ASK_USERDB;
	if (!make_query(k, user ? set->user_filter : set->pass_filter, &ignored))
		return false; /* alone it will be said */
	return ldap_search_send(&k->s->service, &k->query, &k->msgid, &err) == CALL_DONE;
}

/*
 * Without auth_bind. All searches are sent before the first answer is read.
 * What is not answered, for whatever reason, is asked again alone, and then
 * of other servers, too.
 */
static void search_ahead(struct ldap_state *s, struct asking *ks, size_t count)
{
	struct ldap_conn *c = &s->service;
	struct err ignored = {0};
	int64_t deadline = ks[0].deadline_ms;
	for (size_t i = 1; i < count; i++)
		deadline = ks[i].deadline_ms < deadline ? ks[i].deadline_ms : deadline;
	if (ldap_conn_ready(c, deadline, &ignored) != CALL_DONE)
		return;
	for (size_t i = 0; i < count && c->ld != NULL; i++) {
		if (!send_ahead(&ks[i]))
			ks[i].msgid = 0;
	}
	for (size_t i = 0; i < count && c->ld != NULL; i++) {
		struct asking *k = &ks[i];
		if (k->msgid != 0)
			k->ahead = ldap_search_take(c, &k->query, k->msgid, deadline, k->q->arena,
				       &k->entries[0], &k->found, &ignored) == CALL_DONE;
	}
}

static void ldap_ask_many(
    void *state, struct question *const *questions, enum verdict *verdicts, size_t count)
{
	struct asking ks[ASK_MANY_MAX];
	for (size_t i = 0; i < count; i++)
		ks[i] = begin(state, questions[i]);
	if (count > 1)
		search_ahead(state, ks, count);
	for (size_t i = 0; i < count; i++)
		verdicts[i] = answer(&ks[i]);
}

/* ---- listing ---- */

struct lister {
	struct ldap_state *s;
	struct asking k;
	driver_emit *emit;
	void *ctx;
};

static bool list_entry(void *ctx, const struct ldap_entry *entry)
{
	struct lister *l = ctx;
	const struct ldap_reader reader = reader_of(&l->k);
	struct question *q = l->k.q;
	q->entry.fields = fields_in(q->arena);
	l->k.entries[0] = *entry;
	if (!ldap_attrs_expand(l->k.attrs, q->vars, &reader, false, &q->entry.fields, &q->err))
		return false;
	struct span user = fields_get(&q->entry.fields, "user");
	if (user.len == 0) {
		log_warning("ldap: %.*s has no user name in iterate_attrs' sense",
		    SPAN_ARG(span_first(entry->dn, 200)));
		return true;
	}
	return l->emit(l->ctx, user);
}

static bool ldap_list(
    void *state, const struct vars *vars, driver_emit *emit, void *ctx, struct err *err)
{
	struct ldap_state *s = state;
	struct arena texts = {0}, each = {0};
	struct question q = {.kind = ASK_USERDB, .vars = vars, .arena = &texts};
	struct lister l = {.s = s, .emit = emit, .ctx = ctx};
	l.k = (struct asking){.s = s, .q = &q, .attrs = s->set->iterate};
	l.k.entries = arena_alloc(&texts, l.k.attrs->source_count * sizeof(*l.k.entries));
	enum verdict v;
	const struct ldap_query query = {
	    .base = expand(&l.k, s->set->base, ldap_escape_dn, &v),
	    .filter = expand(&l.k, s->set->iterate_filter, ldap_escape_filter, &v),
	    .scope = scope_of(s->set),
	    .attrs = l.k.attrs->sources[0].attrs,
	};
	bool ok =
	    query.base != NULL && query.filter != NULL &&
	    ldap_conn_ready(&s->service, clock_ms() + DEFAULT_PATIENCE_MS, &q.err) == CALL_DONE;
	if (ok) {
		q.arena = &each;
		ok = ldap_search_all(&s->service, &query, &each, list_entry, &l, &q.err);
	}
	*err = q.err;
	arena_free(&each);
	arena_free(&texts);
	return ok;
}

static uint64_t ldap_needs(void *state)
{
	const struct ldap_settings *set = ((struct ldap_state *)state)->set;
	return set->pass->needs | set->user->needs | set->iterate->needs;
}

static unsigned ldap_can(const void *settings)
{
	const struct ldap_settings *set = settings;
	return CAN_SHOW | CAN_LIST | (set->auth_bind ? CAN_VERIFY : 0);
}

extern const struct driver authd_driver;
const struct driver authd_driver = {
    .abi = DRIVER_ABI,
    .spec = &spec_ldap,
    .can = CAN_SHOW | CAN_LIST,
    .can_with = ldap_can,
    .lanes = LANES_OWN,
    .open = ldap_open_state,
    .ask = ldap_ask,
    .ask_many = ldap_ask_many,
    .list = ldap_list,
    .needs = ldap_needs,
    .close = ldap_close_state,
    .test = ldap_test,
};
