/*
 * Names in an answer that must leave the worker as numbers: a proxy's host, and
 * uid and gid of a user. The front can ask neither resolver nor NSS. Both
 * may take long, so this runs in a lane.
 * Runs in: worker (lanes).
 */
#include "authd/worker-job.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <sys/socket.h>

#include "drivers/nss.h"

static bool is_address(struct span s)
{
	char text[INET6_ADDRSTRLEN + 1];
	unsigned char bytes[16];
	return span_to_cstr(s, text, sizeof(text)) &&
	       (inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1);
}

static bool host_is_wanted(const struct job *job)
{
	const struct fields *f = &job->answer.fields;
	struct span host = fields_get(f, "host");
	return (job->q.flags & ASK_RESOLVE_HOST) != 0 && host.len > 0 && !is_address(host) &&
	       !fields_has(f, "hostip") && (fields_has(f, "proxy") || fields_has(f, "proxy_maybe"));
}

/* A userdb's fields, and those that a passdb has for the userdb. */
static const char *const uid_keys[] = {"uid", "userdb_uid"};
static const char *const gid_keys[] = {"gid", "userdb_gid"};

static const char *key_of(const struct job *job, const char *const keys[2])
{
	return keys[job->q.ask == CHANNEL_USERDB ? 0 : 1];
}

/* A list of numbers, as LDAP gives for several groups, is no name. */
static bool id_is_wanted(const struct job *job, const char *const keys[2])
{
	struct span value = fields_get(&job->answer.fields, key_of(job, keys));
	uint32_t number;
	return value.len > 0 && span_find(value, ',') < 0 && !span_to_u32(value, &number);
}

bool names_are_wanted(const struct job *job)
{
	return job->answer.verdict == VERDICT_OK &&
	       (host_is_wanted(job) || id_is_wanted(job, uid_keys) || id_is_wanted(job, gid_keys));
}

static void fail(struct job *job, const char *key, struct span name, const char *why, bool outage)
{
	if (outage)
		job->answer.backend = BACKEND_AWAY;
	job->answer.verdict = VERDICT_INTERNAL;
	job->answer.fields = fields_in(&job->arena);
	job->answer.detail = arena_printf(&job->arena, "%s=%.*s: %s", key, SPAN_ARG(name), why);
}

static void resolve_host(struct job *job)
{
	struct span host = fields_get(&job->answer.fields, "host");
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
	char text[NI_MAXHOST];
	int e = getaddrinfo(arena_cstr(&job->arena, host), NULL, &hints, &found);
	if (e == 0)
		e = getnameinfo(
		    found->ai_addr, found->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST);
	if (e == 0)
		fields_set(&job->answer.fields, SPAN_LIT("hostip"), span_of(text));
	else
		fail(job, "host", host, gai_strerror(e), e == EAI_AGAIN || e == EAI_SYSTEM);
	if (found != NULL)
		freeaddrinfo(found);
}

static void resolve_id(struct job *job, const char *const keys[2])
{
	const char *key = key_of(job, keys);
	struct span name = fields_get(&job->answer.fields, key);
	uint32_t id = 0;
	int e = nss_id(keys == gid_keys, name, &job->arena, &id);
	if (e == 0)
		fields_set(&job->answer.fields, span_of(key), arena_printf(&job->arena, "%u", id));
	else
		fail(job, key, name, e == ENOENT ? "no such name" : strerror(e), e != ENOENT);
}

void names_resolve(struct job *job)
{
	if (host_is_wanted(job))
		resolve_host(job);
	if (job->answer.verdict == VERDICT_OK && id_is_wanted(job, uid_keys))
		resolve_id(job, uid_keys);
	if (job->answer.verdict == VERDICT_OK && id_is_wanted(job, gid_keys))
		resolve_id(job, gid_keys);
}
