/*
 * The load client of "make bench": speaks Dovecot's auth client or master
 * protocol over many connections with many requests in flight, checks every
 * answer, and prints one line of JSON with throughput and latency.
 *
 * See usage() for the options. Exit: 0, 1 an answer was wrong, 2 the server
 * went away or fell silent, 64 usage.
 */
#include "load.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { SILENCE_S = 60, TOLERATED_S = 3 };

struct options opt = {.user = "user0",
    .password = "secret",
    .expect_ok = true,
    .connections = 1,
    .in_flight = 1,
    .requests = 1000};
uint64_t started, finished, wrong, lost, reconnects;
int64_t first_answer_ns;

static uint32_t *latencies; /* tenths of a microsecond */
static size_t latency_count, latency_size;
static int64_t end_ns, next_due_ns;
static struct conn **conns;

int64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(2);
}

void note_latency(int64_t ns)
{
	if (latency_count == latency_size) {
		latency_size = latency_size ? latency_size * 2 : 65536;
		latencies = realloc(latencies, latency_size * sizeof(*latencies));
		if (latencies == NULL)
			die("realloc");
	}
	latencies[latency_count++] = ns / 100 > UINT32_MAX ? UINT32_MAX : (uint32_t)(ns / 100);
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static double percentile(double p)
{
	return latency_count == 0 ? 0 : latencies[(size_t)((double)(latency_count - 1) * p)] / 10.0;
}

static void usage(void)
{
	fputs("usage: load -s SOCKET [options]\n"
	      "  -m login|userdb  which protocol (login)\n"
	      "  -c N -f N        connections (1), requests in flight on each (1)\n"
	      "  -n N | -t S      so many requests in all (1000), or for so many seconds\n"
	      "  -r N             so many requests a second, on time whether or not the earlier "
	      "ones\n"
	      "                   are answered; latency counts from when each was due\n"
	      "  -u USER -p PW    whom to ask about\n"
	      "  -U N             USER0 ... USER(N-1), in a fixed order far apart\n"
	      "  -e ok|fail       the answer that is right (ok)\n"
	      "  -d S             wait so long between handshakes and requests\n"
	      "  -w               wait for the server to appear\n"
	      "  -R               connect again and count what is lost or refused\n"
	      "  -H               only hold -c idle connections: shake hands on each, print\n"
	      "                   \"ready\", and end when standard input does\n",
	    stderr);
	exit(64);
}

static void parse(int argc, char **argv)
{
	int o;
	while ((o = getopt(argc, argv, "s:m:c:f:n:t:r:u:p:U:e:d:wRH")) != -1) {
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
		case 'r':
			opt.rate = atof(optarg);
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
		case 'd':
			opt.delay_us = (unsigned)(atof(optarg) * 1e6);
			break;
		case 'w':
			opt.wait = true;
			break;
		case 'R':
			opt.tolerate = true;
			break;
		case 'H':
			opt.hold = true;
			break;
		default:
			usage();
		}
	}
	if (opt.socket == NULL || opt.connections == 0 || opt.in_flight == 0)
		usage();
}

/* ---- asking ---- */

static bool may_start(int64_t now)
{
	return end_ns != 0 ? now < end_ns : started < opt.requests;
}

static void refill(struct conn *c, int epoll)
{
	int64_t now = now_ns();
	while (c->ready && c->outstanding < opt.in_flight && may_start(now))
		conn_ask(c, now);
	conn_transmit(c, epoll);
}

static struct conn *one_with_room(void)
{
	static unsigned last;
	for (unsigned i = 0; i < opt.connections; i++) {
		struct conn *c = conns[++last % opt.connections];
		if (c->ready && c->outstanding < opt.in_flight)
			return c;
	}
	return NULL;
}

/* With -r: sends what is due. */
static void send_due(int epoll)
{
	struct conn *c;
	int64_t now = now_ns();
	while (next_due_ns <= now && may_start(next_due_ns) && (c = one_with_room()) != NULL) {
		conn_ask(c, next_due_ns);
		conn_transmit(c, epoll);
		next_due_ns += (int64_t)(1e9 / opt.rate);
	}
}

static int wait_for_events(int epoll, struct epoll_event *events, int max)
{
	int64_t ns = (int64_t)(opt.tolerate ? TOLERATED_S : SILENCE_S) * 1000000000;
	if (opt.rate > 0 && may_start(next_due_ns))
		ns = next_due_ns > now_ns() ? next_due_ns - now_ns() : 0;
	struct timespec ts = {ns / 1000000000, ns % 1000000000};
	int n = epoll_pwait2(epoll, events, max, &ts, NULL);
	if (n == 0 && opt.tolerate) {
		lost += started - finished;
		finished = started;
	} else if (n == 0 && ns > 1000000000) {
		fprintf(stderr, "load: no answer for %d s\n", SILENCE_S);
		exit(2);
	}
	return n;
}

static void run(int epoll)
{
	struct epoll_event events[256];
	while (may_start(opt.rate > 0 ? next_due_ns : now_ns()) || finished < started) {
		int n = wait_for_events(epoll, events, 256);
		for (int i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;
			conn_receive(c, epoll);
			if (opt.rate == 0)
				refill(c, epoll);
		}
		if (opt.rate > 0)
			send_due(epoll);
	}
}

static void hold(void)
{
	char byte;
	for (unsigned i = 0; i < opt.connections; i++)
		conn_wait_ready(conn_open(-1), -1);
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}

static void report(double took)
{
	qsort(latencies, latency_count, sizeof(*latencies), by_value);
	printf(
	    "{\"requests\":%llu,\"wrong\":%llu,\"lost\":%llu,\"reconnects\":%llu,"
	    "\"first_answer_ns\":%lld,\"seconds\":%.4f,\"per_second\":%.1f,"
	    "\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f}\n",
	    (unsigned long long)finished, (unsigned long long)wrong, (unsigned long long)lost,
	    (unsigned long long)reconnects, (long long)first_answer_ns, took,
	    (double)finished / took, percentile(0.5), percentile(0.9), percentile(0.99),
	    percentile(0.999), percentile(1));
}

int main(int argc, char **argv)
{
	struct rlimit files;
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	parse(argc, argv);
	conn_prepare();
	if (opt.hold) {
		hold();
		return 0;
	}
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	conns = calloc(opt.connections, sizeof(*conns));
	if (conns == NULL)
		die("calloc");
	/* the clock runs for answers, not for handshakes */
	for (unsigned i = 0; i < opt.connections; i++)
		conns[i] = conn_open(epoll);
	for (unsigned i = 0; i < opt.connections; i++)
		conn_wait_ready(conns[i], epoll);
	usleep(opt.delay_us);
	int64_t start = now_ns();
	next_due_ns = start;
	if (opt.seconds > 0)
		end_ns = start + (int64_t)(opt.seconds * 1e9);
	for (unsigned i = 0; opt.rate == 0 && i < opt.connections; i++)
		refill(conns[i], epoll);
	run(epoll);
	report((double)(now_ns() - start) / 1e9);
	return wrong > 0 ? 1 : 0;
}
