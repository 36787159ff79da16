/*
 * Where the lanes of a worker and its main thread meet: one lock, the jobs that
 * are done, and a descriptor that wakes the main thread. Runs in: worker.
 * Fatal: nothing but a lack of memory.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "authd/worker-job.h"
#include "base/mem.h"

bool hub_init(struct lane_hub *h, struct outbox *out, struct err *err)
{
	*h = (struct lane_hub){.done_end = &h->done, .out = out};
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->credit, NULL);
	pthread_cond_init(&h->opened, NULL);
	h->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (h->event < 0)
		return err_set(err, EX_OSERR, "eventfd: %s", strerror(errno));
	return true;
}

void hub_free(struct lane_hub *h)
{
	pthread_mutex_destroy(&h->lock);
	pthread_cond_destroy(&h->credit);
	pthread_cond_destroy(&h->opened);
	close(h->event);
}

void hub_wake(struct lane_hub *h)
{
	uint64_t one = 1;
	if (write(h->event, &one, sizeof(one)) < 0 && errno != EAGAIN)
		mem_panic("eventfd");
}

void hub_hear(struct lane_hub *h)
{
	uint64_t count;
	if (read(h->event, &count, sizeof(count)) < 0 && errno != EAGAIN)
		mem_panic("eventfd");
}

struct job *hub_take_done(struct lane_hub *h)
{
	pthread_mutex_lock(&h->lock);
	struct job *done = h->done;
	h->done = NULL;
	h->done_end = &h->done;
	h->woken = false;
	pthread_mutex_unlock(&h->lock);
	return done;
}

/*
 * The main thread takes all that is there when it comes. It is woken for the
 * first that it has to do something about; one that is answered can wait.
 */
void hub_finish(struct lane_hub *h, struct job *job)
{
	job->next = NULL;
	*h->done_end = job;
	h->done_end = &job->next;
	if (h->woken || (job->answered && !job->rehash))
		return;
	h->woken = true;
	hub_wake(h);
}

void hub_credit(struct lane_hub *h, struct job *job, uint32_t more)
{
	pthread_mutex_lock(&h->lock);
	job->credit = more > UINT32_MAX - job->credit ? UINT32_MAX : job->credit + more;
	pthread_cond_broadcast(&h->credit);
	pthread_mutex_unlock(&h->lock);
}
