/*
 * Pools: questions out, answers in, dead workers survived. A question whose
 * worker died is asked once more of another one: lookups have no side
 * effects. Runs in: front. Owns the questions; the channels are pool-link.c's.
 */
#include "authd/ask.h"
#include "authd/pool-parts.h"
#include "authd/request.h"
#include "base/log.h"
#include "base/mem.h"

enum {
	TRIES_MAX = 2,
	DOWN_GRACE_MS = 2000, /* a restarting worker is waited for this long */
};

static struct request *ticket_request(struct pool_ticket *t)
{
	return CONTAINER_OF(t, struct request, ticket);
}

static void answer_internal(struct request *r, enum backend_state backend, const char *why)
{
	struct channel_answer an = {
	    .serial = r->serial,
	    .verdict = VERDICT_INTERNAL,
	    .backend = backend,
	    .detail = span_of(why),
	    .fields = fields_in(&r->arena),
	};
	ask_answered(r, &an);
	request_answered(r, &an);
}

/* ---- choosing and asking ---- */

static struct pool_link *choose_link(struct pool *p)
{
	struct pool_link *best = NULL, *l;
	TAILQ_FOREACH(l, &p->links, entry)
	{
		if (!l->ready || l->asked_count >= l->hello.slots)
			continue;
		if (best == NULL || l->asked_count < best->asked_count)
			best = l;
	}
	return best;
}

void pool_question(const struct request *r, uint64_t needs, struct channel_question *q)
{
	const struct pool_ticket *t = &r->ticket;
	memset(q, 0, offsetof(struct channel_question, vars));
	q->serial = r->serial;
	q->ask = t->ask;
	q->flags = t->flags;
	q->deadline_ms = r->answer_by_ms;
	q->scheme = span_of(t->scheme);
	q->passdb_fields = r->fields;
	q->userdb_fields = r->userdb;
	q->vars.v[VAR_USER] = r->vars.v[VAR_USER];
	for (needs &= VAR_BIT(VAR_COUNT) - 1; needs != 0; needs &= needs - 1) {
		int i = __builtin_ctzll(needs);
		q->vars.v[i] = r->vars.v[i];
	}
	if (t->ask == CHANNEL_VERIFY)
		q->password = r->io.password;
	if (t->ask == CHANNEL_CREDENTIAL)
		q->salt = r->salt;
	if (t->ask == CHANNEL_STORE) {
		q->vars.v[VAR_USER] = r->credential_user;
		q->password = r->credential;
		q->replacement = r->io.replacement;
	}
	if (t->ask == CHANNEL_EXCHANGE) {
		q->password = r->io.exchange.message;
		q->handle = r->io.exchange.handle;
	}
}

static void send_question(struct pool_link *l, struct pool_ticket *t)
{
	struct channel_question q;
	pool_question(ticket_request(t), l->hello.needs, &q);
	channel_put_ask(&l->out, &q, l->hello.needs);
	t->link = l;
	t->tries++;
	TAILQ_INSERT_TAIL(&l->asked, t, entry);
	l->asked_count++;
	l->unsent++;
	pool_link_mark_dirty(l);
}

void pool_pump(struct pool *p)
{
	struct pool_ticket *t;
	struct pool_link *l;
	while ((t = TAILQ_FIRST(&p->waiting)) != NULL && (l = choose_link(p)) != NULL) {
		TAILQ_REMOVE(&p->waiting, t, entry);
		p->waiting_count--;
		send_question(l, t);
	}
}

static bool is_down(const struct pool *p)
{
	return p->down_since_ms != 0 && clock_ms() - p->down_since_ms >= DOWN_GRACE_MS;
}

void pool_set_question(
    struct pool *p, struct request *r, enum channel_ask ask, unsigned flags, const char *scheme)
{
	r->ticket = (struct pool_ticket){.pool = p, .ask = ask, .flags = flags, .scheme = scheme};
}

/* Not one that takes long, cannot be done twice, or goes on only where it began. */
static bool is_lookup(const struct pool_ticket *t)
{
	return t->ask != CHANNEL_LIST && t->ask != CHANNEL_STORE && t->ask != CHANNEL_EXCHANGE;
}

/* A lookup finds out whether a backend is back; where there are none, the start of an exchange. */
static bool may_probe(struct pool_ticket *t)
{
	bool starts = t->ask == CHANNEL_EXCHANGE && ticket_request(t)->io.exchange.handle.len == 0;
	return is_lookup(t) || starts;
}

static bool admit(struct pool *p, struct pool_ticket *t)
{
	if (!p->breaker.open)
		t->pass = (struct breaker_pass){.answers = p->breaker.answers};
	return !p->breaker.open ||
	       (may_probe(t) && breaker_admit(&p->breaker, clock_ms(), &t->pass));
}

void pool_ask(struct request *r)
{
	struct pool_ticket *t = &r->ticket;
	struct pool *p = t->pool;
	request_set_state(r, REQUEST_WORKER);
	if (p->front->tick_ms >= r->answer_by_ms) {
		/* the deadline's timer has fired: nothing would end this question */
		answer_internal(r, BACKEND_AWAY, "no time is left");
	} else if (is_down(p)) {
		answer_internal(r, BACKEND_DOWN, "no worker is running");
	} else if (!admit(p, t)) {
		answer_internal(r, BACKEND_DOWN, breaker_why(&p->breaker, clock_ms(), &r->arena));
	} else {
		t->asking = true;
		TAILQ_INSERT_TAIL(&p->waiting, t, entry);
		p->waiting_count++;
		pool_pump(p);
	}
}

void pool_ticket_clear(struct pool_ticket *t)
{
	struct pool *p = t->pool;
	if (t->link != NULL) {
		TAILQ_REMOVE(&t->link->asked, t, entry);
	} else {
		TAILQ_REMOVE(&p->waiting, t, entry);
		p->waiting_count--;
	}
	t->asking = false;
	t->link = NULL;
}

static void forget(struct request *r)
{
	struct pool_ticket *t = &r->ticket;
	if (t->link != NULL) {
		/* its slot stays taken until the worker has answered: it may be stuck */
		channel_put_cancel(&t->link->out, r->serial);
		pool_link_mark_dirty(t->link);
		request_renew_serial(r);
	}
	pool_ticket_clear(t);
}

bool pool_note(
    struct pool *p, struct breaker_pass pass, enum backend_state backend, struct span why)
{
	bool as_usual = backend == BACKEND_ANSWERS && !p->breaker.open; /* no need for a clock */
	return breaker_answered(&p->breaker, pass, backend, why, as_usual ? 0 : clock_ms());
}

void pool_forget(struct request *r)
{
	if (!r->ticket.asking)
		return;
	forget(r);
	(void)pool_note(r->ticket.pool, r->ticket.pass, BACKEND_UNSAID, SPAN_NULL);
}

bool pool_forget_late(struct request *r)
{
	if (!r->ticket.asking)
		return false;
	forget(r);
	return is_lookup(&r->ticket) && pool_note(r->ticket.pool, r->ticket.pass, BACKEND_DOWN,
					    SPAN_LIT("no answer in time"));
}

void pool_more(struct request *r, uint32_t count)
{
	if (r->ticket.link == NULL)
		return;
	channel_put_more(&r->ticket.link->out, r->serial, count);
	pool_link_mark_dirty(r->ticket.link);
}

/* ---- a link's death ---- */

static void fail_waiting(struct pool *p, enum backend_state backend, const char *why)
{
	struct pool_ticket *t;
	/* an answer may lead to another question of this pool: only those that wait now */
	size_t n = p->waiting_count;
	while (n-- > 0 && (t = TAILQ_FIRST(&p->waiting)) != NULL) {
		pool_ticket_clear(t);
		answer_internal(ticket_request(t), backend, why);
	}
}

void pool_fail(struct pool *p)
{
	fail_waiting(p, BACKEND_DOWN, p->breaker.why);
}

static void down_too_long(struct wheel_timer *timer)
{
	struct pool *p = CONTAINER_OF(timer, struct pool, down_timer);
	if (p->down_since_ms != 0)
		fail_waiting(p, BACKEND_DOWN, "no worker is running");
}

static bool has_ready_link(const struct pool *p)
{
	struct pool_link *l;
	TAILQ_FOREACH(l, &p->links, entry)
	{
		if (l->ready)
			return true;
	}
	return false;
}

void pool_note_up_or_down(struct pool *p)
{
	if (has_ready_link(p)) {
		p->down_since_ms = 0;
		front_timer_stop(p->front, &p->down_timer);
	} else if (p->down_since_ms == 0) {
		p->down_since_ms = clock_ms();
		front_timer_at(p->front, &p->down_timer, p->down_since_ms + DOWN_GRACE_MS);
	}
}

static void add_tally(struct channel_tally *to, const struct channel_tally *t)
{
	for (size_t i = 0; i < SCHEME_KINDS; i++)
		to->logins[i] += t->logins[i];
	to->upgraded += t->upgraded;
	to->failed += t->failed;
	to->outrun += t->outrun;
}

struct channel_tally pool_tally(const struct pool *p)
{
	struct channel_tally sum = p->past;
	const struct pool_link *l;
	TAILQ_FOREACH(l, &p->links, entry)
	{
		add_tally(&sum, &l->hello.tally);
	}
	return sum;
}

/* Takes the asked questions back: in front of the queue, or out of it after the second death. */
void pool_link_dead(struct pool_link *l, const char *why)
{
	struct pool *p = l->pool;
	struct pool_ticket *t;
	struct ticket_list given_up = TAILQ_HEAD_INITIALIZER(given_up);
	size_t again = 0;
	while ((t = TAILQ_LAST(&l->asked, ticket_list)) != NULL) {
		pool_ticket_clear(t);
		if (t->tries >= TRIES_MAX || !is_lookup(t)) {
			TAILQ_INSERT_HEAD(&given_up, t, entry);
			continue;
		}
		t->asking = true;
		TAILQ_INSERT_HEAD(&p->waiting, t, entry);
		p->waiting_count++;
		again++;
	}
	if (again > 0 || l->hello.slots > 0) /* it did not say before that it would go */
		log_warning("channel to a %s worker: %s; %zu questions are asked again", p->driver,
		    why, again);
	add_tally(&p->past, &l->hello.tally);
	pool_link_unlink(l);
	mem_free(&l);
	pool_note_up_or_down(p);
	while ((t = TAILQ_FIRST(&given_up)) != NULL) {
		TAILQ_REMOVE(&given_up, t, entry);
		(void)pool_note(p, t->pass, BACKEND_AWAY, SPAN_NULL);
		answer_internal(
		    ticket_request(t), BACKEND_AWAY, "the worker died over this question");
	}
	pool_pump(p);
}

/* ---- life ---- */

void pool_init(
    struct pool *p, struct front *f, unsigned index, const char *driver, const char *name)
{
	*p = (struct pool){.front = f, .index = index, .driver = driver};
	TAILQ_INIT(&p->links);
	TAILQ_INIT(&p->waiting);
	p->down_timer.fire = down_too_long;
	p->breaker.name = name;
	p->down_since_ms = clock_ms();
}

void pool_close(struct pool *p)
{
	struct pool_link *l;
	front_timer_stop(p->front, &p->down_timer);
	fail_waiting(p, BACKEND_UNSAID, "shutting down");
	while ((l = TAILQ_FIRST(&p->links)) != NULL) {
		pool_link_unlink(l);
		mem_free(&l);
	}
}
