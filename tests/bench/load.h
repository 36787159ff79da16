/*
 * The load client's parts: load.c has the options, the loop and the report;
 * load-conn.c the connections. One thread; everything is freed at the end of
 * the process. Anything that goes wrong ends it.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct options {
	const char *socket, *user, *password;
	bool userdb, expect_ok;
	bool tolerate; /* connect again and count what was lost, instead of ending */
	bool wait;     /* for the server to appear */
	bool hold;     /* only keep idle connections, until standard input ends */
	unsigned connections, in_flight, users, delay_us;
	uint64_t requests;
	double seconds, rate;
};

struct slot {
	int64_t sent_at;
	uint32_t id, user;
	bool busy;
};

struct conn {
	int fd;
	bool ready; /* handshake over */
	uint32_t turn;
	unsigned outstanding;
	/* one slot for each request in flight; its number is in the id, whatever order answers have
	 */
	struct slot *slots;
	unsigned *free_slots;
	char *in;
	size_t in_len;
	char *out;
	size_t out_len, out_size;
};

extern struct options opt;
/* requests sent, answered in any way, answered wrongly, lost with their connection or refused in
 * tolerate */
extern uint64_t started, finished, wrong, lost, reconnects;
extern int64_t first_answer_ns;

int64_t now_ns(void);
void die(const char *what) __attribute__((noreturn));
void note_latency(int64_t ns);

void conn_prepare(void);			 /* once, after the options are known */
struct conn *conn_open(int epoll);		 /* sends the handshake */
void conn_wait_ready(struct conn *c, int epoll); /* reads until the handshake is over */
void conn_ask(
    struct conn *c, int64_t at); /* a slot must be free; at: when it should have been sent */
void conn_receive(struct conn *c, int epoll);
void conn_transmit(struct conn *c, int epoll);

#endif
