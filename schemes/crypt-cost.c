/*
 * What verifying a crypt(3) string will take, read from its parameters alone.
 * Values come from databases and may be absurd: all arithmetic saturates.
 * Times are guesses for an ordinary core; memory is exact enough for a budget.
 */
#include "schemes/families.h"

enum {
	SHA_ROUNDS = 5000,
	SHA_ROUNDS_MAX = 999999999,
	BSDI_DIGITS = 4,
	SCRYPT_DIGITS = 5,
};

/* A reader of the ./0-9A-Za-z digits; failed stays set. */
struct digits {
	struct span rest;
	bool failed;
};

static unsigned digit_next(struct digits *d)
{
	static const char alphabet[] =
	    "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	const char *at =
	    d->rest.len > 0 ? memchr(alphabet, d->rest.ptr[0], sizeof(alphabet) - 1) : NULL;
	if (at == NULL) {
		d->failed = true;
		return 0;
	}
	d->rest = span_skip(d->rest, 1);
	return (unsigned)(at - alphabet);
}

/* count digits, least significant first */
static uint64_t digits_fixed(struct digits *d, unsigned count)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < count; i++)
		value |= (uint64_t)digit_next(d) << (6 * i);
	return value;
}

/*
 * yescrypt's numbers of varying length: the first digit tells how many follow
 * (0-47: none, 48-55: one, 56-59: two, ...), each range going on where the
 * shorter one ended; most significant digit first.
 */
static uint64_t digits_varying(struct digits *d, uint64_t least)
{
	unsigned first = digit_next(d), start = 0, end = 47, more = 0;
	uint64_t value = least;
	while (first > end) {
		value += (uint64_t)(end + 1 - start) << (6 * more);
		start = end + 1;
		end = start + (62 - end) / 2;
		more++;
	}
	value += (uint64_t)(first - start) << (6 * more);
	while (more > 0 && !d->failed)
		value += (uint64_t)digit_next(d) << (6 * --more);
	return value;
}

static struct scheme_cost expensive(uint64_t usec, uint64_t memory)
{
	return (struct scheme_cost){.expensive = true, .memory = memory, .usec = usec};
}

/* N blocks of 128 r bytes, gone through p times and more; a guess of 1/4 us a block of 128 */
static struct scheme_cost blocks_cost(uint64_t log_n, uint64_t r, uint64_t p, uint64_t passes)
{
	uint64_t n = log_n < 64 ? (uint64_t)1 << log_n : UINT64_MAX;
	uint64_t area = scheme_mul(n, r);
	uint64_t memory = scheme_mul(128, scheme_add(area, scheme_mul(r, p)));
	return expensive(scheme_mul(scheme_mul(area, p), passes) / 4, memory);
}

/* $7$ N r p salt: one digit, then two numbers of five */
static struct scheme_cost scrypt_cost(struct span params)
{
	struct digits d = {.rest = params};
	uint64_t log_n = digit_next(&d);
	uint64_t r = digits_fixed(&d, SCRYPT_DIGITS), p = digits_fixed(&d, SCRYPT_DIGITS);
	return d.failed ? (struct scheme_cost){0} : blocks_cost(log_n, r, p, 1);
}

/* $y$ flavour, N, r, and if anything is left: which of p, t, g, ROM follow */
static struct scheme_cost yescrypt_cost(struct span params)
{
	struct digits d = {.rest = params};
	uint64_t p = 1, passes = 1;
	digits_varying(&d, 0);
	uint64_t log_n = digits_varying(&d, 1), r = digits_varying(&d, 1);
	if (!d.failed && !span_starts(d.rest, "$")) {
		uint64_t have = digits_varying(&d, 1);
		if (have & 1)
			p = digits_varying(&d, 2);
		if (have & 2)
			passes = scheme_add(digits_varying(&d, 1), 1);
	}
	return d.failed ? (struct scheme_cost){0} : blocks_cost(log_n, r, p, passes);
}

/* The number before end, or before everything; the library's strtoul() makes much of junk. */
static uint64_t number_until(struct span s, char end)
{
	uint64_t value;
	ssize_t at = span_find(s, end);
	struct span text = at < 0 ? s : span_first(s, (size_t)at);
	return span_to_u64(text, &value) ? value : UINT64_MAX;
}

static struct scheme_cost bcrypt_cost(struct span raw)
{
	/* $2y$NN$; from 4 to 31, others are refused at once */
	uint64_t log = number_until(span_skip(raw, 4), '$');
	if (log < 4 || log > 31)
		return (struct scheme_cost){0};
	return expensive(scheme_mul((uint64_t)1 << log, 60), 0);
}

static struct scheme_cost sha_cost(struct span params)
{
	uint64_t rounds = SHA_ROUNDS;
	if (span_starts(params, "rounds="))
		rounds = number_until(span_skip(params, 7), '$');
	return expensive(rounds < SHA_ROUNDS_MAX ? rounds : SHA_ROUNDS_MAX, 0);
}

/* _CCCCSSSS: a count in four digits */
static struct scheme_cost bsdi_cost(struct span params)
{
	struct digits d = {.rest = params};
	uint64_t count = digits_fixed(&d, BSDI_DIGITS);
	return d.failed ? (struct scheme_cost){0} : expensive(count / 4, 0);
}

static struct scheme_cost sunmd5_cost(struct span params)
{
	/* $md5$ or $md5,rounds=N$, on top of 4096 */
	uint64_t rounds = 0;
	if (span_starts(params, ",rounds="))
		rounds = number_until(span_skip(params, 8), '$');
	return expensive(scheme_mul(scheme_add(rounds, 4096), 2), 0);
}

struct scheme_cost scheme_crypt_cost(struct span raw)
{
	if (span_starts(raw, "$2"))
		return bcrypt_cost(raw);
	if (span_starts(raw, "$5$") || span_starts(raw, "$6$"))
		return sha_cost(span_skip(raw, 3));
	if (span_starts(raw, "$y$"))
		return yescrypt_cost(span_skip(raw, 3));
	if (span_starts(raw, "$gy$"))
		return yescrypt_cost(span_skip(raw, 4));
	if (span_starts(raw, "$7$"))
		return scrypt_cost(span_skip(raw, 3));
	if (span_starts(raw, "$1$"))
		return expensive(300, 0);
	if (span_starts(raw, "$sha1$"))
		return expensive(number_until(span_skip(raw, 6), '$'), 0);
	if (span_starts(raw, "$md5"))
		return sunmd5_cost(span_skip(raw, 4));
	if (span_starts(raw, "_"))
		return bsdi_cost(span_skip(raw, 1));
	return (struct scheme_cost){0};
}
