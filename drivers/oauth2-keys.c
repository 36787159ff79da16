/*
 * Where the keys of JSON Web Tokens are: a directory of files (key dict), or a
 * JSON Web Key Set in a file or at a URL. A set is read once and shared by all
 * lanes; a file is read again when it changed, a URL when a token names a key
 * that is not there (at most so often), and after a while in any case.
 * Runs in: worker, lanes. Owner: a set has a count of those who use it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/wheel.h"
#include "drivers/oauth2-parts.h"

enum { KEYS_MAX = 100, SET_BYTES_MAX = 256 * 1024, FILE_BYTES_MAX = 16 * 1024 };
enum { RETRY_MS = 1000, FETCH_MS = 3000, WAITING_MAX = 4 };

struct key_set {
	atomic_uint users;
	size_t count;
	struct oauth2_key keys[KEYS_MAX];
};

struct oauth2_keys {
	struct oauth2_keys *next;
	const struct oauth2_settings *set;
	unsigned users;
	pthread_mutex_t lock; /* of all below; held for a moment */
	pthread_cond_t fetched;
	bool fetching; /* one lane at a time asks for the keys */
	struct key_set *now;
	struct stat file;   /* as it was when .now was read; of whoever set .fetching */
	int64_t tried_ms;   /* 0: never */
	int64_t fetched_ms; /* when .now came */
	unsigned waiting;   /* lanes, for the keys */
	bool failed;	    /* the last time */
	struct err why;
};

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct oauth2_keys *all;

/* ---- sets ---- */

static void set_release(struct key_set *s)
{
	if (s == NULL || atomic_fetch_sub(&s->users, 1) > 1)
		return;
	for (size_t i = 0; i < s->count; i++)
		oauth2_key_free(&s->keys[i]);
	mem_free(&s);
}

/* NULL: it is no set, or has no key that is of use here. */
static struct key_set *set_of(const json_t *json, struct arena *a)
{
	const json_t *keys = json_object_get(json, "keys"), *jwk;
	struct key_set *s = mem_alloc(sizeof(*s));
	size_t i;
	s->users = 1;
	json_array_foreach(keys, i, jwk)
	{
		if (s->count < KEYS_MAX && oauth2_key_of_jwk(&s->keys[s->count], jwk, a))
			s->count++;
	}
	if (s->count > 0)
		return s;
	set_release(s);
	return NULL;
}

static struct key_set *set_now(struct oauth2_keys *k)
{
	pthread_mutex_lock(&k->lock);
	struct key_set *s = k->now;
	if (s != NULL)
		atomic_fetch_add(&s->users, 1);
	pthread_mutex_unlock(&k->lock);
	return s;
}

/* s: NULL when it failed, for *why; the old one stays then. */
static void set_replace(struct oauth2_keys *k, struct key_set *s, const struct err *why)
{
	pthread_mutex_lock(&k->lock);
	struct key_set *old = NULL;
	k->tried_ms = clock_ms();
	k->failed = s == NULL;
	if (s != NULL) {
		old = k->now;
		k->now = s;
		k->fetched_ms = k->tried_ms;
	} else {
		k->why = *why;
	}
	pthread_mutex_unlock(&k->lock);
	set_release(old);
	if (s == NULL)
		log_error("oauth2: local_validation_jwks: %s", why->text);
}

/* Did it work the last time? Else *err. */
static bool is_good(struct oauth2_keys *k, struct err *err)
{
	pthread_mutex_lock(&k->lock);
	bool good = !k->failed;
	if (!good)
		*err = k->why;
	pthread_mutex_unlock(&k->lock);
	return good;
}

/* ---- shared by all lanes ---- */

static void init_locks(struct oauth2_keys *k)
{
	pthread_condattr_t attr;
	pthread_mutex_init(&k->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&k->fetched, &attr);
	pthread_condattr_destroy(&attr);
}

struct oauth2_keys *oauth2_keys_open(const struct oauth2_settings *set)
{
	pthread_mutex_lock(&all_lock);
	struct oauth2_keys *k = all;
	while (k != NULL && k->set != set)
		k = k->next;
	if (k == NULL) {
		k = mem_alloc(sizeof(*k));
		k->set = set;
		init_locks(k);
		k->next = all;
		all = k;
	}
	k->users++;
	pthread_mutex_unlock(&all_lock);
	return k;
}

void oauth2_keys_close(struct oauth2_keys *k)
{
	pthread_mutex_lock(&all_lock);
	bool last = --k->users == 0;
	struct oauth2_keys **link = &all;
	while (last && *link != k)
		link = &(*link)->next;
	if (last)
		*link = k->next;
	pthread_mutex_unlock(&all_lock);
	if (!last)
		return;
	set_release(k->now);
	pthread_mutex_destroy(&k->lock);
	pthread_cond_destroy(&k->fetched);
	mem_free(&k);
}

/* ---- taking turns ---- */

/* Waits for its turn to fetch keys, until then (0: as long as it takes). */
static bool turn_take(struct oauth2_keys *k, int64_t until_ms)
{
	struct timespec ts = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
	int rc = 0;
	pthread_mutex_lock(&k->lock);
	while (k->fetching && rc == 0)
		rc = until_ms > 0 ? pthread_cond_timedwait(&k->fetched, &k->lock, &ts)
				  : pthread_cond_wait(&k->fetched, &k->lock);
	bool mine = !k->fetching;
	k->fetching = true;
	pthread_mutex_unlock(&k->lock);
	return mine;
}

static void turn_end(struct oauth2_keys *k)
{
	pthread_mutex_lock(&k->lock);
	k->fetching = false;
	pthread_cond_broadcast(&k->fetched);
	pthread_mutex_unlock(&k->lock);
}

/* ---- files ---- */

/* SPAN_NULL and *err with an errno. */
static struct span read_file(const char *path, size_t max, struct arena *a, struct err *err)
{
	FILE *f = fopen(path, "re");
	if (f == NULL) {
		err_set(err, errno, "%.300s: %s", path, strerror(errno));
		return SPAN_NULL;
	}
	char *text = arena_alloc(a, max + 1);
	size_t n = fread(text, 1, max + 1, f);
	bool bad = ferror(f) != 0;
	fclose(f);
	if (!bad && n <= max)
		return span_make(text, n);
	err_set(err, EFBIG, "%.300s: cannot be read, or is too long", path);
	return SPAN_NULL;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static struct key_set *read_set(const char *path, struct arena *a, struct err *err)
{
	struct span text = read_file(path, SET_BYTES_MAX, a, err);
	if (text.ptr == NULL)
		return NULL;
	json_t *json = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
	struct key_set *s = set_of(json, a);
	json_decref(json);
	if (s == NULL)
		err_set(err, EX_DATAERR, "%.300s: holds no key set, or none of use", path);
	return s;
}

/* Reads the file if it is another one than that which was read. false: it could not be read. */
static bool follow_file(struct oauth2_keys *k, struct arena *a, struct err *err)
{
	struct stat st = {0};
	struct err why = {0};
	/* nobody goes on with the old ones while another lane reads the new */
	turn_take(k, 0);
	bool there = stat(k->set->jwks, &st) == 0;
	if (!there || k->tried_ms == 0 || !is_same_file(&st, &k->file)) {
		k->file = st;
		set_replace(k, read_set(k->set->jwks, a, &why), &why);
	}
	turn_end(k);
	return is_good(k, err);
}

/* ---- a URL ---- */

static struct key_set *fetch_set(struct oauth2_keys *k, struct oauth2_http *http,
    int64_t deadline_ms, struct arena *a, struct err *err)
{
	struct oauth2_reply reply;
	struct oauth2_request rq = {
	    .url = k->set->jwks, .deadline_ms = deadline_ms, .body_max = SET_BYTES_MAX};
	if (!oauth2_http_ask(http, &rq, a, &reply, err))
		return NULL;
	struct key_set *s = reply.status == 200 ? set_of(reply.body, a) : NULL;
	json_decref(reply.body);
	if (s == NULL)
		err_set(err, EX_TEMPFAIL, "status %ld, and no key set of use", reply.status);
	return s;
}

/* May they be asked for again? What failed may be tried sooner. */
static bool is_allowed(struct oauth2_keys *k)
{
	int64_t pause = (int64_t)k->set->jwks_refresh_min;
	pthread_mutex_lock(&k->lock);
	if (k->failed && pause > RETRY_MS)
		pause = RETRY_MS;
	bool allowed = k->tried_ms == 0 || clock_ms() - k->tried_ms >= pause;
	pthread_mutex_unlock(&k->lock);
	return allowed;
}

static bool is_old(struct oauth2_keys *k)
{
	pthread_mutex_lock(&k->lock);
	int64_t age = clock_ms() - k->fetched_ms;
	bool old = k->now != NULL && age >= (int64_t)k->set->jwks_refresh_max;
	pthread_mutex_unlock(&k->lock);
	return old && is_allowed(k);
}

/*
 * May this lane wait for keys, and how long? Where there are some, only few
 * lanes do, and not for long: anybody can name a key that does not exist.
 */
static bool may_wait(struct oauth2_keys *k, int64_t *until_ms)
{
	int64_t soon = clock_ms() + FETCH_MS;
	pthread_mutex_lock(&k->lock);
	bool some = k->now != NULL, may = !some || k->waiting < WAITING_MAX;
	if (may)
		k->waiting++;
	pthread_mutex_unlock(&k->lock);
	if (some && (*until_ms <= 0 || *until_ms > soon))
		*until_ms = soon;
	return may;
}

static void waits_no_more(struct oauth2_keys *k)
{
	pthread_mutex_lock(&k->lock);
	k->waiting--;
	pthread_mutex_unlock(&k->lock);
}

/* In its turn. Whoever had one before may have fetched them. */
static void fetch(
    struct oauth2_keys *k, struct oauth2_http *http, int64_t until_ms, struct arena *a)
{
	struct err why = {0};
	if (is_allowed(k))
		set_replace(k, fetch_set(k, http, until_ms, a, &why), &why);
	turn_end(k);
}

/*
 * Fetches the keys, unless that was done a moment ago. true: what is there
 * now is what the provider says.
 */
static bool refresh(struct oauth2_keys *k, struct oauth2_http *http, int64_t until_ms,
    struct arena *a, struct err *err)
{
	if (!is_allowed(k))
		return is_good(k, err);
	if (!may_wait(k, &until_ms))
		return err_set(err, EX_TEMPFAIL, "the keys are still being fetched");
	bool turn = turn_take(k, until_ms);
	if (turn)
		fetch(k, http, until_ms, a);
	waits_no_more(k);
	return turn ? is_good(k, err)
		    : err_set(err, EX_TEMPFAIL, "the keys are still being fetched");
}

/* One login pays for it, and not much; to the others the old ones will do. */
static void renew(
    struct oauth2_keys *k, struct oauth2_http *http, int64_t until_ms, struct arena *a)
{
	int64_t now = clock_ms(), soon = now + FETCH_MS;
	if (turn_take(k, now))
		fetch(k, http, until_ms > 0 && until_ms < soon ? until_ms : soon, a);
}

/* ---- verifying ---- */

enum tried { NO_KEY, WRONG, FITS };

static enum tried try_set(const struct key_set *s, const struct oauth2_jwt *jwt)
{
	enum tried result = NO_KEY;
	for (size_t i = 0; s != NULL && i < s->count; i++) {
		const struct oauth2_key *key = &s->keys[i];
		bool named = jwt->kid != NULL && key->kid != NULL;
		if ((named && strcmp(jwt->kid, key->kid) != 0) ||
		    (jwt->kid != NULL && key->kid == NULL) || !oauth2_key_is_for(key, jwt->alg))
			continue;
		if (oauth2_key_verifies(key, jwt->alg, jwt->signed_part, jwt->signature))
			return FITS;
		/* without a name it may be by one that is not known yet */
		result = named ? WRONG : result;
	}
	return result;
}

static enum tried try_now(struct oauth2_keys *k, const struct oauth2_jwt *jwt)
{
	struct key_set *s = set_now(k);
	enum tried result = try_set(s, jwt);
	set_release(s);
	return result;
}

static enum verdict verdict_of(enum tried result, struct err *err)
{
	if (result == FITS)
		return VERDICT_OK;
	err_set(
	    err, 0, result == WRONG ? "the token's signature is wrong" : "no key fits the token");
	return VERDICT_MISMATCH;
}

static enum verdict verify_with_set(struct oauth2_keys *k, struct oauth2_http *http,
    const struct oauth2_jwt *jwt, int64_t deadline_ms, struct arena *a, struct err *err)
{
	struct err why = {0};
	bool current = true;
	if (!k->set->jwks_is_url)
		current = follow_file(k, a, &why);
	else if (is_old(k))
		renew(k, http, deadline_ms, a);
	enum tried result = try_now(k, jwt);
	if (result == NO_KEY && k->set->jwks_is_url) {
		current = refresh(k, http, deadline_ms, a, &why);
		result = try_now(k, jwt);
	}
	/* the key may be one that could not be fetched */
	if (result == NO_KEY && !current) {
		*err = why;
		return VERDICT_INTERNAL;
	}
	return verdict_of(result, err);
}

/* ---- the key dict ---- */

/* As Dovecot writes them; "." and ".." are no names of files. */
static struct span path_part(const char *name, struct arena *a)
{
	struct buffer b = {0};
	for (const char *p = name; *p != '\0'; p++) {
		if (*p == '/' || *p == '%' || (*p == '.' && p == name))
			buffer_printf(&b, "%%%02x", (unsigned char)*p);
		else
			buffer_append_char(&b, *p);
	}
	struct span s = arena_dup(a, span_make(b.len > 0 ? buffer_span(&b).ptr : "", b.len));
	buffer_free(&b);
	return s;
}

static struct span read_key(struct oauth2_keys *k, const struct oauth2_jwt *jwt, const char *below,
    struct arena *a, struct err *err)
{
	const char *azp = json_string_value(json_object_get(jwt->claims, "azp"));
	const char *kid = jwt->kid;
	struct span path = arena_printf(a, "%s/%s%.*s/%s/%.*s", k->set->key_dir, below,
	    SPAN_ARG(path_part(azp != NULL && azp[0] != '\0' ? azp : "default", a)),
	    oauth2_alg_name(jwt->alg),
	    SPAN_ARG(path_part(kid != NULL && kid[0] != '\0' ? kid : "default", a)));
	return read_file(path.ptr, FILE_BYTES_MAX, a, err);
}

static bool is_absent(int code)
{
	return code == ENOENT || code == ENOTDIR || code == ENAMETOOLONG;
}

static enum verdict verify_with_file(
    struct oauth2_keys *k, const struct oauth2_jwt *jwt, struct arena *a, struct err *err)
{
	struct oauth2_key key;
	struct err why = {0};
	struct span text = read_key(k, jwt, "", a, &why);
	if (text.ptr == NULL && is_absent(why.code))
		text = read_key(k, jwt, "shared/", a, &why);
	if (text.ptr == NULL && is_absent(why.code))
		return verdict_of(NO_KEY, err);
	if (text.ptr == NULL || !oauth2_key_of_file(&key, jwt->alg, text, a, &why)) {
		err_set(err, why.code, "local_validation_key_dict: %.400s", why.text);
		return VERDICT_INTERNAL;
	}
	bool fits = oauth2_key_verifies(&key, jwt->alg, jwt->signed_part, jwt->signature);
	oauth2_key_free(&key);
	return verdict_of(fits ? FITS : WRONG, err);
}

enum verdict oauth2_keys_verify(struct oauth2_keys *k, struct oauth2_http *http,
    const struct oauth2_jwt *jwt, int64_t deadline_ms, struct arena *a, struct err *err)
{
	enum verdict v = VERDICT_MISMATCH;
	if (k->set->key_dir != NULL)
		v = verify_with_file(k, jwt, a, err);
	/* shared secrets are in files only */
	bool elsewhere = k->set->jwks[0] != '\0' && !oauth2_alg_is_hmac(jwt->alg);
	if (v != VERDICT_MISMATCH || (k->set->key_dir != NULL && !elsewhere))
		return v;
	return elsewhere ? verify_with_set(k, http, jwt, deadline_ms, a, err)
			 : verdict_of(NO_KEY, err);
}
