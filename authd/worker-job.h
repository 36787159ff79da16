/*
 * Inside a worker: a job is one question on its way through the worker; a pool
 * of lanes is threads that take jobs off one queue. The main thread reads and
 * writes the channel and owns every job that is in no queue and no lane.
 */
#ifndef AUTHD_WORKER_JOB_H
#define AUTHD_WORKER_JOB_H

#include <pthread.h>
#include <stdatomic.h>

#include "authd/channel.h"
#include "conf/config.h"
#include "drivers/driver.h"
#include "schemes/scheme.h"

struct lane_pool;

enum lane_outcome { LANE_DONE, LANE_HASH, LANE_NAMES };

/* A stored password taken apart. */
struct job_hash {
	struct scheme_hash hash;
	struct secret stored; /* as the driver showed it; unset: it cannot be replaced */
	struct span name;
};

/* "password_scram_sha_256" and the like: good for one mechanism, beside the password. */
struct job_verifier {
	const char *scheme;
	struct span text; /* SPAN_NULL: the entry has no such field */
};

enum { JOB_VERIFIERS = 3 };

struct job {
	struct job *next;	  /* in a queue, the done list or the free list */
	struct job *map_next;	  /* in the main thread's map of serials */
	struct lane_pool *queued; /* whose queue it waits in; under the hub's lock */
	struct arena arena;
	struct channel_answer answer;

	/* a password still to be compared in a hash lane */
	struct scheme_hash hash;
	struct secret stored; /* as in struct job_hash */
	uint64_t hash_memory;
	struct span hash_name; /* of the user's several passwords this one; or SPAN_NULL */
	struct job_hash *more; /* the others, compared after it */
	size_t more_count;
	const char *unread; /* why one of them could not be compared; NULL: all can */
	struct job_verifier verifiers[JOB_VERIFIERS];
	bool rehash;	      /* the stored hash is weak: after the answer, make a better one */
	bool after;	      /* that is under way; nobody waits for it */
	bool dummy;	      /* only to spend the time; .verdict is known */
	bool refused;	      /* whatever the password is; only who has it is told why */
	bool makes;	      /* not to compare but to make a credential of */
	bool only_names;      /* answered but for names that are to be numbers */
	unsigned passed_over; /* how often others went first for want of memory */
	bool asked;	      /* .ask has the driver's answer already, which is .verdict */
	enum verdict verdict;
	enum lane_outcome outcome; /* where it goes from this lane */
	bool answered;		   /* by a lane */

	atomic_bool cancelled;
	uint32_t credit; /* LIST: names that may still be sent; under the hub's lock */

	/* large, and filled anew for each job: job_recycle() leaves most of them as they are */
	struct channel_question q;
	struct question ask; /* what the driver sees */
};

/* ---- worker-job.c: the main thread's jobs ---- */

enum { JOB_MAP_SIZE = 1024 }; /* a power of two */

struct job_table {
	struct job *map[JOB_MAP_SIZE]; /* those in queues and lanes, by serial */
	unsigned count;
	struct job *spare; /* to be used again */
	unsigned spare_count;
};

struct job *job_new(struct job_table *t);
void job_recycle(struct job_table *t, struct job *job);
void job_clear_question(struct job *job); /* job->ask, before a driver is asked */
void job_table_add(struct job_table *t, struct job *job);
void job_table_remove(struct job_table *t, struct job *job);
/* NULL when there is none, or it was cancelled */
struct job *job_table_find(struct job_table *t, uint64_t serial);
/* Every job, wherever it is: the lanes must have ended. */
void job_table_free(struct job_table *t);

/* ---- worker-module.c ---- */

/*
 * Built in, or a module from dir (NULL or "": the usual places); m: which module, NULL: the one
 * with the driver's name. Modules are never unloaded.
 */
const struct driver *worker_find_driver(
    const char *name, const struct driver_module *m, const char *dir, struct err *err) MUST_CHECK;
/* The spec that the program itself knows; NULL: only a module has it. */
const struct driver_spec *worker_known_spec(const char *name);

/* ---- worker-ask.c: one question to driver calls and an answer ---- */

struct hash_kind {
	const struct scheme *scheme;
	uint64_t seen;
	struct arena arena;
	struct scheme_hash sample;
};

/* Bringing weak stored hashes up to date (worker-rehash.c). */
enum { REHASH_WAITING_MAX = 32 }; /* more weak logins at once wait for their next time */

struct rehash {
	bool on; /* the driver can store, and some passdb wants it */
	const char *scheme;
	unsigned rounds;
	bool scram;		   /* make what SCRAM-SHA-256 needs, too */
	struct arena arena;	   /* of target */
	struct scheme_hash target; /* what is made; whose cost others are held against */
	_Atomic uint64_t logins[SCHEME_KINDS];
	_Atomic uint64_t upgraded, failed, outrun;
	unsigned waiting; /* main thread only */
	/* of the one lane that does it */
	int64_t complained_at;
	unsigned complaints; /* not logged since then */
};

struct asker {
	const struct driver *driver;
	unsigned can; /* of the driver, with its settings */
	bool allow_weak_schemes, password_precis;
	uint64_t hash_memory_limit; /* 0: none */
	uint64_t hash_time_limit;   /* ms; 0: none */
	/* which hashes the users here have, so that an unknown user costs the same */
	pthread_mutex_t kinds_lock;
	struct hash_kind kinds[8];
	bool hashed_elsewhere; /* HASHES_HERE, but somebody got in without that; ask lane only */
	_Atomic int made;      /* credentials that had to be made outweigh those that were stored */
	struct rehash rehash;
};

void asker_init(struct asker *as);
void asker_free(struct asker *as);
/* True: job->answer is complete. False: job->hash is to be compared in a hash lane. */
bool asker_ask(struct asker *as, void *state, struct job *job) MUST_CHECK;
/*
 * Asks the driver about several jobs at once; asker_ask() of each then goes on from there. early():
 * that of one job can do so now.
 */
void asker_ask_ahead(struct asker *as, void *state, struct job *const *jobs, size_t count,
    void (*early)(void *ctx, struct job *job), void *ctx);
/* Compares job->hash and completes the answer. */
void asker_hash(struct asker *as, struct job *job);

/* ---- worker-credential.c: what a mechanism computes with ---- */

/* As asker_ask(). */
bool asker_credential(struct asker *as, void *state, struct job *job) MUST_CHECK;
/* In a hash lane: makes what was slow to make, for an unknown user for nothing. */
void asker_make_credential(struct asker *as, struct job *job);

/* ---- worker-judge.c: a driver that judges passwords itself ---- */

/* job->answer is complete. */
void asker_judge(struct asker *as, void *state, struct job *job);

/* ---- worker-store.c: another password in the place of a stored one ---- */

/* STORE: may block, so it runs in a lane. */
void asker_store(struct asker *as, void *state, struct job *job);

/* ---- worker-rehash.c ---- */

bool rehash_init(struct asker *as, const struct worker_config *wc, struct err *err) MUST_CHECK;
void rehash_free(struct rehash *re);
struct channel_tally rehash_tally(const struct rehash *re);
/* The password was right: counts the login, and decides whether to rehash. */
void rehash_note(struct asker *as, struct job *job);
/* In the lane for it, long after the answer. hash_pool: whose memory is used. */
void rehash_run(struct asker *as, void *state, struct job *job, struct lane_pool *hash_pool);

/* ---- worker-census.c: CENSUS, in a lane ---- */

void asker_census(struct asker *as, void *state, struct job *job);

/* ---- worker-verifier.c: what one mechanism needs, beside the password ---- */

/* Takes such fields off the entry. */
void verifiers_take(struct job *job);
/* The credential in the wanted scheme from one that belongs to the entry's password. */
bool verifier_find(struct job *job, struct secret *out);
/* There is a place for one of SCRAM-SHA-256, and none that belongs to the password. */
bool verifier_is_missing(struct job *job);
/* Bound to the password as it is stored from now on; unset and *err: it cannot be made. */
struct secret verifier_make(
    struct secret password, struct secret stored, struct arena *a, struct err *err);

/* ---- worker-dummy.c: what hashes the users here have ---- */

void asker_note_kind(struct asker *as, const struct scheme_hash *h);
/* Such a hash, without anybody's digest, as job->hash; false: nobody's is computed here. */
bool asker_dummy_hash(struct asker *as, struct job *job) MUST_CHECK;

/* ---- inside of worker-ask.c, for worker-judge.c, worker-store.c and worker-credential.c ---- */

enum verdict asker_driver(
    const struct asker *as, void *state, struct job *job, enum question_kind kind);
/* Fields with passwords in them become the entry's. */
void asker_take_passwords(const struct asker *as, struct job *job);
void asker_answer(struct job *job, enum verdict v);
/* All stored passwords taken apart; false: answered, they cannot be read. */
bool asker_parse(const struct asker *as, struct job *job) MUST_CHECK;
bool asker_no_lookups(struct job *job); /* answers that this driver has none; always true */

/* ---- worker-names.c: names in an answer become numbers ---- */

bool names_are_wanted(const struct job *job);
/* May block. Ends in INTERNAL when there is no such name. */
void names_resolve(struct job *job);
/* An answer without asking anybody. */
void job_answer(struct job *job, enum verdict verdict, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The same with INTERNAL, not for this user's sake. */
void job_outage(struct job *job, enum backend_state backend, const char *why);
bool job_is_late(const struct job *job);

/* ---- worker-out.c ---- */

struct outbox {
	pthread_mutex_t lock; /* held while something is sent, too */
	int fd;		      /* the channel */
	struct buffer frames; /* not sent yet */
	unsigned answers;     /* put there since something was sent */
	_Atomic int error;    /* errno: the channel is of no more use */
};

void outbox_init(struct outbox *o, int fd);
void outbox_free(struct outbox *o);
/* Locked, to put whole frames in. */
struct buffer *outbox_open(struct outbox *o) MUST_CHECK;
/*
 * Sends all that there is, and unlocks. more_soon: a few answers may wait for others, until the
 * main thread looks. The result: bytes that the channel did not take.
 */
size_t outbox_close(struct outbox *o, unsigned answers, bool more_soon) MUST_CHECK;

/* ---- worker-hub.c ---- */

/* What all pools of a worker share. One lock: it is held for a few instructions at a time. */
struct lane_hub {
	pthread_mutex_t lock;
	pthread_cond_t credit; /* a list got credit, was cancelled, or all stops */
	pthread_cond_t opened; /* the first lane of a pool has opened its state, or not */
	struct job *done, **done_end;
	bool woken;
	int event; /* eventfd: readable when the main thread is to look */
	bool stopping;
	struct outbox *out;
	_Atomic uint64_t needs; /* of states that only lanes may touch */
};

bool hub_init(struct lane_hub *h, struct outbox *out, struct err *err) MUST_CHECK;
void hub_free(struct lane_hub *h);
/* Makes the main thread look. */
void hub_wake(struct lane_hub *h);
void hub_hear(struct lane_hub *h); /* it looks */
/* Under the lock, by a lane: nothing is left to do but for the main thread. */
void hub_finish(struct lane_hub *h, struct job *job);
/* All jobs that are done, oldest first. */
struct job *hub_take_done(struct lane_hub *h);
/* LIST: so many names more. */
void hub_credit(struct lane_hub *h, struct job *job, uint32_t more);

/* ---- worker-lane.c ---- */

enum { LANE_BATCH_MAX = ASK_MANY_MAX, LANE_LOOK_MS = 1, LANE_QUEUE_LONG = 8 };

struct lane_pool {
	struct lane_hub *hub;
	/* set by the owner before lane_pool_init() */
	unsigned max;	 /* threads at most; they start when needed */
	int nice;	 /* of these threads, relative to the process */
	uint64_t memory; /* what the running jobs' hash_memory may add up to; 0: no limit */
	unsigned batch;	 /* jobs at most that run() gets at once */
	/* Sets each job's outcome where it is not LANE_DONE; NULL: it was handed over already. */
	void (*run)(void *ctx, void *state, struct job **jobs, size_t count);
	/* Encodes the answer, in the lane; false: that is for the main thread. */
	bool (*answer)(struct job *job, struct buffer *frames);
	void *ctx;
	struct lane_pool *hash_pool;  /* where LANE_HASH leads */
	struct lane_pool *names_pool; /* where LANE_NAMES leads */
	void *state;		      /* shared by the lanes, or NULL: ... */
	const struct driver *driver;  /* ... each lane opens its own */
	const void *settings;

	/* under the hub's lock */
	pthread_cond_t work;
	struct job *queue, **queue_end;
	_Atomic unsigned queued;
	unsigned idle, count, started;
	bool waking;		    /* a lane was woken and is not there yet */
	int64_t picked_us, pace_us; /* when a lane took some; how long one of the last took */
	uint64_t memory_used;
	pthread_t *threads;
	int64_t *busy_until; /* of each lane: the last deadline of what it runs; INT64_MAX: free */
	int first_open;	     /* of the first lane: 0 not yet, 1 done, -1 open_err */
	struct err open_err;
};

void lane_pool_init(struct lane_pool *p, struct lane_hub *h);
/* Starts one lane and waits until its state is open. */
bool lane_pool_open_first(struct lane_pool *p, struct err *err) MUST_CHECK;
void lane_submit(struct lane_pool *p, struct job *job);
void lane_submit_all(struct lane_pool *p, struct job *jobs); /* linked by next, the last to NULL */
/* Wakes a lane where one that has to do with its questions leaves others waiting. */
void lane_look(struct lane_pool *p);
/* From run(), with a job whose outcome is there: it goes on before run() is over. */
void lane_hand_over(struct lane_pool *p, struct job *job);
/* True when the job was still in a queue: it is the caller's again. */
bool lane_cancel(struct lane_hub *h, struct job *job) MUST_CHECK;
/* Lanes that are busy with what nobody waits for any more since limit_ms. */
unsigned lane_count_stuck(struct lane_pool *p, int64_t limit_ms);
/* Waits until so much of the pool's memory is free and nobody else waits; false: never, or all
   stops. */
bool lane_borrow(struct lane_pool *p, uint64_t memory) MUST_CHECK;
void lane_give_back(struct lane_pool *p, uint64_t memory);
/* Ends and joins all lanes of the pools; false when some are stuck in their backend. */
bool lane_stop(struct lane_hub *h, struct lane_pool *const *pools, size_t count) MUST_CHECK;

/* ---- worker-list.c: runs in a lane ---- */

enum { LIST_FIRST_CREDIT = 1000, LIST_FRAME_NAMES = 256, LIST_FRAME_BYTES = 64 * 1024 };
void worker_list(const struct driver *driver, struct lane_hub *h, void *state, struct job *job);

#endif
