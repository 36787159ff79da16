/*
 * Lanes: threads that run blocking questions and expensive hashes, so that the
 * worker's main thread never waits. Threads start when there is work for them
 * and stay. Runs in: worker.
 * A job belongs to the queue, then to the lane that took it, then to the done
 * list, then to the main thread again. Fatal: nothing but a lack of memory.
 */
#include <errno.h>
#include <string.h>
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
	QUICK_MS = 2,
	WAKE_US = 200 /* a wake-up, with what it costs the others */
};

void lane_pool_init(struct lane_pool *p, struct lane_hub *h)
{
	p->hub = h;
	p->queue_end = &p->queue;
	pthread_cond_init(&p->work, NULL);
	p->threads = mem_alloc(p->max * sizeof(*p->threads));
	p->busy_until = mem_alloc(p->max * sizeof(*p->busy_until));
}

/* ---- with the hub's lock held ---- */

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

/*
 * A lane that is awake, and took some a moment ago, will be done with the rest
 * before another is up. When it meets something slow, the main thread sees that
 * within LANE_LOOK_MS.
 */
static bool is_attended(const struct lane_pool *p)
{
	return p->batch > 1 && p->started > p->idle && p->queued * p->pace_us < WAKE_US &&
	       clock_us() - p->picked_us < LANE_LOOK_MS * 1000;
}

/* One lane at a time: it wakes the next one if there is more than it takes. */
static bool is_to_wake(struct lane_pool *p)
{
	if (p->queue == NULL || p->idle == 0 || p->waking || is_attended(p))
		return false;
	p->waking = true;
	return true;
}

/* The lock first, so that the lane does not wake only to wait for it. */
static void unlock_and_wake(struct lane_pool *p)
{
	bool wake = is_to_wake(p);
	pthread_mutex_unlock(&p->hub->lock);
	if (wake)
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
	if (p->queued <= p->idle || p->count == p->max)
		return;
	int e = pthread_create(&p->threads[p->count], NULL, lane_thread, p);
	if (e == 0) {
		p->count++;
	} else if (p->count == 0) {
		struct job **link = &p->queue;
		while (*link != job)
			link = &(*link)->next;
		unlink_job(p, link);
		job_answer(job, VERDICT_INTERNAL, "cannot start a thread: %s", strerror(e));
		hub_finish(p->hub, job);
	}
}

static void go_on(struct lane_pool *p, struct job *job)
{
	struct lane_pool *next = NULL;
	if (job->outcome == LANE_HASH)
		next = p->hash_pool;
	else if (job->outcome == LANE_NAMES)
		next = p->names_pool;
	if (next == NULL) {
		hub_finish(p->hub, job);
		return;
	}
	enqueue(next, job);
	if (is_to_wake(next))
		pthread_cond_signal(&next->work);
}

/* ---- the lane ---- */

struct lane {
	struct lane_pool *pool;
	unsigned number;
	void *state;
	struct err err;	  /* why there is no state */
	bool slow, quick; /* the last call took long, or next to no time */
	bool rested;	  /* since then the driver heard that it is idle */
	int64_t took_us;
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
	int64_t began = clock_us();
	if (n > 0)
		p->run(p->ctx, l->state, jobs, n);
	int64_t now = clock_us();
	l->rested = false;
	l->took_us = now - began;
	l->slow = l->took_us >= SLOW_MS * 1000;
	l->quick = l->took_us < QUICK_MS * 1000;
	lane_publish_needs(l, now / 1000);
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

/* What is done goes to the front, and needs its secrets no longer. */
static void send_answers(
    const struct lane_pool *p, struct job *const *jobs, size_t count, bool more_soon)
{
	struct buffer *frames = outbox_open(p->hub->out);
	unsigned answers = 0;
	for (size_t i = 0; i < count; i++) {
		struct job *job = jobs[i];
		if (job == NULL)
			continue;
		job->answered = job->outcome == LANE_DONE && p->answer(job, frames);
		answers += job->answered;
	}
	if (outbox_close(p->hub->out, answers, more_soon) > 0)
		hub_wake(p->hub);
	for (size_t i = 0; i < count; i++) {
		if (jobs[i] != NULL && jobs[i]->answered && !jobs[i]->rehash)
			arena_reset(&jobs[i]->arena);
	}
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
	/* a job that a lane with its own state passes on to hashing has no memory yet */
	uint64_t memory = jobs[0]->hash_memory;
	p->memory_used += memory;
	p->busy_until[l->number] = last_deadline(jobs, count);
	p->picked_us = clock_us();
	unlock_and_wake(p);
	lane_run(l, jobs, count);
	send_answers(p, jobs, count, l->quick && p->queued >= LANE_QUEUE_LONG);
	pthread_mutex_lock(&p->hub->lock);
	p->busy_until[l->number] = INT64_MAX;
	p->pace_us = (l->took_us + (int64_t)count - 1) / (int64_t)count;
	p->memory_used -= memory;
	if (memory > 0)
		pthread_cond_broadcast(&p->work);
	for (size_t i = 0; i < count; i++) {
		if (jobs[i] != NULL)
			go_on(p, jobs[i]);
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
	job->next = NULL;
	lane_submit_all(p, job);
}

void lane_submit_all(struct lane_pool *p, struct job *jobs)
{
	pthread_mutex_lock(&p->hub->lock);
	for (struct job *next; jobs != NULL; jobs = next) {
		next = jobs->next;
		enqueue(p, jobs);
	}
	unlock_and_wake(p);
}

void lane_look(struct lane_pool *p)
{
	pthread_mutex_lock(&p->hub->lock);
	unlock_and_wake(p);
}

void lane_hand_over(struct lane_pool *p, struct job *job)
{
	send_answers(p, &job, 1, p->queued >= LANE_QUEUE_LONG);
	pthread_mutex_lock(&p->hub->lock);
	go_on(p, job);
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
