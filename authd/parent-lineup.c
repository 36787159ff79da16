/*
 * What becomes of lineups: workers are started and proven, the whole is
 * offered to the front, and what it replaced is retired. Every event ends in
 * lineup_step(), which does whatever has become possible. Runs in: parent.
 */
#include "authd/parent.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "authd/notify.h"
#include "base/mem.h"

/* ---- starting what is due ---- */

/* false: one could not be started; its slot says when to try again */
static bool start_workers(struct parent *p, struct lineup *l, int64_t now)
{
	bool ok = true;
	for (size_t i = 0; l != NULL && i < l->slot_count; i++)
		if (l->slots[i].child == NULL && l->slots[i].start_ms <= now)
			ok = child_start_worker(p, &l->slots[i], now) && ok;
	return ok;
}

static bool all_ready(const struct lineup *l)
{
	for (size_t i = 0; i < l->slot_count; i++)
		if (l->slots[i].child == NULL || l->slots[i].child->state != CHILD_READY)
			return false;
	return true;
}

static bool all_settled(const struct lineup *l)
{
	for (size_t i = 0; i < l->slot_count; i++)
		if (!l->slots[i].settled)
			return false;
	return true;
}

static bool front_wanted(const struct parent *p)
{
	return p->front == NULL && (p->current != NULL || (p->next != NULL && all_ready(p->next)));
}

/* ---- offering to the front ---- */

bool lineup_give_worker(struct parent *p, struct slot *slot)
{
	struct child *c = slot->child;
	if (c == NULL || c->channel < 0)
		return true;
	bool ok = child_tell(
	    p->front, CONTROL_WORKER, slot->lineup->number, slot->pool, SPAN_NULL, c->channel);
	close(c->channel);
	c->channel = -1;
	return ok;
}

static bool give_config(struct parent *p, const struct lineup *l)
{
	struct buffer blob = {0};
	struct err err = {0};
	config_export_front(l->config, &blob);
	int fd = control_memfd(buffer_span(&blob), &err);
	buffer_free(&blob);
	if (fd < 0) {
		log_error("%s", err.text);
		return false;
	}
	bool ok = child_tell(p->front, CONTROL_GENERATION, l->number, 0, SPAN_NULL, fd);
	close(fd);
	return ok;
}

/* With the file's owner, which decides whom a userdb socket tells about everybody. */
static bool give_listener(struct child *front, const struct lineup *l, unsigned index)
{
	const struct listen_socket *socket = &l->sockets[index]->socket;
	struct stat st = {0};
	struct buffer owner = {0};
	if (socket->unix_file && stat(socket->name, &st) != 0)
		log_warning("%s: %s", socket->name, strerror(errno));
	wire_put_u32(&owner, st.st_uid);
	wire_put_u32(&owner, st.st_gid);
	bool ok =
	    child_tell(front, CONTROL_LISTENER, l->number, index, buffer_span(&owner), socket->fd);
	buffer_free(&owner);
	return ok;
}

static bool give_all(struct parent *p, struct lineup *l)
{
	struct child *front = p->front;
	if (!give_config(p, l))
		return false;
	for (unsigned i = 0; i < l->config->listener_count; i++)
		if (l->sockets[i] != NULL && !give_listener(front, l, i))
			return false;
	for (size_t i = 0; i < l->slot_count; i++)
		if (l->slots[i].child != NULL && l->slots[i].child->state == CHILD_READY &&
		    !lineup_give_worker(p, &l->slots[i]))
			return false;
	return child_tell(front, CONTROL_SECRETS, l->number, 0,
		   span_make(p->secret, PARENT_SECRET_SIZE), -1) &&
	       child_tell(front, CONTROL_COMMIT, l->number, 0, SPAN_NULL, -1);
}

static void offer(struct parent *p, struct lineup *l, int64_t now)
{
	l->state = LINEUP_OFFERED;
	l->offer_deadline_ms = now + PARENT_OFFER_MS;
	log_debug("offering generation %u to the front", l->number);
	sockets_adjust(l);
	if (!give_all(p, l))
		child_kill(p->front, SIGKILL); /* its death settles what becomes of the lineup */
}

static void offer_what_is_proven(struct parent *p, int64_t now)
{
	struct lineup *current = p->current, *next = p->next;
	if (p->front == NULL)
		return;
	bool busy = (current != NULL && current->state == LINEUP_OFFERED) ||
		    (next != NULL && next->state == LINEUP_OFFERED);
	if (!busy && next != NULL && all_ready(next))
		offer(p, next, now);
	else if (!busy && current != NULL && current->state == LINEUP_PROVING &&
		 all_settled(current))
		offer(p, current, now);
}

static void check_offer(struct parent *p, struct lineup *l, int64_t now)
{
	if (l == NULL || l->state != LINEUP_OFFERED || l->offer_deadline_ms > now)
		return;
	log_error("the front does not take generation %u into use; killing it", l->number);
	l->offer_deadline_ms = INT64_MAX;
	if (p->front != NULL)
		child_kill(p->front, SIGKILL);
}

void lineup_step(struct parent *p, int64_t now)
{
	children_check_deadlines(p, now);
	check_offer(p, p->current, now);
	check_offer(p, p->next, now);
	(void)start_workers(p, p->current, now);
	if (!start_workers(p, p->next, now) && p->next->state == LINEUP_PROVING)
		lineup_fail_next(p, EX_OSERR, "a worker cannot be started");
	if (front_wanted(p) && p->front_start_ms <= now)
		child_start_front(p, now);
	offer_what_is_proven(p, now);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return b < a ? b : a;
}

static int64_t next_of(const struct lineup *l)
{
	int64_t at = INT64_MAX;
	for (size_t i = 0; l != NULL && i < l->slot_count; i++)
		if (l->slots[i].child == NULL)
			at = earlier(at, l->slots[i].start_ms);
	if (l != NULL && l->state == LINEUP_OFFERED)
		at = earlier(at, l->offer_deadline_ms);
	return at;
}

int64_t lineup_next_event(const struct parent *p)
{
	const struct child *c;
	int64_t at = INT64_MAX;
	TAILQ_FOREACH(c, &p->children, entry)
	if (c->deadline_ms != 0)
		at = earlier(at, c->deadline_ms);
	if (p->draining)
		return earlier(at, p->drain_deadline_ms);
	if (front_wanted(p))
		at = earlier(at, p->front_start_ms);
	return earlier(at, earlier(next_of(p->current), next_of(p->next)));
}

/* ---- the ends of a lineup ---- */

static void retire_workers(struct lineup *l, int64_t deadline_ms, int sig)
{
	for (size_t i = 0; i < l->slot_count; i++) {
		struct child *c = l->slots[i].child;
		if (c == NULL)
			continue;
		child_retire(c, deadline_ms);
		if (sig != 0)
			child_kill(c, sig);
	}
}

void lineup_forget_next(struct parent *p)
{
	if (p->next == NULL)
		return;
	retire_workers(p->next, 0, SIGKILL);
	lineup_free(&p->next);
}

void lineup_fail_next(struct parent *p, int code, const char *why)
{
	struct lineup *l = p->next;
	bool offered = l->state == LINEUP_OFFERED;
	char *copy = mem_strdup(why); /* it may belong to what is freed here */
	p->next = NULL;
	retire_workers(l, 0, SIGKILL);
	if (offered && p->front != NULL &&
	    !child_tell(p->front, CONTROL_DROP, l->number, 0, SPAN_NULL, -1))
		child_kill(p->front, SIGKILL);
	lineup_free(&l);
	sockets_close_unused(p);
	if (offered && p->current != NULL)
		sockets_adjust(p->current);
	if (p->current == NULL) {
		parent_say_fatal(p, copy);
		p->finished = true;
		p->exit_code = code;
	} else {
		log_error("reload failed, the old configuration stays in use: %s", copy);
		files_status(p, false, copy);
		notify_send("READY=1\nSTATUS=Reload failed, the old configuration is in use");
	}
	mem_free(&copy);
}

static size_t count_dbs(const struct config *c, bool userdbs)
{
	size_t n = 0;
	for (size_t i = 0; i < c->scope_count; i++)
		n += userdbs ? c->scopes[i].userdb_count : c->scopes[i].passdb_count;
	return n;
}

static void say_ready(const struct lineup *l, bool first)
{
	const struct config *c = l->config;
	char text[200];
	snprintf(text, sizeof(text), "%zu passdbs, %zu userdbs, %zu workers, %zu sockets",
	    count_dbs(c, false), count_dbs(c, true), l->slot_count, c->listener_count);
	if (first)
		log_info("authd " AUTHD_VERSION " ready (%s)", text);
	else
		log_info("reloaded: generation %u is in use (%s)", l->number, text);
	notify_send("READY=1\nSTATUS=%s", text);
}

static void commit_next(struct parent *p, int64_t now)
{
	struct lineup *old = p->current, *l = p->next;
	struct err err = {0};
	bool first = old == NULL;
	p->current = l;
	p->next = NULL;
	if (!first) {
		/* they end when the front, done with the old generation, closes their channels */
		retire_workers(old, now + PARENT_LEAVE_MS, 0);
		lineup_free(&old);
		sockets_close_unused(p);
		if (!files_open_log(p, l, &err))
			log_error("%s", err.text);
	}
	files_status(p, true, "");
	say_ready(l, first);
}

void lineup_ready(struct parent *p, unsigned number, int64_t now)
{
	if (p->front != NULL)
		p->front->state = CHILD_READY;
	if (p->next != NULL && p->next->number == number && p->next->state == LINEUP_OFFERED) {
		p->next->state = LINEUP_IN_USE;
		commit_next(p, now);
	} else if (p->current != NULL && p->current->number == number) {
		if (p->current->state == LINEUP_OFFERED)
			log_info("the front is back, with generation %u", number);
		p->current->state = LINEUP_IN_USE;
	}
}

/*
 * The channels died with the front, and the workers end when they notice. It
 * is not their fault: new ones start at once, without a penalty.
 */
void lineup_front_died(struct parent *p, int64_t now)
{
	struct lineup *l = p->current;
	if (l == NULL)
		return;
	log_info("starting the front and its workers again");
	for (size_t i = 0; i < l->slot_count; i++) {
		struct slot *slot = &l->slots[i];
		struct child *c = slot->child;
		slot->settled = c != NULL && c->channel >= 0 && c->state == CHILD_READY;
		if (c != NULL && c->channel >= 0)
			continue; /* the front never had it: as good as new */
		slot->start_ms = now;
		slot->backoff = (struct backoff){0};
		if (c != NULL)
			child_retire(c, now + PARENT_KILL_MS);
	}
	l->state = LINEUP_PROVING;
}
