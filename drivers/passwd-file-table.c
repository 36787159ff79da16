/*
 * The contents of a passwd-file: read in one go, indexed by user name.
 * Runs in: worker. Owner: a table counts its references.
 * The index holds 32-bit offsets and tags of a hash with a random key, so that
 * a million users cost 16 MB beside the file and nobody can craft collisions.
 */
#include "drivers/passwd-file.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

enum { READ_TRIES = 5, READ_PAUSE_MS = 20, LOG_MAX = 20, COLUMNS = 8 };

struct slot {
	uint32_t place; /* offset of the line + 1; 0: empty */
	uint32_t tag;
};

struct pf_table {
	atomic_uint refs;
	char *data;
	size_t size;
	struct slot *slots;
	uint64_t mask;
	size_t users;
	unsigned complaints;
	bool has_templates, is_cut;
	struct pf_stamp stamp;
	const char *path; /* while loading, for the log */
	unsigned char key[crypto_shorthash_KEYBYTES];
};

/* ---- a file's version ---- */

struct pf_stamp pf_stamp_of(const struct stat *st)
{
	return (struct pf_stamp){
	    .mtime = st->st_mtim,
	    .size = st->st_size,
	    .inode = st->st_ino,
	    .device = st->st_dev,
	};
}

bool pf_stamp_eq(const struct pf_stamp *a, const struct pf_stamp *b)
{
	return a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec &&
	       a->size == b->size && a->inode == b->inode && a->device == b->device;
}

bool pf_is_fresh(const struct pf_stamp *s)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	int64_t age = (now.tv_sec - s->mtime.tv_sec) * INT64_C(1000) +
		      (now.tv_nsec - s->mtime.tv_nsec) / 1000000;
	return age >= 0 && age < PF_SETTLE_MS;
}

/* ---- lines ---- */

static struct span line_at(const struct pf_table *t, size_t at)
{
	const char *p = t->data + at;
	const char *end = memchr(p, '\n', t->size - at);
	size_t len = end != NULL ? (size_t)(end - p) : t->size - at;
	return span_make(p, len);
}

static struct span without_cr(struct span line)
{
	if (line.len > 0 && line.ptr[line.len - 1] == '\r')
		line.len--;
	return line;
}

/* "hash[13]" as libpam-pwdfile writes it: the number in brackets is the scheme */
static void parse_password(struct pf_line *out)
{
	struct span p = out->password;
	out->password_prefix = "";
	if (p.len <= 4 || p.ptr[0] == '{' || p.ptr[0] == '$' || p.ptr[p.len - 1] != ']' ||
	    p.ptr[p.len - 4] != '[')
		return;
	struct span number = span_make(p.ptr + p.len - 3, 2);
	out->password.len -= 4;
	if (span_eq_str(number, "34"))
		out->password_prefix = "{PLAIN-MD5}";
	else if (span_eq_str(number, "56"))
		out->password_prefix = "{DIGEST-MD5}";
	else
		out->password_prefix = "{CRYPT}";
}

/* user:password:uid:gid:(gecos):home:(shell):extra fields */
static void parse_line(struct span line, struct pf_line *out)
{
	struct span column[COLUMNS] = {SPAN_NULL};
	struct span rest = without_cr(line);
	for (size_t i = 0; i < COLUMNS - 1 && rest.ptr != NULL; i++)
		(void)span_split(&rest, ':', &column[i]);
	/* the last column keeps its colons */
	column[COLUMNS - 1] = rest;
	*out = (struct pf_line){
	    .user = column[0],
	    .password = column[1],
	    .uid = column[2],
	    .gid = column[3],
	    .home = column[5],
	    .extra = column[7],
	    .extra_prefix = "",
	};
	parse_password(out);
	if (out->extra.len > 0 && out->extra.ptr[0] == ':') {
		/* the form of old: an empty column, then where the mail is */
		out->extra = span_skip(out->extra, 1);
		out->extra_prefix = out->extra.len > 0 ? "userdb_mail=" : "";
	}
}

bool pf_line_parse(struct span line, struct pf_line *out)
{
	if (line.len == 0 || line.ptr[0] == '#' || line.ptr[0] == ':' || line.ptr[0] == '\r')
		return false;
	parse_line(line, out);
	return true;
}

/* ---- the index ---- */

static uint64_t hash_user(const struct pf_table *t, struct span user)
{
	unsigned char out[crypto_shorthash_BYTES];
	uint64_t h;
	crypto_shorthash(out, (const unsigned char *)user.ptr, user.len, t->key);
	memcpy(&h, out, sizeof(h));
	return h;
}

static bool starts_with_user(const struct pf_table *t, size_t at, struct span user)
{
	if (t->size - at < user.len || memcmp(t->data + at, user.ptr, user.len) != 0)
		return false;
	/* data is followed by a newline of our own */
	const char *end = t->data + at + user.len;
	return *end == ':' || *end == '\n' || (*end == '\r' && end[1] == '\n');
}

/* The slot that holds the user, or the empty one where he belongs. */
static struct slot *find_slot(const struct pf_table *t, struct span user, uint64_t h)
{
	uint32_t tag = (uint32_t)(h >> 32);
	for (uint64_t i = h & t->mask;; i = (i + 1) & t->mask) {
		struct slot *s = &t->slots[i];
		if (s->place == 0 || (s->tag == tag && starts_with_user(t, s->place - 1, user)))
			return s;
	}
}

static bool may_complain(struct pf_table *t)
{
	if (t->complaints == LOG_MAX)
		log_error("passwd-file %s: there are more such errors", t->path);
	return t->complaints++ < LOG_MAX;
}

static bool id_is_valid(struct span text)
{
	uint32_t id;
	return text.len == 0 || (span_to_u32(text, &id) && id != 0 && id != UINT32_MAX);
}

static bool line_is_valid(struct pf_table *t, const struct pf_line *l)
{
	const char *what = NULL;
	if (!id_is_valid(l->uid))
		what = "UID";
	else if (!id_is_valid(l->gid))
		what = "GID";
	else if (strcmp(l->password_prefix, "{DIGEST-MD5}") == 0 && l->password.len != 32)
		what = "password";
	if (what != NULL && may_complain(t))
		log_error(
		    "passwd-file %s: User %.*s has invalid %s", t->path, SPAN_ARG(l->user), what);
	return what == NULL;
}

static void add_line(struct pf_table *t, size_t at, struct span line)
{
	struct pf_line l;
	if (!pf_line_parse(line, &l) || !line_is_valid(t, &l))
		return;
	uint64_t h = hash_user(t, l.user);
	struct slot *s = find_slot(t, l.user, h);
	if (s->place != 0) {
		if (may_complain(t))
			log_error("passwd-file %s: User %.*s exists more than once", t->path,
			    SPAN_ARG(l.user));
		return;
	}
	*s = (struct slot){.place = (uint32_t)(at + 1), .tag = (uint32_t)(h >> 32)};
	t->users++;
	if (span_find(l.extra, '%') >= 0)
		t->has_templates = true;
}

static size_t count_lines(const struct pf_table *t)
{
	size_t n = 1;
	const char *p = t->data, *end = t->data + t->size;
	while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		n++;
		p++;
	}
	return n;
}

static void build_index(struct pf_table *t)
{
	size_t lines = count_lines(t), size = 16;
	while (size < lines + lines / 3)
		size *= 2;
	t->slots = mem_alloc(size * sizeof(*t->slots));
	t->mask = size - 1;
	randombytes_buf(t->key, sizeof(t->key));
	for (size_t at = 0; at < t->size;) {
		struct span line = line_at(t, at);
		add_line(t, at, line);
		at += line.len + 1;
	}
	t->is_cut = t->size > 0 && t->data[t->size - 1] != '\n' && pf_is_fresh(&t->stamp);
}

/* ---- reading ---- */

static struct pf_table *table_new(size_t size)
{
	struct pf_table *t = mem_alloc(sizeof(*t));
	atomic_init(&t->refs, 1);
	t->size = size;
	t->data = mem_alloc(size + 1);
	t->data[size] = '\n';
	return t;
}

/* 0 or an errno; EAGAIN: the file got shorter. */
static int read_whole(int fd, char *to, size_t size)
{
	size_t done = 0;
	while (done < size) {
		ssize_t n = pread(fd, to + done, size - done, (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? errno : EAGAIN;
		done += (size_t)n;
	}
	return 0;
}

static bool table_err(struct err *err, const char *path, int code)
{
	return err_set(err, code, "passwd-file %s: %s", path, strerror(code));
}

/* One try; NULL with err->code EAGAIN: it changed while it was read. */
static struct pf_table *read_once(const char *path, struct err *err)
{
	struct stat before, after;
	struct pf_table *t = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &before) != 0) {
		table_err(err, path, errno);
		goto out;
	}
	if (!S_ISREG(before.st_mode)) {
		err_set(err, EINVAL, "passwd-file %s: not a regular file", path);
		goto out;
	}
	if (before.st_size >= UINT32_MAX) {
		err_set(err, EFBIG, "passwd-file %s: larger than 4 GB", path);
		goto out;
	}
	t = table_new((size_t)before.st_size);
	t->stamp = pf_stamp_of(&before);
	int e = read_whole(fd, t->data, t->size);
	if (e == 0 && fstat(fd, &after) != 0)
		e = errno;
	if (e == 0) {
		struct pf_stamp now = pf_stamp_of(&after);
		e = pf_stamp_eq(&t->stamp, &now) ? 0 : EAGAIN;
	}
	if (e != 0) {
		table_err(err, path, e);
		pf_table_unref(t);
		t = NULL;
	}
out:
	if (fd >= 0)
		close(fd);
	return t;
}

struct pf_table *pf_table_load(const char *path, struct err *err)
{
	const struct timespec pause = {.tv_nsec = READ_PAUSE_MS * 1000000L};
	struct pf_table *t = NULL;
	for (int i = 0; i < READ_TRIES && t == NULL; i++) {
		if (i > 0)
			nanosleep(&pause, NULL);
		t = read_once(path, err);
		if (t == NULL && err->code != EAGAIN)
			return NULL;
	}
	if (t == NULL) {
		err_set(err, EAGAIN, "passwd-file %s: it keeps changing while it is read", path);
		return NULL;
	}
	t->path = path;
	build_index(t);
	t->path = NULL;
	return t;
}

struct pf_table *pf_table_of(const char *path, struct span text)
{
	struct pf_table *t = table_new(text.len);
	if (text.len > 0)
		memcpy(t->data, text.ptr, text.len);
	t->path = path;
	build_index(t);
	t->path = NULL;
	return t;
}

struct pf_table *pf_table_ref(struct pf_table *t)
{
	atomic_fetch_add(&t->refs, 1);
	return t;
}

void pf_table_unref(struct pf_table *t)
{
	if (t == NULL || atomic_fetch_sub(&t->refs, 1) > 1)
		return;
	mem_wipe(t->data, t->size);
	mem_free(&t->data);
	mem_free(&t->slots);
	mem_free(&t);
}

bool pf_table_is_shared(const struct pf_table *t)
{
	return atomic_load(&t->refs) > 1;
}

/* ---- questions ---- */

const struct pf_stamp *pf_table_stamp(const struct pf_table *t)
{
	return &t->stamp;
}

size_t pf_table_users(const struct pf_table *t)
{
	return t->users;
}

bool pf_table_has_templates(const struct pf_table *t)
{
	return t->has_templates;
}

bool pf_table_is_cut(const struct pf_table *t)
{
	return t->is_cut;
}

bool pf_table_find(const struct pf_table *t, struct span user, struct pf_line *out)
{
	/* no line starts with these, but "a:b" would find the line of "a" */
	if (user.len == 0 || span_find(user, ':') >= 0 || span_find(user, '\n') >= 0)
		return false;
	const struct slot *s = find_slot(t, user, hash_user(t, user));
	if (s->place == 0)
		return false;
	parse_line(line_at(t, s->place - 1), out);
	return true;
}

bool pf_table_next(const struct pf_table *t, size_t *at, struct pf_line *out)
{
	while (*at < t->size) {
		size_t here = *at;
		struct span line = line_at(t, here);
		*at += line.len + 1;
		if (line.len == 0 || line.ptr[0] == '#' || line.ptr[0] == ':')
			continue;
		parse_line(line, out);
		/* neither refused at load nor a second line of the same user */
		const struct slot *s = find_slot(t, out->user, hash_user(t, out->user));
		if (s->place == here + 1)
			return true;
	}
	return false;
}
