/*
 * Connections: accept, read, write, pause, close. Reading goes into one
 * buffer that all share; an idle connection holds no buffer of its own.
 * Runs in: front.
 */
#include "authd/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "authd/generation.h"
#include "authd/lookup.h"
#include "authd/pool.h"
#include "authd/request.h"
#include "base/log.h"
#include "base/mem.h"

enum { READ_CHUNK = 64 * 1024 };

/* What each type of listener is: its protocol and how long its clients wait for an answer. */
static const struct listener_kind {
	const struct protocol *protocol;
	uint64_t client_deadline_ms;
} kinds[] = {
    [LISTENER_AUTH] = {&protocol_client, 9000}, /* Postfix hangs up after 10 s */
    [LISTENER_LOGIN] = {&protocol_client, 28000},
    [LISTENER_MASTER] = {&protocol_master, 28000},
    [LISTENER_USERDB] = {&protocol_master, 28000},
    [LISTENER_TOKEN] = {&protocol_client, 28000},
    [LISTENER_TOKEN_LOGIN] = {&protocol_client, 28000},
};

static void mark_dirty(struct conn *c)
{
	if (c->dirty)
		return;
	c->dirty = true;
	c->next_dirty = c->front->dirty_conns;
	c->front->dirty_conns = c;
}

struct buffer *conn_out(struct conn *c)
{
	struct front *f = c->front;
	mark_dirty(c);
	if (c->out.data == NULL && f->spare_count > 0)
		c->out = f->spares[--f->spare_count];
	return &c->out;
}

void conn_close(struct conn *c, const char *why)
{
	if (c->closing)
		return;
	if (why != NULL)
		log_error("client on %s connection: %s; closing it", c->protocol->name, why);
	c->closing = true;
	mark_dirty(c);
}

bool conn_peer_is_gone(const struct conn *c)
{
	char byte;
	return recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void free_requests(struct conn *c)
{
	struct request *r;
	/* the last first: it waits for the answer of an equal one rather than to be asked in its
	 * place
	 */
	while ((r = TAILQ_LAST(&c->requests, request_list)) != NULL)
		request_free(r);
}

static void conn_free(struct conn *c)
{
	c->dirty = true; /* whatever its requests' end touches, it does not come back on the list */
	if (c->protocol->closed != NULL)
		c->protocol->closed(c);
	free_requests(c);
	event_del(&c->read_event);
	event_del(&c->write_event);
	close(c->fd);
	buffer_free(&c->in);
	buffer_free(&c->out);
	TAILQ_REMOVE(&c->front->conns, c, entry);
	c->front->conn_count--;
	mem_wipe(c, sizeof(*c) + c->protocol->state_size);
	mem_free(&c);
}

/* ---- reading ---- */

static bool wants_pause(const struct conn *c)
{
	if (c->listing != NULL)
		return true;
	size_t limit = c->paused ? CONN_OUT_HIGH / 3 : CONN_OUT_HIGH;
	size_t busy = c->paused ? CONN_BUSY_MAX / 2 : CONN_BUSY_MAX;
	return c->out.len >= limit || c->busy_count >= busy;
}

/* Feeds the protocol; returns what it left over. */
static struct span feed(struct conn *c, struct span in)
{
	c->input_running = true;
	while (in.len > 0 && !c->closing && !wants_pause(c)) {
		ssize_t n = c->protocol->input(c, in);
		if (n == PROTOCOL_CLOSE && !c->closing)
			conn_close(c, NULL);
		if (n <= 0)
			break;
		in = span_skip(in, (size_t)n);
	}
	c->input_running = false;
	if (!c->closing && !wants_pause(c) && in.len > c->protocol->message_max)
		conn_close(c, "BUG: it sent a message that is too long");
	return in;
}

static void feed_kept(struct conn *c)
{
	size_t left = feed(c, buffer_span(&c->in)).len;
	buffer_consume(&c->in, c->in.len - left);
	if (c->in.len == 0)
		buffer_free(&c->in);
}

static void update_pause(struct conn *c)
{
	bool pause = wants_pause(c);
	if (pause == c->paused || c->closing)
		return;
	c->paused = pause;
	if (pause)
		event_del(&c->read_event);
	else
		event_add(&c->read_event, NULL);
}

static void take_input(struct conn *c, struct span in)
{
	if (c->in.len > 0) {
		buffer_append(&c->in, in);
		feed_kept(c);
	} else {
		struct span left = feed(c, in);
		buffer_append(&c->in, left);
	}
	update_pause(c);
}

static void on_readable(evutil_socket_t fd, short what UNUSED, void *ctx)
{
	static char chunk[READ_CHUNK];
	struct conn *c = ctx;
	if (c->closing)
		return;
	ssize_t n = read(fd, chunk, sizeof(chunk));
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_close(c, NULL);
		return;
	}
	front_bytes_came(c->front);
	c->front->arrivals++;
	take_input(c, span_make(chunk, (size_t)n));
	mem_wipe(chunk, (size_t)n);
	pool_flush_full(c->front);
}

void conn_busy_changed(struct conn *c)
{
	/* looked at when the turn ends, so that a reply never runs input underneath itself */
	if (c->paused)
		mark_dirty(c);
}

/* ---- writing ---- */

/* An idle connection holds no buffer; the next one that writes takes it. */
static void give_back_out(struct conn *c)
{
	struct front *f = c->front;
	if (f->spare_count == FRONT_SPARES || c->out.size > FRONT_SPARE_SIZE) {
		buffer_free(&c->out);
		return;
	}
	mem_wipe(c->out.data, c->out.size); /* replies may hold a password for a proxy */
	f->spares[f->spare_count++] = c->out;
	c->out = (struct buffer){0};
}

static void conn_write(struct conn *c)
{
	while (c->out.len > 0) {
		ssize_t n = send(c->fd, c->out.data + c->out.start, c->out.len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			if (!event_pending(&c->write_event, EV_WRITE, NULL))
				event_add(&c->write_event, NULL);
			return;
		}
		if (n < 0) {
			c->closing = true; /* not conn_close(): the flush that runs now frees it */
			return;
		}
		buffer_consume(&c->out, (size_t)n);
	}
	if (c->out.data != NULL)
		give_back_out(c);
}

static void on_writable(evutil_socket_t fd UNUSED, short what UNUSED, void *ctx)
{
	struct conn *c = ctx;
	mark_dirty(c);
}

static void flush_one(struct conn *c)
{
	if (!c->closing || c->out.len > 0)
		conn_write(c);
	if (c->closing) {
		if (c->dirty) /* the write failed just now and listed it again: freed then */
			return;
		c->dirty = true; /* ending its requests must not list it any more */
		conn_free(c);
		return;
	}
	if (c->listing != NULL && c->out.len < CONN_OUT_HIGH / 2)
		lookup_list_resume(c->listing);
	if (c->paused && !wants_pause(c)) {
		update_pause(c);
		if (c->in.len > 0)
			feed_kept(c);
		update_pause(c);
	}
}

void conn_flush(struct front *f)
{
	struct conn *c;
	while ((c = f->dirty_conns) != NULL) {
		f->dirty_conns = c->next_dirty;
		c->dirty = false;
		flush_one(c);
	}
}

/* ---- accepting ---- */

static void learn_peer(struct conn *c)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int one = 1;
	/* the pid of a process in another namespace is 0; its uid counts all the same */
	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && cred.uid != (uid_t)-1) {
		c->peer = (struct conn_peer){true, cred.pid, cred.uid, cred.gid};
		return;
	}
	/* only TCP has no peer credentials */
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/*
 * A userdb socket that is open to everybody (mode 0666) tells each user of
 * the system about himself only; its owner and its group see everybody. Any
 * other mode says that who can connect may ask.
 */
static bool check_peer(struct conn *c, const struct listener *l)
{
	if (c->type != LISTENER_USERDB || l->config->set->mode != 0666)
		return true;
	c->restricted = c->peer.uid != l->owner && c->peer.gid != l->group && c->peer.uid != 0;
	return c->peer.known;
}

void conn_accept(const struct listener *l, int fd)
{
	struct front *f = l->front;
	const struct listener_kind *kind = &kinds[l->config->type];
	struct conn *c = mem_alloc(sizeof(*c) + kind->protocol->state_size);
	c->front = f;
	c->protocol = kind->protocol;
	c->fd = fd;
	c->type = l->config->type;
	c->newer = l->config->newer;
	c->client_deadline_ms = l->config->set->client_deadline != 0
				    ? l->config->set->client_deadline
				    : kind->client_deadline_ms;
	c->connect_uid = ++f->last_connect_uid;
	TAILQ_INIT(&c->requests);
	learn_peer(c);
	event_assign(&c->read_event, f->base, fd, EV_READ | EV_PERSIST, on_readable, c);
	event_assign(&c->write_event, f->base, fd, EV_WRITE, on_writable, c);
	event_add(&c->read_event, NULL);
	TAILQ_INSERT_TAIL(&f->conns, c, entry);
	f->conn_count++;
	if (check_peer(c, l))
		c->protocol->greet(c);
	else
		conn_close(c, "it has no peer credentials");
}
