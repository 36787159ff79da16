/*
 * Generations: made from the parent's blob, committed, retired, reaped.
 * Runs in: front.
 */
#include "authd/generation.h"

#include <errno.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "authd/conn.h"
#include "authd/username.h"
#include "base/log.h"
#include "base/mem.h"

enum { ACCEPT_BATCH = 64, REST_MS = 200 };

static void compile_dbs(struct generation *g, struct scope *s, const struct config_scope *from)
{
	size_t size = sizeof(struct config_db *);
	s->passdbs = arena_alloc(&g->arena, (from->passdb_count + 1) * size);
	s->masterdbs = arena_alloc(&g->arena, (from->passdb_count + 1) * size);
	s->userdbs = arena_alloc(&g->arena, (from->userdb_count + 1) * size);
	for (size_t i = 0; i < from->passdb_count; i++) {
		const struct config_db *db = &from->passdbs[i];
		if (db->set->master)
			s->masterdbs[s->masterdb_count++] = db;
		else
			s->passdbs[s->passdb_count++] = db;
	}
	for (size_t i = 0; i < from->userdb_count; i++)
		s->userdbs[s->userdb_count++] = &from->userdbs[i];
}

static void compile_scopes(struct generation *g)
{
	const struct config *c = g->config;
	g->scopes = arena_alloc(&g->arena, c->scope_count * sizeof(*g->scopes));
	for (size_t i = 0; i < c->scope_count; i++) {
		g->scopes[i].auth = c->scopes[i].auth;
		username_compile(&g->scopes[i]);
		compile_dbs(g, &g->scopes[i], &c->scopes[i]);
	}
}

static bool compile_mechs(struct generation *g, struct err *err)
{
	struct span names = span_of(g->config->scopes[0].auth->mechanisms), rest = names, word;
	size_t count = 0;
	while (span_word(&rest, " ,\t", &word))
		count++;
	g->mechs = arena_alloc(&g->arena, (count + 1) * sizeof(*g->mechs));
	count = 0;
	while (span_word(&names, " ,\t", &word)) {
		const struct mech *m = g->mechs[count++] = mech_find(word);
		if (m == NULL)
			return err_set(err, EX_CONFIG, "auth_mechanisms: unknown mechanism %.*s",
			    SPAN_ARG(word));
		g->has_plus = g->has_plus || (m->flags & MECH_CHANNEL_BINDING) != 0;
	}
	return true;
}

/* For the log: "sql", or "sql 2" where it is not the only one. */
static const char *pool_name(struct generation *g, size_t index)
{
	const struct config *c = g->config;
	const char *driver = c->pools[index].driver;
	unsigned all = 0, number = 0;
	for (size_t i = 0; i < c->pool_count; i++) {
		bool same = strcmp(c->pools[i].driver, driver) == 0;
		all += same;
		number += same && i <= index;
	}
	return all == 1 ? driver : arena_printf(&g->arena, "%s %u", driver, number).ptr;
}

static void make_pools(struct generation *g)
{
	const struct config *c = g->config;
	g->pool_count = c->pool_count;
	g->pools = arena_alloc(&g->arena, (c->pool_count + 1) * sizeof(*g->pools));
	for (size_t i = 0; i < c->pool_count; i++)
		pool_init(&g->pools[i], g->front, (unsigned)i, c->pools[i].driver, pool_name(g, i));
}

static void make_listeners(struct generation *g)
{
	const struct config *c = g->config;
	g->listener_count = c->listener_count;
	g->listeners = arena_alloc(&g->arena, (c->listener_count + 1) * sizeof(*g->listeners));
	for (size_t i = 0; i < c->listener_count; i++)
		g->listeners[i] =
		    (struct listener){.front = g->front, .config = &c->listeners[i], .fd = -1};
}

static void make_cache(struct generation *g)
{
	const struct auth_settings *set = g->config->scopes[0].auth;
	struct cache_limits limits = {
	    .size = set->cache_size,
	    .ttl_ms = (int64_t)set->cache_ttl,
	    .negative_ttl_ms = (int64_t)set->cache_negative_ttl,
	    .expired_limit_ms = (int64_t)set->cache_expired_limit,
	};
	g->asking = arena_alloc(&g->arena, ASKING_BUCKETS * sizeof(*g->asking));
	if (limits.size > 0 && limits.ttl_ms > 0)
		g->cache = cache_new(&limits);
}

struct generation *generation_new(
    struct front *f, unsigned number, struct span blob, struct err *err)
{
	struct config *config = config_import_front(blob, err);
	if (config == NULL)
		return NULL;
	struct generation *g = mem_alloc(sizeof(*g));
	g->front = f;
	g->number = number;
	g->config = config;
	compile_scopes(g);
	make_pools(g);
	make_listeners(g);
	make_cache(g);
	TAILQ_INSERT_TAIL(&f->generations, g, link);
	if (!compile_mechs(g, err)) {
		generation_free(g);
		return NULL;
	}
	return g;
}

/* ---- listening ---- */

static void rest_is_over(struct wheel_timer *t)
{
	struct listener *l = CONTAINER_OF(t, struct listener, rest);
	event_add(&l->event, NULL);
}

/* Clients wait in the listener's queue until there is room; the loop does not spin meanwhile. */
static void listener_rest(struct listener *l, const char *why)
{
	static int64_t said_ms;
	int64_t now_ms = clock_ms();
	if (said_ms == 0 || now_ms - said_ms > 10000)
		log_error("accept on %s: %s; clients have to wait", l->config->set->path, why);
	said_ms = now_ms;
	event_del(&l->event);
	front_timer_at(l->front, &l->rest, now_ms + REST_MS);
}

static bool is_full(const struct front *f)
{
	unsigned limit = f->current->config->client_limit;
	return limit > 0 && f->conn_count >= limit;
}

static void on_connect(evutil_socket_t fd, short what UNUSED, void *ctx)
{
	struct listener *l = ctx;
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		if (is_full(l->front)) {
			listener_rest(l, "client_limit is reached");
			return;
		}
		int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (client < 0 && (errno == EINTR || errno == ECONNABORTED))
			continue;
		if (client < 0) {
			if (errno != EAGAIN)
				listener_rest(l, strerror(errno));
			return;
		}
		conn_accept(l, client);
	}
}

void generation_set_listener(struct generation *g, size_t index, int fd, uid_t owner, gid_t group)
{
	if (index >= g->listener_count || g->listeners[index].fd >= 0) {
		close(fd);
		return;
	}
	struct listener *l = &g->listeners[index];
	l->fd = fd;
	l->rest.fire = rest_is_over;
	l->owner = owner;
	l->group = group;
	event_assign(&l->event, g->front->base, fd, EV_READ | EV_PERSIST, on_connect, l);
}

void generation_set_token_secret(struct generation *g, struct span secret)
{
	g->token_secret = secret_of(arena_dup(&g->arena, secret));
	g->fake_key = fake_key(g->token_secret, &g->arena);
}

void generation_stop_listening(struct generation *g)
{
	for (size_t i = 0; i < g->listener_count; i++) {
		struct listener *l = &g->listeners[i];
		if (l->fd < 0)
			continue;
		event_del(&l->event);
		front_timer_stop(g->front, &l->rest);
		close(l->fd);
		l->fd = -1;
	}
}

void generation_commit(struct generation *g)
{
	struct front *f = g->front;
	for (size_t i = 0; i < g->listener_count; i++) {
		if (g->listeners[i].fd >= 0)
			event_add(&g->listeners[i].event, NULL);
	}
	if (f->current != NULL) {
		generation_stop_listening(f->current);
		/* only logins that are under way still ask it: its memory is the new one's */
		if (f->current->cache != NULL)
			cache_flush(f->current->cache, SPAN_NULL);
		f->current->retired = true;
	}
	f->current = g;
	const struct auth_settings *auth = g->config->scopes[0].auth;
	log_set_debug(auth->debug || auth->debug_passwords);
}

/* ---- end ---- */

void generation_unref(struct generation *g)
{
	/* freed at the end of the turn: a pool of it may be up the call stack */
	g->users--;
}

void generation_reap(struct front *f)
{
	struct generation *g, *next;
	for (g = TAILQ_FIRST(&f->generations); g != NULL; g = next) {
		next = TAILQ_NEXT(g, link);
		if (g->retired && g->users == 0)
			generation_free(g);
	}
}

void generation_free(struct generation *g)
{
	generation_stop_listening(g);
	for (size_t i = 0; i < g->pool_count; i++)
		pool_close(&g->pools[i]);
	TAILQ_REMOVE(&g->front->generations, g, link);
	cache_free(&g->cache);
	arena_free(&g->arena);
	config_free(&g->config);
	mem_free(&g);
}

/* ---- use ---- */

const struct scope *generation_scope(const struct generation *g, struct span service)
{
	return &g->scopes[config_scope_for(g->config, service) - g->config->scopes];
}

struct pool *generation_helper(struct generation *g, const char *driver)
{
	for (size_t i = 0; i < g->pool_count; i++) {
		if (strcmp(g->pools[i].driver, driver) == 0)
			return &g->pools[i];
	}
	return NULL;
}

const struct mech *generation_mech(const struct generation *g, struct span name)
{
	for (size_t i = 0; g->mechs[i] != NULL; i++) {
		if (span_eq_ci(name, span_of(g->mechs[i]->name)))
			return g->mechs[i];
	}
	return NULL;
}
