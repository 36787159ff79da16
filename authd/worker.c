/*
 * The worker's main thread: once all is open (worker-open.c), it reads
 * questions from the channel and writes answers, both in batches. What takes
 * long goes to lanes. Runs in: worker.
 * Fatal (the process ends): a message that does not decode, the end of the
 * channel or of the control socket.
 */
#include "authd/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "authd/control.h"
#include "authd/logging.h"
#include "authd/worker-state.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/wheel.h"

enum {
	READ_SIZE = 64 * 1024,
	FLUSH_ANSWERS = 16,
	OUT_HIGH = 1024 * 1024, /* unread answers: above this no question is read */
	NEEDS_CHECK_MS = 1000,
	STUCK_MS = 2000, /* past its deadline: the backend does not come back to us */
};

/* ---- what the driver needs to know ---- */

static uint64_t current_needs(struct worker *w)
{
	uint64_t needs = VAR_BIT(VAR_USER);
	if (w->driver->spec->settings != NULL)
		needs |= settings_needs(w->driver->spec->settings, w->settings);
	if (w->state != NULL && w->driver->needs != NULL)
		needs |= w->driver->needs(w->state);
	return needs | atomic_load(&w->hub.needs);
}

static uint64_t current_epoch(struct worker *w)
{
	bool tells = w->state != NULL && w->driver->version != NULL;
	return tells ? w->driver->version(w->state) : 0;
}

static void say_hello(struct worker *w, bool first)
{
	w->needs_at = clock_ms();
	uint64_t needs = current_needs(w);
	uint64_t epoch = current_epoch(w);
	struct channel_tally tally = rehash_tally(&w->asker.rehash);
	if (!first && needs == w->needs && epoch == w->epoch &&
	    memcmp(&tally, &w->tally, sizeof(tally)) == 0)
		return;
	w->tally = tally;
	w->needs = needs;
	w->epoch = epoch;
	unsigned can = w->asker.can;
	if ((can & CAN_SHOW) != 0)
		can |= CAN_VERIFY;
	channel_put_hello(&w->out, &(struct channel_hello){
				       .pid = (uint32_t)getpid(),
				       .slots = w->retiring ? 0 : w->slots,
				       .can = can,
				       .needs = needs,
				       .epoch = epoch,
				       .tally = tally,
				   });
}

/* ---- questions ---- */

/* Questions hold passwords and answers may hold credentials. */
static void consume_wiped(struct buffer *b, size_t n)
{
	if (n == 0)
		return;
	mem_wipe(b->data + b->start, n);
	buffer_consume(b, n);
}

/* Before the answer goes, so that the front has no time to ask the next question. */
static void retire(struct worker *w)
{
	w->draining = w->retiring = true;
	say_hello(w, true);
}

/* The user is in; the job goes on without a number, for nobody. */
static void rehash(struct worker *w, struct job *job)
{
	w->asker.rehash.waiting++;
	job->after = true;
	job->q.serial = 0;
	job->q.deadline_ms = 0;
	job->hash_memory = 0;
	job->only_names = job->asked = job->answered = false;
	atomic_store(&job->cancelled, false);
	job_table_add(&w->jobs, job);
	lane_submit(&w->rehash_lane, job);
}

static void answer(struct worker *w, struct job *job)
{
	if (job->ask.retire && w->driver->lanes == LANES_PROCESS && !w->retiring)
		retire(w);
	if (job->after) {
		w->asker.rehash.waiting--;
		job_recycle(&w->jobs, job);
		return;
	}
	/* to a cancelled one too: the front counts its slots by answers */
	if (!job->answered) {
		channel_put_answer(&w->out, &job->answer);
		w->unsent++;
	}
	if (job->rehash && !w->draining && w->asker.rehash.waiting < REHASH_WAITING_MAX)
		rehash(w, job);
	else
		job_recycle(&w->jobs, job);
}

static void start(struct worker *w, struct job *job)
{
	struct lane_pool *lanes = NULL;
	if (w->driver->lanes != LANES_SHARED)
		lanes = &w->ask_lanes;
	bool is_long = job->q.ask == CHANNEL_LIST || job->q.ask == CHANNEL_CENSUS;
	if (is_long && w->driver->lanes != LANES_PROCESS)
		lanes = &w->list_lanes;
	if (job->q.ask == CHANNEL_STORE && lanes == NULL)
		lanes = &w->list_lanes; /* with a shared state, but may block */
	if (lanes == NULL && job_is_late(job)) {
		job_outage(job, BACKEND_AWAY, "timed out in the queue");
		answer(w, job);
		return;
	}
	if (lanes == NULL && asker_ask(&w->asker, w->state, job)) {
		if (!names_are_wanted(job)) {
			job->answer.serial = job->q.serial;
			answer(w, job);
			return;
		}
		job->only_names = true;
		lanes = &w->list_lanes;
	}
	job_table_add(&w->jobs, job);
	if (lanes == &w->ask_lanes) {
		job->next = NULL;
		*w->asked_end = job;
		w->asked_end = &job->next;
	} else {
		lane_submit(lanes != NULL ? lanes : &w->hash_lanes, job);
	}
}

/* All that came together goes to the lanes together. */
static void submit_asked(struct worker *w)
{
	if (w->asked != NULL)
		lane_submit_all(&w->ask_lanes, w->asked);
	else if (w->jobs.count > 1)
		lane_look(&w->ask_lanes);
	w->asked = NULL;
	w->asked_end = &w->asked;
}

static bool handle_ask(struct worker *w, struct span payload)
{
	struct job *job = job_new(&w->jobs);
	if (!channel_get_ask(payload, &job->arena, &job->q)) {
		job_recycle(&w->jobs, job);
		return false;
	}
	job->answer.fields = fields_in(&job->arena);
	job->credit = LIST_FIRST_CREDIT;
	start(w, job);
	return true;
}

static bool handle_cancel(struct worker *w, struct span payload)
{
	uint64_t serial;
	if (!channel_get_cancel(payload, &serial))
		return false;
	struct job *job = job_table_find(&w->jobs, serial);
	if (job != NULL && lane_cancel(&w->hub, job)) {
		job_table_remove(&w->jobs, job);
		job_answer(job, VERDICT_INTERNAL, "cancelled");
		answer(w, job);
	}
	return true;
}

static bool handle_more(struct worker *w, struct span payload)
{
	uint64_t serial;
	uint32_t count;
	if (!channel_get_more(payload, &serial, &count))
		return false;
	struct job *job = job_table_find(&w->jobs, serial);
	if (job != NULL)
		hub_credit(&w->hub, job, count);
	return true;
}

static bool handle(struct worker *w, uint8_t type, struct span payload)
{
	switch (type) {
	case CHANNEL_ASK:
		return handle_ask(w, payload);
	case CHANNEL_CANCEL:
		return handle_cancel(w, payload);
	case CHANNEL_MORE:
		return handle_more(w, payload);
	default:
		return false;
	}
}

/* More than a front that keeps to its slots can have here; memory stays bounded if it does not. */
static bool is_full(const struct worker *w)
{
	return w->draining || w->left + w->out.len > OUT_HIGH || w->jobs.count > 2 * w->slots + 64;
}

static void write_channel(struct worker *w)
{
	buffer_append(outbox_open(&w->outbox), buffer_span(&w->out));
	w->left = outbox_close(&w->outbox, w->unsent, false);
	w->unsent = 0;
	consume_wiped(&w->out, w->out.len);
	int e = w->outbox.error;
	if (e == EPIPE || e == ECONNRESET) {
		w->result = EX_OK;
	} else if (e != 0) {
		log_error("writing the channel: %s", strerror(e));
		w->result = EX_OSERR;
	}
}

static void handle_frames(struct worker *w)
{
	struct span rest = buffer_span(&w->in);
	size_t before = rest.len;
	int got = 0;
	while (!is_full(w)) {
		uint8_t type;
		struct span payload;
		got = wire_frame_next(&rest, &type, &payload);
		if (got > 0 && !handle(w, type, payload))
			got = -1;
		if (got <= 0)
			break;
		/* the front goes on with these while the others are answered */
		if (w->unsent >= FLUSH_ANSWERS)
			write_channel(w);
	}
	if (got < 0) {
		log_error("a message from the front does not decode, closing the channel");
		w->result = EX_SOFTWARE;
	}
	consume_wiped(&w->in, before - rest.len);
	submit_asked(w);
}

static void take_done(struct worker *w)
{
	struct job *next, *job = hub_take_done(&w->hub);
	for (; job != NULL; job = next) {
		next = job->next;
		job_table_remove(&w->jobs, job);
		answer(w, job);
	}
}

/* ---- the channel ---- */

static void read_channel(struct worker *w)
{
	char *room = buffer_reserve(&w->in, READ_SIZE);
	ssize_t n = read(w->channel, room, READ_SIZE);
	if (n > 0)
		buffer_commit(&w->in, (size_t)n);
	else if (n == 0)
		w->result = EX_OK;
	else if (errno == ECONNRESET)
		w->result = EX_OK;
	else if (errno != EAGAIN && errno != EINTR) {
		log_error("reading the channel: %s", strerror(errno));
		w->result = EX_OSERR;
	}
}

/* The parent says little more; the end of its socket is the end of the worker. */
static void read_control(struct worker *w)
{
	char buf[CONTROL_PACKET_MAX];
	struct control_message m;
	struct err err = {0};
	int got = control_receive(w->control, &m, buf, sizeof(buf), &err);
	if (got < 0)
		w->result = EX_OK;
	else if (got > 0 && m.type == CONTROL_DRAIN)
		w->draining = true;
	if (got <= 0 || m.fd < 0)
		return;
	if (m.type == CONTROL_LOG)
		logging_take_fd(m.fd);
	else
		close(m.fd);
}

/*
 * True when no lane is left but those whose backend does not come back,
 * long after anybody has waited for it. Nothing ends such a thread but the end
 * of its process; the parent starts another one.
 */
static bool is_stuck(struct worker *w)
{
	struct lane_pool *lanes = &w->ask_lanes;
	return w->driver->lanes != LANES_SHARED && w->jobs.count >= lanes->max &&
	       lane_count_stuck(lanes, clock_ms() - STUCK_MS) >= lanes->max;
}

static void check_now_and_then(struct worker *w)
{
	say_hello(w, false);
	if (!is_stuck(w))
		return;
	log_error("the backend does not come back from %u question%s; this process ends",
	    w->ask_lanes.max, w->ask_lanes.max == 1 ? "" : "s");
	_exit(EX_TEMPFAIL);
}

static void loop(struct worker *w)
{
	while (w->result < 0) {
		if (w->jobs.count > 0)
			take_done(w);
		handle_frames(w);
		write_channel(w);
		if (w->draining && w->jobs.count == 0 && w->left == 0)
			w->result = EX_OK;
		if (w->result >= 0)
			return;
		if (current_epoch(w) != w->epoch)
			say_hello(w, false);
		int64_t wait = w->needs_at + NEEDS_CHECK_MS - clock_ms();
		if (wait <= 0) {
			check_now_and_then(w);
			continue;
		}
		struct pollfd p[] = {
		    {.fd = w->control, .events = POLLIN},
		    {.fd = w->channel,
			.events = (short)((is_full(w) ? 0 : POLLIN) |
					  (w->left + w->out.len > 0 ? POLLOUT : 0))},
		    {.fd = w->hub.event, .events = POLLIN},
		};
		/* what lanes leave to this thread, see lane_look() and outbox_close() */
		if (w->jobs.count > 1 || w->draining)
			wait = LANE_LOOK_MS;
		int n = poll(p, ARRAY_LEN(p), (int)wait);
		if (n < 0 && errno != EINTR)
			mem_panic("poll");
		if (p[2].revents != 0)
			hub_hear(&w->hub);
		if (p[0].revents != 0)
			read_control(w);
		if ((p[1].revents & POLLIN) != 0)
			read_channel(w);
		else if ((p[1].revents & (POLLHUP | POLLERR)) != 0)
			w->result = EX_OK;
	}
}

/* ---- start and end ---- */

static void tell_parent(struct worker *w, bool ok, const struct err *why)
{
	struct err err = {0};
	struct control_message m = {
	    .type = ok ? CONTROL_READY : CONTROL_FAILED,
	    .text = ok ? SPAN_NULL : span_of(why->text),
	    .fd = -1,
	};
	if (!control_send(w->control, &m, &err))
		log_debug("%s", err.text);
}

static void shut_down(struct worker *w)
{
	struct lane_pool *const pools[] = {
	    &w->ask_lanes, &w->list_lanes, &w->rehash_lane, &w->hash_lanes};
	if (w->pools_ready && !lane_stop(&w->hub, pools, ARRAY_LEN(pools))) {
		/* a lane is stuck in its backend and nobody waits for it: leave without it */
		log_warning("a question is stuck in the backend, exiting without its answer");
		_exit(w->result);
	}
	job_table_free(&w->jobs);
	if (w->state != NULL)
		w->driver->close(w->state);
	if (w->hub.done_end != NULL)
		hub_free(&w->hub);
	if (w->asker.driver != NULL)
		asker_free(&w->asker);
	worker_config_free(&w->wc);
	arena_free(&w->settings_arena);
	buffer_free(&w->in);
	buffer_free(&w->out);
	outbox_free(&w->outbox);
	close(w->control);
	close(w->channel);
}

static bool set_flags(int fd, struct err *err)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
		return err_set(err, EX_OSERR, "descriptor %d: %s", fd, strerror(errno));
	return true;
}

int worker_run(int control, int channel, const struct worker_hooks *hooks)
{
	struct worker *w = mem_alloc(sizeof(*w));
	struct err err = {0};
	w->control = control;
	w->channel = channel;
	w->result = -1;
	w->asked_end = &w->asked;
	outbox_init(&w->outbox, channel);
	bool ok =
	    worker_open(w, hooks, &err) && set_flags(control, &err) && set_flags(channel, &err);
	if (ok) {
		/* before the front has its end of the channel */
		say_hello(w, true);
		write_channel(w);
	}
	tell_parent(w, ok, &err);
	if (ok) {
		loop(w);
	} else {
		log_error("%s", err.text);
		w->result = err.code != 0 ? err.code : EX_CONFIG;
	}
	shut_down(w);
	int result = w->result;
	mem_free(&w);
	return result;
}

int worker_main(const struct worker_hooks *hooks)
{
	return worker_run(CONTROL_FD, CHANNEL_FD, hooks);
}
