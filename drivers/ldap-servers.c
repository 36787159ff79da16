/*
 * What all lanes know of the servers: which one failed, until when it is
 * left alone, and who is trying it again. Runs in: worker, in the lanes.
 * Owner: shared by all states with the same settings, the last one frees it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rest.h"
#include "base/wheel.h"
#include "drivers/ldap-conn.h"

enum { REST_FIRST_MS = 250, REST_MAX_MS = 2000, PROBE_WAIT_MS = 300 };

struct ldap_servers {
	const struct ldap_settings *set;
	unsigned refs;
	struct ldap_servers *next;
	pthread_cond_t changed;
	struct server {
		unsigned fails;	  /* in a row; 0: it is good */
		int64_t until_ms; /* nobody asks it before */
		int64_t since_ms; /* of the first failure */
		bool probing;	  /* one lane is trying it */
		char why[200];
	} server[LDAP_SERVERS_MAX];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all of them */
static struct ldap_servers *all;

struct ldap_servers *ldap_servers_get(const struct ldap_settings *set)
{
	pthread_mutex_lock(&lock);
	struct ldap_servers *s = all;
	while (s != NULL && s->set != set)
		s = s->next;
	if (s == NULL) {
		pthread_condattr_t attr;
		s = mem_alloc(sizeof(*s));
		s->set = set;
		pthread_condattr_init(&attr);
		pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
		pthread_cond_init(&s->changed, &attr);
		pthread_condattr_destroy(&attr);
		s->next = all;
		all = s;
	}
	s->refs++;
	pthread_mutex_unlock(&lock);
	return s;
}

void ldap_servers_put(struct ldap_servers *s)
{
	pthread_mutex_lock(&lock);
	if (--s->refs == 0) {
		struct ldap_servers **link = &all;
		while (*link != s)
			link = &(*link)->next;
		*link = s->next;
		pthread_cond_destroy(&s->changed);
		mem_free(&s);
	}
	pthread_mutex_unlock(&lock);
}

/* ---- with the lock held ---- */

static int find_good(const struct ldap_servers *s, unsigned tried)
{
	for (size_t i = 0; i < s->set->server_count; i++) {
		if ((tried & 1U << i) == 0 && s->server[i].fails == 0)
			return (int)i;
	}
	return -1;
}

static int find_rested(struct ldap_servers *s, unsigned tried)
{
	int64_t now = clock_ms();
	for (size_t i = 0; i < s->set->server_count; i++) {
		struct server *one = &s->server[i];
		if ((tried & 1U << i) == 0 && !one->probing && now >= one->until_ms) {
			one->probing = true;
			return (int)i;
		}
	}
	return -1;
}

static bool somebody_probes(const struct ldap_servers *s, unsigned tried)
{
	for (size_t i = 0; i < s->set->server_count; i++) {
		if ((tried & 1U << i) == 0 && s->server[i].probing)
			return true;
	}
	return false;
}

static void say_none(const struct ldap_servers *s, unsigned tried, struct err *err)
{
	const struct server *one = &s->server[0];
	if (tried != 0 && err->text[0] != '\0')
		return; /* what went wrong with them has just been seen */
	if (one->why[0] == '\0')
		err_set(err, EX_TEMPFAIL, "no LDAP server answers");
	else
		err_set(err, EX_TEMPFAIL, "no LDAP server answers, for %lld s now: %s",
		    (long long)(clock_ms() - one->since_ms) / 1000, one->why);
}

/* ---- the face ---- */

int ldap_servers_pick(struct ldap_servers *s, unsigned tried, int64_t deadline_ms, struct err *err)
{
	int64_t limit = clock_ms() + PROBE_WAIT_MS;
	if (limit > deadline_ms)
		limit = deadline_ms;
	const struct timespec until = {limit / 1000, (limit % 1000) * 1000000};
	int found;
	pthread_mutex_lock(&lock);
	for (;;) {
		found = find_good(s, tried);
		if (found < 0)
			found = find_rested(s, tried);
		if (found >= 0 || !somebody_probes(s, tried))
			break;
		if (pthread_cond_timedwait(&s->changed, &lock, &until) == ETIMEDOUT)
			break;
	}
	if (found < 0)
		say_none(s, tried, err);
	pthread_mutex_unlock(&lock);
	return found;
}

void ldap_servers_good(struct ldap_servers *s, int server)
{
	struct server *one = &s->server[server];
	pthread_mutex_lock(&lock);
	if (one->fails > 0)
		log_info("ldap: %s is back after %lld s", s->set->servers[server],
		    (long long)(clock_ms() - one->since_ms) / 1000);
	one->fails = 0;
	one->probing = false;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&lock);
}

void ldap_servers_bad(struct ldap_servers *s, int server, const char *why)
{
	struct server *one = &s->server[server];
	pthread_mutex_lock(&lock);
	int64_t now = clock_ms();
	bool news = one->fails == 0;
	/* several lanes find out about the same failure: it counts once */
	if (news || one->probing || now >= one->until_ms) {
		one->fails++;
		one->until_ms = now + rest_ms(one->fails, REST_FIRST_MS, REST_MAX_MS);
	}
	if (news)
		one->since_ms = now;
	one->probing = false;
	snprintf(one->why, sizeof(one->why), "%s", why);
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&lock);
	if (news)
		log_error("ldap: %s", why);
}

void ldap_servers_leave(struct ldap_servers *s, int server)
{
	pthread_mutex_lock(&lock);
	s->server[server].probing = false;
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&lock);
}

bool ldap_servers_is_good(struct ldap_servers *s, int server)
{
	pthread_mutex_lock(&lock);
	bool good = s->server[server].fails == 0;
	pthread_mutex_unlock(&lock);
	return good;
}

bool ldap_servers_has_other(struct ldap_servers *s, int server)
{
	pthread_mutex_lock(&lock);
	bool other = find_good(s, 1U << server) >= 0;
	pthread_mutex_unlock(&lock);
	return other;
}
