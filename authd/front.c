/*
 * The front's main loop, its timers and its line to the parent.
 *
 * One turn of the loop: take what has arrived, let it work, then write what
 * has gathered, and free what has ended. That is where batches come from.
 * Runs in: front. Fatal: the loss of the parent.
 */
#include "authd/front.h"

#include <sysexits.h>
#include <unistd.h>

#include "authd/conn.h"
#include "authd/control.h"
#include "authd/generation.h"
#include "authd/logging.h"
#include "authd/request.h"
#include "base/log.h"
#include "base/mem.h"

enum {
	LINGER_DRAIN_MS = 2000,
	/* staying awake: see may_sleep() */
	AWAKE_US = 60,
	AWAKE_SOON_US = 150,
	AWAKE_FEW = 2,
	AWAKE_AFTER = 16,
};

/* ---- timers ---- */

static const struct timeval tick_time = {0, WHEEL_TICK_MS * 1000};

static void on_tick(evutil_socket_t fd UNUSED, short what UNUSED, void *ctx)
{
	struct front *f = ctx;
	f->now_us = clock_us();
	f->tick_ms = f->now_us / 1000;
	wheel_advance(&f->wheel, f->tick_ms);
	log_flush();
	if (f->wheel.running == 0) {
		event_del(&f->tick);
		f->ticking = false;
	}
}

void front_timer_at(struct front *f, struct wheel_timer *t, int64_t due_ms)
{
	if (!f->ticking) {
		/* the wheel stood still: bring it to the present before anything is put on it */
		f->tick_ms = clock_ms();
		wheel_advance(&f->wheel, f->tick_ms);
		event_add(&f->tick, &tick_time);
		f->ticking = true;
	}
	wheel_start(&f->wheel, t, due_ms);
}

void front_timer_stop(struct front *f, struct wheel_timer *t)
{
	wheel_stop(&f->wheel, t);
}

/* ---- the parent ---- */

static struct generation *find_generation(struct front *f, unsigned number)
{
	struct generation *g;
	TAILQ_FOREACH(g, &f->generations, link)
	{
		if (g->number == number)
			return g;
	}
	return NULL;
}

static void tell_parent(enum control_type type, unsigned generation, const char *text)
{
	struct err err = {0};
	struct control_message m = {
	    .type = type, .generation = generation, .text = span_of(text), .fd = -1};
	if (!control_send(CONTROL_FD, &m, &err))
		log_error("%s", err.text);
}

static void start_generation(struct front *f, const struct control_message *m)
{
	struct err err = {0};
	struct buffer blob = {0};
	if (!control_read_memfd(m->fd, &blob, &err) ||
	    generation_new(f, m->generation, buffer_span(&blob), &err) == NULL)
		tell_parent(CONTROL_FAILED, m->generation, err.text);
	buffer_free(&blob);
}

/* text: uid and gid of the socket file, two 32-bit numbers */
static void add_listener(struct generation *g, struct control_message *m)
{
	struct wire_reader r = wire_reader_of(m->text);
	uid_t owner = wire_get_u32(&r);
	gid_t group = wire_get_u32(&r);
	if (!wire_done(&r))
		owner = group = 0;
	generation_set_listener(g, m->index, m->fd, owner, group);
	m->fd = -1;
}

static void add_worker(struct generation *g, struct control_message *m)
{
	if (m->index >= g->pool_count)
		return;
	pool_add_link(&g->pools[m->index], m->fd);
	m->fd = -1;
}

static void drain(struct front *f)
{
	struct conn *c;
	struct generation *g;
	f->draining = true;
	TAILQ_FOREACH(g, &f->generations, link)
	generation_stop_listening(g);
	/* failures that are being delayed go out now */
	TAILQ_FOREACH(c, &f->conns, entry)
	{
		struct request *r, *next;
		for (r = TAILQ_FIRST(&c->requests); r != NULL; r = next) {
			next = TAILQ_NEXT(r, conn_entry);
			if (r->state == REQUEST_DELAY && r->verdict != VERDICT_OK)
				request_finish(r);
		}
	}
}

static void take_message(struct front *f, struct control_message *m)
{
	struct generation *g = find_generation(f, m->generation);
	switch (m->type) {
	case CONTROL_GENERATION:
		start_generation(f, m);
		return;
	case CONTROL_DRAIN:
		drain(f);
		return;
	case CONTROL_LOG:
		log_flush();
		logging_take_fd(m->fd);
		m->fd = -1;
		return;
	default:
		break;
	}
	if (g == NULL)
		return;
	switch (m->type) {
	case CONTROL_LISTENER:
		add_listener(g, m);
		break;
	case CONTROL_WORKER:
		add_worker(g, m);
		break;
	case CONTROL_SECRETS:
		generation_set_token_secret(g, m->text);
		break;
	case CONTROL_COMMIT:
		generation_commit(g);
		tell_parent(CONTROL_READY, g->number, "");
		break;
	case CONTROL_DROP:
		/* one that was in use goes when its last request does */
		if (g != f->current && g->users == 0)
			generation_free(g);
		break;
	default:
		log_error("unexpected control message %d", (int)m->type);
	}
}

static void on_control(evutil_socket_t fd, short what UNUSED, void *ctx)
{
	struct front *f = ctx;
	struct control_message m;
	struct err err = {0};
	char buf[CONTROL_PACKET_MAX];
	int got = control_receive(fd, &m, buf, sizeof(buf), &err);
	if (got < 0) {
		log_error("the parent is gone: %s", err.text);
		f->finished = true;
	}
	if (got != 1)
		return;
	take_message(f, &m);
	if (m.fd >= 0)
		close(m.fd);
	mem_wipe(buf, sizeof(buf));
}

/* ---- the loop ---- */

/* A login that has succeeded just now: its session is about to ask who the user is. */
static bool has_fresh_login(const struct conn *c, int64_t now_ms)
{
	const struct request *r;
	int64_t fresh = now_ms + REQUEST_CLIENT_MS - LINGER_DRAIN_MS;
	TAILQ_FOREACH(r, &c->requests, conn_entry)
	{
		if (r->state == REQUEST_LINGER &&
		    (int64_t)r->timer.due_tick * WHEEL_TICK_MS > fresh)
			return true;
	}
	return false;
}

/* While draining: is everything answered? Logins that wait for their client are not waited for. */
static bool is_drained(struct front *f)
{
	struct conn *c;
	int64_t now_ms = clock_ms();
	TAILQ_FOREACH(c, &f->conns, entry)
	{
		if (c->busy_count > 0 || c->out.len > 0 || has_fresh_login(c, now_ms))
			return false;
	}
	return true;
}

static void end_turn(struct front *f)
{
	while (f->dirty_links != NULL || f->dirty_conns != NULL) {
		pool_flush(f);
		log_flush_urgent(); /* who hears of a failure finds its line in the log */
		conn_flush(f);
	}
	generation_reap(f);
	/* the line that ends a request may wait for the next tick: larger writes cost less */
	log_flush_full();
	f->now_us = 0;
	if (f->draining && is_drained(f))
		f->finished = true;
}

/* ---- life ---- */

struct front *front_new(void)
{
	struct front *f = mem_alloc(sizeof(*f));
	f->base = event_base_new();
	if (f->base == NULL)
		mem_panic("no event base");
	f->pid = (uint32_t)getpid();
	f->started = (int64_t)time(NULL);
	f->requests = request_table_new();
	TAILQ_INIT(&f->generations);
	TAILQ_INIT(&f->conns);
	wheel_init(&f->wheel, clock_ms());
	event_assign(&f->tick, f->base, -1, EV_PERSIST, on_tick, f);
	event_assign(&f->control, f->base, CONTROL_FD, EV_READ | EV_PERSIST, on_control, f);
	return f;
}

void front_turn(struct front *f, bool wait)
{
	int flags = EVLOOP_ONCE | (wait ? 0 : EVLOOP_NONBLOCK);
	if (event_base_loop(f->base, flags) == 0 || !wait)
		end_turn(f);
	else
		f->finished = true; /* the loop itself is broken, or nothing is left to wait for */
}

void front_free(struct front **fp)
{
	struct front *f = *fp;
	struct conn *c;
	struct generation *g;
	while ((c = TAILQ_FIRST(&f->conns)) != NULL) {
		conn_close(c, NULL);
		conn_flush(f);
	}
	f->current = NULL;
	while ((g = TAILQ_FIRST(&f->generations)) != NULL)
		generation_free(g);
	event_del(&f->tick);
	event_del(&f->control);
	event_base_free(f->base);
	while (f->spare_count > 0)
		buffer_free(&f->spares[--f->spare_count]);
	request_table_free(f->requests);
	mem_free(fp);
}

/*
 * To sleep and to be woken costs tens of microseconds, more than a login. So while
 * a few bytes at a time come soon after each other (one client that waits for each
 * answer), the front looks again and again for a moment before it sleeps. Whoever
 * comes seldom, or in crowds, finds it asleep or at work as ever.
 */
static bool may_sleep(struct front *f)
{
	int64_t now = clock_us();
	if (f->arrivals != f->arrivals_seen) {
		bool few = f->arrivals - f->arrivals_seen <= AWAKE_FEW;
		bool soon = now - f->arrived_us < AWAKE_SOON_US;
		f->in_a_row = few && soon ? f->in_a_row + 1 : 0;
		f->arrivals_seen = f->arrivals;
		f->arrived_us = now;
	} else if (now - f->arrived_us >= AWAKE_US) {
		f->in_a_row = 0;
	}
	return f->in_a_row < AWAKE_AFTER;
}

int front_main(void)
{
	struct front *f = front_new();
	evutil_make_socket_nonblocking(CONTROL_FD);
	event_add(&f->control, NULL);
	log_batch(true);
	unsigned cores = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	while (!f->finished)
		front_turn(f, cores < 2 || may_sleep(f));
	int status = f->draining ? EX_OK : EX_SOFTWARE;
	front_free(&f);
	log_flush();
	return status;
}
