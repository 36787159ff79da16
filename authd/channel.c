/*
 * Messages between front and worker. Pure encoding; every decoder is fuzzed.
 */
#include "authd/channel.h"

/* Most kinds are never seen in one place. */
static void put_tally(struct buffer *b, const struct channel_tally *t)
{
	uint8_t seen = 0;
	for (size_t i = 0; i < SCHEME_KINDS; i++)
		seen = (uint8_t)(seen + (t->logins[i] > 0));
	wire_put_u64(b, t->upgraded);
	wire_put_u64(b, t->failed);
	wire_put_u64(b, t->outrun);
	wire_put_u8(b, seen);
	for (size_t i = 0; i < SCHEME_KINDS; i++) {
		if (t->logins[i] == 0)
			continue;
		wire_put_u8(b, (uint8_t)i);
		wire_put_u64(b, t->logins[i]);
	}
}

static void get_tally(struct wire_reader *r, struct channel_tally *t)
{
	*t = (struct channel_tally){.upgraded = wire_get_u64(r)};
	t->failed = wire_get_u64(r);
	t->outrun = wire_get_u64(r);
	for (uint8_t seen = wire_get_u8(r); seen > 0 && !r->failed; seen--) {
		uint8_t kind = wire_get_u8(r);
		uint64_t count = wire_get_u64(r);
		if (kind < SCHEME_KINDS)
			t->logins[kind] = count;
		else
			r->failed = true;
	}
}

void channel_put_hello(struct buffer *b, const struct channel_hello *h)
{
	size_t place = wire_frame_begin(b, CHANNEL_HELLO);
	wire_put_u32(b, h->pid);
	wire_put_u32(b, h->slots);
	wire_put_u32(b, h->can);
	wire_put_u64(b, h->needs);
	wire_put_u64(b, h->epoch);
	put_tally(b, &h->tally);
	wire_frame_end(b, place);
}

bool channel_get_hello(struct span payload, struct channel_hello *h)
{
	struct wire_reader r = wire_reader_of(payload);
	h->pid = wire_get_u32(&r);
	h->slots = wire_get_u32(&r);
	h->can = wire_get_u32(&r);
	h->needs = wire_get_u64(&r);
	h->epoch = wire_get_u64(&r);
	get_tally(&r, &h->tally);
	return wire_done(&r);
}

static void put_vars(struct buffer *b, const struct vars *vars, uint64_t needs)
{
	uint64_t sent = 0, rest;
	for (rest = needs & (VAR_BIT(VAR_COUNT) - 1); rest != 0; rest &= rest - 1) {
		int i = __builtin_ctzll(rest);
		if (vars->v[i].ptr != NULL)
			sent |= VAR_BIT(i);
	}
	wire_put_u64(b, sent);
	for (rest = sent; rest != 0; rest &= rest - 1)
		wire_put_span(b, vars->v[__builtin_ctzll(rest)]);
}

static void get_vars(struct wire_reader *r, struct arena *a, struct vars *vars)
{
	uint64_t sent = wire_get_u64(r);
	if (sent >= VAR_BIT(VAR_COUNT))
		r->failed = true;
	for (; sent != 0 && !r->failed; sent &= sent - 1)
		vars->v[__builtin_ctzll(sent)] = arena_dup(a, wire_get_span(r));
}

void channel_put_inputs(struct buffer *b, const struct channel_question *q, uint64_t needs)
{
	static const struct fields none;
	wire_put_u8(b, (uint8_t)q->ask);
	wire_put_u32(b, q->flags);
	wire_put_span(b, q->scheme);
	wire_put_span(b, q->salt);
	put_vars(b, &q->vars, needs | VAR_BIT(VAR_USER));
	wire_put_fields(b, (needs & VAR_BIT(VAR_PASSDB)) != 0 ? &q->passdb_fields : &none);
	wire_put_fields(b, (needs & VAR_BIT(VAR_USERDB)) != 0 ? &q->userdb_fields : &none);
}

void channel_put_ask(struct buffer *b, const struct channel_question *q, uint64_t needs)
{
	size_t place = wire_frame_begin(b, CHANNEL_ASK);
	wire_put_u64(b, q->serial);
	wire_put_u64(b, (uint64_t)q->deadline_ms);
	wire_put_span(b, secret_reveal(q->password));
	channel_put_inputs(b, q, needs);
	if (q->ask == CHANNEL_STORE)
		wire_put_span(b, secret_reveal(q->replacement));
	if (q->ask == CHANNEL_EXCHANGE)
		wire_put_span(b, q->handle);
	wire_frame_end(b, place);
}

bool channel_get_ask(struct span payload, struct arena *a, struct channel_question *q)
{
	struct wire_reader r = wire_reader_of(payload);
	*q = (struct channel_question){.serial = wire_get_u64(&r)};
	q->deadline_ms = (int64_t)wire_get_u64(&r);
	q->password = secret_of(arena_dup(a, wire_get_span(&r)));
	q->ask = (enum channel_ask)wire_get_u8(&r);
	q->flags = wire_get_u32(&r);
	q->scheme = arena_dup(a, wire_get_span(&r));
	q->salt = arena_dup(a, wire_get_span(&r));
	get_vars(&r, a, &q->vars);
	q->vars.password = q->password;
	q->passdb_fields = fields_in(a);
	wire_get_fields(&r, &q->passdb_fields);
	q->userdb_fields = fields_in(a);
	wire_get_fields(&r, &q->userdb_fields);
	if (q->ask == CHANNEL_STORE)
		q->replacement = secret_of(arena_dup(a, wire_get_span(&r)));
	if (q->ask == CHANNEL_EXCHANGE)
		q->handle = arena_dup(a, wire_get_span(&r));
	return wire_done(&r) && q->ask >= CHANNEL_VERIFY && q->ask <= CHANNEL_EXCHANGE;
}

void channel_put_answer(struct buffer *b, const struct channel_answer *an)
{
	size_t place = wire_frame_begin(b, CHANNEL_ANSWER);
	wire_put_u64(b, an->serial);
	wire_put_u8(b, (uint8_t)an->verdict);
	wire_put_u8(b, (uint8_t)an->backend);
	wire_put_u8(b, an->has_password);
	wire_put_span(b, an->detail);
	wire_put_span(b, secret_reveal(an->credential));
	wire_put_fields(b, &an->fields);
	wire_put_u64(b, (uint64_t)an->keep_ms);
	wire_put_fields(b, &an->tell);
	wire_frame_end(b, place);
}

static bool get_answer_head(struct wire_reader *r, struct channel_answer *an)
{
	*an = (struct channel_answer){.serial = wire_get_u64(r)};
	an->verdict = (enum verdict)wire_get_u8(r);
	an->backend = (enum backend_state)wire_get_u8(r);
	return !r->failed && an->verdict < VERDICT_COUNT && an->backend < BACKEND_STATE_COUNT;
}

bool channel_peek_answer(struct span payload, struct channel_answer *an)
{
	struct wire_reader r = wire_reader_of(payload);
	return get_answer_head(&r, an);
}

bool channel_get_answer(struct span payload, struct arena *a, struct channel_answer *an)
{
	/* one copy of all of it; what is inside is used where it stands */
	struct wire_reader r = wire_reader_of(arena_dup(a, payload));
	if (!get_answer_head(&r, an))
		return false;
	an->has_password = wire_get_u8(&r) != 0;
	an->detail = wire_get_span(&r);
	an->credential = secret_of(wire_get_span(&r));
	an->fields = fields_in(a);
	wire_get_fields_kept(&r, &an->fields);
	an->keep_ms = (int64_t)wire_get_u64(&r);
	an->tell = fields_in(a);
	wire_get_fields_kept(&r, &an->tell);
	return wire_done(&r);
}

void channel_put_cancel(struct buffer *b, uint64_t serial)
{
	size_t place = wire_frame_begin(b, CHANNEL_CANCEL);
	wire_put_u64(b, serial);
	wire_frame_end(b, place);
}

bool channel_get_cancel(struct span payload, uint64_t *serial)
{
	struct wire_reader r = wire_reader_of(payload);
	*serial = wire_get_u64(&r);
	return wire_done(&r);
}

void channel_put_more(struct buffer *b, uint64_t serial, uint32_t count)
{
	size_t place = wire_frame_begin(b, CHANNEL_MORE);
	wire_put_u64(b, serial);
	wire_put_u32(b, count);
	wire_frame_end(b, place);
}

bool channel_get_more(struct span payload, uint64_t *serial, uint32_t *count)
{
	struct wire_reader r = wire_reader_of(payload);
	*serial = wire_get_u64(&r);
	*count = wire_get_u32(&r);
	return wire_done(&r);
}

size_t channel_items_begin(struct buffer *b, uint64_t serial)
{
	size_t place = wire_frame_begin(b, CHANNEL_ITEMS);
	wire_put_u64(b, serial);
	return place;
}

void channel_items_add(struct buffer *b, struct span user)
{
	wire_put_span(b, user);
}

void channel_items_end(struct buffer *b, size_t place)
{
	wire_frame_end(b, place);
}

bool channel_get_items(struct span payload, uint64_t *serial, struct wire_reader *r)
{
	*r = wire_reader_of(payload);
	*serial = wire_get_u64(r);
	return !r->failed;
}
