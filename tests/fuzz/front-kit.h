/*
 * A whole front without a parent: one generation from a configuration in
 * memory, connections and worker channels whose other ends are in the
 * target's hands. Nothing of an earlier input is left when the next begins.
 */
#ifndef TESTS_FUZZ_FRONT_KIT_H
#define TESTS_FUZZ_FRONT_KIT_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "authd/channel.h"
#include "authd/conn.h"
#include "authd/generation.h"
#include "authd/request.h"
#include "base/log.h"
#include "drivers/drivers.h"
#include "mechanisms/mech.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* what a target may want besides */
#ifndef KIT_MORE_MECHANISMS
#define KIT_MORE_MECHANISMS ""
#endif

static const char kit_configuration[] =
    "auth_mechanisms = plain login scram-sha-256 scram-sha-256-plus digest-md5 "
    "anonymous " KIT_MORE_MECHANISMS "\n"
    "auth_master_user_separator = *\n"
    "auth_failure_delay = 0\n"
    "auth_cache_size = 16k\n"
    "auth_cache_expired_limit = 1h\n"
    "auth_internal_failure_delay = 0\n"
    "passdb {\n driver = static\n args = password=m\n master = yes\n"
    " result_success = continue\n}\n"
    "passdb {\n driver = static\n args = password=a\n result_success = continue\n"
    " default_fields = host=%d proxy_maybe\n}\n"
    "passdb {\n driver = static\n args = password=b\n override_fields = userdb_mail=%n\n}\n"
    "userdb {\n driver = prefetch\n}\n"
    "userdb {\n driver = static\n args = uid=1000 gid=1000 home=/home/%u\n}\n"
    "protocol pop3 {\n auth_failure_delay = 1s\n}\n"
    "service auth {\n"
    " unix_listener auth-client {\n mode = 0600\n }\n"
    " unix_listener newer {\n mode = 0600\n type = auth\n }\n"
    " unix_listener login/login {\n mode = 0600\n }\n"
    " unix_listener auth-master {\n mode = 0600\n }\n"
    " unix_listener auth-userdb {\n mode = 0666\n }\n"
    " unix_listener auth-token {\n mode = 0600\n }\n"
    " unix_listener token-login/tokenlogin {\n mode = 0600\n }\n"
    "}\n";

struct kit {
	struct front *front;
	struct generation *generation;
	int64_t skew_ms; /* what has passed beyond the clock's time */
};

static inline void kit_die(const char *what)
{
	printf("%s\n", what);
	fflush(stdout);
	abort();
}

static inline void kit_config_error(void *ctx UNUSED, const char *message)
{
	printf("%s\n", message);
}

static inline struct span kit_blob(void)
{
	static struct buffer blob;
	if (blob.len == 0) {
		struct arena a = {0};
		const struct config_options options = {
		    .drivers = known_driver_specs, .mechanisms = mech_names(0, &a)};
		struct config *c = config_load_text("fuzz.conf",
		    span_make(kit_configuration, sizeof(kit_configuration) - 1), &options,
		    kit_config_error, NULL);
		if (c == NULL)
			kit_die("the configuration does not load");
		config_export_front(c, &blob);
		config_free(&c);
		arena_free(&a);
	}
	return buffer_span(&blob);
}

#ifndef KIT_WITHOUT_FUZZER
/* The log would drown the fuzzer's own words. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char **more = calloc((size_t)*argc + 2, sizeof(*more));
	for (int i = 0; i < *argc; i++)
		more[i] = (*argv)[i];
	more[(*argc)++] = strdup("-close_fd_mask=2");
	*argv = more;
	log_init("fuzz", LOG_FORMAT_TEXT, true);
	return 0;
}
#endif

static inline void kit_begin(struct kit *k)
{
	struct err err = {0};
	*k = (struct kit){.front = front_new()};
	k->generation = generation_new(k->front, 1, kit_blob(), &err);
	if (k->generation == NULL)
		kit_die(err.text);
	generation_set_token_secret(k->generation, SPAN_LIT("0123456789abcdef0123456789abcdef"));
	generation_commit(k->generation);
}

static inline void kit_end(struct kit *k)
{
	front_free(&k->front);
}

/* Little room, so that what is not read soon holds up its writer. */
static inline void kit_socketpair(int ends[2])
{
	int room = 1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0 ||
	    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) != 0)
		kit_die("socketpair");
}

/* our end of a new connection to a listener of that type and handshake */
static inline int kit_connect_to(struct kit *k, enum listener_type type, bool newer)
{
	int ends[2];
	kit_socketpair(ends);
	for (size_t i = 0; i < k->generation->listener_count; i++) {
		const struct listener *l = &k->generation->listeners[i];
		if (l->config->type != type || l->config->newer != newer)
			continue;
		conn_accept(l, ends[0]);
		return ends[1];
	}
	kit_die("no listener of that type");
	return -1;
}

static inline int kit_connect(struct kit *k, enum listener_type type)
{
	return kit_connect_to(k, type, false);
}

/* our end of a new channel to a pool, the hello not yet said */
static inline int kit_worker(struct kit *k, size_t pool)
{
	int ends[2];
	kit_socketpair(ends);
	pool_add_link(&k->generation->pools[pool], ends[0]);
	return ends[1];
}

static inline void kit_send(int fd, struct span s)
{
	if (s.len > 0)
		(void)!send(fd, s.ptr, s.len, MSG_NOSIGNAL);
}

static inline void kit_drain(int fd, struct buffer *into)
{
	char *at;
	ssize_t n;
	while ((n = recv(fd, at = buffer_reserve(into, 16384), 16384, 0)) > 0)
		buffer_commit(into, (size_t)n);
	(void)at;
}

/* Replies are whole lines without NULs, whatever was asked. */
static inline void kit_check_replies(int fd)
{
	struct buffer b = {0};
	kit_drain(fd, &b);
	if (b.len > 0 &&
	    (span_find(buffer_span(&b), '\0') >= 0 || span_find(buffer_span(&b), '\r') >= 0))
		kit_die("a reply with a control character");
	buffer_free(&b);
}

static inline void kit_turns(struct kit *k)
{
	for (int i = 0; i < 3; i++)
		front_turn(k->front, false);
}

/* Everything that waits for a time is due at once. */
static inline void kit_time_passes(struct kit *k)
{
	k->skew_ms += 1000 * 1000;
	wheel_advance(&k->front->wheel, clock_ms() + k->skew_ms);
	front_turn(k->front, false);
}

#endif
