/*
 * What a worker's main thread knows: worker.c runs it, worker-open.c makes it.
 * Nobody else includes this.
 */
#ifndef AUTHD_WORKER_STATE_H
#define AUTHD_WORKER_STATE_H

#include "authd/worker-job.h"
#include "authd/worker.h"

struct worker {
	int control, channel;
	struct worker_config *wc;
	const struct driver *driver;
	struct arena settings_arena;
	void *settings;
	void *state; /* LANES_SHARED; else the lanes have them */
	struct asker asker;

	struct lane_hub hub;
	struct lane_pool hash_lanes, list_lanes, ask_lanes, rehash_lane;
	bool pools_ready;

	uint32_t slots;
	uint64_t needs;
	uint64_t epoch; /* as said in the last HELLO */
	struct channel_tally tally;
	int64_t needs_at;

	struct buffer in, out;
	unsigned unsent; /* answers in out */
	struct outbox outbox;
	size_t left;			/* bytes in it that the channel did not take */
	struct job *asked, **asked_end; /* read, and not with the lanes yet */
	struct job_table jobs;
	bool draining; /* no more questions */
	bool retiring; /* the same, and the front knows */
	int result;    /* -1: go on */
};

/* From the configuration, which the parent sends, to a driver that is open, with its lanes. */
bool worker_open(struct worker *w, const struct worker_hooks *hooks, struct err *err) MUST_CHECK;

#endif
