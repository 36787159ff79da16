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
#include "drivers/ldap-ask.h"
#include "drivers/ldap-escape.h"

enum { DEFAULT_PATIENCE_MS = 30000, MARGIN_MS = 100 };

/* ---- texts ---- */

/* The text, or NULL: *v says what that means. */
static char *expand(
    struct ldap_asking *k, const struct template *t, template_escape *escape, enum verdict *v)
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
static void note_outage(struct ldap_asking *k, const struct ldap_conn *c, enum ldap_call call)
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
    struct ldap_asking *k, const struct ldap_query *query, struct ldap_entry *entry, size_t *found)
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

static bool has_userdn(const struct ldap_settings *set)
{
	return set->auth_bind && template_text(set->auth_bind_userdn)[0] != '\0';
}

bool ldap_asking_query(struct ldap_asking *k, enum verdict *v)
{
	const struct ldap_settings *set = k->s->set;
	bool user = k->q->kind == ASK_USERDB;
	const struct template *filter = user ? set->user_filter : set->pass_filter;
	*v = VERDICT_INTERNAL;
	if (k->q->kind == ASK_VERIFY && has_userdn(set))
		return false; /* nothing to search for */
	k->query = (struct ldap_query){
	    .base = expand(k, set->base, ldap_escape_dn, v),
	    .filter = expand(k, filter, ldap_escape_filter, v),
	    .scope = scope_of(set),
	    .attrs = k->attrs->sources[0].attrs,
	    .limit = 2,
	    .base_is_users_own = !template_is_constant(set->base),
	};
	return k->query.base != NULL && k->query.filter != NULL;
}

static enum verdict find_user(struct ldap_asking *k)
{
	enum verdict v;
	if (!k->ahead) {
		if (!ldap_asking_query(k, &v))
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
	return ldap_entry_values(&((struct ldap_asking *)ctx)->entries[source], attr);
}

static struct span dn_of(void *ctx, size_t source)
{
	return ((struct ldap_asking *)ctx)->entries[source].dn;
}

static void several(void *ctx, const char *attr, const char *field)
{
	const struct ldap_asking *k = ctx;
	log_warning("ldap(%.*s): attribute %s has several values, the first one is taken%s%s",
	    SPAN_ARG(span_first(k->q->vars->v[VAR_USER], 64)), attr, field != NULL ? " for " : "",
	    field != NULL ? field : "");
}

static struct ldap_reader reader_of(struct ldap_asking *k)
{
	return (struct ldap_reader){k, values_of, dn_of, several};
}

static bool fetch_source(struct ldap_asking *k, size_t source)
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
	    .limit = 2,
	    .base_is_users_own = true,
	};
	return search(k, &query, &k->entries[source], &found) == CALL_DONE;
}

static enum verdict set_fields(struct ldap_asking *k)
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

static enum verdict show(struct ldap_asking *k)
{
	enum verdict v = find_user(k);
	return v == VERDICT_OK ? set_fields(k) : v;
}

/* ---- binding ---- */

enum verdict ldap_asking_dn(struct ldap_asking *k, const char **dn)
{
	struct question *q = k->q;
	enum verdict v;
	if (secret_reveal(q->password).len == 0) {
		/* servers take it for an anonymous bind, which succeeds */
		err_set(&q->err, 0, "Login attempt with empty password");
		q->backend = BACKEND_UNSAID;
		return VERDICT_MISMATCH;
	}
	if (has_userdn(k->s->set)) {
		*dn = expand(k, k->s->set->auth_bind_userdn, ldap_escape_dn, &v);
		if (*dn == NULL || **dn != '\0')
			return *dn != NULL ? VERDICT_OK : v;
		/* without a name it is an anonymous bind, too, which some servers grant */
		err_set(&q->err, 0, "unknown user: auth_bind_userdn makes no name of his");
		return VERDICT_UNKNOWN_USER;
	}
	v = show(k);
	if (v == VERDICT_OK && k->entries[0].dn.len == 0) {
		err_set(&q->err, EX_CONFIG, "the user's entry has no DN to bind as");
		return VERDICT_INTERNAL;
	}
	if (v == VERDICT_OK)
		*dn = arena_cstr(q->arena, k->entries[0].dn);
	return v;
}

static enum verdict verify(struct ldap_asking *k)
{
	struct question *q = k->q;
	struct ldap_conn *c = &k->s->users[0];
	const char *dn = NULL;
	enum ldap_call call = CALL_LOST;
	enum verdict v = ldap_asking_dn(k, &dn);
	if (v != VERDICT_OK)
		return v;
	for (size_t i = 0; call == CALL_LOST && i <= k->s->set->server_count; i++) {
		int msgid;
		call = ldap_conn_ready(c, k->deadline_ms, &q->err);
		if (call != CALL_DONE)
			break;
		q->err = (struct err){0};
		call = ldap_bind_send(c, dn, secret_reveal(q->password), &msgid, &q->err);
		if (call == CALL_DONE)
			call = ldap_bind_take(c, dn, msgid, k->deadline_ms, q->arena, &v, &q->err);
	}
	note_outage(k, c, call);
	return call == CALL_DONE ? v : VERDICT_INTERNAL;
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
	    (set->userdn_is_dn && !check_dn("auth_bind_userdn", set->auth_bind_userdn, err)))
		return NULL;
	struct ldap_state *s = mem_alloc(sizeof(*s));
	s->set = set;
	read_ldaprc(s->set->ldaprc_path);
	s->servers = ldap_servers_get(s->set);
	s->service = (struct ldap_conn){.set = s->set, .servers = s->servers, .kind = CONN_SERVICE};
	for (size_t i = 0; i < ARRAY_LEN(s->users); i++)
		s->users[i] =
		    (struct ldap_conn){.set = s->set, .servers = s->servers, .kind = CONN_USER};
	ldap_pattern_make(&s->arena, set->pass_filter, set->pass->sources[0].attrs, &s->pass);
	ldap_pattern_make(&s->arena, set->user_filter, set->user->sources[0].attrs, &s->user);
	return s;
}

static void ldap_close_state(void *state)
{
	struct ldap_state *s = state;
	ldap_conn_close(&s->service);
	for (size_t i = 0; i < ARRAY_LEN(s->users); i++)
		ldap_conn_close(&s->users[i]);
	ldap_servers_put(s->servers);
	arena_free(&s->arena);
	mem_free(&s);
}

struct ldap_asking ldap_asking_begin(struct ldap_state *s, struct question *q)
{
	struct ldap_asking k = {
	    .s = s, .q = q, .attrs = q->kind == ASK_USERDB ? s->set->user : s->set->pass};
	k.deadline_ms =
	    q->deadline_ms > 0 ? q->deadline_ms - MARGIN_MS : clock_ms() + DEFAULT_PATIENCE_MS;
	k.entries = arena_alloc(q->arena, k.attrs->source_count * sizeof(*k.entries));
	q->entry.default_scheme = s->set->default_pass_scheme;
	return k;
}

void ldap_close_spare(struct ldap_state *s, int64_t unused_ms)
{
	int64_t since = clock_ms() - unused_ms;
	for (size_t i = 1; i < ARRAY_LEN(s->users); i++) {
		if (s->users[i].ld != NULL && s->users[i].used_ms <= since)
			ldap_conn_close(&s->users[i]);
	}
}

enum verdict ldap_asking_answer(struct ldap_asking *k)
{
	return k->q->kind == ASK_VERIFY ? verify(k) : show(k);
}

static enum verdict ldap_ask(void *state, struct question *q)
{
	struct ldap_asking k = ldap_asking_begin(state, q);
	ldap_close_spare(k.s, SPARE_MS);
	return ldap_asking_answer(&k);
}

/* ---- listing ---- */

struct lister {
	struct ldap_state *s;
	struct ldap_asking k;
	driver_emit *emit;
	void *ctx;
};

/*
 * Of an attribute that is the name as it stands each value is one: aliases are
 * users, too. *any: there was one. false: stop.
 */
static bool emit_names(const struct lister *l, const struct ldap_entry *entry, bool *any)
{
	for (size_t i = 0; i < l->k.attrs->count; i++) {
		const struct ldap_attr *a = &l->k.attrs->items[i];
		if (a->attr == NULL || a->field == NULL || a->value != NULL ||
		    strcmp(template_text(a->field), "user") != 0)
			continue;
		struct ldap_values names = ldap_entry_values(entry, a->attr);
		for (size_t n = 0; n < names.count; n++) {
			*any = *any || names.items[n].len > 0;
			if (names.items[n].len > 0 && !l->emit(l->ctx, names.items[n]))
				return false;
		}
	}
	return true;
}

static bool list_entry(void *ctx, const struct ldap_entry *entry)
{
	struct lister *l = ctx;
	bool any = false;
	if (!emit_names(l, entry, &any))
		return false;
	if (any)
		return true;
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
	l.k = (struct ldap_asking){.s = s, .q = &q, .attrs = s->set->iterate};
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

static void ldap_idle(void *state)
{
	ldap_close_spare(state, 0);
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
    .many = ASK_MANY_MAX, /* a search costs as much as some entries of its answer */
    .idle = ldap_idle,
    .list = ldap_list,
    .needs = ldap_needs,
    .close = ldap_close_state,
    .test = ldap_test,
};
