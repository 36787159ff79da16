/*
 * The worker's beginning: its configuration, its driver, its lanes.
 * Runs in: worker, main thread; what the lanes run is here, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sysexits.h>
#include <unistd.h>

#include "authd/control.h"
#include "authd/worker-state.h"
#include "base/mem.h"
#include "drivers/drivers.h"

enum {
	SLOTS_SHARED = 4096, /* as many hashes as a few cores do in a client's patience */
	OWN_LANES = 8,
	SLOTS_OWN = 16 * OWN_LANES, /* what waits here costs no wake-up when a lane is free */
	LIST_LANES = 4,
	HASH_NICE = 5,
	REHASH_NICE = 15,
};

static bool receive_config(struct worker *w, struct err *err)
{
	char buf[CONTROL_PACKET_MAX];
	struct control_message m;
	struct pollfd p = {.fd = w->control, .events = POLLIN};
	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		continue;
	int got = control_receive(w->control, &m, buf, sizeof(buf), err);
	if (got < 0)
		return false;
	if (got == 0 || m.type != CONTROL_WORKER_CONFIG || m.fd < 0) {
		if (got > 0 && m.fd >= 0)
			close(m.fd);
		return err_set(err, EX_SOFTWARE, "the parent sent no configuration");
	}
	struct buffer blob = {0};
	bool ok = control_read_memfd(m.fd, &blob, err);
	close(m.fd);
	if (ok) {
		w->wc = config_import_worker(buffer_span(&blob), err);
		ok = w->wc != NULL;
	}
	buffer_free(&blob);
	return ok;
}

static bool parse_settings(struct worker *w, const struct driver_spec *spec, struct err *err)
{
	w->settings = driver_args_parse(
	    spec, span_of(w->wc->args), span_of(w->wc->file_text), &w->settings_arena, err);
	return w->settings != NULL;
}

static bool find_driver(struct worker *w, const struct worker_hooks *hooks, struct err *err)
{
	const struct driver_spec *spec = worker_known_spec(w->wc->driver);
	const struct driver_module *module = NULL;
	if (spec != NULL && spec->module != NULL) {
		if (!parse_settings(w, spec, err))
			return false;
		module = spec->module(w->settings);
	}
	w->driver = worker_find_driver(w->wc->driver, module, w->wc->process->driver_dir, err);
	if (w->driver == NULL)
		return false;
	if (w->settings == NULL && !parse_settings(w, w->driver->spec, err))
		return false;
	driver_limits.first_valid_uid = w->wc->process->first_valid_uid;
	driver_limits.last_valid_uid = w->wc->process->last_valid_uid;
	driver_limits.language_24 = w->wc->is_24;
	driver_limits.stores = w->wc->stores;
	return hooks == NULL || hooks->confine == NULL ||
	       hooks->confine(w->wc, w->driver->spec, w->settings, err);
}

static void run_one(struct worker *w, void *state, struct job *job)
{
	if (job->q.ask == CHANNEL_LIST) {
		worker_list(w->driver, &w->hub, state, job);
	} else if (job->q.ask == CHANNEL_CENSUS) {
		asker_census(&w->asker, state, job);
	} else if (!job->only_names && !asker_ask(&w->asker, state, job)) {
		job->outcome = LANE_HASH;
		return;
	}
	if (names_are_wanted(job))
		names_resolve(job);
	job->answer.serial = job->q.serial;
}

struct together {
	struct worker *w;
	void *state;
	struct job **jobs;
	size_t count;
};

/* This one's answer does not wait for the others'. */
static void run_early(void *ctx, struct job *job)
{
	struct together *t = ctx;
	size_t i = 0;
	while (i < t->count && t->jobs[i] != job)
		i++;
	t->jobs[i] = NULL;
	run_one(t->w, t->state, job);
	lane_hand_over(&t->w->ask_lanes, job);
}

static void run_ask(void *ctx, void *state, struct job **jobs, size_t count)
{
	struct worker *w = ctx;
	struct together t = {w, state, jobs, count};
	if (count > 1)
		asker_ask_ahead(&w->asker, state, jobs, count, run_early, &t);
	for (size_t i = 0; i < count; i++) {
		if (jobs[i] != NULL)
			run_one(w, state, jobs[i]);
	}
}

static void run_hash(void *ctx, void *state UNUSED, struct job **jobs, size_t count UNUSED)
{
	struct worker *w = ctx;
	struct job *job = jobs[0];
	asker_hash(&w->asker, job);
	if (!names_are_wanted(job))
		return;
	if (w->driver->lanes == LANES_SHARED) {
		/* hash lanes are few: they do not wait for a resolver */
		job->only_names = true;
		job->hash_memory = 0;
		job->outcome = LANE_NAMES;
		return;
	}
	names_resolve(job);
}

static void run_rehash(void *ctx, void *state, struct job **jobs, size_t count UNUSED)
{
	struct worker *w = ctx;
	rehash_run(&w->asker, state, jobs[0], &w->hash_lanes);
}

/* Nobody waits for one that comes after; what a worker says before it goes is the main thread's. */
static bool answer_here(struct job *job, struct buffer *frames)
{
	if (job->after || job->ask.retire)
		return false;
	channel_put_answer(frames, &job->answer);
	return true;
}

static unsigned hash_lane_count(const struct worker *w)
{
	unsigned n = w->wc->process->hash_lanes;
	if (n == 0)
		n = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	return n > 0 && n < 256 ? n : 1;
}

static unsigned asked_together(const struct worker *w)
{
	const struct driver *d = w->driver;
	if (d->ask_many == NULL)
		return 1;
	if ((w->asker.can & CAN_VERIFY) != 0)
		return VERIFY_MANY_MAX;
	return d->many > 0 && d->many <= ASK_MANY_MAX ? d->many : ASK_MANY;
}

static void set_up_lanes(struct worker *w)
{
	w->hash_lanes = (struct lane_pool){
	    .max = hash_lane_count(w),
	    .nice = HASH_NICE,
	    .memory = w->asker.hash_memory_limit,
	    .batch = 1,
	    .run = run_hash,
	    .answer = answer_here,
	    .ctx = w,
	    .names_pool = &w->list_lanes,
	};
	w->ask_lanes = (struct lane_pool){
	    .max = w->driver->lanes == LANES_OWN ? OWN_LANES : 1,
	    .batch = asked_together(w),
	    .run = run_ask,
	    .answer = answer_here,
	    .ctx = w,
	    .hash_pool = &w->hash_lanes,
	    .driver = w->driver,
	    .settings = w->settings,
	};
	w->list_lanes = w->ask_lanes;
	w->list_lanes.max = LIST_LANES;
	w->list_lanes.batch = 1;
	w->list_lanes.state = w->state;
	w->rehash_lane = w->list_lanes;
	w->rehash_lane.max = 1;
	w->rehash_lane.nice = REHASH_NICE;
	w->rehash_lane.run = run_rehash;
	lane_pool_init(&w->rehash_lane, &w->hub);
	lane_pool_init(&w->hash_lanes, &w->hub);
	lane_pool_init(&w->ask_lanes, &w->hub);
	lane_pool_init(&w->list_lanes, &w->hub);
	w->pools_ready = true;
}

static bool open_driver(struct worker *w, struct err *err)
{
	asker_init(&w->asker);
	w->asker.driver = w->driver;
	w->asker.can =
	    w->driver->can_with != NULL ? w->driver->can_with(w->settings) : w->driver->can;
	w->asker.allow_weak_schemes = w->wc->allow_weak_schemes;
	w->asker.password_precis = w->wc->password_precis;
	w->asker.hash_memory_limit = w->wc->process->hash_memory_limit;
	w->asker.hash_time_limit = w->wc->process->hash_time_limit;
	if (!rehash_init(&w->asker, w->wc, err) || !hub_init(&w->hub, &w->outbox, err))
		return false;
	if (w->driver->lanes == LANES_SHARED) {
		w->slots = SLOTS_SHARED;
		w->state = w->driver->open(w->settings, err);
		if (w->state == NULL)
			return false;
	} else {
		w->slots = w->driver->lanes == LANES_OWN ? SLOTS_OWN : 1;
	}
	set_up_lanes(w);
	return w->driver->lanes == LANES_SHARED || lane_pool_open_first(&w->ask_lanes, err);
}

bool worker_open(struct worker *w, const struct worker_hooks *hooks, struct err *err)
{
	return receive_config(w, err) && find_driver(w, hooks, err) && open_driver(w, err);
}
