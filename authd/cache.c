/*
 * The cache: a hash table with a list in order of use. Runs in: front.
 * Fatal: out of memory.
 */
#include "authd/cache.h"

#include <sys/queue.h>

#include <nettle/sha2.h>
#include <sodium.h>

#include "base/mem.h"

enum {
	DIGEST_SIZE = SHA256_DIGEST_SIZE,
	BUCKETS_MIN = 4,
	BUCKETS_MAX = 1 << 22,
	ENTRY_TYPICAL = 256,
	MALLOC_COST = 16,   /* what an allocation takes beside its bytes */
	NEGATIVE_SHARE = 4, /* unknown users: that part of a full cache, however many are made up */
};

/*
 * What is common to the entries that a user's password stands behind: a query
 * with %r or %s has many. So a new password seen with one of them makes the
 * others doubtful. There while such entries are.
 */
struct person {
	struct person *next; /* in its bucket */
	unsigned char id[16];
	unsigned char digest[DIGEST_SIZE]; /* of the newest password */
	uint64_t asked;			   /* the question that showed it */
	uint32_t changes, entries;
};

struct entry {
	TAILQ_ENTRY(entry) use; /* most recently used first */
	struct entry *next;	/* in its bucket */
	unsigned char key[16];
	int64_t made_ms, keep_ms; /* keep_ms: of its age at most; 0: no limit of its own */
	uint64_t asked;
	struct person *person; /* a yes that a password of the user's own stands behind; or NULL */
	uint32_t changes;      /* the person's when it was made; another number: doubtful */
	enum verdict verdict;
	bool has_password;
	bool bound; /* a yes to VERIFY: for the digest's password only */
	unsigned char digest[DIGEST_SIZE];
	uint32_t user_len, fields_len;
	char bytes[]; /* user, then the fields as the channel writes them */
};

struct cache {
	struct cache_limits limits;
	struct sha256_ctx keyed; /* after a first block of random bytes */
	unsigned char key_secret[crypto_shorthash_siphashx24_KEYBYTES];
	struct entry **buckets;
	struct person **persons;
	size_t bucket_count;		       /* of both; a power of two */
	TAILQ_HEAD(entries, entry) entries[2]; /* yes; unknown users */
	uint64_t room;			       /* what the tables leave of the size */
	uint64_t used;
	uint64_t asked, flushed; /* the last question's number; the last one's before a flush */
	struct cache_stats stats;
};

struct cache *cache_new(const struct cache_limits *limits)
{
	struct cache *c = mem_alloc(sizeof(*c));
	c->limits = *limits;
	unsigned char key[SHA256_BLOCK_SIZE];
	randombytes_buf(key, sizeof(key));
	sha256_init(&c->keyed);
	sha256_update(&c->keyed, sizeof(key), key);
	mem_wipe(key, sizeof(key));
	randombytes_buf(c->key_secret, sizeof(c->key_secret));
	c->bucket_count = BUCKETS_MIN;
	while (c->bucket_count < limits->size / ENTRY_TYPICAL && c->bucket_count < BUCKETS_MAX)
		c->bucket_count *= 2;
	c->buckets = mem_alloc(c->bucket_count * sizeof(struct entry *));
	c->persons = mem_alloc(c->bucket_count * sizeof(struct person *));
	uint64_t tables = c->bucket_count * (sizeof(struct entry *) + sizeof(struct person *));
	c->room = limits->size > tables ? limits->size - tables : 0;
	TAILQ_INIT(&c->entries[0]);
	TAILQ_INIT(&c->entries[1]);
	return c;
}

static void count(struct cache *c, bool negative, uint64_t entries, uint64_t size)
{
	c->used += size;
	*(negative ? &c->stats.negative : &c->stats.positive) += entries;
	*(negative ? &c->stats.negative_size : &c->stats.positive_size) += size;
}

static size_t bucket_of(const struct cache *c, const unsigned char id[16])
{
	uint64_t h;
	memcpy(&h, id, sizeof(h));
	return h & (c->bucket_count - 1);
}

/* ---- persons ---- */

static struct person **find_person(const struct cache *c, const unsigned char id[16])
{
	struct person **at = &c->persons[bucket_of(c, id)];
	while (*at != NULL && memcmp((*at)->id, id, sizeof((*at)->id)) != 0)
		at = &(*at)->next;
	return at;
}

/* One more entry of this person; made when there is none. */
static struct person *person_hold(struct cache *c, const unsigned char id[16])
{
	struct person **at = find_person(c, id), *p = *at;
	if (p == NULL) {
		*at = p = mem_alloc(sizeof(*p));
		memcpy(p->id, id, sizeof(p->id));
		count(c, false, 0, sizeof(*p) + MALLOC_COST);
	}
	p->entries++;
	return p;
}

static void person_release(struct cache *c, struct person *p)
{
	if (--p->entries > 0)
		return;
	*find_person(c, p->id) = p->next;
	count(c, false, 0, -(uint64_t)(sizeof(*p) + MALLOC_COST));
	mem_wipe(p, sizeof(*p));
	mem_free(&p);
}

/* ---- entries ---- */

static size_t entry_size(const struct entry *e)
{
	return sizeof(*e) + e->user_len + e->fields_len;
}

static bool is_negative(const struct entry *e)
{
	return e->verdict != VERDICT_OK;
}

static struct entries *list_of(struct cache *c, const struct entry *e)
{
	return &c->entries[is_negative(e)];
}

static struct entry **find(const struct cache *c, const unsigned char key[16])
{
	struct entry **at = &c->buckets[bucket_of(c, key)];
	while (*at != NULL && memcmp((*at)->key, key, sizeof((*at)->key)) != 0)
		at = &(*at)->next;
	return at;
}

static void drop(struct cache *c, struct entry **at)
{
	struct entry *e = *at;
	*at = e->next;
	TAILQ_REMOVE(list_of(c, e), e, use);
	count(c, is_negative(e), (uint64_t)-1, -(uint64_t)(entry_size(e) + MALLOC_COST));
	if (e->person != NULL)
		person_release(c, e->person);
	mem_wipe(e, entry_size(e));
	mem_free(&e);
}

void cache_free(struct cache **cache)
{
	struct cache *c = *cache;
	if (c == NULL)
		return;
	cache_flush(c, SPAN_NULL);
	mem_free(&c->buckets);
	mem_free(&c->persons);
	mem_wipe(c, sizeof(*c));
	mem_free(cache);
}

/* ---- keys and digests ---- */

static void hash_wiped(const struct cache *c, struct buffer *b, unsigned char out[16])
{
	/* keyed, so that nobody can make two questions meet */
	crypto_shorthash_siphashx24(
	    out, (unsigned char *)b->data + b->start, b->len, c->key_secret);
	mem_wipe(b->data + b->start, b->len); /* fields of a passdb may hold secrets */
	b->start = b->len = 0;
}

struct cache_key cache_key_of(struct cache *c, uint32_t pool, uint64_t epoch,
    const struct channel_question *q, uint64_t needs)
{
	static struct buffer inputs; /* used again and again */
	struct cache_key key = {
	    .asked = ++c->asked,
	    .epoch = epoch,
	    .reads_password = (needs & VAR_BIT(VAR_PASSWORD)) != 0,
	};
	wire_put_u32(&inputs, pool);
	wire_put_u64(&inputs, epoch);
	channel_put_inputs(&inputs, q, needs);
	hash_wiped(c, &inputs, key.bytes);
	struct span user = q->vars.v[VAR_USER];
	wire_put_u32(&inputs, pool);
	for (size_t i = 0; i < user.len; i++) {
		char l = user.ptr[i];
		buffer_append_char(&inputs, (char)(l >= 'A' && l <= 'Z' ? l + ('a' - 'A') : l));
	}
	hash_wiped(c, &inputs, key.person);
	return key;
}

/*
 * Of the password for this very person: equal passwords of two users do not look
 * equal. The key is the whole first block, hashed once for all; nobody sees a
 * digest, so that more could be appended to what it is of does not matter.
 */
static void make_digest(const struct cache *c, const unsigned char person[16],
    struct secret password, unsigned char digest[DIGEST_SIZE])
{
	struct sha256_ctx sha = c->keyed;
	struct span p = secret_reveal(password);
	sha256_update(&sha, 16, person);
	if (p.len > 0)
		sha256_update(&sha, p.len, (const uint8_t *)p.ptr);
	sha256_digest(&sha, DIGEST_SIZE, digest);
	mem_wipe(&sha, sizeof(sha));
}

static bool digest_eq(const unsigned char a[DIGEST_SIZE], const unsigned char b[DIGEST_SIZE])
{
	return secret_bytes_eq(a, b, DIGEST_SIZE);
}

bool cache_is_current(const struct cache *c, const struct cache_key *earlier)
{
	const struct person *p = *find_person(c, earlier->person);
	return earlier->asked > c->flushed && (p == NULL || p->asked <= earlier->asked);
}

/* ---- answering ---- */

static bool is_in_time(
    const struct cache *c, const struct entry *e, enum cache_use use, int64_t now)
{
	int64_t ttl = is_negative(e) ? c->limits.negative_ttl_ms : c->limits.ttl_ms;
	int64_t age = now - e->made_ms;
	if (e->keep_ms > 0 && age >= e->keep_ms)
		return false;
	if (age < ttl)
		return true;
	/* an outage must not look like an unknown user */
	return use == CACHE_EVEN_EXPIRED && !is_negative(e) &&
	       age - ttl < c->limits.expired_limit_ms;
}

static bool password_fits(const struct cache *c, const struct entry *e, const struct cache_key *key,
    const struct channel_question *q)
{
	unsigned char digest[DIGEST_SIZE];
	if (!e->bound)
		return true;
	make_digest(c, key->person, q->password, digest);
	bool fits = digest_eq(digest, e->digest);
	mem_wipe(digest, sizeof(digest));
	return fits;
}

bool cache_answer(struct cache *c, const struct cache_key *key, const struct channel_question *q,
    enum cache_use use, int64_t now_ms, struct arena *a, struct channel_answer *an)
{
	struct entry *e = *find(c, key->bytes);
	bool doubtful = e != NULL && e->person != NULL && e->changes != e->person->changes;
	if (e == NULL || doubtful || !is_in_time(c, e, use, now_ms) ||
	    !password_fits(c, e, key, q)) {
		c->stats.misses += use == CACHE_FRESH;
		return false;
	}
	c->stats.hits++;
	TAILQ_REMOVE(list_of(c, e), e, use);
	TAILQ_INSERT_HEAD(list_of(c, e), e, use);
	*an = (struct channel_answer){
	    .verdict = e->verdict, .has_password = e->has_password, .fields = fields_in(a)};
	struct span fields = span_make(e->bytes + e->user_len, e->fields_len);
	struct wire_reader r = wire_reader_of(arena_dup(a, fields));
	wire_get_fields_kept(&r, &an->fields);
	return true;
}

/* ---- keeping ---- */

static bool is_to_keep(const struct cache *c, const struct cache_key *key,
    const struct channel_question *q, const struct channel_answer *an)
{
	/* a credential is a password, or as good as one; and were the lack of one remembered, a
	   challenge would come sooner for a user who does not exist */
	bool credential = q->ask == CHANNEL_CREDENTIAL && q->scheme.len > 0;
	if (q->ask == CHANNEL_LIST || credential || secret_is_set(an->credential) ||
	    an->keep_ms < 0)
		return false;
	if (an->verdict == VERDICT_UNKNOWN_USER)
		/* a query that compares the password itself finds nobody when it is wrong */
		return c->limits.negative_ttl_ms > 0 &&
		       !(key->reads_password && q->ask == CHANNEL_VERIFY);
	return an->verdict == VERDICT_OK;
}

/*
 * Does an answer that is not kept end what is known? "Wrong password" is about
 * another one, as a rule, or anybody could empty the cache.
 */
static bool is_the_end_of(const struct cache *c, const struct entry *e, const struct cache_key *key,
    const struct channel_question *q, enum verdict v)
{
	if (v == VERDICT_INTERNAL)
		return false;
	bool about_password =
	    v == VERDICT_MISMATCH || (v == VERDICT_UNKNOWN_USER && key->reads_password);
	return !about_password || (e->bound && password_fits(c, e, key, q));
}

static void make_room(struct cache *c, size_t size)
{
	while (c->used + size > c->room && c->used > 0) {
		bool negative = c->stats.negative_size > c->room / NEGATIVE_SHARE;
		struct entry *oldest = TAILQ_LAST(&c->entries[negative], entries);
		if (oldest == NULL)
			oldest = TAILQ_LAST(&c->entries[!negative], entries);
		if (oldest == NULL) /* a person is there whose entry is about to come */
			return;
		drop(c, find(c, oldest->key));
	}
}

/* False: the answer is older than what is known by now. */
static bool take_password(struct person *p, const struct cache_key *key,
    const unsigned char digest[DIGEST_SIZE], bool known_here)
{
	bool first = p->asked == 0;
	if (!first && digest_eq(p->digest, digest))
		return true;
	if (!first && p->asked > key->asked)
		return false;
	/* one that was known here and is still right says nothing of the others */
	if (known_here)
		return true;
	p->changes++;
	p->asked = key->asked;
	memcpy(p->digest, digest, DIGEST_SIZE);
	return true;
}

static void put(struct cache *c, struct entry *e)
{
	struct entry **place = &c->buckets[bucket_of(c, e->key)];
	e->next = *place;
	*place = e;
	TAILQ_INSERT_HEAD(list_of(c, e), e, use);
	count(c, is_negative(e), 1, entry_size(e) + MALLOC_COST);
}

static struct entry *entry_new(const struct cache_key *key, const struct channel_question *q,
    const struct channel_answer *an, int64_t now_ms)
{
	static struct buffer fields; /* used again and again */
	struct span user = q->vars.v[VAR_USER];
	wire_put_fields(&fields, &an->fields);
	struct entry *e = mem_alloc(sizeof(*e) + user.len + fields.len);
	memcpy(e->key, key->bytes, sizeof(e->key));
	e->made_ms = now_ms;
	e->keep_ms = an->keep_ms;
	e->asked = key->asked;
	e->verdict = an->verdict;
	e->has_password = an->has_password;
	e->user_len = (uint32_t)user.len;
	e->fields_len = (uint32_t)fields.len;
	if (user.len > 0)
		memcpy(e->bytes, user.ptr, user.len);
	memcpy(e->bytes + user.len, fields.data + fields.start, fields.len);
	mem_wipe(fields.data + fields.start, fields.len);
	fields.start = fields.len = 0;
	return e;
}

static void entry_free(struct entry *e)
{
	mem_wipe(e, entry_size(e));
	mem_free(&e);
}

/*
 * Ties a yes to its password. False: it is older than what is known by now.
 * One that was not looked at (nopassword, a master's login) is nobody's own.
 */
static bool bind_password(struct cache *c, struct entry *e, const struct cache_key *key,
    const struct channel_question *q, const struct entry *old)
{
	e->bound = true;
	make_digest(c, key->person, q->password, e->digest);
	if (!e->has_password && !key->reads_password)
		return true;
	struct person *p = person_hold(c, key->person);
	bool known_here = old != NULL && old->person == p && digest_eq(old->digest, e->digest);
	if (!take_password(p, key, e->digest, known_here)) {
		person_release(c, p);
		return false;
	}
	e->person = p;
	e->changes = p->changes;
	return true;
}

void cache_keep(struct cache *c, const struct cache_key *key, const struct channel_question *q,
    const struct channel_answer *an, int64_t now_ms)
{
	struct entry *old = *find(c, key->bytes);
	if (key->asked <= c->flushed || (old != NULL && old->asked > key->asked))
		return;
	if (!is_to_keep(c, key, q, an)) {
		if (old != NULL && is_the_end_of(c, old, key, q, an->verdict))
			drop(c, find(c, key->bytes));
		return;
	}
	struct entry *e = entry_new(key, q, an, now_ms);
	bool binds = an->verdict == VERDICT_OK && q->ask == CHANNEL_VERIFY;
	if (binds && !bind_password(c, e, key, q, old)) {
		entry_free(e);
		return;
	}
	if (old != NULL)
		drop(c, find(c, key->bytes));
	make_room(c, entry_size(e) + MALLOC_COST);
	if (c->used + entry_size(e) + MALLOC_COST <= c->room) {
		put(c, e);
		return;
	}
	if (e->person != NULL)
		person_release(c, e->person);
	entry_free(e);
}

/* ---- flushing, counting ---- */

static bool is_about(const struct entry *e, struct span mask)
{
	if (span_matches(span_make(e->bytes, e->user_len), mask, true))
		return true;
	/* an alias: the backend said who it is */
	struct wire_reader r = wire_reader_of(span_make(e->bytes + e->user_len, e->fields_len));
	for (uint32_t n = wire_get_u32(&r); n > 0 && !r.failed; n--) {
		struct span name = wire_get_span(&r), value = wire_get_span(&r);
		if (!r.failed && span_eq_str(name, "user") && span_matches(value, mask, true))
			return true;
	}
	return false;
}

static size_t flush_list(struct cache *c, struct entries *list, struct span mask)
{
	struct entry *e, *next;
	size_t n = 0;
	for (e = TAILQ_FIRST(list); e != NULL; e = next) {
		next = TAILQ_NEXT(e, use);
		if (mask.ptr != NULL && !is_about(e, mask))
			continue;
		drop(c, find(c, e->key));
		n++;
	}
	return n;
}

size_t cache_flush(struct cache *c, struct span mask)
{
	c->flushed = c->asked; /* what is under way now was perhaps read before */
	return flush_list(c, &c->entries[0], mask) + flush_list(c, &c->entries[1], mask);
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
