/*
 * The floor under the server figures of "make bench": a server that speaks
 * just enough of the auth client and master protocol to please the load
 * client, crosses one process boundary for each request, and decides nothing:
 * no base64, no user, no password, no log. It batches as well as can be: all
 * that a turn of the loop brought goes to the worker in one write, all that
 * came back goes to each client in one.
 *
 *   floor SOCKET login|userdb
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { SIZE = 1024 * 1024, CONNS = 16384, EVENTS = 256 };

struct message {
	int32_t conn;
	uint32_t id;
};

struct client {
	char in[16384];
	size_t in_len;
	char *out;
	size_t out_len, out_size;
};

static struct client *clients[CONNS];
static int dirty[CONNS], dirty_count;
static struct message to_worker[SIZE];
static size_t to_worker_count;
static int userdb;

static void write_all(int fd, const void *data, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t w = write(fd, (const char *)data + done, n - done);
		if (w <= 0)
			exit(1);
		done += (size_t)w;
	}
}

static void worker(int fd)
{
	static char buf[SIZE];
	ssize_t n;
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		write_all(fd, buf, (size_t)n);
}

/* ---- clients ---- */

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

static void reply(int fd, uint32_t id)
{
	static const char user[] = "\tuser0\tuid=5000\n", ok[] = "\tuser=user0\n";
	struct client *c = clients[fd];
	if (c->out_size < c->out_len + 64) {
		c->out_size = c->out_size * 2 + 4096;
		if ((c->out = realloc(c->out, c->out_size)) == NULL)
			exit(1);
	}
	if (c->out_len == 0)
		dirty[dirty_count++] = fd;
	char *at = c->out + c->out_len, *p = at;
	p = userdb ? stpcpy(p, "USER\t") : stpcpy(p, "OK\t");
	p += put_number(p, id);
	size_t n = userdb ? sizeof(user) - 1 : sizeof(ok) - 1;
	memcpy(p, userdb ? user : ok, n);
	c->out_len += (size_t)(p - at) + n;
}

static void take_lines(int fd, struct client *c)
{
	char *at = c->in, *lf;
	while ((lf = memchr(at, '\n', (size_t)(c->in + c->in_len - at))) != NULL) {
		if ((at[0] == 'A' || at[0] == 'U') && to_worker_count < SIZE)
			to_worker[to_worker_count++] =
			    (struct message){fd, (uint32_t)strtoul(at + 5, NULL, 10)};
		at = lf + 1;
	}
	c->in_len -= (size_t)(at - c->in);
	memmove(c->in, at, c->in_len);
}

static void from_client(int fd)
{
	struct client *c = clients[fd];
	ssize_t n = read(fd, c->in + c->in_len, sizeof(c->in) - c->in_len);
	if (n <= 0) {
		close(fd);
		free(c->out);
		free(c);
		clients[fd] = NULL;
		return;
	}
	c->in_len += (size_t)n;
	take_lines(fd, c);
}

static void from_worker(int channel)
{
	static char buf[SIZE];
	static size_t have;
	ssize_t n = read(channel, buf + have, sizeof(buf) - have);
	if (n <= 0)
		exit(0);
	have += (size_t)n;
	size_t count = have / sizeof(struct message);
	for (size_t i = 0; i < count; i++) {
		struct message m;
		memcpy(&m, buf + i * sizeof(m), sizeof(m));
		if (clients[m.conn] != NULL)
			reply(m.conn, m.id);
	}
	have -= count * sizeof(struct message);
	memmove(buf, buf + count * sizeof(struct message), have);
}

/* the end of a turn */
static void flush(int channel)
{
	if (to_worker_count > 0)
		write_all(channel, to_worker, to_worker_count * sizeof(to_worker[0]));
	to_worker_count = 0;
	for (int i = 0; i < dirty_count; i++) {
		struct client *c = clients[dirty[i]];
		if (c == NULL)
			continue;
		(void)!write(dirty[i], c->out, c->out_len); /* EPIPE: it is gone */
		c->out_len = 0;
	}
	dirty_count = 0;
}

/* ---- the loop ---- */

static void greet(int fd)
{
	static const char login[] =
	    "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t0\nDONE\n";
	static const char master[] = "VERSION\t1\t1\nSPID\t1\n";
	const char *s = userdb ? master : login;
	if (fd < 0 || fd >= CONNS || (clients[fd] = calloc(1, sizeof(struct client))) == NULL ||
	    write(fd, s, strlen(s)) < 0)
		exit(1);
}

static void loop(int listener, int channel)
{
	struct epoll_event events[EVENTS], ev = {.events = EPOLLIN, .data.fd = listener};
	int epoll = epoll_create1(0);
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &ev);
	ev.data.fd = channel;
	epoll_ctl(epoll, EPOLL_CTL_ADD, channel, &ev);
	for (;;) {
		int n = epoll_wait(epoll, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			if (fd == listener) {
				ev.data.fd = accept(listener, NULL, NULL);
				greet(ev.data.fd);
				epoll_ctl(epoll, EPOLL_CTL_ADD, ev.data.fd, &ev);
			} else if (fd == channel) {
				from_worker(fd);
			} else {
				from_client(fd);
			}
		}
		flush(channel);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct rlimit files;
	int pair[2];
	if (argc != 3)
		return 64;
	userdb = strcmp(argv[2], "userdb") == 0;
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", argv[1]);
	unlink(argv[1]);
	int listener = socket(AF_UNIX, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&sa, sizeof(sa)) != 0 ||
	    listen(listener, 1024) != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
		return 71;
	if (fork() == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		worker(pair[1]);
		return 0;
	}
	close(pair[1]);
	loop(listener, pair[0]);
}
