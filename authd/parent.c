/*
 * The parent's life: start, signals, the loop, the end. Runs in: parent,
 * which is the process that was started. Fatal: a first configuration that
 * cannot be put into use (sysexits codes).
 */
#include "authd/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#include <sodium.h>

#include "authd/notify.h"
#include "authd/sandbox.h"
#include "authd/spawn.h"
#include "base/mem.h"
#include "base/wheel.h"

#define CONFIG_DEFAULT "/etc/authd/authd.conf"
#define CONFIG_DOVECOT "/etc/dovecot/dovecot.conf"

/* ---- loading ---- */

static bool claim_base_dir(struct parent *p, const struct lineup *l, struct err *err)
{
	p->base_dir = mem_strdup(l->config->process->base_dir);
	return listen_make_directories(p->base_dir, p->base_dir, err) && files_claim(p, err) &&
	       files_secret(p, err);
}

/* A lineup with its sockets, as p->next; what then happens to it is lineup_step()'s. */
static int load(struct parent *p, struct config_report *report)
{
	struct err err = {0};
	struct lineup *l = lineup_load(p, report);
	if (l == NULL)
		return EX_CONFIG;
	bool first = p->current == NULL;
	p->next = l;
	if ((!first || claim_base_dir(p, l, &err)) && sockets_bind(p, l, &err) &&
	    (!first || files_open_log(p, l, &err)))
		return 0;
	p->next = NULL;
	lineup_free(&l);
	sockets_close_unused(p);
	log_error("%s", err.text);
	if (report->count++ == 0)
		snprintf(report->first, sizeof(report->first), "%.250s", err.text);
	return err.code;
}

/* Whoever started it looks at standard error, wherever the log goes. */
void parent_say_fatal(const struct parent *p, const char *why)
{
	const struct stat none = {0};
	struct stat log = none, start = none;
	log_fatal("cannot start: %s", why);
	if (fstat(STDERR_FILENO, &log) != 0 || fstat(p->stderr_fd, &start) != 0)
		return;
	if (log.st_dev != start.st_dev || log.st_ino != start.st_ino)
		dprintf(p->stderr_fd, "authd: cannot start: %s\n", why);
}

static void reload(struct parent *p)
{
	struct config_report report = {0};
	p->reload_wanted = false;
	notify_reloading();
	log_info("reloading %s", p->config_path);
	if (load(p, &report) == 0)
		return;
	log_error("reload failed with %u error%s; the old configuration stays in use", report.count,
	    report.count == 1 ? "" : "s");
	files_status(p, false, report.first);
	notify_send("READY=1\nSTATUS=Reload failed, the old configuration is in use");
}

/* ---- ending ---- */

static void start_drain(struct parent *p, int64_t now)
{
	if (p->draining) { /* asked twice: hurry */
		p->drain_deadline_ms = now;
		return;
	}
	log_info("shutting down");
	notify_send("STOPPING=1");
	p->draining = true;
	p->drain_deadline_ms = now + PARENT_DRAIN_MS;
	if (p->front != NULL && !child_tell(p->front, CONTROL_DRAIN, 0, 0, SPAN_NULL, -1))
		child_kill(p->front, SIGKILL);
	/* no new clients from here on; the next authd may bind the same paths */
	lineup_forget_next(p);
	struct lineup *current = p->current;
	p->current = NULL;
	sockets_close_unused(p);
	p->current = current;
}

static void signal_workers(struct parent *p, int sig)
{
	struct child *c;
	TAILQ_FOREACH(c, &p->children, entry)
	if (c != p->front)
		child_kill(c, sig);
}

/* Front first, as it needs the workers to answer; then the workers. */
static void drain_step(struct parent *p, int64_t now)
{
	if (TAILQ_EMPTY(&p->children)) {
		p->finished = true;
		return;
	}
	if (p->front != NULL) {
		if (now < p->drain_deadline_ms)
			return;
		log_warning("the front does not come to an end; killing it");
		child_kill(p->front, SIGKILL);
		p->drain_deadline_ms = now + PARENT_KILL_MS;
		return;
	}
	if (p->drain_signals == 0 || now >= p->drain_deadline_ms) {
		signal_workers(p, p->drain_signals++ == 0 ? SIGTERM : SIGKILL);
		p->drain_deadline_ms = now + PARENT_KILL_MS / 2;
	}
}

/* ---- signals ---- */

static bool catch_signals(struct parent *p)
{
	static const int caught[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD};
	sigset_t set;
	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LEN(caught); i++)
		sigaddset(&set, caught[i]);
	signal(SIGPIPE, SIG_IGN); /* children keep this over exec, and it suits them */
	signal(SIGCHLD, SIG_DFL); /* whoever started us may have ignored it */
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return false;
	p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return p->signal_fd >= 0;
}

static void handle_signals(struct parent *p, int64_t now)
{
	struct signalfd_siginfo info;
	while (read(p->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGTERM:
		case SIGINT:
			start_drain(p, now);
			break;
		case SIGHUP:
			p->reload_wanted = true;
			files_reopen_log(p);
			break;
		case SIGUSR1:
			files_reopen_log(p);
			break;
		case SIGCHLD:
			children_reap(p, now);
			break;
		}
	}
}

/* ---- the loop ---- */

struct watch {
	struct pollfd *fds;
	pid_t *pids; /* parallel; a child may be gone before its turn comes */
	size_t count, capacity, pid_capacity;
};

static void watch_add(struct watch *w, int fd, pid_t pid)
{
	w->fds = mem_grow(w->fds, w->count, &w->capacity, sizeof(*w->fds));
	w->pids = mem_grow(w->pids, w->count, &w->pid_capacity, sizeof(*w->pids));
	w->fds[w->count] = (struct pollfd){.fd = fd, .events = POLLIN};
	w->pids[w->count++] = pid;
}

static int poll_timeout(const struct parent *p, int64_t now)
{
	int64_t at = lineup_next_event(p);
	const struct child *c;
	TAILQ_FOREACH(c, &p->children, entry)
	if (c->errors >= 0 && !child_is_heard(c, now) && child_heard_again(c) < at)
		at = child_heard_again(c);
	if (at == INT64_MAX)
		return -1;
	if (at <= now)
		return 0;
	return at - now > INT_MAX ? INT_MAX : (int)(at - now);
}

static void read_child_of(struct parent *p, pid_t pid, int fd, int64_t now)
{
	struct child *c;
	TAILQ_FOREACH(c, &p->children, entry)
	{
		if (c->pid != pid)
			continue;
		if (fd == c->control)
			child_read(p, c, now);
		else if (fd == c->errors)
			child_hear(c, now);
		return;
	}
}

static void turn(struct parent *p, struct watch *w)
{
	struct child *c;
	w->count = 0;
	watch_add(w, p->signal_fd, 0);
	TAILQ_FOREACH(c, &p->children, entry)
	{
		if (c->control >= 0)
			watch_add(w, c->control, c->pid);
		if (child_is_heard(c, clock_ms()))
			watch_add(w, c->errors, c->pid);
	}
	if (poll(w->fds, w->count, poll_timeout(p, clock_ms())) < 0 && errno != EINTR)
		mem_panic("poll failed");
	int64_t now = clock_ms();
	for (size_t i = 1; i < w->count; i++)
		if (w->fds[i].revents != 0)
			read_child_of(p, w->pids[i], w->fds[i].fd, now);
	if (w->fds[0].revents != 0)
		handle_signals(p, now);
}

static void run(struct parent *p)
{
	struct watch w = {0};
	while (!p->finished) {
		int64_t now = clock_ms();
		if (p->draining) {
			children_check_deadlines(p, now);
			drain_step(p, now);
		} else {
			if (p->reload_wanted && p->current != NULL && p->next == NULL)
				reload(p);
			lineup_step(p, now);
		}
		if (!p->finished)
			turn(p, &w);
	}
	mem_free(&w.fds);
	mem_free(&w.pids);
}

/* ---- start and end ---- */

const char *parent_config_path(const struct parent_options *o)
{
	if (o->config_path != NULL)
		return o->config_path;
	return o->dovecot ? CONFIG_DOVECOT : CONFIG_DEFAULT;
}

static bool prepare(struct parent *p, const struct parent_options *o, struct err *err)
{
	TAILQ_INIT(&p->children);
	SLIST_INIT(&p->sockets);
	p->config_path = parent_config_path(o);
	p->dovecot = o->dovecot;
	p->signal_fd = p->pid_fd = -1;
	p->stderr_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 16);
	prctl(PR_SET_DUMPABLE, 0); /* it knows every secret of the configuration */
	privileges_raise_files(0);
	if (sodium_init() < 0)
		return err_set(err, EX_SOFTWARE, "libsodium does not start");
	if (!spawn_init(o->argv0, err))
		return false;
	return catch_signals(p) || err_set(err, EX_OSERR, "signalfd: %s", strerror(errno));
}

static void finish(struct parent *p)
{
	struct child *c;
	TAILQ_FOREACH(c, &p->children, entry)
	child_kill(c, SIGKILL);
	lineup_free(&p->next);
	lineup_free(&p->current);
	sockets_close_unused(p);
	if (p->base_dir != NULL)
		files_remove(p);
	mem_wipe(p->secret, sizeof(p->secret));
	mem_free(&p->base_dir);
}

int parent_main(const struct parent_options *options)
{
	struct parent p = {0};
	struct err err = {0};
	struct config_report report = {.plain = true};
	log_init("master", LOG_FORMAT_TEXT, false);
	if (!prepare(&p, options, &err)) {
		log_fatal("%s", err.text);
		return err.code;
	}
	p.exit_code = load(&p, &report);
	if (p.exit_code == 0) {
		if (sandbox_missing() != NULL)
			log_info("%s", sandbox_missing());
		run(&p);
	}
	bool was_up = p.draining;
	finish(&p);
	if (was_up)
		log_info("authd has ended");
	return p.exit_code;
}
