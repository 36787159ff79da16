/*
 * The floor under the server figures of "make bench": a server that speaks
 * just enough of the auth client and master protocol to please the load
 * client, crosses one process boundary for each request, and decides nothing.
 *
 *   floor SOCKET login|userdb
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <signal.h>
#include <unistd.h>

enum { SIZE = 1024 * 1024, CONNS = 1024 };

struct message {
	int32_t conn;
	uint32_t id;
};

struct client {
	char in[65536];
	size_t in_len;
	char *out;
	size_t out_len, out_size;
};

static struct client *clients[CONNS];
static int userdb;

static void worker(int fd)
{
	static char buf[SIZE];
	ssize_t n;
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		while (n % (ssize_t)sizeof(struct message) != 0) {
			ssize_t more = read(fd, buf + n, sizeof(buf) - (size_t)n);
			if (more <= 0)
				return;
			n += more;
		}
		for (ssize_t done = 0; done < n;) {
			ssize_t w = write(fd, buf + done, (size_t)(n - done));
			if (w <= 0)
				return;
			done += w;
		}
	}
}

static void append(struct client *c, const char *s, size_t n)
{
	if (c->out_len + n > c->out_size) {
		c->out_size = (c->out_len + n) * 2;
		c->out = realloc(c->out, c->out_size);
		if (c->out == NULL)
			exit(1);
	}
	memcpy(c->out + c->out_len, s, n);
	c->out_len += n;
}

static void flush(int fd, struct client *c)
{
	if (c->out_len > 0 && write(fd, c->out, c->out_len) != (ssize_t)c->out_len)
		exit(1);
	c->out_len = 0;
}

static size_t take_lines(int fd, struct client *c, struct message *to)
{
	size_t count = 0;
	char *at = c->in, *lf;
	while ((lf = memchr(at, '\n', (size_t)(c->in + c->in_len - at))) != NULL) {
		if (at[0] == 'A' || at[0] == 'U') {
			const char *tab = memchr(at, '\t', (size_t)(lf - at));
			to[count++] = (struct message){fd, (uint32_t)strtoul(tab + 1, NULL, 10)};
		}
		at = lf + 1;
	}
	c->in_len -= (size_t)(at - c->in);
	memmove(c->in, at, c->in_len);
	return count;
}

static void from_client(int fd, int channel)
{
	static struct message to[65536 / 8];
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
	size_t count = take_lines(fd, c, to) * sizeof(*to);
	if (count > 0 && write(channel, to, count) != (ssize_t)count)
		exit(1);
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
		char line[128];
		memcpy(&m, buf + i * sizeof(m), sizeof(m));
		if (clients[m.conn] == NULL)
			continue;
		int len = userdb ? snprintf(line, sizeof(line), "USER\t%u\tuser0\tuid=1000\n", m.id)
				 : snprintf(line, sizeof(line), "OK\t%u\tuser=user0\n", m.id);
		append(clients[m.conn], line, (size_t)len);
	}
	have -= count * sizeof(struct message);
	memmove(buf, buf + count * sizeof(struct message), have);
	for (int fd = 0; fd < CONNS; fd++) {
		if (clients[fd] != NULL && clients[fd]->out_len > 0)
			flush(fd, clients[fd]);
	}
}

static void greet(int fd)
{
	static const char login[] =
	    "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t0\nDONE\n";
	static const char master[] = "VERSION\t1\t1\nSPID\t1\n";
	const char *s = userdb ? master : login;
	if (fd >= CONNS || (clients[fd] = calloc(1, sizeof(struct client))) == NULL ||
	    write(fd, s, strlen(s)) < 0)
		exit(1);
}

int main(int argc, char **argv)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int pair[2];
	if (argc != 3)
		return 64;
	userdb = strcmp(argv[2], "userdb") == 0;
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
	int epoll = epoll_create1(0);
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = listener};
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &ev);
	ev.data.fd = pair[0];
	epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &ev);
	for (;;) {
		struct epoll_event events[64];
		int n = epoll_wait(epoll, events, 64, -1);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			if (fd == listener) {
				ev.data.fd = accept(listener, NULL, NULL);
				greet(ev.data.fd);
				epoll_ctl(epoll, EPOLL_CTL_ADD, ev.data.fd, &ev);
			} else if (fd == pair[0]) {
				from_worker(fd);
			} else {
				from_client(fd, pair[0]);
			}
		}
	}
}
