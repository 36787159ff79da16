/*
 * Lists a driver's users, a few hundred names a frame, as fast as the front
 * gives credit for them. Runs in: worker, in a lane.
 */
#include "authd/worker-job.h"

struct lister {
	struct lane_hub *hub;
	struct job *job;
	struct buffer frame;
	size_t place;
	unsigned names;
	uint32_t credit; /* taken from job->credit, not yet used */
};

/* Hands the frame over. */
static void flush(struct lister *l)
{
	if (l->names == 0)
		return;
	channel_items_end(&l->frame, l->place);
	buffer_append(outbox_open(l->hub->out), buffer_span(&l->frame));
	if (outbox_close(l->hub->out, 0, false) > 0)
		hub_wake(l->hub);
	buffer_consume(&l->frame, l->frame.len);
	l->names = 0;
}

/* Waits for credit; false: nobody wants more. */
static bool earn(struct lister *l)
{
	struct job *job = l->job;
	flush(l);
	pthread_mutex_lock(&l->hub->lock);
	while (job->credit == 0 && !atomic_load(&job->cancelled) && !l->hub->stopping)
		pthread_cond_wait(&l->hub->credit, &l->hub->lock);
	bool go_on = !atomic_load(&job->cancelled) && !l->hub->stopping;
	l->credit = job->credit < LIST_FRAME_NAMES ? job->credit : LIST_FRAME_NAMES;
	job->credit -= l->credit;
	pthread_mutex_unlock(&l->hub->lock);
	return go_on;
}

static bool emit(void *ctx, struct span user)
{
	struct lister *l = ctx;
	if (l->credit == 0 && !earn(l))
		return false;
	if (l->names == 0)
		l->place = channel_items_begin(&l->frame, l->job->q.serial);
	channel_items_add(&l->frame, user);
	l->names++;
	l->credit--;
	if (l->frame.len >= LIST_FRAME_BYTES)
		flush(l);
	return true;
}

void worker_list(const struct driver *driver, struct lane_hub *h, void *state, struct job *job)
{
	struct lister l = {.hub = h, .job = job};
	struct err err = {0};
	job->q.vars.passdb = &job->q.passdb_fields;
	if (driver->list == NULL || (driver->can & CAN_LIST) == 0) {
		job_answer(
		    job, VERDICT_INTERNAL, "driver %s cannot list its users", driver->spec->name);
		return;
	}
	bool complete = driver->list(state, &job->q.vars, emit, &l, &err);
	flush(&l);
	if (complete)
		job_answer(job, VERDICT_OK, "%s", "");
	else
		job_answer(job, VERDICT_INTERNAL, "%s", err.text);
	buffer_free(&l.frame);
}
