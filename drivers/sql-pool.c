/*
 * The connections of all lanes of a worker: spread over the hosts, kept for
 * the next question, at most maxconns to a host. A host that fails is left
 * alone for a while (a quarter of a second, growing to two, with jitter);
 * then one question tries it and the others still go elsewhere or fail at
 * once. Runs in: worker, any lane. Owner of connections: the pool, or the
 * lane that took one.
 */
#include <pthread.h>
#include <stdio.h>
#include <sysexits.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rest.h"
#include "base/wheel.h"
#include "drivers/sql.h"

enum {
	BACKOFF_FIRST_MS = 250,
	BACKOFF_MAX_MS = 2000,
	PROBE_WAIT_MS = 300,
	HANG_MS = 1000, /* an attempt this long without an answer says that the host hangs */
};

struct sql_host {
	const char *name;
	unsigned number;
	struct sql_conn *idle;
	unsigned open; /* connections, idle or busy or being made */
	unsigned busy;
	unsigned failures; /* in a row; 0: the host is well */
	int64_t failed_at, retry_at;
	bool probing;	  /* one question is finding out, ... */
	int64_t probe_at; /* ... since then */
	struct err why;
};

struct sql_pool {
	struct sql_pool *next;
	const struct sql_settings *set;
	unsigned users;
	pthread_mutex_t lock;
	pthread_cond_t given;
	unsigned turn;
	size_t count;
	struct sql_host hosts[];
};

static pthread_mutex_t pools_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sql_pool *pools;

/* ---- the pools of the process ---- */

static struct sql_pool *pool_new(const struct sql_settings *set)
{
	const struct sql_connect *to = set->to;
	struct sql_pool *p = mem_alloc(sizeof(*p) + to->host_count * sizeof(p->hosts[0]));
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->given, &attr);
	pthread_condattr_destroy(&attr);
	p->set = set;
	p->count = to->host_count;
	for (size_t i = 0; i < p->count; i++) {
		p->hosts[i].name = to->hosts[i];
		p->hosts[i].number = (unsigned)i;
	}
	return p;
}

struct sql_pool *sql_pool_open(const struct sql_settings *set)
{
	pthread_mutex_lock(&pools_lock);
	struct sql_pool *p = pools;
	while (p != NULL && p->set != set)
		p = p->next;
	if (p == NULL) {
		p = pool_new(set);
		p->next = pools;
		pools = p;
	}
	p->users++;
	pthread_mutex_unlock(&pools_lock);
	return p;
}

/* Takes the idle connections out, to be closed without the lock. */
static struct sql_conn *take_idle(struct sql_host *h)
{
	struct sql_conn *all = h->idle;
	for (struct sql_conn *c = all; c != NULL; c = c->next)
		h->open--;
	h->idle = NULL;
	return all;
}

static void close_all(struct sql_conn *c)
{
	while (c != NULL) {
		struct sql_conn *next = c->next;
		sql_backend.close(c->handle);
		mem_free(&c);
		c = next;
	}
}

void sql_pool_close(struct sql_pool *p)
{
	pthread_mutex_lock(&pools_lock);
	bool last = --p->users == 0;
	struct sql_pool **link = &pools;
	while (last && *link != p)
		link = &(*link)->next;
	if (last)
		*link = p->next;
	pthread_mutex_unlock(&pools_lock);
	if (!last)
		return;
	for (size_t i = 0; i < p->count; i++)
		close_all(take_idle(&p->hosts[i]));
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->given);
	mem_free(&p);
}

/* ---- which host; with the lock held ---- */

static bool is_full(const struct sql_pool *p, const struct sql_host *h)
{
	unsigned max = p->set->to->max_connections;
	return h->idle == NULL && max > 0 && h->open >= max;
}

static bool was_tried(const struct sql_try *t, const struct sql_host *h)
{
	return (t->tried & (UINT64_C(1) << h->number)) != 0;
}

/* A question that has just seen another host fail need not wait for this one's turn. */
static bool is_candidate(const struct sql_try *t, const struct sql_host *h, int64_t now)
{
	if (was_tried(t, h))
		return false;
	return h->retry_at <= now ||
	       (t->tried != 0 && !h->probing && now - h->failed_at >= BACKOFF_FIRST_MS);
}

/* The one with the fewest busy connections, a well one before one to be probed. */
static struct sql_host *choose(const struct sql_try *t, int64_t now, unsigned *full)
{
	struct sql_pool *p = t->pool;
	struct sql_host *best = NULL;
	unsigned start = p->turn++;
	*full = 0;
	for (size_t i = 0; i < p->count; i++) {
		struct sql_host *h = &p->hosts[(start + i) % p->count];
		if (!is_candidate(t, h, now))
			continue;
		if (is_full(p, h))
			++*full;
		else if (best == NULL || h->failures < best->failures ||
			 (h->failures == best->failures && h->busy < best->busy))
			best = h;
	}
	return best;
}

static bool nobody_left(struct sql_try *t, struct err *err)
{
	struct sql_pool *p = t->pool;
	if (err->text[0] != '\0')
		return false; /* the last attempt's own words */
	for (size_t i = 0; i < p->count; i++) {
		if (p->hosts[i].failures > 0)
			return err_set(
			    err, EX_TEMPFAIL, "%s (not tried again yet)", p->hosts[i].why.text);
	}
	t->busy = true;
	return err_set(
	    err, EX_TEMPFAIL, "all maxconns=%u connections are busy", p->set->to->max_connections);
}

/*
 * Until when to wait for what others are finding out about a host: for all of
 * the time when this question has seen another one fail, else a moment, so
 * that a server that is back is no longer refused; 0: nothing to wait for.
 */
static int64_t hope_until(const struct sql_try *t, int64_t now)
{
	int64_t until = 0;
	for (size_t i = 0; i < t->pool->count; i++) {
		const struct sql_host *h = &t->pool->hosts[i];
		int64_t end = t->tried != 0 ? t->deadline : h->probe_at + PROBE_WAIT_MS;
		if (h->probing && !was_tried(t, h) && end > until)
			until = end < t->deadline ? end : t->deadline;
	}
	return until > now ? until : 0;
}

/* The host to use, perhaps after waiting for a connection; with the lock. NULL: *err */
static struct sql_host *wait_for_host(struct sql_try *t, struct err *err)
{
	struct sql_host *h;
	unsigned full;
	int64_t now = clock_ms();
	while ((h = choose(t, now, &full)) == NULL) {
		int64_t until = full > 0 ? t->deadline : hope_until(t, now);
		if (until <= now) {
			(void)nobody_left(t, err);
			return NULL;
		}
		struct timespec ts = {until / 1000, (until % 1000) * 1000000};
		(void)pthread_cond_timedwait(&t->pool->given, &t->pool->lock, &ts);
		now = clock_ms();
	}
	return h;
}

static int64_t min_ms(int64_t x, int64_t y)
{
	return x < y ? x : y;
}

/* The others that are away get their turn sooner, now that there is one less. */
static void hurry_others(struct sql_pool *p, const struct sql_host *down, int64_t now)
{
	for (size_t i = 0; i < p->count; i++) {
		struct sql_host *h = &p->hosts[i];
		if (h != down && h->failures > 0 && !h->probing &&
		    now - h->failed_at >= BACKOFF_FIRST_MS)
			h->retry_at = now;
	}
}

static struct sql_conn *mark_down(
    struct sql_pool *p, struct sql_host *h, const struct err *why, int64_t now)
{
	if (h->failures == 0)
		hurry_others(p, h, now);
	h->failures++;
	h->probing = false;
	h->failed_at = now;
	h->retry_at = now + rest_ms(h->failures, BACKOFF_FIRST_MS, BACKOFF_MAX_MS);
	h->why = *why;
	if (h->failures == 1)
		log_error("%s", why->text);
	else
		log_debug("%s", why->text);
	return take_idle(h);
}

static void mark_well(struct sql_host *h)
{
	if (h->failures > 0)
		log_info("sql: %s answers again", h->name[0] != '\0' ? h->name : "the server");
	h->failures = 0;
	h->retry_at = 0;
	h->probing = false;
}

/* ---- taking and giving ---- */

/* While other hosts are there for a second attempt, the first gets only half of the time. */
static void start_attempt(struct sql_try *t, const struct sql_host *h, uint64_t limit)
{
	bool others = false;
	for (size_t i = 0; i < t->pool->count; i++)
		others = others || (&t->pool->hosts[i] != h && !was_tried(t, &t->pool->hosts[i]));
	t->started = clock_ms();
	int64_t left = t->deadline - t->started;
	t->until = t->started + min_ms(others ? left / 2 : left, (int64_t)limit);
}

static struct sql_conn *connect_host(struct sql_try *t, struct sql_host *h, struct err *err)
{
	const struct sql_connect *to = t->pool->set->to;
	start_attempt(t, h, to->connect_timeout);
	struct sql_conn *c = NULL;
	*err = (struct err){0};
	void *handle = sql_backend.connect(to, h->name, t->until, err);
	if (handle != NULL) {
		c = mem_alloc(sizeof(*c));
		*c = (struct sql_conn){.host = h, .handle = handle, .fresh = true};
	}
	struct sql_conn *dead = NULL;
	pthread_mutex_lock(&t->pool->lock);
	if (c == NULL) {
		h->open--;
		h->busy--;
		t->tried |= UINT64_C(1) << h->number;
		dead = mark_down(t->pool, h, err, clock_ms());
		pthread_cond_broadcast(&t->pool->given);
	}
	pthread_mutex_unlock(&t->pool->lock);
	close_all(dead);
	return c;
}

struct sql_conn *sql_pool_take(struct sql_try *t, struct err *err)
{
	struct sql_pool *p = t->pool;
	const struct sql_connect *to = p->set->to;
	for (;;) {
		struct sql_conn *c = NULL;
		pthread_mutex_lock(&p->lock);
		struct sql_host *h = wait_for_host(t, err);
		if (h == NULL) {
			pthread_mutex_unlock(&p->lock);
			return NULL;
		}
		if (h->failures > 0) { /* this question is the probe */
			h->probing = true;
			h->probe_at = clock_ms();
			h->retry_at = clock_ms() + (int64_t)to->connect_timeout;
		}
		if ((c = h->idle) != NULL)
			h->idle = c->next;
		else
			h->open++;
		h->busy++;
		pthread_mutex_unlock(&p->lock);
		if (c == NULL)
			c = connect_host(t, h, err);
		if (c != NULL) {
			start_attempt(t, h, to->read_timeout);
			return c;
		}
	}
}

void sql_pool_give(struct sql_pool *p, struct sql_conn *c)
{
	struct sql_host *h = c->host;
	pthread_mutex_lock(&p->lock);
	mark_well(h);
	h->busy--;
	c->fresh = false;
	c->next = h->idle;
	h->idle = c;
	pthread_cond_broadcast(&p->given);
	pthread_mutex_unlock(&p->lock);
}

void sql_pool_drop(
    struct sql_try *t, struct sql_conn *c, enum sql_result why, const struct err *err)
{
	struct sql_pool *p = t->pool;
	struct sql_host *h = c->host;
	struct sql_conn *dead = NULL;
	int64_t now = clock_ms();
	bool hangs = why == SQL_TIMEOUT && now - t->started >= HANG_MS;
	pthread_mutex_lock(&p->lock);
	h->open--;
	h->busy--;
	h->probing = false;
	if (why == SQL_TIMEOUT || c->fresh || (why == SQL_BROKEN && t->broken))
		t->tried |= UINT64_C(1) << h->number;
	t->broken = why == SQL_BROKEN;
	if (hangs || (why == SQL_LOST && c->fresh))
		dead = mark_down(p, h, err, now);
	else if (why == SQL_LOST)
		dead = take_idle(h); /* probably all gone with the server: next time a new one */
	else if (why == SQL_END || why == SQL_BROKEN)
		mark_well(h); /* it has answered; only the connection is of no use */
	pthread_cond_broadcast(&p->given);
	pthread_mutex_unlock(&p->lock);
	c->next = dead;
	close_all(c);
}
