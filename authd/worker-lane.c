/*
 * Lanes: threads that run blocking questions and expensive hashes, so that the
 * worker's main thread never waits. Threads start when there is work for them
 * and stay. Runs in: worker.
 * A job belongs to the queue, then to the lane that took it, then to the done
 * list, then to the main thread again. Fatal: nothing but a lack of memory.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "authd/worker-job.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/wheel.h"

/* a job that needs much memory is overtaken by so many smaller ones, then they wait for it */
enum {
	OVERTAKE_MAX = 64,
	BORROW_PAUSE_MS = 20,
	STOP_WAIT_S = 2,
	REOPEN_MS = 1000,
	NEEDS_MS = 1000,
	IDLE_MS = 5000,
	SLOW_MS = 5,
	QUICK_MS = 1,
	DONE_TOGETHER = 8
};

bool lane_hub_init(struct lane_hub *h, struct err *err)
{
	*h = (struct lane_hub){.done_end = &h->done};
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->credit, NULL);
	pthread_cond_init(&h->opened, NULL);
	h->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (h->event < 0)
		return err_set(err, EX_OSERR, "eventfd: %s", strerror(errno));
	return true;
}

void lane_hub_free(struct lane_hub *h)
{
	pthread_mutex_destroy(&h->lock);
	pthread_cond_destroy(&h->credit);
	pthread_cond_destroy(&h->opened);
	buffer_free(&h->frames);
	close(h->event);
}

void lane_pool_init(struct lane_pool *p, struct lane_hub *h)
{
	p->hub = h;
	p->queue_end = &p->queue;
	pthread_cond_init(&p->work, NULL);
	p->threads = mem_alloc(p->max * sizeof(*p->threads));
	p->busy_until = mem_alloc(p->max * sizeof(*p->busy_until));
}

void lane_wake(struct lane_hub *h)
{
	uint64_t one = 1;
	if (write(h->event, &one, sizeof(one)) < 0 && errno != EAGAIN)
		mem_panic("eventfd");
}

/* ---- with the hub's lock held ---- */

/*
 * The main thread takes all that is there when it comes. It is woken for the
 * first that is done, or for a few while the queue is long and its questions
 * are quick. It looks by itself each LANE_LOOK_MS then: only it puts jobs into
 * the worker, so it knows before it sleeps that a queue can be long.
 */
static void finish(struct lane_hub *h, struct job *job, bool more_soon)
{
	job->next = NULL;
	*h->done_end = job;
	h->done_end = &job->next;
	if (h->woken || (more_soon && ++h->done_count < DONE_TOGETHER))
		return;
	h->woken = true;
	lane_wake(h);
}

static void unlink_job(struct lane_pool *p, struct job **link)
{
	struct job *job = *link;
	*link = job->next;
	if (p->queue_end == &job->next)
		p->queue_end = link;
	job->next = NULL;
	job->queued = NULL;
	p->queued--;
}

/* The first job whose memory is free now, unless one before it has waited for too many. */
static struct job *pick(struct lane_pool *p)
{
	for (struct job **link = &p->queue; *link != NULL; link = &(*link)->next) {
		struct job *job = *link;
		if (p->memory == 0 || job->hash_memory <= p->memory - p->memory_used) {
			unlink_job(p, link);
			return job;
		}
		if (++job->passed_over > OVERTAKE_MAX)
			return NULL;
	}
	return NULL;
}

/* One lane at a time: it wakes the next one if there is more than it takes. */
static void wake_one(struct lane_pool *p)
{
	if (p->queue == NULL || p->idle == 0 || p->waking)
		return;
	p->waking = true;
	pthread_cond_signal(&p->work);
}

static void *lane_thread(void *arg);

static void enqueue(struct lane_pool *p, struct job *job)
{
	job->next = NULL;
	job->queued = p;
	*p->queue_end = job;
	p->queue_end = &job->next;
	p->queued++;
	if (p->queued > p->idle && p->count < p->max) {
		int e = pthread_create(&p->threads[p->count], NULL, lane_thread, p);
		if (e == 0) {
			p->count++;
		} else if (p->count == 0) {
			struct job **link = &p->queue;
			while (*link != job)
				link = &(*link)->next;
			unlink_job(p, link);
			job_answer(job, VERDICT_INTERNAL, "cannot start a thread: %s", strerror(e));
			finish(p->hub, job, false);
			return;
		}
	}
	wake_one(p);
}

static void go_on(struct lane_pool *p, struct job *job, bool more_soon)
{
	if (job->outcome == LANE_HASH)
		enqueue(p->hash_pool, job);
	else if (job->outcome == LANE_NAMES)
		enqueue(p->names_pool, job);
	else
		finish(p->hub, job, more_soon);
}

/* ---- the lane ---- */

struct lane {
	struct lane_pool *pool;
	unsigned number;
	void *state;
	struct err err;	  /* why there is no state */
	bool slow, quick; /* the last call took long, or next to no time */
	bool rested;	  /* since then the driver heard that it is idle */
	int64_t opened_at, needs_at;
};

static void lane_publish_needs(struct lane *l, int64_t now)
{
	const struct lane_pool *p = l->pool;
	if (p->state != NULL || l->state == NULL || p->driver->needs == NULL)
		return;
	if (l->needs_at != 0 && now - l->needs_at < NEEDS_MS)
		return;
	l->needs_at = now;
	atomic_store(&p->hub->needs, p->driver->needs(l->state));
}

static bool lane_open(struct lane *l)
{
	const struct lane_pool *p = l->pool;
	if (p->state != NULL || p->driver == NULL) {
		l->state = p->state;
		return true;
	}
	int64_t now = clock_ms();
	if (l->state == NULL && (l->opened_at == 0 || now - l->opened_at >= REOPEN_MS)) {
		l->opened_at = now;
		l->err = (struct err){0};
		l->state = p->driver->open(p->settings, &l->err);
		lane_publish_needs(l, now);
	}
	return l->state != NULL;
}

/* What need not be asked any more is answered; the others come first, and the result is how many.
 */
static size_t drop_unwanted(struct lane *l, struct job **jobs, size_t count)
{
	size_t n = 0;
	for (size_t i = 0; i < count; i++) {
		struct job *job = jobs[i];
		job->outcome = LANE_DONE;
		if (atomic_load(&job->cancelled))
			job_answer(job, VERDICT_INTERNAL, "cancelled");
		else if (job_is_late(job))
			job_outage(job, BACKEND_AWAY, "timed out in the queue");
		else if (!lane_open(l))
			job_outage(job, BACKEND_DOWN, l->err.text);
		else {
			jobs[i] = jobs[n];
			jobs[n++] = job;
		}
	}
	return n;
}

static void lane_run(struct lane *l, struct job **jobs, size_t count)
{
	const struct lane_pool *p = l->pool;
	size_t n = drop_unwanted(l, jobs, count);
	int64_t began = clock_ms();
	if (n > 0)
		p->run(p->ctx, l->state, jobs, n);
	int64_t now = clock_ms();
	l->rested = false;
	l->slow = now - began >= SLOW_MS;
	l->quick = now - began <= QUICK_MS;
	lane_publish_needs(l, now);
}

/*
 * While questions are quick, all that wait: one round for many is sooner over
 * than several beside each other. Else a fair share: lanes that are free take
 * the rest at the same time, and when all are busy the more go together. Where
 * a question takes long, nothing is gained that would be worth the waiting for
 * each other.
 */
static size_t pick_batch(const struct lane *l, struct job **jobs)
{
	struct lane_pool *p = l->pool;
	unsigned others = l->quick ? 0 : p->idle + (p->max - p->count);
	size_t share = l->slow ? 1 : (p->queued + others) / (others + 1), n = 0;
	do {
		jobs[n] = pick(p);
		if (jobs[n] == NULL)
			break;
	} while (++n < share && n < p->batch);
	return n;
}

/* When nobody waits any more for any of them. */
static int64_t last_deadline(struct job *const *jobs, size_t count)
{
	int64_t last = 0;
	for (size_t i = 0; i < count; i++) {
		const struct channel_question *q = &jobs[i]->q;
		if (q->ask == CHANNEL_LIST || q->deadline_ms == 0)
			return INT64_MAX;
		if (q->deadline_ms > last)
			last = q->deadline_ms;
	}
	return last;
}

static void lane_wait(struct lane *l)
{
	struct lane_pool *p = l->pool;
	const struct driver *d = p->state == NULL && l->state != NULL ? p->driver : NULL;
	int e = 0;
	p->idle++;
	if (d != NULL && d->idle != NULL && !l->rested) {
		const int64_t until = clock_ms() + IDLE_MS;
		const struct timespec ts = {until / 1000, until % 1000 * 1000000};
		e = pthread_cond_clockwait(&p->work, &p->hub->lock, CLOCK_MONOTONIC, &ts);
	} else {
		pthread_cond_wait(&p->work, &p->hub->lock);
	}
	p->idle--;
	p->waking = false;
	if (e != ETIMEDOUT || p->queued > 0)
		return;
	l->rested = true;
	pthread_mutex_unlock(&p->hub->lock);
	d->idle(l->state);
	pthread_mutex_lock(&p->hub->lock);
}

static void lane_step(struct lane *l)
{
	struct lane_pool *p = l->pool;
	struct job *jobs[LANE_BATCH_MAX];
	size_t count = pick_batch(l, jobs);
	if (count == 0) {
		lane_wait(l);
		return;
	}
	wake_one(p);
	/* a job that a lane with its own state passes on to hashing has no memory yet */
	uint64_t memory = jobs[0]->hash_memory;
	p->memory_used += memory;
	p->busy_until[l->number] = last_deadline(jobs, count);
	pthread_mutex_unlock(&p->hub->lock);
	lane_run(l, jobs, count);
	pthread_mutex_lock(&p->hub->lock);
	p->busy_until[l->number] = INT64_MAX;
	p->memory_used -= memory;
	if (memory > 0)
		pthread_cond_broadcast(&p->work);
	bool more_soon = l->quick && p->queued >= LANE_QUEUE_LONG;
	for (size_t i = 0; i < count; i++) {
		if (jobs[i] != NULL)
			go_on(p, jobs[i], more_soon);
	}
}

static void *lane_thread(void *arg)
{
	struct lane l = {.pool = arg};
	struct lane_pool *p = l.pool;
	if (p->nice != 0 && setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid),
				getpriority(PRIO_PROCESS, 0) + p->nice) != 0)
		log_debug("setpriority of a lane: %s", strerror(errno));
	bool open = lane_open(&l);
	pthread_mutex_lock(&p->hub->lock);
	l.number = p->started++;
	p->busy_until[l.number] = INT64_MAX;
	if (p->first_open == 0) {
		p->first_open = open ? 1 : -1;
		p->open_err = l.err;
		pthread_cond_broadcast(&p->hub->opened);
	}
	while (!p->hub->stopping)
		lane_step(&l);
	pthread_mutex_unlock(&p->hub->lock);
	if (p->state == NULL && l.state != NULL)
		p->driver->close(l.state);
	arena_thread_end();
	return NULL;
}

/* ---- what the main thread calls ---- */

bool lane_pool_open_first(struct lane_pool *p, struct err *err)
{
	pthread_mutex_lock(&p->hub->lock);
	int e = pthread_create(&p->threads[0], NULL, lane_thread, p);
	if (e == 0) {
		p->count = 1;
		while (p->first_open == 0)
			pthread_cond_wait(&p->hub->opened, &p->hub->lock);
	}
	pthread_mutex_unlock(&p->hub->lock);
	if (e != 0)
		return err_set(err, EX_OSERR, "cannot start a thread: %s", strerror(e));
	if (p->first_open < 0)
		return err_set(err, p->open_err.code, "%s", p->open_err.text);
	return true;
}

void lane_submit(struct lane_pool *p, struct job *job)
{
	pthread_mutex_lock(&p->hub->lock);
	enqueue(p, job);
	pthread_mutex_unlock(&p->hub->lock);
}

void lane_hand_over(struct lane_pool *p, struct job *job)
{
	pthread_mutex_lock(&p->hub->lock);
	go_on(p, job, p->queued >= LANE_QUEUE_LONG);
	pthread_mutex_unlock(&p->hub->lock);
}

bool lane_cancel(struct lane_hub *h, struct job *job)
{
	pthread_mutex_lock(&h->lock);
	atomic_store(&job->cancelled, true);
	struct lane_pool *p = job->queued;
	if (p != NULL) {
		struct job **link = &p->queue;
		while (*link != job)
			link = &(*link)->next;
		unlink_job(p, link);
	}
	pthread_cond_broadcast(&h->credit);
	pthread_mutex_unlock(&h->lock);
	return p != NULL;
}

unsigned lane_count_stuck(struct lane_pool *p, int64_t limit_ms)
{
	unsigned stuck = 0;
	pthread_mutex_lock(&p->hub->lock);
	for (unsigned i = 0; i < p->started; i++)
		stuck += p->busy_until[i] < limit_ms;
	pthread_mutex_unlock(&p->hub->lock);
	return stuck;
}

void lane_credit(struct lane_hub *h, struct job *job, uint32_t more)
{
	pthread_mutex_lock(&h->lock);
	job->credit = more > UINT32_MAX - job->credit ? UINT32_MAX : job->credit + more;
	pthread_cond_broadcast(&h->credit);
	pthread_mutex_unlock(&h->lock);
}

bool lane_borrow(struct lane_pool *p, uint64_t memory)
{
	/* looking again and again: a lane's wake-up must not be ours */
	const struct timespec pause = {.tv_nsec = BORROW_PAUSE_MS * 1000000L};
	bool fits = p->memory == 0 || memory <= p->memory, got = false, stopping = false;
	while (fits && !got && !stopping) {
		pthread_mutex_lock(&p->hub->lock);
		stopping = p->hub->stopping;
		got = !stopping && p->queued == 0 &&
		      (p->memory == 0 || memory <= p->memory - p->memory_used);
		p->memory_used += got ? memory : 0;
		pthread_mutex_unlock(&p->hub->lock);
		if (!got && !stopping)
			nanosleep(&pause, NULL);
	}
	return got;
}

void lane_give_back(struct lane_pool *p, uint64_t memory)
{
	pthread_mutex_lock(&p->hub->lock);
	p->memory_used -= memory;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->hub->lock);
}

struct job *lane_take_done(struct lane_hub *h, struct buffer *frames)
{
	uint64_t count;
	if (read(h->event, &count, sizeof(count)) < 0 && errno != EAGAIN)
		mem_panic("eventfd");
	pthread_mutex_lock(&h->lock);
	struct job *done = h->done;
	h->done = NULL;
	h->done_end = &h->done;
	h->woken = false;
	h->done_count = 0;
	if (h->frames.len > 0) {
		buffer_append(frames, buffer_span(&h->frames));
		buffer_consume(&h->frames, h->frames.len);
	}
	pthread_mutex_unlock(&h->lock);
	return done;
}

bool lane_stop(struct lane_hub *h, struct lane_pool *const *pools, size_t count)
{
	pthread_mutex_lock(&h->lock);
	h->stopping = true;
	pthread_cond_broadcast(&h->credit);
	for (size_t i = 0; i < count; i++)
		pthread_cond_broadcast(&pools[i]->work);
	pthread_mutex_unlock(&h->lock);
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STOP_WAIT_S;
	for (size_t i = 0; i < count; i++) {
		struct lane_pool *p = pools[i];
		for (unsigned t = 0; t < p->count; t++) {
			if (pthread_timedjoin_np(p->threads[t], NULL, &until) != 0)
				return false;
		}
		pthread_cond_destroy(&p->work);
		mem_free(&p->threads);
		mem_free(&p->busy_until);
	}
	return true;
}
