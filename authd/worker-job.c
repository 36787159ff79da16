/*
 * A worker's jobs by serial, and spare ones. Runs in: worker, main thread.
 */
#include "authd/worker-job.h"
#include "base/mem.h"

enum { SPARE_MAX = 256 };

static struct job **slot_of(struct job_table *t, uint64_t serial)
{
	return &t->map[serial & (JOB_MAP_SIZE - 1)];
}

struct job *job_new(struct job_table *t)
{
	struct job *job = t->spare;
	if (job == NULL)
		return mem_alloc(sizeof(*job));
	t->spare = job->next;
	t->spare_count--;
	job->next = NULL;
	return job;
}

/* The text of err is long, and nobody reads on behind its end. */
void job_clear_question(struct job *job)
{
	char *behind = (char *)(&job->ask.err + 1);
	memset(&job->ask, 0, offsetof(struct question, err));
	err_clear(&job->ask.err);
	memset(behind, 0, (size_t)((char *)(&job->ask + 1) - behind));
}

void job_recycle(struct job_table *t, struct job *job)
{
	arena_free(&job->arena);
	memset(job, 0, offsetof(struct job, q));
	job_clear_question(job);
	if (t->spare_count >= SPARE_MAX) {
		mem_free(&job);
		return;
	}
	job->next = t->spare;
	t->spare = job;
	t->spare_count++;
}

void job_table_add(struct job_table *t, struct job *job)
{
	struct job **slot = slot_of(t, job->q.serial);
	job->map_next = *slot;
	*slot = job;
	t->count++;
}

void job_table_remove(struct job_table *t, struct job *job)
{
	struct job **link = slot_of(t, job->q.serial);
	while (*link != job)
		link = &(*link)->map_next;
	*link = job->map_next;
	t->count--;
}

struct job *job_table_find(struct job_table *t, uint64_t serial)
{
	struct job *job = *slot_of(t, serial);
	while (job != NULL && (job->q.serial != serial || atomic_load(&job->cancelled)))
		job = job->map_next;
	return job;
}

void job_table_free(struct job_table *t)
{
	for (size_t i = 0; i < JOB_MAP_SIZE; i++) {
		while (t->map[i] != NULL) {
			struct job *job = t->map[i];
			job_table_remove(t, job);
			job_recycle(t, job);
		}
	}
	while (t->spare != NULL) {
		struct job *job = t->spare;
		t->spare = job->next;
		mem_free(&job);
	}
	t->spare_count = 0;
}
