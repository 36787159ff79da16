/*
 * Which version of which passwd-file answers now. Runs in: worker, any thread.
 * Owner: the store holds one reference to each file's table. Its lock is held
 * for a stat() and the load of a small file at most; large ones are loaded by
 * a thread and swapped in. Not fatal: a file that is missing or unreadable; it
 * is looked at again every second.
 */
#include "drivers/passwd-file-store.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/wheel.h"

struct pf_file {
	struct pf_file *next;
	char *path;
	struct pf_table *table;	 /* answers now; NULL: none */
	struct pf_table *coming; /* a new version, but its templates need more variables ... */
	int64_t coming_at;	 /* ... which will be there then */
	struct err err;		 /* why there is no table */
	int64_t checked_at, used_at;
	int64_t failing_since; /* 0: not */
	int64_t changed_since; /* a change was seen, but the file may not be whole yet; 0: not */
	bool loading;
};

struct pf_store {
	pthread_mutex_t lock;
	pthread_cond_t idle;
	struct pf_file *files;
	unsigned count, working;
	atomic_uint_fast64_t version;
	bool many;
};

/* What a thread of its own does: load a file, or let go of an old table. */
struct work {
	struct pf_store *store;
	struct pf_file *file;
	struct pf_table *old;
};

struct pf_store *pf_store_new(bool many)
{
	struct pf_store *s = mem_alloc(sizeof(*s));
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->idle, NULL);
	s->many = many;
	return s;
}

static void file_free(struct pf_file *f)
{
	pf_table_unref(f->table);
	pf_table_unref(f->coming);
	mem_free(&f->path);
	mem_free(&f);
}

void pf_store_free(struct pf_store **store)
{
	struct pf_store *s = *store;
	if (s == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	while (s->working > 0)
		pthread_cond_wait(&s->idle, &s->lock);
	pthread_mutex_unlock(&s->lock);
	while (s->files != NULL) {
		struct pf_file *f = s->files;
		s->files = f->next;
		file_free(f);
	}
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->idle);
	mem_free(store);
}

/* ---- the table of files, under the lock ---- */

static void drop_oldest(struct pf_store *s)
{
	struct pf_file **oldest = NULL;
	for (struct pf_file **link = &s->files; *link != NULL; link = &(*link)->next) {
		if (!(*link)->loading && (oldest == NULL || (*link)->used_at < (*oldest)->used_at))
			oldest = link;
	}
	if (oldest == NULL)
		return;
	struct pf_file *f = *oldest;
	*oldest = f->next;
	s->count--;
	file_free(f);
}

static void drop(struct pf_store *s, struct pf_file *f)
{
	struct pf_file **link = &s->files;
	while (*link != f)
		link = &(*link)->next;
	*link = f->next;
	s->count--;
	file_free(f);
}

static struct pf_file *find(struct pf_store *s, const char *path)
{
	for (struct pf_file **link = &s->files; *link != NULL; link = &(*link)->next) {
		struct pf_file *f = *link;
		if (strcmp(f->path, path) != 0)
			continue;
		/* to the front: the busiest files are found first */
		*link = f->next;
		f->next = s->files;
		s->files = f;
		return f;
	}
	if (s->count >= PF_FILES_MAX)
		drop_oldest(s);
	struct pf_file *f = mem_alloc(sizeof(*f));
	f->path = mem_strdup(path);
	f->next = s->files;
	s->files = f;
	s->count++;
	return f;
}

/* ---- loading, under the lock ---- */

static bool work_in_background(
    struct pf_store *s, void *(*run)(void *), struct pf_file *f, struct pf_table *old)
{
	pthread_attr_t attr;
	pthread_t thread;
	struct work *w = mem_alloc(sizeof(*w));
	*w = (struct work){s, f, old};
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	int e = pthread_create(&thread, &attr, run, w);
	pthread_attr_destroy(&attr);
	if (e == 0)
		s->working++;
	else
		mem_free(&w);
	return e == 0;
}

/* What runs here must not take the processor from logins. */
static struct work work_begin(void *arg)
{
	struct work w = *(struct work *)arg;
	mem_free(&arg);
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(), 10);
	return w;
}

static void work_done(struct pf_store *s)
{
	s->working--;
	pthread_cond_broadcast(&s->idle);
}

static void *free_thread(void *arg)
{
	const struct timespec pause = {.tv_nsec = 10 * 1000000L};
	struct work w = work_begin(arg);
	/* be the last one who has it, so that no login has to wipe it */
	for (int i = 0; i < 100 && pf_table_is_shared(w.old); i++)
		nanosleep(&pause, NULL);
	pf_table_unref(w.old);
	pthread_mutex_lock(&w.store->lock);
	work_done(w.store);
	pthread_mutex_unlock(&w.store->lock);
	return NULL;
}

/* Wiping a hundred megabytes takes longer than a login may wait. */
static void retire(struct pf_store *s, struct pf_table *t)
{
	if (t == NULL)
		return;
	if (pf_table_stamp(t)->size < PF_SMALL || !work_in_background(s, free_thread, NULL, t))
		pf_table_unref(t);
}

static void use(struct pf_store *s, struct pf_file *f, struct pf_table *t)
{
	retire(s, f->table);
	f->table = t;
	f->err = (struct err){0};
	atomic_fetch_add(&s->version, 1);
}

static bool templates_are_new(
    const struct pf_store *s, const struct pf_file *f, const struct pf_table *t)
{
	if (s->many || !pf_table_has_templates(t) || f->checked_at == 0)
		return false;
	return f->table == NULL || !pf_table_has_templates(f->table);
}

/* A file that is replaced in two steps is missing for a moment; later it is really gone. */
static void failed(struct pf_store *s, struct pf_file *f, const struct err *why)
{
	int64_t now = clock_ms();
	if (f->failing_since == 0)
		f->failing_since = now;
	if (f->table != NULL && (why->code == EAGAIN || now - f->failing_since < PF_CHECK_MS))
		return;
	/* the first failure is for the one who asked, the same one again is no news */
	if (f->checked_at != 0 && strcmp(f->err.text, why->text) != 0)
		log_error("%s", why->text);
	f->err = *why;
	retire(s, f->table);
	retire(s, f->coming);
	f->table = f->coming = NULL;
}

static void loaded(struct pf_store *s, struct pf_file *f, struct pf_table *t, const struct err *err)
{
	if (t == NULL) {
		failed(s, f, err);
		return;
	}
	f->changed_since = 0;
	f->failing_since = 0;
	log_debug("passwd-file %s: Read %zu users", f->path, pf_table_users(t));
	retire(s, f->coming);
	f->coming = NULL;
	if (templates_are_new(s, f, t)) {
		f->coming = t;
		f->coming_at = clock_ms() + PF_HELLO_MS;
		if (f->table == NULL)
			err_set(&f->err, EAGAIN, "passwd-file %s: being loaded", f->path);
		return;
	}
	use(s, f, t);
}

static void *load_thread(void *arg)
{
	struct work w = work_begin(arg);
	struct err err = {0};
	/* the path is safe without the lock: a file that is being loaded is not dropped */
	struct pf_table *t = pf_table_load(w.file->path, &err);
	pthread_mutex_lock(&w.store->lock);
	loaded(w.store, w.file, t, &err);
	w.file->loading = false;
	work_done(w.store);
	pthread_mutex_unlock(&w.store->lock);
	return NULL;
}

static bool load_in_background(struct pf_store *s, struct pf_file *f)
{
	if (!work_in_background(s, load_thread, f, NULL))
		return false;
	f->loading = true;
	if (f->table == NULL)
		err_set(&f->err, EAGAIN, "passwd-file %s: being loaded", f->path);
	return true;
}

static void load(struct pf_store *s, struct pf_file *f, off_t size)
{
	/* the first load of all has nobody to hold up, and one that has no other answer must wait
	 */
	bool wait = size < PF_SMALL || f->checked_at == 0;
	if (!wait && load_in_background(s, f))
		return;
	struct err err = {0};
	struct pf_table *t = pf_table_load(f->path, &err);
	loaded(s, f, t, &err);
}

/* Somebody may be writing into it right now: better the old version for another second. */
static bool wait_until_whole(struct pf_file *f, const struct pf_stamp *stamp, int64_t now)
{
	if (f->table == NULL || !pf_is_fresh(stamp))
		return false;
	if (f->changed_since == 0)
		f->changed_since = now;
	return now - f->changed_since < 3 * PF_CHECK_MS;
}

static void check(struct pf_store *s, struct pf_file *f, int64_t now)
{
	struct stat st;
	if (stat(f->path, &st) != 0) {
		struct err why = {0};
		err_set(&why, errno, "passwd-file %s: %s", f->path, strerror(errno));
		failed(s, f, &why);
		return;
	}
	struct pf_stamp stamp = pf_stamp_of(&st);
	const struct pf_table *newest = f->coming != NULL ? f->coming : f->table;
	if (newest != NULL && pf_stamp_eq(pf_table_stamp(newest), &stamp) &&
	    !pf_table_is_cut(newest)) {
		f->changed_since = 0;
		f->failing_since = 0;
		return;
	}
	if (!f->loading && !wait_until_whole(f, &stamp, now))
		load(s, f, st.st_size);
}

static void refresh(struct pf_store *s, struct pf_file *f, int64_t now)
{
	if (f->checked_at == 0 || now - f->checked_at >= PF_CHECK_MS) {
		check(s, f, now);
		f->checked_at = now;
		if (f->changed_since != 0)
			f->checked_at -= PF_CHECK_MS - PF_SETTLE_MS; /* look again soon */
	}
	if (f->coming != NULL && now >= f->coming_at) {
		use(s, f, f->coming);
		f->coming = NULL;
	}
}

/* ---- what the driver calls ---- */

struct pf_table *pf_store_get(struct pf_store *s, const char *path, struct err *err)
{
	struct pf_table *t = NULL;
	pthread_mutex_lock(&s->lock);
	struct pf_file *f = find(s, path);
	f->used_at = clock_coarse_ms();
	refresh(s, f, f->used_at);
	if (f->table != NULL)
		t = pf_table_ref(f->table);
	else
		*err = f->err;
	/* or guests could fill the table of files with names of none */
	if (s->many && t == NULL && !f->loading)
		drop(s, f);
	pthread_mutex_unlock(&s->lock);
	return t;
}

void pf_store_reload(struct pf_store *s, const char *path)
{
	struct stat st;
	pthread_mutex_lock(&s->lock);
	struct pf_file *f = find(s, path);
	f->used_at = clock_ms();
	/* one that is being loaded may be the old one; it is looked at again within a second */
	if (!f->loading && stat(path, &st) == 0) {
		load(s, f, st.st_size);
		f->checked_at = f->used_at;
	}
	pthread_mutex_unlock(&s->lock);
}

void pf_store_watch(struct pf_store *s)
{
	pthread_mutex_lock(&s->lock);
	for (struct pf_file *f = s->files; f != NULL; f = f->next)
		refresh(s, f, clock_ms());
	pthread_mutex_unlock(&s->lock);
}

uint64_t pf_store_version(struct pf_store *s)
{
	return atomic_load(&s->version);
}

bool pf_store_has_templates(struct pf_store *s)
{
	bool has = false;
	pthread_mutex_lock(&s->lock);
	for (const struct pf_file *f = s->files; f != NULL; f = f->next) {
		has = has || (f->table != NULL && pf_table_has_templates(f->table)) ||
		      (f->coming != NULL && pf_table_has_templates(f->coming));
	}
	pthread_mutex_unlock(&s->lock);
	return has;
}
