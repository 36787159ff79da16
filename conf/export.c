/*
 * The parts of the configuration that children get, as bytes, and back.
 * Runs in: parent (export), front and worker (import).
 */
#include "conf/config.h"

#include <sysexits.h>

#include "base/mem.h"

enum { FRONT_MAGIC = 0x61464332, WORKER_MAGIC = 0x61574331, COUNT_MAX = 65536 };

static void put_str(struct buffer *out, const char *s)
{
	wire_put_span(out, span_of(s));
}

/* An absent string stays NULL. */
static const char *get_str(struct wire_reader *r, struct arena *a)
{
	struct span s = wire_get_span(r);
	return s.ptr != NULL ? arena_cstr(a, s) : NULL;
}

static const char *get_text(struct wire_reader *r, struct arena *a)
{
	const char *s = get_str(r, a);
	return s != NULL ? s : "";
}

static void *get_settings(
    const struct setting_table *table, struct wire_reader *r, struct arena *a, struct err *err)
{
	void *s = settings_new(table, a);
	return settings_import(table, s, r, a, err) ? s : NULL;
}

/* A count of things that take at least one byte each, so damage cannot make it huge. */
static size_t get_count(struct wire_reader *r)
{
	uint32_t n = wire_get_u32(r);
	if (n > COUNT_MAX)
		r->failed = true;
	return r->failed ? 0 : n;
}

static void put_place(struct buffer *out, struct config_place p)
{
	put_str(out, p.file);
	wire_put_u32(out, p.line);
}

static struct config_place get_place(struct wire_reader *r, struct arena *a)
{
	struct config_place p;
	p.file = get_text(r, a);
	p.line = wire_get_u32(r);
	return p;
}

/* ---- the front ---- */

static bool assumes_user(const struct config_db *db)
{
	struct span args = span_of(db->set->args), word;
	if (db->spec == NULL || (db->spec->use & DRIVER_ASSUMES_USER) == 0)
		return false;
	while (span_word(&args, " \t", &word)) {
		if (span_eq_str(word, "allow_all_users=yes") ||
		    span_eq_str(word, "allow_all_users=y"))
			return false;
	}
	return true;
}

/* args stay with the parent and the section's own workers: they may hold secrets. */
static void put_dbs(
    struct buffer *out, const struct setting_table *table, const struct config_db *dbs, size_t n)
{
	wire_put_u32(out, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		struct db_settings set = *dbs[i].set;
		set.args = "";
		settings_export(table, &set, out);
		put_place(out, dbs[i].place);
		wire_put_u32(out, dbs[i].id);
		wire_put_u32(out, (uint32_t)(dbs[i].pool + 1));
		wire_put_u8(out, assumes_user(&dbs[i]));
	}
}

static bool get_dbs(struct wire_reader *r, struct arena *a, const struct setting_table *table,
    struct config_db **dbs, size_t *count, struct err *err)
{
	*count = get_count(r);
	*dbs = arena_alloc(a, *count * sizeof(**dbs));
	for (size_t i = 0; i < *count; i++) {
		struct config_db *db = &(*dbs)[i];
		db->set = get_settings(table, r, a, err);
		if (db->set == NULL)
			return false;
		db->place = get_place(r, a);
		db->id = wire_get_u32(r);
		db->pool = (int)wire_get_u32(r) - 1;
		db->assumes_user = wire_get_u8(r) != 0;
	}
	return true;
}

static void put_scope(struct buffer *out, const struct config_scope *s)
{
	put_str(out, s->protocol);
	wire_put_u8(out, s->negated);
	settings_export(&auth_settings_table, s->auth, out);
	put_dbs(out, &passdb_settings_table, s->passdbs, s->passdb_count);
	put_dbs(out, &userdb_settings_table, s->userdbs, s->userdb_count);
}

static bool get_scope(
    struct wire_reader *r, struct arena *a, struct config_scope *s, struct err *err)
{
	s->protocol = get_str(r, a);
	s->negated = wire_get_u8(r) != 0;
	s->auth = get_settings(&auth_settings_table, r, a, err);
	return s->auth != NULL &&
	       get_dbs(r, a, &passdb_settings_table, &s->passdbs, &s->passdb_count, err) &&
	       get_dbs(r, a, &userdb_settings_table, &s->userdbs, &s->userdb_count, err);
}

static const struct setting_table *listener_table(bool inet)
{
	return inet ? &inet_listener_settings_table : &unix_listener_settings_table;
}

static void put_listener(struct buffer *out, const struct config_listener *x)
{
	wire_put_u8(out, x->inet);
	wire_put_u8(out, (uint8_t)x->type);
	wire_put_u8(out, x->newer);
	put_str(out, x->set->path);
	settings_export(listener_table(x->inet), x->set, out);
	put_place(out, x->place);
}

static bool get_listener(
    struct wire_reader *r, struct arena *a, struct config_listener *x, struct err *err)
{
	x->inet = wire_get_u8(r) != 0;
	x->type = (enum listener_type)wire_get_u8(r);
	if (x->type > LISTENER_TOKEN_LOGIN)
		r->failed = true;
	x->newer = wire_get_u8(r) != 0;
	x->set = settings_new(&unix_listener_settings_table, a);
	x->set->address = "";
	x->set->path = get_text(r, a);
	if (!settings_import(listener_table(x->inet), x->set, r, a, err))
		return false;
	x->place = get_place(r, a);
	return true;
}

void config_export_front(const struct config *c, struct buffer *out)
{
	wire_put_u32(out, FRONT_MAGIC);
	settings_export(&process_settings_table, c->process, out);
	put_str(out, c->service_user);
	put_str(out, c->service_worker_user);
	wire_put_u32(out, c->client_limit);
	wire_put_u8(out, c->dovecot);
	wire_put_u8(out, c->version_24 != NULL);
	wire_put_u32(out, (uint32_t)c->pool_count);
	for (size_t i = 0; i < c->pool_count; i++)
		put_str(out, c->pools[i].driver);
	wire_put_u32(out, (uint32_t)c->scope_count);
	for (size_t i = 0; i < c->scope_count; i++)
		put_scope(out, &c->scopes[i]);
	wire_put_u32(out, (uint32_t)c->listener_count);
	for (size_t i = 0; i < c->listener_count; i++)
		put_listener(out, &c->listeners[i]);
}

static bool get_pools(struct config *c, struct wire_reader *r)
{
	c->pool_count = get_count(r);
	c->pools = arena_alloc(&c->arena, c->pool_count * sizeof(*c->pools));
	for (size_t i = 0; i < c->pool_count; i++) {
		c->pools[i].driver = get_text(r, &c->arena);
		c->pools[i].args = c->pools[i].worker_user = "";
	}
	return true;
}

static bool get_scopes(struct config *c, struct wire_reader *r, struct err *err)
{
	c->scope_count = get_count(r);
	c->scopes = arena_alloc(&c->arena, c->scope_count * sizeof(*c->scopes));
	for (size_t i = 0; i < c->scope_count; i++) {
		struct config_scope *s = &c->scopes[i];
		if (!get_scope(r, &c->arena, s, err))
			return false;
		if ((s->protocol == NULL) != (i == 0))
			r->failed = true;
	}
	return true;
}

static bool get_listeners(struct config *c, struct wire_reader *r, struct err *err)
{
	c->listener_count = get_count(r);
	c->listeners = arena_alloc(&c->arena, c->listener_count * sizeof(*c->listeners));
	for (size_t i = 0; i < c->listener_count; i++) {
		if (!get_listener(r, &c->arena, &c->listeners[i], err))
			return false;
	}
	return true;
}

static bool pools_exist(const struct config_db *dbs, size_t n, size_t pools)
{
	for (size_t i = 0; i < n; i++) {
		if (dbs[i].pool < -1 || dbs[i].pool >= (int)pools)
			return false;
	}
	return true;
}

static bool front_is_whole(const struct config *c, const struct wire_reader *r)
{
	if (!wire_done(r) || c->scope_count == 0)
		return false;
	for (size_t i = 0; i < c->scope_count; i++) {
		const struct config_scope *s = &c->scopes[i];
		if (!pools_exist(s->passdbs, s->passdb_count, c->pool_count) ||
		    !pools_exist(s->userdbs, s->userdb_count, c->pool_count))
			return false;
	}
	return true;
}

struct config *config_import_front(struct span blob, struct err *err)
{
	struct wire_reader r = wire_reader_of(blob);
	struct config *c = mem_alloc(sizeof(*c));
	if (wire_get_u32(&r) != FRONT_MAGIC) {
		err_set(err, EX_SOFTWARE, "the configuration for the front is of another version");
		goto fail;
	}
	c->process = get_settings(&process_settings_table, &r, &c->arena, err);
	if (c->process == NULL)
		goto fail;
	c->service_user = get_text(&r, &c->arena);
	c->service_worker_user = get_text(&r, &c->arena);
	c->client_limit = wire_get_u32(&r);
	c->dovecot = wire_get_u8(&r) != 0;
	c->version_24 = wire_get_u8(&r) != 0 ? "2.4" : NULL;
	if (!get_pools(c, &r) || !get_scopes(c, &r, err) || !get_listeners(c, &r, err))
		goto fail;
	if (front_is_whole(c, &r))
		return c;
	err_set(err, EX_SOFTWARE, "the configuration for the front is damaged");
fail:
	config_free(&c);
	return NULL;
}

/* ---- a worker ---- */

void config_export_worker(const struct config *c, size_t pool, struct buffer *out)
{
	const struct config_pool *p = &c->pools[pool];
	struct arena a = {0};
	wire_put_u32(out, WORKER_MAGIC);
	put_str(out, p->driver);
	wire_put_span(out, template_resolve_env(&a, span_of(p->args)));
	wire_put_span(out, template_resolve_env(&a, span_of(p->file_text)));
	wire_put_u32(out, (uint32_t)pool);
	settings_export(&process_settings_table, c->process, out);
	wire_put_u8(out, c->scopes[0].auth->allow_weak_schemes);
	wire_put_u8(out, c->scopes[0].auth->password_precis);
	wire_put_u8(out, c->scopes[0].auth->debug);
	wire_put_u8(out, c->version_24 != NULL);
	wire_put_u8(out, p->stores);
	wire_put_u8(out, p->rehash);
	wire_put_u8(out, strcasestr(c->scopes[0].auth->mechanisms, "SCRAM-SHA-256") != NULL);
	put_str(out, rehash_schemes[c->scopes[0].auth->rehash_scheme]);
	wire_put_u32(out, c->scopes[0].auth->rehash_rounds);
	arena_free(&a);
}

struct worker_config *config_import_worker(struct span blob, struct err *err)
{
	struct wire_reader r = wire_reader_of(blob);
	struct worker_config *wc = mem_alloc(sizeof(*wc));
	if (wire_get_u32(&r) != WORKER_MAGIC) {
		err_set(err, EX_SOFTWARE, "the configuration for the worker is of another version");
		goto fail;
	}
	wc->driver = get_text(&r, &wc->arena);
	wc->args = get_text(&r, &wc->arena);
	wc->file_text = get_str(&r, &wc->arena);
	wc->pool = wire_get_u32(&r);
	wc->process = get_settings(&process_settings_table, &r, &wc->arena, err);
	if (wc->process == NULL)
		goto fail;
	wc->allow_weak_schemes = wire_get_u8(&r) != 0;
	wc->password_precis = wire_get_u8(&r) != 0;
	wc->debug = wire_get_u8(&r) != 0;
	wc->is_24 = wire_get_u8(&r) != 0;
	wc->stores = wire_get_u8(&r) != 0;
	wc->rehash = wire_get_u8(&r) != 0;
	wc->scram = wire_get_u8(&r) != 0;
	wc->rehash_scheme = get_text(&r, &wc->arena);
	wc->rehash_rounds = wire_get_u32(&r);
	if (wire_done(&r))
		return wc;
	err_set(err, EX_SOFTWARE, "the configuration for the worker is damaged");
fail:
	worker_config_free(&wc);
	return NULL;
}

void worker_config_free(struct worker_config **wc)
{
	struct worker_config *w = *wc;
	*wc = NULL;
	if (w == NULL)
		return;
	struct arena arena = w->arena;
	arena_free(&arena);
	mem_free(&w);
}
