/*
 * The load client's connections: handshake, requests, and the check of every
 * answer: its id is one that waits on this connection, it is about the user
 * that was asked about, and it says what was expected.
 */
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { IN_SIZE = 64 * 1024, NAME_MAX_LEN = 100, TOLERATED_S = 3 };

static const char login_head[] = "AUTH\t";
static const char login_middle[] =
    "\tPLAIN\tservice=smtp\trip=127.0.0.1\tlip=127.0.0.1\tno-penalty\tresp=";
/* with one user for all requests: what follows the id, made once */
static char ready_made[1024];
static size_t ready_made_len;

static void sleep_us(long us)
{
	struct timespec ts = {0, us * 1000};
	nanosleep(&ts, NULL);
}

static int connect_to(const char *path, int64_t until)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	struct timeval patience = {TOLERATED_S, 0};
	bool refused = false;
	for (;;) {
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0)
			die("socket");
		if (opt.tolerate) { /* for connecting, too */
			setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
			setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
		}
		if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
			return fd;
		if ((errno != ENOENT && errno != ECONNREFUSED && errno != EAGAIN) ||
		    now_ns() > until)
			die(path);
		/* nobody could log in just now: that counts, too */
		if (opt.tolerate && !refused)
			lost++;
		refused = true;
		close(fd);
		sleep_us(200);
	}
}

static void put(struct conn *c, const char *s, size_t n)
{
	if (c->out_len + n > c->out_size) {
		c->out_size = (c->out_len + n) * 2;
		c->out = realloc(c->out, c->out_size);
		if (c->out == NULL)
			die("realloc");
	}
	memcpy(c->out + c->out_len, s, n);
	c->out_len += n;
}

static size_t base64(char *out, const unsigned char *in, size_t n)
{
	static const char abc[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t o = 0;
	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)in[i] << 16 | (i + 1 < n ? (uint32_t)in[i + 1] << 8 : 0) |
			     (i + 2 < n ? in[i + 2] : 0);
		out[o++] = abc[v >> 18];
		out[o++] = abc[v >> 12 & 63];
		out[o++] = i + 1 < n ? abc[v >> 6 & 63] : '=';
		out[o++] = i + 2 < n ? abc[v & 63] : '=';
	}
	return o;
}

static size_t user_name(char name[NAME_MAX_LEN], uint32_t number)
{
	int n = opt.users > 0 ? snprintf(name, NAME_MAX_LEN, "%s%u", opt.user, number)
			      : snprintf(name, NAME_MAX_LEN, "%s", opt.user);
	return (size_t)n;
}

/* What follows the id in a request about this user; size: at least 1024 bytes. */
static size_t request_tail(char *tail, uint32_t number)
{
	char name[NAME_MAX_LEN];
	unsigned char raw[512];
	size_t len = user_name(name, number);
	if (opt.userdb)
		return (size_t)sprintf(tail, "\t%s\tservice=smtp\n", name);
	int n = snprintf((char *)raw, sizeof(raw), "%c%s%c%s", 0, name, 0, opt.password);
	memcpy(tail, login_middle, sizeof(login_middle) - 1);
	len = sizeof(login_middle) - 1;
	len += base64(tail + len, raw, (size_t)n);
	tail[len++] = '\n';
	return len;
}

void conn_prepare(void)
{
	if (strlen(opt.user) > NAME_MAX_LEN - 12 || strlen(opt.password) > 300)
		die("user or password is too long");
	ready_made_len = request_tail(ready_made, 0);
}

static size_t put_number(char *to, uint32_t v)
{
	char digits[10];
	size_t n = 0;
	do {
		digits[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	for (size_t i = 0; i < n; i++)
		to[i] = digits[n - 1 - i];
	return n;
}

void conn_ask(struct conn *c, int64_t at)
{
	char head[32], tail[1024];
	unsigned number = c->free_slots[opt.in_flight - ++c->outstanding];
	struct slot *s = &c->slots[number];
	s->id = (++c->turn % (2000000000U / opt.in_flight) + 1) * opt.in_flight + number;
	s->busy = true;
	/* a fixed walk through all users, far apart */
	s->user = opt.users > 0 ? (uint32_t)(started * 7919 % opt.users) : 0;
	size_t n = sizeof(login_head) - 1;
	memcpy(head, opt.userdb ? "USER\t" : login_head, n);
	n += put_number(head + n, s->id);
	put(c, head, n);
	if (opt.users > 0)
		put(c, tail, request_tail(tail, s->user));
	else
		put(c, ready_made, ready_made_len);
	s->sent_at = at;
	started++;
}

/* ---- answers ---- */

static bool names_user(const char *line, const char *rest, const char *name)
{
	size_t len = strlen(name);
	if (opt.userdb) /* USER id name ... */
		return strncmp(rest, name, len) == 0 && (rest[len] == '\t' || rest[len] == '\0');
	for (const char *at = line; (at = strstr(at, "\tuser=")) != NULL; at++)
		if (strncmp(at + 6, name, len) == 0 && (at[6 + len] == '\t' || at[6 + len] == '\0'))
			return true;
	return false;
}

static bool is_expected(const char *line, const char *rest, bool ok, uint32_t user)
{
	char name[NAME_MAX_LEN];
	if (ok != opt.expect_ok)
		return false;
	if (!ok) /* that nobody could decide is not a "no" */
		return strstr(line, "temp") == NULL;
	user_name(name, user);
	return names_user(line, rest, name);
}

static void answer(struct conn *c, const char *line, const char *id_text, bool ok)
{
	char *rest;
	uint32_t id = (uint32_t)strtoul(id_text, &rest, 10);
	struct slot *s = &c->slots[id % opt.in_flight];
	if (!s->busy || s->id != id) {
		fprintf(stderr, "load: an answer that nobody waits for: %.200s\n", line);
		exit(1);
	}
	if (!is_expected(line, *rest == '\t' ? rest + 1 : rest, ok, s->user)) {
		if (opt.tolerate)
			lost++;
		else if (wrong++ == 0)
			fprintf(stderr, "load: unexpected answer: %.200s\n", line);
	}
	int64_t now = now_ns();
	if (first_answer_ns == 0)
		first_answer_ns = now;
	note_latency(now - s->sent_at);
	s->busy = false;
	c->free_slots[opt.in_flight - c->outstanding--] = id % opt.in_flight;
	finished++;
}

static void take_line(struct conn *c, char *line)
{
	if (strncmp(line, "OK\t", 3) == 0)
		answer(c, line, line + 3, true);
	else if (strncmp(line, "FAIL\t", 5) == 0)
		answer(c, line, line + 5, false);
	else if (strcmp(line, "DONE") == 0)
		c->ready = true;
	else if (opt.userdb && strncmp(line, "USER\t", 5) == 0)
		answer(c, line, line + 5, true);
	else if (opt.userdb && strncmp(line, "NOTFOUND\t", 9) == 0)
		answer(c, line, line + 9, false);
	else if (opt.userdb && strncmp(line, "SPID\t", 5) == 0)
		c->ready = true;
}

/* ---- connecting ---- */

static void say_hello(struct conn *c)
{
	char hello[64];
	int n = opt.userdb
		    ? snprintf(hello, sizeof(hello), "VERSION\t1\t0\n")
		    : snprintf(hello, sizeof(hello), "VERSION\t1\t2\nCPID\t%d\n", (int)getpid());
	c->ready = false;
	c->in_len = c->out_len = 0;
	c->outstanding = 0;
	for (unsigned i = 0; i < opt.in_flight; i++) {
		c->free_slots[i] = i;
		c->slots[i].busy = false;
	}
	if (write(c->fd, hello, (size_t)n) != n)
		die("write");
}

static void watch(struct conn *c, int epoll)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
	if (epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &ev) != 0)
		die("epoll_ctl");
}

struct conn *conn_open(int epoll)
{
	struct conn *c = calloc(1, sizeof(*c));
	if (c == NULL || (c->slots = calloc(opt.in_flight, sizeof(*c->slots))) == NULL ||
	    (c->free_slots = calloc(opt.in_flight, sizeof(*c->free_slots))) == NULL ||
	    (c->in = malloc(opt.hold ? 1024 : IN_SIZE)) == NULL)
		die("calloc");
	int64_t patience = opt.wait ? 60000000000 : opt.tolerate ? 20000000000 : 0;
	c->fd = connect_to(opt.socket, now_ns() + patience);
	say_hello(c);
	watch(c, epoll);
	return c;
}

/* The connection is gone, and with it what was asked there. */
static void start_over(struct conn *c, int epoll)
{
	if (!opt.tolerate) {
		fprintf(stderr, "load: the server closed a connection\n");
		exit(2);
	}
	lost += c->outstanding;
	finished += c->outstanding;
	reconnects++;
	close(c->fd);
	c->fd = connect_to(opt.socket, now_ns() + 20000000000);
	say_hello(c);
	watch(c, epoll);
}

void conn_receive(struct conn *c, int epoll)
{
	size_t size = opt.hold ? 1024 : IN_SIZE;
	ssize_t n = read(c->fd, c->in + c->in_len, size - c->in_len);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		start_over(c, epoll);
		return;
	}
	c->in_len += (size_t)n;
	char *at = c->in, *lf;
	while ((lf = memchr(at, '\n', (size_t)(c->in + c->in_len - at))) != NULL) {
		*lf = '\0';
		take_line(c, at);
		at = lf + 1;
	}
	c->in_len -= (size_t)(at - c->in);
	memmove(c->in, at, c->in_len);
}

void conn_wait_ready(struct conn *c, int epoll)
{
	int64_t until = now_ns() + (int64_t)TOLERATED_S * 1000000000;
	while (!c->ready) {
		conn_receive(c, epoll);
		if (opt.tolerate && !c->ready && now_ns() > until)
			start_over(c, epoll);
	}
}

void conn_transmit(struct conn *c, int epoll)
{
	size_t done = 0;
	while (done < c->out_len) {
		ssize_t n = send(c->fd, c->out + done, c->out_len - done, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			start_over(c, epoll);
			return;
		}
		done += (size_t)n;
	}
	c->out_len = 0;
}
