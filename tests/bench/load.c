/*
 * The load client of "make bench": speaks Dovecot's auth client or master
 * protocol over many connections with many requests in flight, checks every
 * answer, and prints one line of JSON with throughput and latency.
 *
 *   load -s SOCKET [-m login|userdb] [-c connections] [-f in flight on each]
 *        [-n requests in all | -t seconds] [-u user] [-p password]
 *        [-U users: user0..user(U-1) in turn] [-e ok|fail] [-i idle connections]
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 1024, IN_SIZE = 256 * 1024 };

struct options {
	const char *socket, *user, *password;
	bool userdb, expect_ok;
	unsigned connections, in_flight, users, idle;
	uint64_t requests;
	double seconds;
};

struct conn {
	int fd;
	bool ready; /* handshake over */
	uint32_t turn;
	unsigned outstanding;
	/* one slot for each request in flight; its number is in the id, whatever order answers have
	 */
	unsigned *free_slots;
	int64_t *sent_at;
	char in[IN_SIZE];
	size_t in_len;
	char *out;
	size_t out_len, out_size;
};

static struct options opt = {.user = "user0",
    .password = "secret",
    .expect_ok = true,
    .connections = 1,
    .in_flight = 1,
    .requests = 1000};
static uint64_t started, finished, wrong;
static uint32_t *latencies_us;
static size_t latency_count, latency_size;
static int64_t end_ns;

static int64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int connect_to(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0)
		die(path);
	return fd;
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

static const char *pick_user(char *buf, size_t size)
{
	if (opt.users == 0)
		return opt.user;
	/* a fixed walk through all of them, far apart */
	snprintf(buf, size, "user%u", (unsigned)((started * 7919) % opt.users));
	return buf;
}

static void ask(struct conn *c)
{
	char line[LINE], user_buf[64];
	unsigned char raw[512];
	const char *user = pick_user(user_buf, sizeof(user_buf));
	unsigned slot = c->free_slots[opt.in_flight - ++c->outstanding];
	uint32_t id = (++c->turn % 4000000000U / opt.in_flight + 1) * opt.in_flight + slot;
	int n;
	if (opt.userdb) {
		n = snprintf(line, sizeof(line), "USER\t%u\t%s\tservice=smtp\n", id, user);
	} else {
		int len = snprintf((char *)raw, sizeof(raw), "%c%s%c%s", 0, user, 0, opt.password);
		char text[800];
		size_t b = base64(text, raw, (size_t)len);
		n = snprintf(line, sizeof(line),
		    "AUTH\t%u\tPLAIN\tservice=smtp\trip=127.0.0.1\tlip=127.0.0.1\tno-penalty\t"
		    "resp=%.*s\n",
		    id, (int)b, text);
	}
	put(c, line, (size_t)n);
	c->sent_at[slot] = now_ns();
	started++;
}

static bool may_start(void)
{
	return end_ns != 0 ? now_ns() < end_ns : started < opt.requests;
}

static void note_latency(int64_t ns)
{
	if (latency_count == latency_size) {
		latency_size = latency_size ? latency_size * 2 : 65536;
		latencies_us = realloc(latencies_us, latency_size * sizeof(*latencies_us));
		if (latencies_us == NULL)
			die("realloc");
	}
	latencies_us[latency_count++] = (uint32_t)(ns / 1000);
}

static void answer(struct conn *c, const char *line, uint32_t id, bool ok)
{
	if (ok != opt.expect_ok) {
		if (wrong++ == 0)
			fprintf(stderr, "load: unexpected answer: %.200s\n", line);
	}
	note_latency(now_ns() - c->sent_at[id % opt.in_flight]);
	c->free_slots[opt.in_flight - c->outstanding--] = id % opt.in_flight;
	finished++;
}

static void take_line(struct conn *c, char *line)
{
	char *tab = strchr(line, '\t');
	if (tab == NULL) {
		if (strcmp(line, "DONE") == 0)
			c->ready = true;
		return;
	}
	uint32_t id = (uint32_t)strtoul(tab + 1, NULL, 10);
	if (strncmp(line, "OK\t", 3) == 0 || (opt.userdb && strncmp(line, "USER\t", 5) == 0))
		answer(c, line, id, true);
	else if (strncmp(line, "FAIL\t", 5) == 0 || strncmp(line, "NOTFOUND\t", 9) == 0)
		answer(c, line, id, false);
	else if (opt.userdb && strncmp(line, "SPID\t", 5) == 0)
		c->ready = true;
}

static void receive(struct conn *c)
{
	ssize_t n = read(c->fd, c->in + c->in_len, IN_SIZE - c->in_len);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		fprintf(stderr, "load: the server closed a connection\n");
		exit(2);
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

static void transmit(struct conn *c)
{
	size_t done = 0;
	while (done < c->out_len) {
		ssize_t n = write(c->fd, c->out + done, c->out_len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			die("write");
		done += (size_t)n;
	}
	c->out_len = 0;
}

static void refill(struct conn *c)
{
	while (c->ready && c->outstanding < opt.in_flight && may_start())
		ask(c);
	transmit(c);
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static double percentile(double p)
{
	return latency_count == 0 ? 0 : latencies_us[(size_t)((double)(latency_count - 1) * p)];
}

static void parse(int argc, char **argv)
{
	int o;
	while ((o = getopt(argc, argv, "s:m:c:f:n:t:u:p:U:e:i:")) != -1) {
		switch (o) {
		case 's':
			opt.socket = optarg;
			break;
		case 'm':
			opt.userdb = strcmp(optarg, "userdb") == 0;
			break;
		case 'c':
			opt.connections = (unsigned)atoi(optarg);
			break;
		case 'f':
			opt.in_flight = (unsigned)atoi(optarg);
			break;
		case 'n':
			opt.requests = strtoull(optarg, NULL, 10);
			break;
		case 't':
			opt.seconds = atof(optarg);
			break;
		case 'u':
			opt.user = optarg;
			break;
		case 'p':
			opt.password = optarg;
			break;
		case 'U':
			opt.users = (unsigned)atoi(optarg);
			break;
		case 'e':
			opt.expect_ok = strcmp(optarg, "ok") == 0;
			break;
		case 'i':
			opt.idle = (unsigned)atoi(optarg);
			break;
		default:
			exit(64);
		}
	}
	if (opt.socket == NULL || opt.connections == 0 || opt.in_flight == 0) {
		fprintf(stderr,
		    "usage: load -s SOCKET [-m login|userdb] [-c N] [-f N] [-n N | -t S] "
		    "[-u USER] [-p PASSWORD] [-U N] [-e ok|fail] [-i N]\n");
		exit(64);
	}
}

static struct conn *open_conn(int epoll)
{
	static const char login_hello[] = "VERSION\t1\t2\nCPID\t%d\n";
	static const char master_hello[] = "VERSION\t1\t0\n";
	struct conn *c = calloc(1, sizeof(*c));
	char hello[64];
	if (c == NULL)
		die("calloc");
	c->fd = connect_to(opt.socket);
	c->sent_at = calloc(opt.in_flight, sizeof(*c->sent_at));
	c->free_slots = calloc(opt.in_flight, sizeof(*c->free_slots));
	for (unsigned i = 0; i < opt.in_flight; i++)
		c->free_slots[i] = i;
	int n = opt.userdb ? snprintf(hello, sizeof(hello), master_hello)
			   : snprintf(hello, sizeof(hello), login_hello, (int)getpid());
	put(c, hello, (size_t)n);
	transmit(c);
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &ev) != 0)
		die("epoll_ctl");
	return c;
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	struct rlimit files = {65536, 65536};
	(void)setrlimit(RLIMIT_NOFILE, &files);
	for (unsigned i = 0; i < opt.idle; i++)
		(void)connect_to(opt.socket);
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned i = 0; i < opt.connections; i++)
		(void)open_conn(epoll);
	int64_t start = now_ns();
	if (opt.seconds > 0)
		end_ns = start + (int64_t)(opt.seconds * 1e9);
	while (may_start() || finished < started) {
		struct epoll_event events[64];
		int n = epoll_wait(epoll, events, 64, 30000);
		if (n == 0) {
			fprintf(stderr, "load: no answer for 30 s\n");
			return 2;
		}
		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;
			receive(c);
			refill(c);
		}
	}
	double took = (double)(now_ns() - start) / 1e9;
	qsort(latencies_us, latency_count, sizeof(*latencies_us), by_value);
	printf(
	    "{\"requests\":%llu,\"wrong\":%llu,\"seconds\":%.4f,\"per_second\":%.1f,"
	    "\"p50_us\":%.0f,\"p90_us\":%.0f,\"p99_us\":%.0f,\"p999_us\":%.0f,\"max_us\":%.0f}\n",
	    (unsigned long long)finished, (unsigned long long)wrong, took, (double)finished / took,
	    percentile(0.5), percentile(0.9), percentile(0.99), percentile(0.999), percentile(1));
	return wrong > 0 ? 1 : 0;
}
