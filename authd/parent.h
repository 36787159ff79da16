/*
 * The parent: reads the configuration, binds sockets, starts children and
 * starts them again. It reads no request, ever. This struct is its whole
 * state; there is one. All times are clock_ms().
 */
#ifndef AUTHD_PARENT_H
#define AUTHD_PARENT_H

#include <sys/queue.h>

#include "authd/backoff.h"
#include "authd/control.h"
#include "authd/listen.h"
#include "authd/logging.h"
#include "authd/privileges.h"
#include "conf/config.h"

enum {
	PARENT_PROVE_MS = 60 * 1000,  /* a worker opens its driver */
	PARENT_OFFER_MS = 30 * 1000,  /* the front takes a generation into use */
	PARENT_LEAVE_MS = 300 * 1000, /* a retired worker ends by itself */
	PARENT_KILL_MS = 10 * 1000,   /* what was sent SIGTERM ends */
	PARENT_DRAIN_MS = 30 * 1000,  /* the front answers what runs */
	PARENT_SECRET_SIZE = 32,
};

enum child_state {
	CHILD_STARTING, /* must say READY by its deadline */
	CHILD_READY,
	CHILD_LEAVING, /* retired: expected to end, belongs to no slot */
};

struct child {
	TAILQ_ENTRY(child) entry;
	enum child_state state;
	struct slot *slot; /* NULL: the front, or leaving */
	pid_t pid;
	int control;
	int channel;	/* worker: the front's end, until the front has it; else -1 */
	int errors;	/* worker: what it writes to standard error; else -1 */
	char label[80]; /* "front", "worker passwd-file" */
	char *failure;	/* what it said in CONTROL_FAILED */
	int64_t started_ms;
	int64_t deadline_ms; /* 0: none. Then: SIGTERM when leaving, else SIGKILL */
	/* parent-said.c: the line so far, and how many there were since said_ms */
	char said[400];
	size_t said_len;
	unsigned said_lines;
	int64_t said_ms;
};

/* The place of one worker process in a lineup. */
struct slot {
	struct lineup *lineup;
	unsigned pool;
	struct child *child; /* NULL: to be started at start_ms */
	struct backoff backoff;
	int64_t start_ms;
	bool settled; /* was ready or has died once: not worth waiting for any longer */
};

struct bound_socket {
	SLIST_ENTRY(bound_socket) entry;
	struct listen_socket socket;
};

enum lineup_state {
	LINEUP_PROVING, /* its workers start */
	LINEUP_OFFERED, /* sent to the front, which has not said READY */
	LINEUP_IN_USE,
};

/* The parent's side of a generation. */
struct lineup {
	unsigned number;
	enum lineup_state state;
	struct config *config;
	struct logging log;
	bool drops_privileges;
	struct identity front_id;
	struct identity *pool_ids; /* by pool */
	struct slot *slots;
	size_t slot_count;
	struct bound_socket **sockets; /* by config->listeners; NULL: switched off (mode 0) */
	int64_t offer_deadline_ms;
};

struct parent {
	const char *config_path;
	bool dovecot;
	int signal_fd;
	int stderr_fd; /* as it was at start */
	int pid_fd;
	TAILQ_HEAD(, child) children;
	struct child *front; /* NULL: to be started at front_start_ms */
	struct backoff front_backoff;
	int64_t front_start_ms;
	struct lineup *current; /* NULL before the first is in use */
	struct lineup *next;	/* being proven; NULL: none */
	unsigned last_number;
	unsigned changes; /* finished loads, good or bad */
	SLIST_HEAD(, bound_socket) sockets;
	char *base_dir;
	char secret[PARENT_SECRET_SIZE];
	bool reload_wanted;
	bool draining, finished;
	int64_t drain_deadline_ms;
	unsigned drain_signals; /* sent to the workers so far */
	int exit_code;
};

struct parent_options {
	const char *config_path; /* NULL: the default */
	bool dovecot;
	const char *argv0;
};
const char *parent_config_path(const struct parent_options *o);
int parent_main(const struct parent_options *options);

/* ---- parent-config.c: from a file to a lineup that could be started ---- */

struct config_report { /* where errors of a configuration go */
	bool plain;    /* to standard error as they are; else to the log */
	unsigned count;
	char first[256];
};
struct lineup *lineup_load(struct parent *p, struct config_report *report) MUST_CHECK;
void lineup_free(struct lineup **l);
/* Of a pool, for logs and ps: "passwd-file", "passwd-file#2" */
void lineup_section(const struct lineup *l, unsigned pool, char *buf, size_t size);
bool lineup_root_here(void); /* may this process change users? */

/* ---- parent-sockets.c ---- */

bool sockets_bind(struct parent *p, struct lineup *l, struct err *err) MUST_CHECK;
void sockets_adjust(const struct lineup *l); /* mode and owner of those that were there before */
void sockets_close_unused(struct parent *p); /* those of neither lineup */

/* ---- parent-children.c ---- */

/* Variables of the environment that children get, NULL-terminated. */
extern const char *const child_inherits[];
bool child_start_worker(struct parent *p, struct slot *slot, int64_t now) MUST_CHECK;
void child_start_front(struct parent *p, int64_t now);
void child_retire(struct child *c, int64_t deadline_ms); /* it leaves its slot */
void child_kill(struct child *c, int sig);
void child_close_control(struct child *c);
void children_check_deadlines(struct parent *p, int64_t now);
void children_reap(struct parent *p, int64_t now);
bool child_read(struct parent *p, struct child *c, int64_t now);
bool child_tell(struct child *c, enum control_type type, unsigned generation, unsigned index,
    struct span text, int fd) MUST_CHECK;

/* ---- parent-said.c: what a worker writes to standard error ---- */

bool child_is_heard(const struct child *c, int64_t now); /* else it has said too much */
int64_t child_heard_again(const struct child *c);	 /* and then waits so long */
void child_hear(struct child *c, int64_t now);
void child_hear_last(struct child *c); /* it has ended */
void child_close_errors(struct child *c);

/* ---- parent-lineup.c: what becomes of lineups ---- */

void lineup_step(struct parent *p, int64_t now); /* start what is due, offer what is proven */
bool lineup_give_worker(struct parent *p, struct slot *slot) MUST_CHECK;
void lineup_ready(struct parent *p, unsigned number, int64_t now); /* the front said so */
void lineup_fail_next(struct parent *p, int code, const char *why);
void lineup_forget_next(struct parent *p); /* without a word: the end is near */
void parent_say_fatal(const struct parent *p, const char *why);
void lineup_front_died(struct parent *p, int64_t now);
int64_t lineup_next_event(const struct parent *p); /* when to look again; INT64_MAX: never */

/* ---- parent-files.c: what lies in base_dir, and the log ---- */

bool files_claim(struct parent *p, struct err *err) MUST_CHECK; /* authd.pid, locked */
bool files_secret(struct parent *p, struct err *err) MUST_CHECK;
void files_status(struct parent *p, bool ok, const char *message);
void files_remove(struct parent *p);
bool files_open_log(struct parent *p, const struct lineup *l, struct err *err) MUST_CHECK;
void files_reopen_log(struct parent *p);

#endif
