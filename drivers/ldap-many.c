/*
 * Several questions at once: one search for all of them, else their searches
 * one behind the other on one connection, and all binds at the same time,
 * each on its own. What is not answered so, for whatever reason, is asked
 * alone, and then of other servers, too. Runs in: worker, in a lane.
 */
#include <poll.h>

#include "base/wheel.h"
#include "drivers/ldap-ask.h"

/* an answer that was of no use costs as much as a good one: the next so many are not asked for */
enum { APART = 100 };

struct many {
	struct ldap_state *s;
	struct ldap_asking asking[ASK_MANY_MAX];
	bool has_query[ASK_MANY_MAX];
	bool over[ASK_MANY_MAX]; /* answered early */
	size_t count;
	int64_t deadline_ms; /* the first */
	driver_early *early;
	void *ctx;
};

/* ---- searches ---- */

static void make_queries(struct many *m)
{
	m->deadline_ms = INT64_MAX;
	for (size_t i = 0; i < m->count; i++) {
		struct ldap_asking *k = &m->asking[i];
		enum verdict ignored; /* alone it will be said */
		m->has_query[i] = ldap_asking_query(k, &ignored);
		if (k->deadline_ms < m->deadline_ms)
			m->deadline_ms = k->deadline_ms;
	}
}

static void search_together(struct many *m, struct ldap_pattern *p, bool user)
{
	struct ldap_sought sought[ASK_MANY_MAX];
	struct ldap_asking *whose[ASK_MANY_MAX];
	size_t n = 0;
	for (size_t i = 0; i < m->count; i++) {
		struct ldap_asking *k = &m->asking[i];
		if (!m->has_query[i] || (k->q->kind == ASK_USERDB) != user)
			continue;
		sought[n] = (struct ldap_sought){
		    .query = &k->query, .arena = k->q->arena, .entry = &k->entries[0]};
		whose[n++] = k;
	}
	if (p->count == 0 || n < 2)
		return;
	if (!ldap_search_together(&m->s->service, p, sought, n, m->deadline_ms))
		m->s->apart = APART;
	for (size_t i = 0; i < n; i++) {
		whose[i]->ahead = sought[i].found;
		whose[i]->found = sought[i].found;
	}
}

/* All are sent before the first answer is read. */
static void search_ahead(struct many *m)
{
	struct ldap_conn *c = &m->s->service;
	struct err ignored = {0};
	int msgids[ASK_MANY_MAX];
	struct ldap_asking *whose[ASK_MANY_MAX];
	size_t n = 0;
	for (size_t i = 0; i < m->count; i++) {
		if (m->has_query[i] && !m->asking[i].ahead)
			whose[n++] = &m->asking[i];
	}
	if (n == 0 || ldap_conn_ready(c, m->deadline_ms, &ignored) != CALL_DONE)
		return;
	for (size_t i = 0; i < n; i++) {
		msgids[i] = 0;
		if (c->ld != NULL &&
		    ldap_search_send(c, &whose[i]->query, &msgids[i], &ignored) != CALL_DONE)
			msgids[i] = 0;
	}
	for (size_t i = 0; i < n && c->ld != NULL; i++) {
		struct ldap_asking *k = whose[i];
		if (msgids[i] != 0)
			k->ahead =
			    ldap_search_take(c, &k->query, msgids[i], m->deadline_ms, k->q->arena,
				&k->entries[0], &k->found, &ignored) == CALL_DONE;
	}
}

static void search(struct many *m)
{
	make_queries(m);
	if (m->s->apart > 0 || !m->s->set->ask_together) {
		m->s->apart -= m->s->apart > 0;
	} else {
		search_together(m, &m->s->pass, false);
		search_together(m, &m->s->user, true);
	}
	search_ahead(m);
}

/* ---- binds ---- */

struct binding {
	size_t number;
	const char *dn;
	struct ldap_conn *c; /* NULL: it is over */
	int msgid;
	int64_t began_ms, until_ms;
};

static void answer(struct many *m, size_t number, enum verdict v)
{
	m->over[number] = true;
	m->early(m->ctx, number, v);
}

/* Those whose DN is known; the answers of others are given, but not while no server can say. */
static size_t prepare(struct many *m, struct binding *bindings)
{
	size_t n = 0;
	for (size_t i = 0; i < m->count && n < VERIFY_MANY_MAX; i++) {
		struct ldap_asking *k = &m->asking[i];
		struct binding *b = &bindings[n];
		if (m->has_query[i] && !k->ahead && m->s->service.ld == NULL)
			continue;
		enum verdict v =
		    k->q->kind == ASK_VERIFY ? ldap_asking_dn(k, &b->dn) : ldap_asking_answer(k);
		if (k->q->kind != ASK_VERIFY || v != VERDICT_OK) {
			answer(m, i, v);
			continue;
		}
		b->number = i;
		b->c = &m->s->users[n++];
	}
	return n;
}

/* While nobody waits for an answer: connecting may take its time. */
static size_t connect_all(struct many *m, struct binding *bindings, size_t n)
{
	struct err ignored = {0};
	for (size_t i = 0; i < n; i++) {
		if (ldap_conn_ready(bindings[i].c, m->deadline_ms, &ignored) != CALL_DONE)
			return i;
	}
	return n;
}

static void send_all(struct many *m, struct binding *bindings, size_t n)
{
	struct err ignored = {0};
	for (size_t i = 0; i < n; i++) {
		struct binding *b = &bindings[i];
		struct ldap_asking *k = &m->asking[b->number];
		b->began_ms = clock_ms();
		b->until_ms = b->began_ms + ldap_conn_patience(b->c, k->deadline_ms);
		if (ldap_bind_send(b->c, b->dn, secret_reveal(k->q->password), &b->msgid,
			&ignored) != CALL_DONE)
			b->c = NULL;
	}
}

static void take(struct many *m, struct binding *b, bool late)
{
	struct ldap_asking *k = &m->asking[b->number];
	struct err err = {0};
	enum verdict v = VERDICT_INTERNAL;
	LDAPMessage *res;
	enum ldap_call call = ldap_conn_look(b->c, b->msgid, &res, &err);
	if (call == CALL_DONE && res == NULL && !late)
		return;
	if (call == CALL_DONE)
		call = res != NULL ? ldap_bind_judge(b->c, b->dn, res, k->q->arena, &v, &err)
				   : ldap_conn_late(b->c, b->msgid, clock_ms() - b->began_ms, &err);
	b->c = NULL;
	if (call != CALL_DONE)
		return;
	k->q->err = err;
	answer(m, b->number, v);
}

static int socket_of(const struct ldap_conn *c)
{
	int fd = -1;
	if (c != NULL)
		ldap_get_option(c->ld, LDAP_OPT_DESC, &fd);
	return fd;
}

/* Each answer as it comes. */
static void take_all(struct many *m, struct binding *bindings, size_t n)
{
	for (;;) {
		struct pollfd fds[VERIFY_MANY_MAX];
		int64_t first_ms = INT64_MAX;
		for (size_t i = 0; i < n; i++) {
			const struct binding *b = &bindings[i];
			fds[i] = (struct pollfd){.fd = socket_of(b->c), .events = POLLIN};
			if (b->c != NULL && b->until_ms < first_ms)
				first_ms = b->until_ms;
		}
		if (first_ms == INT64_MAX)
			return;
		int64_t left = first_ms - clock_ms();
		(void)poll(fds, n, left > 0 ? (int)left : 0);
		int64_t now = clock_ms();
		for (size_t i = 0; i < n; i++) {
			struct binding *b = &bindings[i];
			if (b->c != NULL && (fds[i].revents != 0 || now >= b->until_ms))
				take(m, b, now >= b->until_ms);
		}
	}
}

static void bind_all(struct many *m)
{
	struct binding bindings[VERIFY_MANY_MAX];
	size_t n = connect_all(m, bindings, prepare(m, bindings));
	send_all(m, bindings, n);
	take_all(m, bindings, n);
}

/* ---- the driver's ---- */

void ldap_ask_many(void *state, struct question *const *questions, enum verdict *verdicts,
    size_t count, driver_early *early, void *ctx)
{
	struct many m = {.s = state, .count = count, .early = early, .ctx = ctx};
	ldap_close_spare(m.s, SPARE_MS);
	for (size_t i = 0; i < count; i++)
		m.asking[i] = ldap_asking_begin(m.s, questions[i]);
	search(&m);
	if (m.s->set->auth_bind)
		bind_all(&m);
	for (size_t i = 0; i < count; i++) {
		if (m.over[i])
			continue;
		verdicts[i] = ldap_asking_answer(&m.asking[i]);
		if (m.s->set->auth_bind)
			answer(&m, i, verdicts[i]);
	}
}
