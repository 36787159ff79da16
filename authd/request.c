/*
 * The table of requests: serials, ids, timers, life and death.
 * Runs in: front. The table owns every request; a slot's serial changes each
 * time it is used, so a stale serial finds nothing.
 */
#include "authd/request.h"

#include <arpa/inet.h>

#include "authd/ask.h"
#include "authd/exclusive.h"
#include "authd/login.h"
#include "authd/lookup.h"
#include "authd/passdb.h"
#include "authd/upgrade-status.h"
#include "authd/userdb.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"

enum { ID_BUCKETS = 16384 };

struct slot {
	uint32_t turn; /* upper half of the serial */
	struct request *request;
	uint32_t next_free;
};

struct request_table {
	struct slot *slots;
	uint32_t slot_count, slot_capacity;
	uint32_t first_free; /* index + 1; 0: none */
	size_t used;
	struct request *buckets[ID_BUCKETS];
};

struct request_table *request_table_new(void)
{
	return mem_alloc(sizeof(struct request_table));
}

void request_table_free(struct request_table *t)
{
	mem_free(&t->slots);
	mem_free(&t);
}

size_t request_table_count(const struct request_table *t)
{
	return t->used;
}

static struct request **bucket_of(const struct conn *c, uint32_t id)
{
	/* ids count up, so neighbours in time are neighbours here: few cache lines are in use */
	uint32_t h = c->connect_uid * UINT32_C(0x9e3779b1) + id + id / ID_BUCKETS;
	return &c->front->requests->buckets[h % ID_BUCKETS];
}

static uint64_t slot_take(struct request_table *t, struct request *r)
{
	uint32_t index;
	if (t->first_free != 0) {
		index = t->first_free - 1;
		t->first_free = t->slots[index].next_free;
	} else {
		if (t->slot_count == t->slot_capacity) {
			t->slot_capacity = t->slot_capacity > 0 ? t->slot_capacity * 2 : 256;
			t->slots = mem_realloc(t->slots, t->slot_capacity * sizeof(*t->slots));
		}
		index = t->slot_count++;
		t->slots[index] = (struct slot){0};
	}
	struct slot *s = &t->slots[index];
	s->request = r;
	s->turn++;
	t->used++;
	return (uint64_t)s->turn << 32 | index;
}

static void slot_give(struct request_table *t, uint64_t serial)
{
	uint32_t index = (uint32_t)serial;
	t->slots[index].request = NULL;
	t->slots[index].next_free = t->first_free;
	t->first_free = index + 1;
	t->used--;
}

void request_renew_serial(struct request *r)
{
	uint32_t index = (uint32_t)r->serial;
	uint32_t turn = ++r->conn->front->requests->slots[index].turn;
	r->serial = (uint64_t)turn << 32 | index;
}

struct request *request_by_serial(struct front *f, uint64_t serial)
{
	struct request_table *t = f->requests;
	uint32_t index = (uint32_t)serial;
	if (index >= t->slot_count || t->slots[index].turn != serial >> 32)
		return NULL;
	return t->slots[index].request;
}

struct request *request_find(struct conn *c, uint32_t id)
{
	struct request *r = *bucket_of(c, id);
	while (r != NULL && (r->conn != c || r->id != id))
		r = r->hash_next;
	return r;
}

void request_forget_id(struct request *r)
{
	if (!r->findable)
		return;
	struct request **at = bucket_of(r->conn, r->id);
	while (*at != r)
		at = &(*at)->hash_next;
	*at = r->hash_next;
	r->findable = false;
}

/* ---- states and timers ---- */

static bool is_busy(enum request_state s)
{
	return s == REQUEST_MECH || s == REQUEST_WORKER || s == REQUEST_DELAY;
}

void request_set_state(struct request *r, enum request_state s)
{
	bool was = is_busy(r->state), is = is_busy(s);
	r->state = s;
	if (was && !is) {
		r->conn->busy_count--;
		conn_busy_changed(r->conn);
	} else if (!was && is) {
		r->conn->busy_count++;
	}
}

static void deadline_passed(struct wheel_timer *t)
{
	struct request *r = CONTAINER_OF(t, struct request, deadline);
	if (r->state == REQUEST_WORKER)
		ask_give_up(r, "no answer in time");
}

static void set_deadline(struct request *r, int64_t at_ms)
{
	r->deadline_ms = r->answer_by_ms = at_ms;
	front_timer_at(r->conn->front, &r->deadline, at_ms);
}

void request_restart_deadline(struct request *r)
{
	set_deadline(r, clock_ms() + (int64_t)r->conn->client_deadline_ms);
}

void request_wait_for_reader(struct request *r)
{
	set_deadline(r, clock_ms() + REQUEST_READER_MS);
}

void request_share_time(struct request *r, bool more_to_ask)
{
	int64_t by_ms = r->deadline_ms;
	if (more_to_ask) {
		int64_t now_ms = clock_ms();
		if (by_ms > now_ms)
			by_ms = now_ms + (by_ms - now_ms) / 4 * 3;
	}
	if (by_ms == r->answer_by_ms)
		return;
	r->answer_by_ms = by_ms;
	front_timer_at(r->conn->front, &r->deadline, by_ms);
}

static void timer_fired(struct wheel_timer *t)
{
	struct request *r = CONTAINER_OF(t, struct request, timer);
	if (r->state == REQUEST_DELAY) {
		request_finish(r);
		return;
	}
	/* the client stayed silent, or no master came: forgotten without a word */
	request_free(r);
}

/* ---- life ---- */

struct request *request_new(struct conn *c, enum request_kind kind, uint32_t id)
{
	struct front *f = c->front;
	if (f->requests->used >= REQUEST_TABLE_MAX || c->request_count >= CONN_REQUESTS_MAX)
		return NULL;
	struct arena arena = {0};
	struct request *r = arena_alloc(&arena, sizeof(*r));
	r->arena = arena;
	r->kind = kind;
	r->id = id;
	r->conn = c;
	r->generation = f->current;
	r->generation->users++;
	r->scope = &r->generation->scopes[0];
	r->started_us = front_now_us(f);
	r->timer.fire = timer_fired;
	r->deadline.fire = deadline_passed;
	r->fields = fields_in(&r->arena);
	r->userdb = fields_in(&r->arena);
	r->mech_fields = fields_in(&r->arena);
	r->vars.passdb = &r->fields;
	r->vars.userdb = &r->userdb;
	r->serial = slot_take(f->requests, r);
	r->hash_next = *bucket_of(c, id);
	*bucket_of(c, id) = r;
	r->findable = true;
	TAILQ_INSERT_TAIL(&c->requests, r, conn_entry);
	c->request_count++;
	c->busy_count++; /* state MECH */
	set_deadline(r, r->started_us / 1000 + (int64_t)c->client_deadline_ms);
	return r;
}

static void close_if_idle(struct conn *c)
{
	struct request *r;
	if (!c->close_when_idle || c->closing)
		return;
	TAILQ_FOREACH(r, &c->requests, conn_entry)
	{
		if (!r->close_instead && r->state != REQUEST_CLIENT)
			return;
	}
	conn_close(c, NULL);
}

void request_close_when_idle(struct conn *c)
{
	c->close_when_idle = true;
	close_if_idle(c);
}

void request_free(struct request *r)
{
	struct conn *c = r->conn;
	struct generation *g = r->generation;
	if (r->state == REQUEST_DELAY)
		login_log_end(r); /* decided, but nobody is left to tell */
	exclusive_give(r);
	ask_forget(r);
	request_set_state(r, REQUEST_DONE);
	front_timer_stop(c->front, &r->timer);
	front_timer_stop(c->front, &r->deadline);
	request_forget_id(r);
	slot_give(c->front->requests, r->serial);
	if (c->listing == r)
		c->listing = NULL;
	TAILQ_REMOVE(&c->requests, r, conn_entry);
	c->request_count--;
	/* the request lies in its own arena */
	struct arena arena = r->arena;
	arena_free(&arena);
	generation_unref(g);
	close_if_idle(c);
}

void request_finish(struct request *r)
{
	struct conn *c = r->conn;
	login_log_end(r);
	request_set_state(r, REQUEST_DONE);
	if (r->close_instead)
		conn_close(c, NULL);
	else if (!c->closing)
		c->protocol->reply(c, r);
	bool lingers = r->kind == REQUEST_LOGIN && r->verdict == VERDICT_OK &&
		       (c->type == LISTENER_LOGIN || c->type == LISTENER_TOKEN_LOGIN) &&
		       !fields_has(&r->fields, "nologin") && !fields_has(&r->fields, "proxy");
	if (!lingers) {
		request_free(r);
		return;
	}
	front_timer_stop(c->front, &r->deadline);
	request_set_state(r, REQUEST_LINGER);
	front_timer_at(c->front, &r->timer, clock_ms() + REQUEST_CLIENT_MS);
}

void request_answered(struct request *r, const struct channel_answer *an)
{
	switch (r->asking) {
	case ASKING_PASSDB:
		passdb_answered(r, an);
		break;
	case ASKING_USERDB:
		userdb_answered(r, an);
		break;
	case ASKING_LIST:
		lookup_list_answered(r, an);
		break;
	case ASKING_CENSUS:
		upgrade_status_answered(r, an);
		break;
	case ASKING_STORE:
		passdb_stored(r, an);
		break;
	case ASKING_HELPER:
		login_helper_answered(r, an);
		break;
	case ASKING_NOTHING:
		mem_panic("an answer to a request that asked nothing");
	}
}

void request_listed(struct request *r, struct wire_reader *items)
{
	lookup_list_items(r, items);
}

void request_set_scope(struct request *r)
{
	r->scope = generation_scope(r->generation, r->vars.v[VAR_SERVICE]);
}

void request_params_done(struct request *r)
{
	/* a proxy tells the direct peer's addresses only where they differ */
	static const struct {
		enum var real, other;
	} reals[] = {
	    {VAR_REAL_LIP, VAR_LIP},
	    {VAR_REAL_RIP, VAR_RIP},
	    {VAR_REAL_LPORT, VAR_LPORT},
	    {VAR_REAL_RPORT, VAR_RPORT},
	};
	struct span *v = r->vars.v;
	for (size_t i = 0; i < ARRAY_LEN(reals); i++) {
		if (v[reals[i].real].ptr == NULL)
			v[reals[i].real] = v[reals[i].other];
	}
	request_set_scope(r);
}

/* ---- parameters ---- */

enum { FORWARD_FIELDS_MAX = 64 };
enum param_kind {
	PARAM_TEXT,
	PARAM_IP,
	PARAM_PORT,
	PARAM_FLAG,
	PARAM_SECURED,
	PARAM_SPAN,
	PARAM_FORWARD,
};

#define SPAN(s)                                                                                    \
	{                                                                                          \
		s, sizeof(s) - 1                                                                   \
	}

static const struct param {
	struct span name;
	enum param_kind kind;
	size_t offset; /* IP, PORT, TEXT: an enum var */
} params[] = {
    {SPAN("service"), PARAM_TEXT, VAR_SERVICE},
    {SPAN("protocol"), PARAM_TEXT, VAR_SERVICE},
    {SPAN("lip"), PARAM_IP, VAR_LIP},
    {SPAN("rip"), PARAM_IP, VAR_RIP},
    {SPAN("lport"), PARAM_PORT, VAR_LPORT},
    {SPAN("rport"), PARAM_PORT, VAR_RPORT},
    {SPAN("real_lip"), PARAM_IP, VAR_REAL_LIP},
    {SPAN("real_rip"), PARAM_IP, VAR_REAL_RIP},
    {SPAN("real_lport"), PARAM_PORT, VAR_REAL_LPORT},
    {SPAN("real_rport"), PARAM_PORT, VAR_REAL_RPORT},
    {SPAN("session"), PARAM_TEXT, VAR_SESSION},
    {SPAN("local_name"), PARAM_TEXT, VAR_LOCAL_NAME},
    {SPAN("client_id"), PARAM_TEXT, VAR_CLIENT_ID},
    {SPAN("ssl_client_cert_fp"), PARAM_TEXT, VAR_CERT_FP},
    {SPAN("ssl_client_cert_pubkey_fp"), PARAM_TEXT, VAR_CERT_PUBKEY_FP},
    {SPAN("ssl_ja3_hash"), PARAM_TEXT, VAR_JA3_HASH},
    {SPAN("secured"), PARAM_SECURED, offsetof(struct request, secured)},
    {SPAN("valid-client-cert"), PARAM_FLAG, offsetof(struct request, valid_cert)},
    {SPAN("no-penalty"), PARAM_FLAG, offsetof(struct request, no_penalty)},
    {SPAN("nologin"), PARAM_FLAG, offsetof(struct request, nologin)},
    {SPAN("final-resp-ok"), PARAM_FLAG, offsetof(struct request, final_resp_ok)},
    {SPAN("debug"), PARAM_FLAG, offsetof(struct request, debug)},
    {SPAN("cert_username"), PARAM_SPAN, offsetof(struct request, cert_username)},
    {SPAN("forward_fields"), PARAM_FORWARD, 0},
};

static bool is_ip(struct span s)
{
	/* most clients say the same few again and again */
	static char last[INET6_ADDRSTRLEN + 1];
	static size_t last_len;
	char text[INET6_ADDRSTRLEN + 1];
	unsigned char bytes[16];
	if (last_len > 0 && s.len == last_len && memcmp(s.ptr, last, last_len) == 0)
		return true;
	if (!span_to_cstr(s, text, sizeof(text)) ||
	    (inet_pton(AF_INET, text, bytes) != 1 && inet_pton(AF_INET6, text, bytes) != 1))
		return false;
	memcpy(last, text, sizeof(last));
	last_len = s.len;
	return true;
}

static bool is_port(struct span s)
{
	uint32_t port;
	return span_to_u32(s, &port) && port <= UINT16_MAX;
}

/*
 * What a proxy in front of ours hands on: a list of "key=value", escaped once
 * more. They become extra fields, all of them named forward_*: what comes from
 * outside must not pass for a passdb's word.
 */
static void take_forward_fields(struct request *r, struct span list)
{
	struct span one, key;
	for (int n = 0; n < FORWARD_FIELDS_MAX && span_split(&list, '\t', &one); n++) {
		struct span value = tab_unescape(&r->arena, one);
		if (!span_split(&value, '=', &key) || key.len == 0)
			continue;
		if (!span_starts(key, "forward_"))
			key = arena_join(&r->arena, SPAN_LIT("forward_"), key);
		fields_set(&r->fields, key, value);
	}
}

void request_param(struct request *r, struct span key, struct span value)
{
	const struct param *p = NULL;
	for (size_t i = 0; i < ARRAY_LEN(params) && p == NULL; i++) {
		if (span_eq(key, params[i].name))
			p = &params[i];
	}
	if (p == NULL)
		return; /* unknown ones are to be ignored */
	char *at = (char *)r + p->offset;
	switch (p->kind) {
	case PARAM_IP:
		if (is_ip(value))
			r->vars.v[p->offset] = value;
		break;
	case PARAM_PORT:
		if (is_port(value))
			r->vars.v[p->offset] = value;
		break;
	case PARAM_TEXT:
		r->vars.v[p->offset] = value;
		break;
	case PARAM_SECURED:
		r->vars.v[VAR_SECURED] =
		    span_eq_str(value, "tls") ? SPAN_LIT("TLS") : SPAN_LIT("secured");
		*(bool *)at = true;
		break;
	case PARAM_FLAG:
		*(bool *)at = true;
		break;
	case PARAM_SPAN:
		*(struct span *)(void *)at = value;
		break;
	case PARAM_FORWARD:
		take_forward_fields(r, value);
		break;
	}
}
