/*
 * Pools: questions out, answers in, dead workers survived. A question whose
 * worker died is asked once more of another one: lookups have no side
 * effects. Runs in: front. Owns the channels' front ends.
 */
#include "authd/pool.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "authd/ask.h"
#include "authd/request.h"
#include "base/log.h"
#include "base/mem.h"

enum {
	TRIES_MAX = 2,
	READ_CHUNK = 256 * 1024,
	DOWN_GRACE_MS = 2000, /* a restarting worker is waited for this long */
};

static struct request *ticket_request(struct pool_ticket *t)
{
	return CONTAINER_OF(t, struct request, ticket);
}

static void link_mark_dirty(struct pool_link *l)
{
	if (l->dirty)
		return;
	struct front *f = l->pool->front;
	l->dirty = true;
	l->next_dirty = f->dirty_links;
	f->dirty_links = l;
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
	link_mark_dirty(l);
}

static void pump(struct pool *p)
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

/* Only a lookup finds out whether a backend is back. */
static bool admit(struct pool *p, struct pool_ticket *t)
{
	if (!p->breaker.open)
		t->pass = (struct breaker_pass){.answers = p->breaker.answers};
	return !p->breaker.open ||
	       (is_lookup(t) && breaker_admit(&p->breaker, clock_ms(), &t->pass));
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
		pump(p);
	}
}

static void ticket_clear(struct pool_ticket *t)
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
		link_mark_dirty(t->link);
		request_renew_serial(r);
	}
	ticket_clear(t);
}

/* True: the breaker has opened. */
static bool note(
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
	(void)note(r->ticket.pool, r->ticket.pass, BACKEND_UNSAID, SPAN_NULL);
}

bool pool_forget_late(struct request *r)
{
	if (!r->ticket.asking)
		return false;
	forget(r);
	return is_lookup(&r->ticket) &&
	       note(r->ticket.pool, r->ticket.pass, BACKEND_DOWN, SPAN_LIT("no answer in time"));
}

void pool_more(struct request *r, uint32_t count)
{
	if (r->ticket.link == NULL)
		return;
	channel_put_more(&r->ticket.link->out, r->serial, count);
	link_mark_dirty(r->ticket.link);
}

/* ---- a link's death ---- */

static void fail_waiting(struct pool *p, enum backend_state backend, const char *why)
{
	struct pool_ticket *t;
	/* an answer may lead to another question of this pool: only those that wait now */
	size_t n = p->waiting_count;
	while (n-- > 0 && (t = TAILQ_FIRST(&p->waiting)) != NULL) {
		ticket_clear(t);
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

static void note_up_or_down(struct pool *p)
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

static void link_unlink(struct pool_link *l)
{
	add_tally(&l->pool->past, &l->hello.tally);
	struct front *f = l->pool->front;
	for (struct pool_link **at = &f->dirty_links; *at != NULL; at = &(*at)->next_dirty) {
		if (*at == l) {
			*at = l->next_dirty;
			break;
		}
	}
	TAILQ_REMOVE(&l->pool->links, l, entry);
	event_del(&l->read_event);
	event_del(&l->write_event);
	close(l->fd);
	buffer_free(&l->in);
	buffer_free(&l->out);
}

/* Takes the asked questions back: in front of the queue, or out of it after the second death. */
static void link_dead(struct pool_link *l, const char *why)
{
	struct pool *p = l->pool;
	struct pool_ticket *t;
	struct ticket_list given_up = TAILQ_HEAD_INITIALIZER(given_up);
	size_t again = 0;
	while ((t = TAILQ_LAST(&l->asked, ticket_list)) != NULL) {
		ticket_clear(t);
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
	link_unlink(l);
	mem_free(&l);
	note_up_or_down(p);
	while ((t = TAILQ_FIRST(&given_up)) != NULL) {
		TAILQ_REMOVE(&given_up, t, entry);
		(void)note(p, t->pass, BACKEND_AWAY, SPAN_NULL);
		answer_internal(
		    ticket_request(t), BACKEND_AWAY, "the worker died over this question");
	}
	pump(p);
}

/* ---- reading ---- */

static void got_answer(struct pool *p, struct pool_link *l, struct span payload, bool *broken)
{
	struct channel_answer an;
	if (l->asked_count == 0 || !channel_peek_answer(payload, &an)) {
		*broken = true;
		return;
	}
	l->asked_count--;
	struct request *r = request_by_serial(p->front, an.serial);
	if (r == NULL || r->ticket.link != l) {
		p->late_answers++;
		if (an.backend == BACKEND_ANSWERS) /* late, but it does */
			(void)note(p, (struct breaker_pass){0}, an.backend, SPAN_NULL);
		return;
	}
	if (!channel_get_answer(payload, &r->arena, &an)) {
		*broken = true;
		return;
	}
	ticket_clear(&r->ticket);
	bool opened = note(p, r->ticket.pass, an.backend, an.detail);
	ask_answered(r, &an);
	request_answered(r, &an);
	if (opened)
		pool_fail(p);
}

static void got_items(struct pool *p, struct pool_link *l, struct span payload, bool *broken)
{
	uint64_t serial;
	struct wire_reader items;
	if (!channel_get_items(payload, &serial, &items)) {
		*broken = true;
		return;
	}
	struct request *r = request_by_serial(p->front, serial);
	if (r == NULL || r->ticket.link != l)
		return;
	if (r->ticket.ask == CHANNEL_LIST)
		request_listed(r, &items);
	else
		*broken = true;
}

/* What any of the workers looks at: a key must hold it, whoever will be asked. */
static void note_needs(struct pool *p)
{
	struct pool_link *l;
	uint64_t needs = 0;
	TAILQ_FOREACH(l, &p->links, entry)
	{
		if (l->ready)
			needs |= l->hello.needs;
	}
	/* what was asked by fewer inputs is no answer to a question with more */
	if (needs != p->needs)
		p->epoch++;
	p->needs = needs;
}

static void got_hello(struct pool *p, struct pool_link *l, struct span payload, bool *broken)
{
	/* a new worker may have newer data too; one that cannot tell always says 0 */
	uint64_t epoch = l->ready ? l->hello.epoch : 0;
	bool ok = channel_get_hello(payload, &l->hello);
	if (ok && l->ready && l->hello.slots == 0) {
		l->ready = false; /* it is about to be replaced, and takes no more questions */
		note_up_or_down(p);
		return;
	}
	if (!ok || l->hello.slots == 0) {
		*broken = true;
		return;
	}
	if (l->hello.epoch != epoch)
		p->epoch++;
	l->ready = true;
	p->can = l->hello.can;
	note_needs(p);
	note_up_or_down(p);
}

/* False: the worker sends nonsense. */
static bool take_messages(struct pool_link *l)
{
	struct pool *p = l->pool;
	struct span in = buffer_span(&l->in), payload;
	uint8_t type;
	bool broken = false;
	int more = 0;
	while (!broken && (more = wire_frame_next(&in, &type, &payload)) == 1) {
		switch (type) {
		case CHANNEL_HELLO:
			got_hello(p, l, payload, &broken);
			break;
		case CHANNEL_ANSWER:
			got_answer(p, l, payload, &broken);
			break;
		case CHANNEL_ITEMS:
			got_items(p, l, payload, &broken);
			break;
		default:
			broken = true;
		}
	}
	/* answers may hold credentials and the secrets of proxies */
	size_t done = l->in.len - in.len;
	mem_wipe(l->in.data + l->in.start, done);
	buffer_consume(&l->in, done);
	return !broken && more >= 0;
}

static void on_readable(evutil_socket_t fd, short what UNUSED, void *ctx)
{
	struct pool_link *l = ctx;
	struct pool *p = l->pool;
	char *at = buffer_reserve(&l->in, READ_CHUNK);
	ssize_t n = read(fd, at, READ_CHUNK);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		link_dead(l, n == 0 ? "closed" : strerror(errno));
		return;
	}
	buffer_commit(&l->in, (size_t)n);
	front_bytes_came(p->front);
	if (!take_messages(l)) {
		link_dead(l, "a message does not decode");
		return;
	}
	pump(p);
}

/* ---- writing ---- */

static bool link_write(struct pool_link *l)
{
	while (l->out.len > 0) {
		ssize_t n = send(l->fd, l->out.data + l->out.start, l->out.len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			event_add(&l->write_event, NULL);
			return true;
		}
		if (n < 0)
			return false;
		/* questions carry passwords: nothing of them stays behind */
		mem_wipe(l->out.data + l->out.start, (size_t)n);
		buffer_consume(&l->out, (size_t)n);
	}
	return true;
}

static void on_writable(evutil_socket_t fd UNUSED, short what UNUSED, void *ctx)
{
	struct pool_link *l = ctx;
	if (!link_write(l))
		link_dead(l, strerror(errno));
}

void pool_flush(struct front *f)
{
	struct pool_link *l;
	while ((l = f->dirty_links) != NULL) {
		f->dirty_links = l->next_dirty;
		l->dirty = false;
		if (!link_write(l))
			link_dead(l, strerror(errno));
	}
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

void pool_add_link(struct pool *p, int fd)
{
	struct pool_link *l = mem_alloc(sizeof(*l));
	l->pool = p;
	l->fd = fd;
	TAILQ_INIT(&l->asked);
	evutil_make_socket_nonblocking(fd);
	event_assign(&l->read_event, p->front->base, fd, EV_READ | EV_PERSIST, on_readable, l);
	event_assign(&l->write_event, p->front->base, fd, EV_WRITE, on_writable, l);
	event_add(&l->read_event, NULL);
	TAILQ_INSERT_TAIL(&p->links, l, entry);
}

void pool_close(struct pool *p)
{
	struct pool_link *l;
	front_timer_stop(p->front, &p->down_timer);
	fail_waiting(p, BACKEND_UNSAID, "shutting down");
	while ((l = TAILQ_FIRST(&p->links)) != NULL) {
		link_unlink(l);
		mem_free(&l);
	}
}
