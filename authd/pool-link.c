/*
 * A pool's channels: what comes from its workers is read and told to the pool,
 * what the turn has for them is written. Runs in: front. Owns the channels'
 * front ends.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "authd/ask.h"
#include "authd/pool-parts.h"
#include "authd/request.h"
#include "base/mem.h"

enum {
	SLOTS_MEMORY = 1024, /* who takes so many questions at once answers out of memory */
	READ_CHUNK = 256 * 1024,
	FLUSH_QUESTIONS = 32, /* a worker begins with so many while the others are still read */
};

void pool_link_mark_dirty(struct pool_link *l)
{
	if (l->dirty)
		return;
	struct front *f = l->pool->front;
	l->dirty = true;
	l->next_dirty = f->dirty_links;
	f->dirty_links = l;
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
			(void)pool_note(p, (struct breaker_pass){0}, an.backend, SPAN_NULL);
		return;
	}
	if (!channel_get_answer(payload, &r->arena, &an)) {
		*broken = true;
		return;
	}
	pool_ticket_clear(&r->ticket);
	bool opened = pool_note(p, r->ticket.pass, an.backend, an.detail);
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
		pool_note_up_or_down(p);
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
	pool_note_up_or_down(p);
}

/* The whole messages off the front of *in. False: the worker sends nonsense. */
static bool take_messages(struct pool_link *l, struct span *in)
{
	struct pool *p = l->pool;
	struct span payload;
	uint8_t type;
	bool broken = false;
	int more = 0;
	unsigned count = 0;
	while (!broken && (more = wire_frame_next(in, &type, &payload)) == 1) {
		count++;
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
	/* a worker with lanes needs the core that a front which stays awake would take */
	p->front->arrivals += count > 0 && l->hello.slots >= SLOTS_MEMORY ? 1 : count;
	return !broken && more >= 0;
}

/* What is not a whole message yet is kept. */
static bool take_input(struct pool_link *l, struct span in)
{
	if (l->in.len == 0) {
		bool good = take_messages(l, &in);
		buffer_append(&l->in, in);
		return good;
	}
	buffer_append(&l->in, in);
	struct span left = buffer_span(&l->in);
	bool good = take_messages(l, &left);
	size_t done = l->in.len - left.len;
	mem_wipe(l->in.data + l->in.start, done);
	buffer_consume(&l->in, done);
	return good;
}

static void on_readable(evutil_socket_t fd, short what UNUSED, void *ctx)
{
	static char chunk[READ_CHUNK]; /* of all links; each keeps but what is left over */
	struct pool_link *l = ctx;
	struct pool *p = l->pool;
	ssize_t n = read(fd, chunk, sizeof(chunk));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		pool_link_dead(l, n == 0 ? "closed" : strerror(errno));
		return;
	}
	front_bytes_came(p->front);
	bool good = take_input(l, span_make(chunk, (size_t)n));
	/* answers may hold credentials and the secrets of proxies */
	mem_wipe(chunk, (size_t)n);
	if (!good) {
		pool_link_dead(l, "a message does not decode");
		return;
	}
	pool_pump(p);
}

/* ---- writing ---- */

static bool link_write(struct pool_link *l)
{
	l->unsent = 0;
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
		pool_link_dead(l, strerror(errno));
}

void pool_flush(struct front *f)
{
	struct pool_link *l;
	while ((l = f->dirty_links) != NULL) {
		f->dirty_links = l->next_dirty;
		l->dirty = false;
		if (!link_write(l))
			pool_link_dead(l, strerror(errno));
	}
}

void pool_flush_full(struct front *f)
{
	if (f->dirty_links != NULL && f->dirty_links->unsent >= FLUSH_QUESTIONS)
		pool_flush(f);
}

/* ---- life ---- */

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
	/* its hello is there already: the first question is to find it ready */
	on_readable(fd, EV_READ, l);
}

void pool_link_unlink(struct pool_link *l)
{
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
