/*
 * A generation: one loaded configuration in the front, with its pools and
 * compiled scopes. A new one is built and proven beside the old; requests keep
 * the one that they started with; a retired one goes when its last request does.
 * Owner: the front's list.
 */
#ifndef AUTHD_GENERATION_H
#define AUTHD_GENERATION_H

#include "authd/cache.h"
#include "authd/front.h"
#include "authd/pool.h"
#include "conf/config.h"
#include "mechanisms/mech.h"

enum { ASKING_BUCKETS = 4096 };

/* A scope of the configuration with everything worked out that a request needs. */
struct scope {
	const struct auth_settings *auth;
	const struct config_db **passdbs; /* without the master ones */
	size_t passdb_count;
	const struct config_db **masterdbs;
	size_t masterdb_count;
	const struct config_db **userdbs;
	size_t userdb_count;
	unsigned char translation[256]; /* auth_username_translation */
	unsigned char name_bytes[256];	/* the same; 0: not in auth_username_chars */
};

struct listener {
	struct front *front;
	const struct config_listener *config;
	struct event event;
	struct wheel_timer rest; /* no room for clients: looks again then */
	int fd;			 /* -1: not there (yet) */
	uid_t owner;		 /* of the socket file */
	gid_t group;
};

struct generation {
	TAILQ_ENTRY(generation) link;
	struct front *front;
	unsigned number;
	struct config *config;
	struct scope *scopes;	   /* parallel to config->scopes */
	const struct mech **mechs; /* in auth_mechanisms order; NULL-terminated */
	struct pool *pools;
	size_t pool_count;
	struct listener *listeners;
	size_t listener_count;
	struct secret token_secret, fake_key;
	bool has_plus;		 /* a mechanism with channel binding is among them */
	struct cache *cache;	 /* NULL: auth_cache_size = 0 */
	struct request **asking; /* leaders, by cache key */
	struct arena arena;
	size_t users; /* requests that hold it */
	bool retired;
};

/* From the parent's blob. NULL and *err. */
struct generation *generation_new(
    struct front *f, unsigned number, struct span blob, struct err *err) MUST_CHECK;
/* owns fd; owner and group of the socket file tell who may ask about everybody */
void generation_set_listener(struct generation *g, size_t index, int fd, uid_t owner, gid_t group);
void generation_set_token_secret(struct generation *g, struct span secret);
/* Listeners on; becomes the front's current one; the old one retires. */
void generation_commit(struct generation *g);
void generation_stop_listening(struct generation *g);
void generation_unref(struct generation *g); /* one request less */
void generation_reap(struct front *f);	     /* end of a turn: frees what is retired and unused */
void generation_free(struct generation *g);

const struct scope *generation_scope(const struct generation *g, struct span service);
/* The pool that a mechanism's helper runs in; NULL. */
struct pool *generation_helper(struct generation *g, const char *driver);
const struct mech *generation_mech(const struct generation *g, struct span name);

#endif
