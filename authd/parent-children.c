/*
 * Starting children, listening to the little that they say, and noticing
 * their end. Runs in: parent. A child that does not speak our protocol is
 * killed; nothing that a child does ends the parent.
 */
#include "authd/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "authd/spawn.h"
#include "base/mem.h"
#include "base/wheel.h"

enum {
	CONTROL_BUFFER = 1024 * 1024, /* a whole generation fits */
	CHANNEL_BUFFER = 1024 * 1024,
	FRONT_FILES = 1024 * 1024,
	WORKER_FILES = 4096,
	ENVIRONMENT_MAX = 16,
};

/* ---- starting ---- */

const char *const child_inherits[] = {
    "TZ", "LANG", "KRB5_CONFIG", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", NULL};

struct environment {
	char *items[ENVIRONMENT_MAX + 1];
	size_t count;
};

static void environment_add(struct environment *e, const char *name, const char *value)
{
	if (value != NULL && e->count < ENVIRONMENT_MAX)
		e->items[e->count++] = mem_printf("%s=%s", name, value);
}

static void environment_fill(struct environment *e, const struct lineup *l, const char *role,
    const struct identity *id, unsigned files)
{
	char log[LOGGING_TEXT_MAX], identity[IDENTITY_TEXT_MAX], number[24];
	environment_add(e, SPAWN_ENV_ROLE, role);
	logging_print(&l->log, log);
	environment_add(e, SPAWN_ENV_LOG, log);
	if (l->drops_privileges) {
		identity_print(id, identity);
		environment_add(e, SPAWN_ENV_IDENTITY, identity);
	}
	snprintf(number, sizeof(number), "%ld", (long)getpid());
	environment_add(e, SPAWN_ENV_PARENT, number);
	snprintf(number, sizeof(number), "%u", files);
	environment_add(e, SPAWN_ENV_FILES, number);
	for (size_t i = 0; child_inherits[i] != NULL; i++)
		environment_add(e, child_inherits[i], getenv(child_inherits[i]));
}

static void environment_free(struct environment *e)
{
	for (size_t i = 0; i < e->count; i++)
		mem_free(&e->items[i]);
}

/* Neither end blocks: a worker that says more than the pipe holds goes on without it. */
static bool make_errors(int *ours, int *theirs, struct err *err)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0)
		return err_set(err, EX_OSERR, "pipe: %s", strerror(errno));
	*ours = fds[0];
	*theirs = fds[1];
	return true;
}

/* Fills in pid and control of c, and those that only a worker has. */
static bool start_process(struct child *c, struct environment *e, bool worker, struct err *err)
{
	int control = -1, theirs = -1, errors = -1;
	bool ok = false;
	char *title = mem_printf("authd: %s", c->label);
	if (!spawn_pair(SOCK_SEQPACKET, CONTROL_BUFFER, true, &c->control, &control, err))
		goto out;
	if (worker && !make_errors(&c->errors, &errors, err))
		goto out;
	if (worker && !spawn_pair(SOCK_STREAM, CHANNEL_BUFFER, true, &c->channel, &theirs, err))
		goto out;
	const struct spawn s = {
	    .title = title,
	    .environment = (const char *const *)e->items,
	    .control = control,
	    .channel = theirs,
	    .errors = errors,
	};
	c->pid = spawn_child(&s, err);
	ok = c->pid > 0;
out:
	if (control >= 0)
		close(control);
	if (theirs >= 0)
		close(theirs);
	if (errors >= 0)
		close(errors);
	mem_free(&title);
	return ok;
}

static void child_free(struct child **cp)
{
	struct child *c = *cp;
	child_close_control(c);
	child_close_errors(c);
	if (c->channel >= 0)
		close(c->channel);
	mem_free(&c->failure);
	mem_free(cp);
}

static struct child *child_new(int64_t now)
{
	struct child *c = mem_alloc(sizeof(*c));
	c->control = c->channel = c->errors = -1;
	c->state = CHILD_STARTING;
	c->started_ms = now;
	return c;
}

bool child_tell(struct child *c, enum control_type type, unsigned generation, unsigned index,
    struct span text, int fd)
{
	struct err err = {0};
	const struct control_message m = {
	    .type = type, .generation = generation, .index = index, .text = text, .fd = fd};
	if (c->control < 0)
		return false;
	if (control_send(c->control, &m, &err))
		return true;
	log_error("%s (pid %ld): %s", c->label, (long)c->pid, err.text);
	return false;
}

/* Each worker gets its share of the memory that hashing may use. */
static bool send_worker_config(struct child *c, const struct lineup *l, unsigned pool)
{
	struct process_settings *set = l->config->process;
	const uint64_t whole = set->hash_memory_limit;
	struct buffer blob = {0};
	struct err err = {0};
	set->hash_memory_limit = whole / l->slot_count;
	config_export_worker(l->config, pool, &blob);
	set->hash_memory_limit = whole;
	int fd = control_memfd(buffer_span(&blob), &err);
	buffer_free(&blob);
	if (fd < 0) {
		log_error("%s", err.text);
		return false;
	}
	bool ok = child_tell(c, CONTROL_WORKER_CONFIG, l->number, pool, SPAN_NULL, fd);
	close(fd);
	return ok;
}

bool child_start_worker(struct parent *p, struct slot *slot, int64_t now)
{
	struct lineup *l = slot->lineup;
	struct environment e = {0};
	struct err err = {0};
	char section[64];
	struct child *c = child_new(now);
	lineup_section(l, slot->pool, section, sizeof(section));
	snprintf(c->label, sizeof(c->label), "worker %s", section);
	environment_fill(&e, l, "worker", &l->pool_ids[slot->pool], WORKER_FILES);
	environment_add(&e, SPAWN_ENV_SECTION, section);
	const struct driver_spec *spec = l->config->pools[slot->pool].spec;
	if (spec != NULL && (spec->use & DRIVER_EXEC) != 0)
		environment_add(&e, SPAWN_ENV_PROGRAMS, "1");
	bool ok = start_process(c, &e, true, &err);
	environment_free(&e);
	if (!ok) {
		log_error("%s cannot be started: %s", c->label, err.text);
		child_free(&c);
		slot->settled = true;
		slot->start_ms = now + backoff_died(&slot->backoff, 0) + 1;
		return false;
	}
	log_debug("%s started (pid %ld)", c->label, (long)c->pid);
	c->slot = slot;
	c->deadline_ms = now + PARENT_PROVE_MS;
	slot->child = c;
	TAILQ_INSERT_TAIL(&p->children, c, entry);
	if (!send_worker_config(c, l, slot->pool))
		child_kill(c, SIGKILL);
	return true;
}

void child_start_front(struct parent *p, int64_t now)
{
	const struct lineup *l = p->current != NULL ? p->current : p->next;
	struct environment e = {0};
	struct err err = {0};
	struct child *c = child_new(now);
	snprintf(c->label, sizeof(c->label), "front");
	environment_fill(&e, l, "front", &l->front_id, FRONT_FILES);
	bool ok = start_process(c, &e, false, &err);
	environment_free(&e);
	if (!ok) {
		log_error("the front cannot be started: %s", err.text);
		child_free(&c);
		p->front_start_ms = now + backoff_died(&p->front_backoff, 0) + 1;
		return;
	}
	log_debug("front started (pid %ld)", (long)c->pid);
	p->front = c;
	TAILQ_INSERT_TAIL(&p->children, c, entry);
}

/* ---- ending ---- */

void child_close_control(struct child *c)
{
	if (c->control >= 0)
		close(c->control);
	c->control = -1;
}

void child_kill(struct child *c, int sig)
{
	if (c->pid > 0)
		kill(c->pid, sig);
}

void child_retire(struct child *c, int64_t deadline_ms)
{
	if (c->slot != NULL)
		c->slot->child = NULL;
	c->slot = NULL;
	c->state = CHILD_LEAVING;
	c->deadline_ms = deadline_ms;
	if (c->channel >= 0)
		close(c->channel);
	c->channel = -1;
}

void children_check_deadlines(struct parent *p, int64_t now)
{
	struct child *c;
	TAILQ_FOREACH(c, &p->children, entry)
	{
		if (c->deadline_ms == 0 || c->deadline_ms > now)
			continue;
		if (c->state == CHILD_LEAVING) {
			log_warning("%s (pid %ld) does not end by itself; sending SIGTERM",
			    c->label, (long)c->pid);
			child_kill(c, SIGTERM);
			c->state = CHILD_STARTING; /* next time: SIGKILL */
			c->deadline_ms = now + PARENT_KILL_MS;
		} else {
			log_error(
			    "%s (pid %ld) does not answer; killing it", c->label, (long)c->pid);
			if (c->failure == NULL)
				c->failure = mem_strdup("it was not ready in time");
			child_kill(c, SIGKILL);
			c->deadline_ms = 0;
		}
	}
}

static void describe_end(const struct child *c, int status, bool expected)
{
	char how[160];
	bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		snprintf(how, sizeof(how),
		    "was ended by the sandbox: it made a system call that it may not make");
	else if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "was killed by signal %d (%s)", WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
	else
		snprintf(how, sizeof(how), "exited with status %d", WEXITSTATUS(status));
	if (expected)
		log_debug("%s (pid %ld) %s", c->label, (long)c->pid, how);
	else if (clean) /* the front closed its channel, or is going down itself */
		log_info("%s (pid %ld) %s", c->label, (long)c->pid, how);
	else
		log_error("%s (pid %ld) %s", c->label, (long)c->pid, how);
}

static int exit_code_of(const struct child *c, int status)
{
	if (c->failure != NULL && WIFEXITED(status))
		return EX_CONFIG;
	if (WIFEXITED(status) && WEXITSTATUS(status) >= EX__BASE)
		return WEXITSTATUS(status);
	return EX_SOFTWARE;
}

static void worker_died(struct parent *p, struct child *c, int status, int64_t now)
{
	struct slot *slot = c->slot;
	slot->child = NULL;
	c->slot = NULL;
	if (slot->lineup->state == LINEUP_PROVING && slot->lineup == p->next) {
		char why[600];
		snprintf(why, sizeof(why), "%s: %s", c->label,
		    c->failure != NULL ? c->failure : "it died while starting");
		lineup_fail_next(p, exit_code_of(c, status), why);
		return;
	}
	slot->settled = true;
	/* one that has worked and ends of its own accord (a driver's max_requests) is no trouble */
	bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0 && c->state == CHILD_READY;
	int64_t wait = clean ? 0 : backoff_died(&slot->backoff, now - c->started_ms);
	slot->start_ms = now + wait;
	log_info("%s is started again%s", c->label, wait > 0 ? " soon" : "");
}

static void front_died(struct parent *p, struct child *c, int status, int64_t now)
{
	p->front = NULL;
	if (p->draining)
		return;
	p->front_start_ms = now + backoff_died(&p->front_backoff, now - c->started_ms);
	if (p->next != NULL && p->next->state == LINEUP_OFFERED)
		lineup_fail_next(p, exit_code_of(c, status),
		    c->failure != NULL ? c->failure : "the front died of the new configuration");
	lineup_front_died(p, now);
}

static void child_gone(struct parent *p, struct child *c, int status, int64_t now)
{
	while (c->control >= 0 && child_read(p, c, now))
		; /* its last words */
	child_close_control(c);
	child_hear_last(c);
	bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	bool expected = p->draining ? clean || c != p->front : c->slot == NULL && c != p->front;
	describe_end(c, status, expected);
	TAILQ_REMOVE(&p->children, c, entry);
	c->pid = 0;
	if (c == p->front)
		front_died(p, c, status, now);
	else if (c->slot != NULL && !p->draining)
		worker_died(p, c, status, now);
	else if (c->slot != NULL)
		c->slot->child = NULL;
	child_free(&c);
}

void children_reap(struct parent *p, int64_t now)
{
	pid_t pid;
	int status;
	struct child *c = p->front;
	/* the front first: its death explains that of its workers */
	if (c != NULL && waitpid(c->pid, &status, WNOHANG) == c->pid)
		child_gone(p, c, status, now);
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		TAILQ_FOREACH(c, &p->children, entry)
		if (c->pid == pid)
			break;
		if (c != NULL)
			child_gone(p, c, status, now);
	}
}

/* ---- what they say ---- */

static void worker_ready(struct parent *p, struct child *c)
{
	if (c->slot == NULL || c->state != CHILD_STARTING)
		return;
	c->state = CHILD_READY;
	c->deadline_ms = 0;
	c->slot->settled = true;
	log_debug("%s (pid %ld) is ready", c->label, (long)c->pid);
	if (c->slot->lineup->state != LINEUP_PROVING && p->front != NULL &&
	    !lineup_give_worker(p, c->slot))
		child_kill(p->front, SIGKILL);
}

static void child_failed(struct parent *p, struct child *c, const struct control_message *m)
{
	mem_free(&c->failure);
	c->failure = mem_strndup(m->text.ptr, m->text.len);
	if (c == p->front && p->next != NULL && p->next->number == m->generation) {
		char *why = mem_strdup(c->failure);
		lineup_fail_next(p, EX_CONFIG, why);
		mem_free(&why);
	} else if (c == p->front) {
		log_error("front: %s", c->failure);
		child_kill(c, SIGKILL);
	} else if (c->slot != NULL && c->slot->lineup != p->next) {
		log_error("%s: %s", c->label, c->failure);
	}
	/* a failed worker exits by itself, soon */
	if (c != p->front && c->state == CHILD_STARTING)
		c->deadline_ms = clock_ms() + PARENT_KILL_MS;
}

static void handle(struct parent *p, struct child *c, const struct control_message *m, int64_t now)
{
	if (m->type == CONTROL_FAILED)
		child_failed(p, c, m);
	else if (m->type != CONTROL_READY)
		log_error("%s (pid %ld) sent message %d", c->label, (long)c->pid, (int)m->type);
	else if (c == p->front)
		lineup_ready(p, m->generation, now);
	else
		worker_ready(p, c);
}

/*
 * One message; false: there is none. At its end the socket is closed, and a
 * child without one is about to die.
 */
bool child_read(struct parent *p, struct child *c, int64_t now)
{
	char buf[CONTROL_PACKET_MAX];
	struct control_message m;
	struct err err = {0};
	int rc = control_receive(c->control, &m, buf, sizeof(buf), &err);
	if (rc == 0)
		return false;
	if (rc < 0) {
		child_close_control(c);
		if (c->deadline_ms == 0)
			c->deadline_ms = now + PARENT_KILL_MS;
		return false;
	}
	if (m.fd >= 0)
		close(m.fd);
	handle(p, c, &m, now);
	return true;
}
