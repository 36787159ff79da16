/*
 * A request: one attempt to log in, or one lookup. One owner (the table), one
 * 64-bit serial, one arena. Workers, timers and logs hold the serial only.
 *
 *   state    entered by                          left by
 *   mech     parsed; a verdict has come          what the step returns
 *   client   the step wants the client           CONT, CANCEL, time-out
 *   worker   a passdb or userdb is asked         its answer, deadline
 *   delay    failure decided                     one timer, then the reply
 *   linger   success on a login socket           the master's REQUEST, time-out
 *   done     reply written                       freed at once
 */
#ifndef AUTHD_REQUEST_H
#define AUTHD_REQUEST_H

#include "authd/cache.h"
#include "authd/chain.h"
#include "authd/conn.h"
#include "authd/generation.h"
#include "authd/pool.h"

enum request_state {
	REQUEST_MECH,
	REQUEST_CLIENT,
	REQUEST_WORKER,
	REQUEST_DELAY,
	REQUEST_LINGER,
	REQUEST_DONE,
};

enum request_kind {
	REQUEST_LOGIN, /* AUTH */
	REQUEST_USER,  /* USER: userdb lookup; also after a master's REQUEST */
	REQUEST_PASS,  /* PASS: passdb lookup without a password */
	REQUEST_LIST,
};

enum {
	REQUEST_CLIENT_MS = 150 * 1000,	    /* how long a client may think, and a success lingers */
	REQUEST_READER_MS = 30 * 60 * 1000, /* how long a list's client may not read on */
	REQUEST_TABLE_MAX = 60000,	    /* requests in the whole front */
};

/* Why a request did not succeed, for the client: the enumerated few that may reach the internet. */
enum reply_code {
	REPLY_NONE,
	REPLY_TEMP_FAIL,
	REPLY_AUTHZ_FAIL,
	REPLY_USER_DISABLED,
	REPLY_PASS_EXPIRED,
	REPLY_INVALID_BASE64,
};

struct request {
	uint64_t serial;
	uint32_t id; /* the client's */
	enum request_kind kind;
	enum request_state state;
	bool findable; /* by its id; a failed one is not, its id may be used again */
	struct conn *conn;
	TAILQ_ENTRY(request) conn_entry;
	struct request *hash_next;
	struct generation *generation;
	const struct scope *scope;
	struct arena arena;
	struct wheel_timer timer;    /* client, delay, linger */
	struct wheel_timer deadline; /* at answer_by_ms */
	int64_t started_us, deadline_ms;
	int64_t
	    answer_by_ms; /* when the question at hand is given up: the deadline, or before it */

	/* what the client said */
	struct vars vars;
	bool secured, valid_cert, no_penalty, nologin, final_resp_ok, debug;
	bool plus_offered; /* it was shown mechanisms with channel binding */
	struct span cert_username;

	/* mechanism */
	const struct mech *mech;
	void *mech_state;
	struct mech_io io;
	struct fields
	    mech_fields;     /* what the mechanism itself tells, to be taken when it is done */
	bool binding_wanted; /* the client is asked for the binding of io.binding_type */
	bool mech_is_done;   /* what the passdbs say now is about a master's target */

	/* the user, and what is known of him */
	bool user_set; /* vars.v[VAR_USER] went through normalisation */
	enum request_master {
		MASTER_NONE,
		MASTER_WANTED, /* vars.v[VAR_LOGIN_USER] names the target; the master is the user */
		MASTER_CHECKING, /* the master passdbs are being asked */
		MASTER_TARGET,	 /* the master is good; the target is the user now */
	} master;
	struct fields fields; /* passdb extra fields, for the client */
	struct fields userdb; /* userdb fields: prefetched ones first */
	bool prefetched;      /* a passdb gave a userdb_ field */
	struct request_kept { /* as it was before the passdb at hand was asked */
		struct fields fields, userdb;
		struct span user, login_user;
		bool prefetched;
	} kept;
	struct request_kept before; /* as it was before the mechanism was given a credential */
	struct fields kept_userdb;  /* as it was before the userdb at hand was asked */
	bool nodelay;
	bool mech_failed_by_verdict; /* the mechanism was told of a failure; it only passes it on */
	const char
	    *field_failure; /* why the fields of the passdb at hand refuse; NULL: they do not */
	bool computes;	    /* the mechanism was given a credential, a real one or a fake */
	struct span salt;   /* to make the credential with when only the plaintext is stored */
	/* what exclusive.c holds */
	struct request *next_exclusive, **exclusive_bucket;
	struct span exclusive_name;
	bool is_exclusive;
	struct secret credential;
	/* who gave it, under which name: where the mechanism's new one goes */
	const struct config_db *credential_db;
	struct span credential_user;
	const struct db_settings *master_db; /* which gave the credential of a master */
	int64_t delay_until;		     /* unix time; 0: none */

	/* where it stands */
	struct chain passdb_chain, userdb_chain;
	const struct config_db *db; /* the one being asked */
	enum request_asking {
		ASKING_NOTHING,
		ASKING_PASSDB,
		ASKING_USERDB,
		ASKING_LIST,
		ASKING_STORE,
		ASKING_CENSUS,
		ASKING_HELPER, /* of a mechanism: MECH_EXCHANGE */
	} asking;
	const struct config_db *existence_db; /* the userdb behind checking_existence */
	bool checking_existence;   /* a userdb wants to know whether a passdb has the user */
	bool password_compared;	   /* some passdb really checked it */
	bool may_hear_why;	   /* disabled or expired: said to whoever has the password */
	const char *wanted_scheme; /* NULL: verify the password */
	int master_rule;	   /* enum result_rule of the master passdb that said yes */
	struct pool_ticket ticket;
	struct cache_key cache_key;    /* while it leads: what it asks */
	bool leads, from_cache;	       /* others may wait for its answer; it came from the cache */
	struct request *next_asking;   /* in the generation's table of leaders */
	struct request *follows;       /* it waits for that one's answer */
	struct request_list followers; /* of a leader */
	TAILQ_ENTRY(request) follow_entry;
	char path[96]; /* "passwd-file:mismatch,sql:ok", cut where it gets long */
	unsigned path_len;
	bool failure_logged;
	struct request_held { /* logged when the login fails: another passdb may say yes */
		const char *source;
		struct span what;
	} held;

	/* how it ended */
	enum verdict verdict;
	enum reply_code code;
	struct span reason;	/* public */
	struct span final_data; /* server's last SASL message */
	bool has_final_data;
	bool mech_refused;  /* the final data is what a refusal ends with */
	bool close_instead; /* an outage, told by closing */

	/* LIST and REQUEST */
	struct span mask;
	bool list_incomplete, list_any, census;
	uint32_t list_owed; /* names that were taken and not yet asked for anew */
	bool after_login;   /* USER: it answers a master's REQUEST */
	bool token_wanted;
	uint32_t session_pid;
};

struct request_table;
struct request_table *request_table_new(void);
void request_table_free(struct request_table *t);
size_t request_table_count(const struct request_table *t);

/* NULL when the table is full. In state MECH, findable by (conn, id). */
struct request *request_new(struct conn *c, enum request_kind kind, uint32_t id) MUST_CHECK;
struct request *request_find(struct conn *c, uint32_t id);
struct request *request_by_serial(struct front *f, uint64_t serial);
void request_free(struct request *r);

/* Closes it as soon as none of its requests is at work: how an outage is told. Not waited for is
   one that waits for its client: Postfix abandons an exchange without a word. */
void request_close_when_idle(struct conn *c);
void request_set_state(struct request *r, enum request_state s);
void request_forget_id(struct request *r);
void request_set_scope(struct request *r);   /* from the service */
void request_params_done(struct request *r); /* what all parameters together imply */
/* (Re)starts the time in which the client must be answered. */
void request_restart_deadline(struct request *r);
/* The question at hand leaves time for another backend, if there is one to ask after it. */
void request_share_time(struct request *r, bool more_to_ask);
/* What was asked under the old serial is nobody's any more. */
void request_renew_serial(struct request *r);
/* A list whose client does not read: not our fault, and not for ever. */
void request_wait_for_reader(struct request *r);

/* From the pool: the answer to the last pool_ask(). */
void request_answered(struct request *r, const struct channel_answer *an);
void request_listed(struct request *r, struct wire_reader *items);

/* One parameter "key=value" or "key" of AUTH, USER, PASS ... (reference: Dovecot's auth protocol).
   The value must live as long as the request. */
void request_param(struct request *r, struct span key, struct span value);

/* The request is over: logs, and hands it to the protocol's reply; then it is freed. */
void request_finish(struct request *r);

#endif
