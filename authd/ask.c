/*
 * The way of a question to the cache, to an equal question that is already on
 * its way, or to a pool. Runs in: front.
 */
#include "authd/ask.h"

#include "base/log.h"

/* A question that others may join is found by its key in the generation's table. */
static struct request **place_of(struct generation *g, const struct cache_key *key)
{
	uint64_t h;
	memcpy(&h, key->bytes, sizeof(h));
	return &g->asking[h % ASKING_BUCKETS];
}

static struct request *find_same(struct request *r)
{
	const struct cache_key *key = &r->cache_key;
	struct request *other = *place_of(r->generation, key);
	for (; other != NULL; other = other->next_asking) {
		if (memcmp(other->cache_key.bytes, key->bytes, sizeof(key->bytes)) != 0 ||
		    !cache_is_current(r->generation->cache, &other->cache_key))
			continue;
		/* the key is about everything but the password */
		if (r->ticket.ask != CHANNEL_VERIFY ||
		    secret_eq(other->io.password, r->io.password))
			return other;
	}
	return NULL;
}

static void lead(struct request *r)
{
	struct request **place = place_of(r->generation, &r->cache_key);
	r->leads = true;
	r->next_asking = *place;
	*place = r;
	TAILQ_INIT(&r->followers);
}

static void stop_leading(struct request *r)
{
	struct request **at = place_of(r->generation, &r->cache_key);
	while (*at != r)
		at = &(*at)->next_asking;
	*at = r->next_asking;
	r->leads = false;
}

static void follow(struct request *r, struct request *leader)
{
	r->follows = leader;
	TAILQ_INSERT_TAIL(&leader->followers, r, follow_entry);
	request_set_state(r, REQUEST_WORKER);
}

static void stop_following(struct request *r)
{
	TAILQ_REMOVE(&r->follows->followers, r, follow_entry);
	r->follows = NULL;
}

void ask_backend(
    struct request *r, int pool, enum channel_ask ask, unsigned flags, const char *scheme)
{
	struct generation *g = r->generation;
	struct pool *p = &g->pools[pool];
	struct channel_answer an;
	pool_set_question(p, r, ask, flags, scheme);
	/* what a driver looks at is known once it has said hello */
	if (g->cache == NULL || p->can == 0 || ask == CHANNEL_LIST || ask == CHANNEL_CENSUS ||
	    ask == CHANNEL_STORE) {
		pool_ask(r);
		return;
	}
	struct channel_question q;
	pool_question(r, p->needs, &q);
	int64_t now = front_now_us(g->front) / 1000;
	r->cache_key = cache_key_of(g->cache, (uint32_t)pool, p->epoch, &q, p->needs);
	if (cache_answer(g->cache, &r->cache_key, &q, CACHE_FRESH, now, &r->arena, &an)) {
		r->from_cache = true;
		request_answered(r, &an);
		return;
	}
	/* nobody waits for an answer past the deadline, whose timer has fired by then */
	struct request *same = now < r->answer_by_ms ? find_same(r) : NULL;
	if (same != NULL) {
		follow(r, same);
		return;
	}
	lead(r);
	pool_ask(r);
}

/*
 * The followers get one of them as their leader, who asks again: the last,
 * whose deadline is the latest, so that this does not happen once for each.
 */
static void hand_over(struct request *r)
{
	struct request *f, *heir = TAILQ_LAST(&r->followers, request_list);
	if (heir == NULL)
		return;
	stop_following(heir);
	lead(heir);
	while ((f = TAILQ_FIRST(&r->followers)) != NULL) {
		stop_following(f);
		follow(f, heir);
	}
	pool_ask(heir);
}

void ask_forget(struct request *r)
{
	pool_forget(r);
	if (r->follows != NULL)
		stop_following(r);
	if (!r->leads)
		return;
	stop_leading(r);
	hand_over(r);
}

/* The backend is away: what it said the last time may do, where the administrator allows it. */
static void fall_back(
    struct request *r, const struct channel_question *q, struct channel_answer *an)
{
	struct channel_answer old;
	if (an->backend < BACKEND_AWAY || r->cache_key.epoch != r->ticket.pool->epoch ||
	    !cache_answer(r->generation->cache, &r->cache_key, q, CACHE_EVEN_EXPIRED, clock_ms(),
		&r->arena, &old))
		return;
	log_warning("%s(%.*s): Falling back to expired data from cache: %.*s",
	    r->ticket.pool->driver, SPAN_ARG(r->vars.v[VAR_USER]), SPAN_ARG(an->detail));
	r->from_cache = true;
	*an = old;
}

void ask_give_up(struct request *r, const char *why)
{
	struct channel_answer an = {
	    .verdict = VERDICT_INTERNAL,
	    .backend = BACKEND_AWAY,
	    .detail = span_of(why),
	    .fields = fields_in(&r->arena),
	};
	struct pool *p = r->ticket.pool;
	struct channel_question q;
	pool_question(r, 0, &q);
	if (r->leads || r->follows != NULL)
		fall_back(r, &q, &an);
	bool opened = pool_forget_late(r);
	ask_forget(r);
	request_answered(r, &an);
	if (opened)
		pool_fail(p);
}

/* To all who asked the same; nothing of it stays in the leader's arena. */
static void share(struct request *r, const struct channel_answer *an)
{
	struct request *f;
	while ((f = TAILQ_FIRST(&r->followers)) != NULL) {
		struct channel_answer copy = *an;
		copy.detail = arena_dup(&f->arena, an->detail);
		copy.credential = secret_dup(&f->arena, an->credential);
		copy.fields = fields_in(&f->arena);
		fields_merge(&copy.fields, &an->fields);
		stop_following(f);
		f->from_cache = r->from_cache;
		request_answered(f, &copy);
	}
}

/* What a backend said before its data changed is for those who asked before. */
static void ask_anew(struct request *r)
{
	struct request *f;
	while ((f = TAILQ_FIRST(&r->followers)) != NULL) {
		struct pool_ticket t = f->ticket;
		stop_following(f);
		ask_backend(f, (int)t.pool->index, t.ask, t.flags, t.scheme);
	}
}

void ask_answered(struct request *r, struct channel_answer *an)
{
	if (!r->leads)
		return;
	struct channel_question q;
	pool_question(r, 0, &q);
	stop_leading(r);
	if (an->verdict == VERDICT_INTERNAL)
		fall_back(r, &q, an);
	else if (r->cache_key.epoch != r->ticket.pool->epoch)
		ask_anew(r);
	else
		cache_keep(r->generation->cache, &r->cache_key, &q, an, clock_ms());
	share(r, an);
}
