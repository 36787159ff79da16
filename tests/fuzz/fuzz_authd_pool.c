/*
 * A front between clients and workers that the input plays both: a script of
 * steps, each an opcode, a length and bytes. Questions on the channels must
 * decode; when everybody has hung up, nothing may be left that waits.
 */
#define KIT_MORE_MECHANISMS "otp gssapi cram-md5 ntlm oauthbearer"
#include "base/encode.h"
#include "tests/fuzz/front-kit.h"

enum { POOLS_MAX = 8, SERIALS = 16, CLIENT = 0, LOGIN, MASTER, CONNS, STEPS_MAX = 400 };

struct worker {
	int fd;
	struct buffer in;
	uint64_t serials[SERIALS]; /* asked, newest last; cancelled ones too: late answers */
	struct secret credentials[SERIALS];
	size_t serial_count;
};

struct play {
	struct kit kit;
	struct worker workers[POOLS_MAX];
	size_t worker_count;
	int conns[CONNS];
	char cookie[64];
	uint32_t next_id, login_pid;
	bool clients_deaf, workers_deaf; /* they do not read what they are sent */
	struct arena arena;
};

static const enum listener_type conn_types[CONNS] = {
    LISTENER_AUTH, LISTENER_LOGIN, LISTENER_MASTER};

/* ---- workers ---- */

static void hello(struct worker *w, uint32_t slots)
{
	struct buffer b = {0};
	const struct channel_hello h = {.pid = 1, .slots = slots, .can = 7, .needs = UINT64_MAX};
	channel_put_hello(&b, &h);
	kit_send(w->fd, buffer_span(&b));
	buffer_free(&b);
}

static void worker_start(struct play *p, size_t i)
{
	struct worker *w = &p->workers[i];
	w->fd = kit_worker(&p->kit, i);
	w->serial_count = 0;
	hello(w, 3);
}

static void worker_stop(struct worker *w)
{
	close(w->fd);
	buffer_free(&w->in);
}

/* What a mechanism can go on with. OTP: the next one is 0000000000000000. */
static struct secret credential_of(const struct channel_question *q)
{
	if (span_eq_str(q->scheme, "OTP"))
		return secret_of(SPAN_LIT("md5 499 seed e8807f799c787a74"));
	if (span_eq_str(q->scheme, "CRAM-MD5"))
		return secret_of(SPAN_LIT("0123456789abcdef0123456789abcdef"));
	return secret_of(SPAN_LIT("pw"));
}

static void asked(struct worker *w, const struct channel_question *q)
{
	if (w->serial_count == SERIALS) {
		memmove(w->serials, w->serials + 1, (SERIALS - 1) * sizeof(*w->serials));
		memmove(
		    w->credentials, w->credentials + 1, (SERIALS - 1) * sizeof(*w->credentials));
		w->serial_count--;
	}
	w->credentials[w->serial_count] = credential_of(q);
	w->serials[w->serial_count++] = q->serial;
}

static void worker_read(struct play *p, struct worker *w)
{
	uint8_t type;
	struct span payload;
	uint64_t serial;
	uint32_t count;
	kit_drain(w->fd, &w->in);
	struct span in = buffer_span(&w->in);
	while (wire_frame_next(&in, &type, &payload) == 1) {
		struct channel_question q;
		bool good = false;
		if (type == CHANNEL_ASK && (good = channel_get_ask(payload, &p->arena, &q)))
			asked(w, &q);
		else if (type == CHANNEL_CANCEL)
			good = channel_get_cancel(payload, &serial);
		else if (type == CHANNEL_MORE)
			good = channel_get_more(payload, &serial, &count);
		if (!good)
			kit_die("the front sends what does not decode");
	}
	buffer_consume(&w->in, w->in.len - in.len);
}

static uint8_t take(struct span *in)
{
	uint8_t b = in->len > 0 ? (uint8_t)in->ptr[0] : 0;
	*in = span_skip(*in, 1);
	return b;
}

/* data: verdict and flags, which of the questions, then fields separated by TAB */
static void answer(struct play *p, struct worker *w, struct span data)
{
	struct buffer b = {0};
	uint8_t how = take(&data), which = take(&data);
	struct span field, key;
	if (w->serial_count == 0)
		return;
	struct channel_answer an = {
	    .serial = w->serials[which % w->serial_count],
	    .backend = (enum backend_state)((which >> 4) % BACKEND_STATE_COUNT),
	    .verdict = (enum verdict)((how & 0x1f) % VERDICT_COUNT),
	    .has_password = (how & 0x80) != 0,
	    .credential = (how & 0x40) != 0 ? w->credentials[which % w->serial_count] : SECRET_NULL,
	    .detail = (how & 0x20) != 0 ? SPAN_LIT("because") : SPAN_NULL,
	    .fields = fields_in(&p->arena),
	};
	while (span_split(&data, '\t', &field)) {
		struct span value = field;
		if (span_split(&value, '=', &key) && key.len > 0)
			fields_set(&an.fields, key, value);
	}
	an.tell = an.fields;
	channel_put_answer(&b, &an);
	kit_send(w->fd, buffer_span(&b));
	buffer_free(&b);
}

static void items(struct worker *w, struct span data)
{
	struct buffer b = {0};
	struct span name;
	if (w->serial_count == 0)
		return;
	size_t place = channel_items_begin(&b, w->serials[take(&data) % w->serial_count]);
	while (span_split(&data, '\t', &name))
		channel_items_add(&b, name);
	channel_items_end(&b, place);
	kit_send(w->fd, buffer_span(&b));
	buffer_free(&b);
}

static void any_frame(struct worker *w, struct span data)
{
	struct buffer b = {0};
	size_t place = wire_frame_begin(&b, take(&data) % 8);
	buffer_append(&b, data);
	wire_frame_end(&b, place);
	kit_send(w->fd, buffer_span(&b));
	buffer_free(&b);
}

/* ---- clients ---- */

static void say(int fd, struct buffer *b)
{
	kit_send(fd, buffer_span(b));
	buffer_free(b);
}

static void connect_as(struct play *p, int which)
{
	struct buffer b = {0};
	int fd = p->conns[which] = kit_connect(&p->kit, conn_types[which]);
	front_turn(p->kit.front, false);
	kit_drain(fd, &b);
	buffer_append_char(&b, '\0');
	const char *cookie = strstr(b.data, "COOKIE\t");
	if (which == LOGIN && cookie != NULL)
		snprintf(p->cookie, sizeof(p->cookie), "%.32s", cookie + 7);
	buffer_free(&b);
	if (which == LOGIN)
		p->login_pid++;
	if (which == MASTER)
		buffer_append_str(&b, "VERSION\t1\t1\n");
	else
		buffer_printf(&b, "VERSION\t1\t4\nCPID\t%u\n", p->login_pid + 1);
	say(fd, &b);
}

static void auth(struct play *p, int which, struct span sasl)
{
	static const char *const mechanisms[] = {
	    "PLAIN", "LOGIN", "OTP", "GSSAPI", "CRAM-MD5", "OAUTHBEARER", "SCRAM-SHA-256", "NTLM"};
	struct buffer b = {0};
	const char *mech = mechanisms[take(&sasl) % ARRAY_LEN(mechanisms)];
	buffer_printf(&b, "AUTH\t%u\t%s\tservice=%s\trip=192.0.2.1\t%s\tresp=", ++p->next_id, mech,
	    which == CLIENT ? "smtp" : "imap", which == CLIENT ? "nologin" : "final-resp-ok");
	base64_encode(&b, sasl);
	buffer_append_char(&b, '\n');
	say(p->conns[which], &b);
}

static void lookup(struct play *p, struct span data)
{
	static const char *const commands[] = {"USER", "PASS", "LIST"};
	struct buffer b = {0};
	size_t which = take(&data) % ARRAY_LEN(commands);
	buffer_printf(&b, "%s\t%u", commands[which], ++p->next_id);
	if (which != 2) {
		buffer_append_char(&b, '\t');
		tab_escape(&b, data);
	}
	buffer_append_str(&b, "\tservice=imap\n");
	say(p->conns[MASTER], &b);
}

static void request(struct play *p, struct span data)
{
	struct buffer b = {0};
	buffer_printf(&b, "REQUEST\t%u\t%u\t%u\t%s\tsession_pid=%u\trequest_auth_token\n",
	    ++p->next_id, p->login_pid + 1, p->next_id - 1 - take(&data) % 8, p->cookie,
	    (unsigned)getpid());
	say(p->conns[MASTER], &b);
}

static void odd_client(struct play *p, int conn, uint8_t how)
{
	switch (how % 4) {
	case 0:
		shutdown(p->conns[conn], SHUT_RD); /* the front's next write fails */
		break;
	case 1:
		p->clients_deaf = !p->clients_deaf;
		break;
	case 2:
		p->workers_deaf = !p->workers_deaf;
		break;
	default: /* many at once */
		for (int i = 0; i < 100; i++)
			auth(p, conn == MASTER ? CLIENT : conn, SPAN_LIT("\0\0tim\0pw"));
	}
}

/* The answer to a challenge of one of the last logins, in base64 where that is needed. */
static void go_on(struct play *p, int which, struct span data)
{
	struct buffer b = {0};
	buffer_printf(&b, "CONT\t%u\t", p->next_id - take(&data) % 8);
	base64_encode(&b, data);
	buffer_append_char(&b, '\n');
	say(p->conns[which], &b);
}

/* ---- the script ---- */

static void one_step(struct play *p, uint8_t op, struct span data)
{
	size_t pool = (size_t)(op >> 4) % p->worker_count;
	int conn = (op >> 4) % CONNS;
	struct worker *w = &p->workers[pool];
	switch (op & 15) {
	case 0:
		kit_send(p->conns[conn], data);
		break;
	case 1:
	case 2:
		auth(p, op & 1 ? CLIENT : LOGIN, data);
		break;
	case 3:
		lookup(p, data);
		break;
	case 4:
		request(p, data);
		break;
	case 5:
		kit_send(w->fd, data);
		break;
	case 6:
		any_frame(w, data);
		break;
	case 7:
	case 8:
		answer(p, w, data);
		break;
	case 9:
		go_on(p, conn == MASTER ? CLIENT : conn, data);
		break;
	case 10:
		items(w, data);
		break;
	case 11:
		hello(w, take(&data));
		break;
	case 12:
		worker_stop(w);
		worker_start(p, pool);
		break;
	case 13:
		kit_time_passes(&p->kit);
		break;
	case 14:
		close(p->conns[conn]);
		connect_as(p, conn);
		break;
	default:
		odd_client(p, conn, take(&data));
	}
}

static void listen_to_all(struct play *p)
{
	struct buffer b = {0};
	for (size_t i = 0; i < p->worker_count && !p->workers_deaf; i++)
		worker_read(p, &p->workers[i]);
	for (int i = 0; i < CONNS && !p->clients_deaf; i++)
		kit_drain(p->conns[i], &b);
	buffer_free(&b);
	arena_reset(&p->arena);
}

static void begin(struct play *p)
{
	kit_begin(&p->kit);
	p->worker_count = p->kit.generation->pool_count;
	if (p->worker_count == 0 || p->worker_count > POOLS_MAX)
		kit_die("not that many pools");
	for (size_t i = 0; i < p->worker_count; i++)
		worker_start(p, i);
	for (int i = 0; i < CONNS; i++)
		connect_as(p, i);
	front_turn(p->kit.front, false);
}

static void finish(struct play *p)
{
	for (int i = 0; i < CONNS; i++)
		close(p->conns[i]);
	kit_turns(&p->kit);
	kit_time_passes(&p->kit);
	kit_turns(&p->kit);
	/* one that reading is stopped on has not noticed yet that its client is gone */
	bool noticed = TAILQ_EMPTY(&p->kit.front->conns);
	if (noticed &&
	    (request_table_count(p->kit.front->requests) != 0 || p->kit.generation->users != 0))
		kit_die("a request outlived its connection");
	for (size_t i = 0; i < p->worker_count; i++) {
		if (noticed && p->kit.generation->pools[i].waiting_count != 0)
			kit_die("a question outlived its request");
		worker_stop(&p->workers[i]);
	}
	kit_end(&p->kit);
	arena_free(&p->arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct play p = {.worker_count = 0};
	struct span in = span_make(data, size);
	begin(&p);
	for (int i = 0; in.len > 0 && i < STEPS_MAX; i++) {
		uint8_t op = take(&in), len = take(&in);
		one_step(&p, op, span_first(in, len));
		in = span_skip(in, len);
		front_turn(p.kit.front, false);
		listen_to_all(&p);
	}
	finish(&p);
	return 0;
}
