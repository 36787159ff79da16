/*
 * Several users found by one search: "(&(objectClass=x)(uid=a))" and the same
 * with b become "(&(objectClass=x)(|(uid=a)(uid=b)))", which costs a server a
 * fraction of two searches. Only what is certain is taken from its answer: an
 * entry with a value of the attribute that is the user's, letter by letter but
 * for case, while none of its values could be taken for somebody else's. Who
 * is not found so is asked for alone, and everybody is when an entry is not
 * surely somebody's. Runs in: worker, in a lane.
 */
#include "drivers/ldap-together.h"

#include "base/mem.h"

/* ---- the question ---- */

/* Those that can be told apart from each other get their value; the result is how many they are. */
static size_t choose(const struct ldap_pattern *p, struct ldap_sought *sought, size_t count)
{
	size_t chosen = 0;
	for (size_t i = 0; i < count; i++) {
		struct ldap_sought *s = &sought[i];
		s->found = s->unsure = false;
		s->value = ldap_pattern_value(p, span_of(s->query->filter));
		bool clear =
		    s->value.ptr != NULL && strcmp(s->query->base, sought[0].query->base) == 0;
		for (size_t j = 0; j < i && clear; j++)
			clear = sought[j].value.ptr == NULL || span_eq(s->value, sought[j].value) ||
				!ldap_pattern_alike(s->value, sought[j].value);
		if (!clear)
			s->value = SPAN_NULL;
		chosen += clear;
	}
	return chosen;
}

static const char *compose(
    const struct ldap_pattern *p, const struct ldap_sought *sought, size_t count, struct arena *a)
{
	struct buffer b = {0};
	buffer_append(&b, p->before);
	buffer_append_str(&b, "(|");
	for (size_t i = 0; i < count; i++) {
		if (sought[i].value.ptr != NULL)
			ldap_pattern_put(p, sought[i].value, &b);
	}
	buffer_append_char(&b, ')');
	buffer_append(&b, p->after);
	const char *filter = arena_cstr(a, buffer_span(&b));
	buffer_free(&b);
	return filter;
}

/* ---- the answer ---- */

/* Whose value this is; false: it might be that of one more. */
static bool claim(struct span value, struct ldap_sought *sought, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct ldap_sought *s = &sought[i];
		if (s->value.ptr == NULL)
			continue;
		if (span_eq_ci(s->value, value))
			s->claims = true;
		else if (ldap_pattern_alike(value, s->value))
			return false;
	}
	return true;
}

/* The attribute might be one that was searched, under another name, or a subtype of it. */
static void hint(struct span value, struct ldap_sought *sought, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct ldap_sought *s = &sought[i];
		s->hinted |= s->value.ptr != NULL && ldap_pattern_nearly(value, s->value);
	}
}

/* Whose values the entry has; false: it cannot be said. */
static bool read_values(
    struct ldap_pattern *p, const struct ldap_entry *e, struct ldap_sought *sought, size_t count)
{
	for (size_t i = 0; i < count; i++)
		sought[i].claims = sought[i].hinted = false;
	for (size_t i = 0; i < e->count; i++) {
		const struct ldap_values *values = &e->attrs[i].values;
		bool searched = ldap_pattern_see(p, e->attrs[i].name);
		if (!searched && !ldap_attr_is_among(p->attrs, e->attrs[i].name))
			return false; /* asked for under another name, or a subtype */
		for (size_t j = 0; j < values->count; j++) {
			if (!searched)
				hint(values->items[j], sought, count);
			else if (!claim(values->items[j], sought, count))
				return false;
		}
	}
	return true;
}

/*
 * One user's values are why the entry came. Of two users' values one might be
 * why, and the others differ in case that counts, or cannot be searched.
 */
static bool is_of_one(const struct ldap_sought *sought, size_t count)
{
	const struct ldap_sought *first = NULL;
	for (size_t i = 0; i < count; i++) {
		if (!sought[i].claims && !sought[i].hinted)
			continue;
		if (first != NULL && !span_eq(first->value, sought[i].value))
			return false;
		first = &sought[i];
	}
	return true;
}

/* Gives the entry to everyone who seeks one of its values; false: it is nobody's. */
static bool give(struct ldap_conn *c, struct ldap_pattern *p, LDAPMessage *msg, struct arena *a,
    struct ldap_sought *sought, size_t count)
{
	struct ldap_entry e;
	bool any = false;
	if (!ldap_search_entry(c, msg, a, &e) || !read_values(p, &e, sought, count))
		return false;
	bool one = is_of_one(sought, count);
	for (size_t i = 0; i < count; i++) {
		struct ldap_sought *s = &sought[i];
		if (!s->claims && !s->hinted)
			continue;
		any = any || s->claims;
		s->unsure = s->unsure || s->found || !one || !s->claims;
		s->found = true;
		if (!s->unsure)
			ldap_entry_copy(&e, s->arena, s->entry);
	}
	return any;
}

/* Who was found twice, say, hears of it when he is asked for alone. */
static bool take(struct ldap_conn *c, struct ldap_pattern *p, LDAPMessage *res, struct arena *a,
    struct ldap_sought *sought, size_t count)
{
	bool good = ldap_conn_code(c, res, NULL, NULL, NULL) == LDAP_SUCCESS;
	LDAPMessage *msg = ldap_first_entry(c->ld, res);
	bool any = msg != NULL;
	for (; msg != NULL && good; msg = ldap_next_entry(c->ld, msg))
		good = give(c, p, msg, a, sought, count);
	/* an attribute that is never shown might be why one more entry is somebody's */
	good = good && (!any || ldap_pattern_has_seen_all(p));
	for (size_t i = 0; i < count; i++)
		sought[i].found = sought[i].found && good && !sought[i].unsure;
	return good;
}

bool ldap_search_together(struct ldap_conn *c, struct ldap_pattern *p, struct ldap_sought *sought,
    size_t count, int64_t deadline_ms)
{
	struct arena a = {0};
	struct err ignored = {0};
	LDAPMessage *res = NULL;
	int msgid;
	bool good = true;
	size_t chosen = choose(p, sought, count);
	if (chosen > 1 && ldap_conn_ready(c, deadline_ms, &ignored) == CALL_DONE) {
		const struct ldap_query q = {
		    .base = sought[0].query->base,
		    .filter = compose(p, sought, count, &a),
		    .scope = sought[0].query->scope,
		    .attrs = p->attrs,
		    .limit = 2 * (int)chosen,
		};
		if (ldap_search_send(c, &q, &msgid, &ignored) == CALL_DONE &&
		    ldap_conn_wait(c, msgid, true, deadline_ms, &res, &ignored) == CALL_DONE)
			good = take(c, p, res, &a, sought, count);
	}
	ldap_msgfree(res);
	arena_free(&a);
	return good;
}
