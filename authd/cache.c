/*
 * The cache: a hash table with a list in order of use. Runs in: front.
 * Fatal: out of memory.
 */
#include "authd/cache.h"

#include <sys/queue.h>

#include <sodium.h>

#include "base/mem.h"

enum { DIGEST_SIZE = 32, BUCKETS_MIN = 256, ENTRY_TYPICAL = 256 };

struct entry {
	TAILQ_ENTRY(entry) use; /* most recently used first */
	struct entry *next;	/* in its bucket */
	struct cache_key key;
	int64_t made_ms;
	enum verdict verdict;
	bool has_password; /* a password was compared: the digest is of the right one */
	unsigned char digest[DIGEST_SIZE];
	uint32_t user_len, fields_len;
	char bytes[]; /* user, then the fields as the channel writes them */
};

struct cache {
	struct cache_limits limits;
	unsigned char secret[crypto_generichash_KEYBYTES];
	unsigned char key_secret[crypto_shorthash_siphashx24_KEYBYTES];
	struct entry **buckets;
	size_t bucket_count; /* a power of two */
	TAILQ_HEAD(entries, entry) entries;
	uint64_t used;
	struct cache_stats stats;
};

struct cache *cache_new(const struct cache_limits *limits)
{
	struct cache *c = mem_alloc(sizeof(*c));
	c->limits = *limits;
	randombytes_buf(c->secret, sizeof(c->secret));
	randombytes_buf(c->key_secret, sizeof(c->key_secret));
	c->bucket_count = BUCKETS_MIN;
	while (c->bucket_count < limits->size / ENTRY_TYPICAL && c->bucket_count < 1U << 22)
		c->bucket_count *= 2;
	c->buckets = mem_alloc(c->bucket_count * sizeof(struct entry *));
	TAILQ_INIT(&c->entries);
	return c;
}

static size_t entry_size(const struct entry *e)
{
	return sizeof(*e) + e->user_len + e->fields_len;
}

static bool is_negative(const struct entry *e)
{
	return e->verdict != VERDICT_OK;
}

static void count(struct cache *c, const struct entry *e, int sign)
{
	uint64_t size = entry_size(e) * (uint64_t)(int64_t)sign, one = (uint64_t)(int64_t)sign;
	c->used += size;
	if (is_negative(e)) {
		c->stats.negative += one;
		c->stats.negative_size += size;
	} else {
		c->stats.positive += one;
		c->stats.positive_size += size;
	}
}

static struct entry **place_of(const struct cache *c, const struct cache_key *key)
{
	uint64_t h;
	memcpy(&h, key->bytes, sizeof(h));
	return &c->buckets[h & (c->bucket_count - 1)];
}

static struct entry **find(const struct cache *c, const struct cache_key *key)
{
	struct entry **at = place_of(c, key);
	while (*at != NULL && memcmp(&(*at)->key, key, sizeof(*key)) != 0)
		at = &(*at)->next;
	return at;
}

static void drop(struct cache *c, struct entry **at)
{
	struct entry *e = *at;
	*at = e->next;
	TAILQ_REMOVE(&c->entries, e, use);
	count(c, e, -1);
	mem_wipe(e, entry_size(e));
	mem_free(&e);
}

void cache_free(struct cache **cache)
{
	struct cache *c = *cache;
	struct entry *e;
	if (c == NULL)
		return;
	while ((e = TAILQ_FIRST(&c->entries)) != NULL)
		drop(c, find(c, &e->key));
	mem_free(&c->buckets);
	mem_wipe(c, sizeof(*c));
	mem_free(cache);
}

/* ---- keys and digests ---- */

struct cache_key cache_key_of(const struct cache *c, uint32_t pool, uint64_t epoch,
    const struct channel_question *q, uint64_t needs)
{
	static struct buffer inputs; /* used again and again */
	struct cache_key key;
	inputs.start = inputs.len = 0;
	wire_put_u32(&inputs, pool);
	wire_put_u64(&inputs, epoch);
	channel_put_inputs(&inputs, q, needs);
	/* keyed, so that nobody can make two questions meet */
	crypto_shorthash_siphashx24(
	    key.bytes, (unsigned char *)inputs.data, inputs.len, c->key_secret);
	return key;
}

/* Of the password for this very entry: equal passwords of two users do not look equal. */
static void make_digest(const struct cache *c, const struct cache_key *key, struct secret password,
    unsigned char digest[DIGEST_SIZE])
{
	crypto_generichash_state state;
	struct span p = secret_reveal(password);
	crypto_generichash_init(&state, c->secret, sizeof(c->secret), DIGEST_SIZE);
	crypto_generichash_update(&state, key->bytes, sizeof(key->bytes));
	if (p.len > 0)
		crypto_generichash_update(&state, (const unsigned char *)p.ptr, p.len);
	crypto_generichash_final(&state, digest, DIGEST_SIZE);
	mem_wipe(&state, sizeof(state));
}

/* ---- answering ---- */

static bool is_in_time(
    const struct cache *c, const struct entry *e, enum cache_use use, int64_t now)
{
	int64_t ttl = is_negative(e) ? c->limits.negative_ttl_ms : c->limits.ttl_ms;
	int64_t age = now - e->made_ms;
	return age < ttl || (use == CACHE_EVEN_EXPIRED && age - ttl < c->limits.expired_limit_ms);
}

static bool password_fits(
    const struct cache *c, const struct entry *e, const struct channel_question *q)
{
	unsigned char digest[DIGEST_SIZE];
	if (q->ask != CHANNEL_VERIFY || !e->has_password)
		return true;
	make_digest(c, &e->key, q->password, digest);
	bool fits = sodium_memcmp(digest, e->digest, sizeof(digest)) == 0;
	mem_wipe(digest, sizeof(digest));
	return fits;
}

bool cache_answer(struct cache *c, const struct cache_key *key, const struct channel_question *q,
    enum cache_use use, int64_t now_ms, struct arena *a, struct channel_answer *an)
{
	struct entry *e = *find(c, key);
	if (e == NULL || !is_in_time(c, e, use, now_ms) || !password_fits(c, e, q)) {
		c->stats.misses += use == CACHE_FRESH;
		return false;
	}
	c->stats.hits++;
	TAILQ_REMOVE(&c->entries, e, use);
	TAILQ_INSERT_HEAD(&c->entries, e, use);
	*an = (struct channel_answer){
	    .verdict = e->verdict, .has_password = e->has_password, .fields = fields_in(a)};
	struct wire_reader r = wire_reader_of(span_make(e->bytes + e->user_len, e->fields_len));
	wire_get_fields(&r, &an->fields);
	return true;
}

/* ---- keeping ---- */

static bool is_to_keep(
    const struct cache *c, const struct channel_question *q, const struct channel_answer *an)
{
	if (q->ask == CHANNEL_LIST || secret_is_set(an->credential))
		return false;
	/* with a password that was not looked at there is nothing to know it again by */
	if ((q->flags & ASK_SKIP_PASSWORD) != 0)
		return false;
	if (an->verdict == VERDICT_UNKNOWN_USER)
		return c->limits.negative_ttl_ms > 0;
	return an->verdict == VERDICT_OK;
}

static void make_room(struct cache *c, size_t size)
{
	struct entry *oldest;
	while (
	    c->used + size > c->limits.size && (oldest = TAILQ_LAST(&c->entries, entries)) != NULL)
		drop(c, find(c, &oldest->key));
}

void cache_keep(struct cache *c, const struct cache_key *key, const struct channel_question *q,
    const struct channel_answer *an, int64_t now_ms)
{
	static struct buffer fields;
	struct entry **old = find(c, key);
	/*
	 * What is known is replaced by what is new: after a new password was right the
	 * old one no longer is. A wrong password leaves the entry as it is, or anybody
	 * could empty the cache.
	 */
	if (!is_to_keep(c, q, an)) {
		if (*old != NULL && an->verdict != VERDICT_MISMATCH &&
		    an->verdict != VERDICT_INTERNAL)
			drop(c, old);
		return;
	}
	if (*old != NULL)
		drop(c, old);
	struct span user = q->vars.v[VAR_USER];
	fields.start = fields.len = 0;
	wire_put_fields(&fields, &an->fields);
	size_t size = sizeof(struct entry) + user.len + fields.len;
	if (size > c->limits.size)
		return;
	make_room(c, size);
	struct entry *e = mem_alloc(size);
	e->key = *key;
	e->made_ms = now_ms;
	e->verdict = an->verdict;
	e->has_password = an->has_password;
	e->user_len = (uint32_t)user.len;
	e->fields_len = (uint32_t)fields.len;
	memcpy(e->bytes, user.ptr, user.len);
	memcpy(e->bytes + user.len, fields.data, fields.len);
	if (e->has_password)
		make_digest(c, key, q->password, e->digest);
	struct entry **place = place_of(c, key);
	e->next = *place;
	*place = e;
	TAILQ_INSERT_HEAD(&c->entries, e, use);
	count(c, e, 1);
}

/* ---- flushing, counting ---- */

size_t cache_flush(struct cache *c, struct span mask)
{
	struct entry *e, *next;
	size_t n = 0;
	for (e = TAILQ_FIRST(&c->entries); e != NULL; e = next) {
		next = TAILQ_NEXT(e, use);
		if (mask.ptr != NULL && !span_matches(span_make(e->bytes, e->user_len), mask, true))
			continue;
		drop(c, find(c, &e->key));
		n++;
	}
	return n;
}

struct cache_stats cache_stats(const struct cache *c)
{
	struct cache_stats s = c->stats;
	s.used = c->used;
	s.max = c->limits.size;
	return s;
}

void cache_reset_stats(struct cache *c)
{
	c->stats.hits = c->stats.misses = 0;
}
