/*
 * Searches: one entry, or all of them page by page. What is found is copied
 * into an arena, which wipes it. Runs in: worker, in a lane.
 */
#include <sysexits.h>

#include "base/mem.h"
#include "base/wheel.h"
#include "drivers/ldap-conn.h"

enum { PAGE_ENTRIES = 500, LIST_WAIT_MS = 60000 };

/* ---- entries ---- */

static struct span span_of_berval(struct arena *a, const struct berval *bv)
{
	return bv->bv_val != NULL ? arena_dup(a, span_make(bv->bv_val, bv->bv_len)) : SPAN_LIT("");
}

static void add_attr(struct ldap_entry *e, size_t *room, struct arena *a, const struct berval *name,
    const struct berval *values)
{
	if (e->count == *room) {
		*room = *room == 0 ? 8 : *room * 2;
		struct ldap_entry_attr *bigger = arena_alloc(a, *room * sizeof(*bigger));
		if (e->count > 0)
			memcpy(bigger, e->attrs, e->count * sizeof(*bigger));
		e->attrs = bigger;
	}
	size_t n = 0;
	while (values[n].bv_val != NULL)
		n++;
	struct span *items = arena_alloc(a, (n + 1) * sizeof(*items));
	for (size_t i = 0; i < n; i++)
		items[i] = span_of_berval(a, &values[i]);
	e->attrs[e->count++] = (struct ldap_entry_attr){
	    .name = arena_cstr(a, span_make(name->bv_val, name->bv_len)),
	    .values = {items, n},
	};
}

bool ldap_search_entry(
    struct ldap_conn *c, LDAPMessage *msg, struct arena *a, struct ldap_entry *out)
{
	struct berval dn, name, *values = NULL;
	BerElement *ber = NULL;
	size_t room = 0;
	*out = (struct ldap_entry){0};
	int rc = ldap_get_dn_ber(c->ld, msg, &ber, &dn);
	if (rc == LDAP_SUCCESS)
		out->dn = span_of_berval(a, &dn);
	while (rc == LDAP_SUCCESS) {
		rc = ldap_get_attribute_ber(c->ld, msg, ber, &name, &values);
		if (rc != LDAP_SUCCESS || name.bv_val == NULL)
			break;
		if (values != NULL)
			add_attr(out, &room, a, &name, values);
		ber_memfree(values);
		values = NULL;
	}
	ber_free(ber, 0);
	return rc == LDAP_SUCCESS;
}

void ldap_entry_copy(const struct ldap_entry *from, struct arena *a, struct ldap_entry *out)
{
	*out = (struct ldap_entry){.dn = arena_dup(a, from->dn), .count = from->count};
	out->attrs = arena_alloc(a, from->count * sizeof(*out->attrs));
	for (size_t i = 0; i < from->count; i++) {
		const struct ldap_values *values = &from->attrs[i].values;
		struct span *items = arena_alloc(a, values->count * sizeof(*items));
		for (size_t j = 0; j < values->count; j++)
			items[j] = arena_dup(a, values->items[j]);
		out->attrs[i].name = arena_cstr(a, span_of(from->attrs[i].name));
		out->attrs[i].values = (struct ldap_values){items, values->count};
	}
}

struct ldap_values ldap_entry_values(const struct ldap_entry *entry, const char *attr)
{
	for (size_t i = 0; i < entry->count; i++) {
		if (strcasecmp(entry->attrs[i].name, attr) == 0)
			return entry->attrs[i].values;
	}
	return (struct ldap_values){NULL, 0};
}

/* ---- one ---- */

static enum ldap_call send_search(struct ldap_conn *c, const struct ldap_query *q,
    LDAPControl **controls, int *msgid, struct err *err)
{
	int rc = ldap_search_ext(c->ld, q->base, q->scope, q->filter, (char **)q->attrs, 0,
	    controls, NULL, NULL, q->limit, msgid);
	if (rc == LDAP_SUCCESS)
		return CALL_DONE;
	if (rc == LDAP_FILTER_ERROR || rc == LDAP_PARAM_ERROR) {
		err_set(
		    err, EX_CONFIG, "the filter is refused by libldap: %s", ldap_err2string(rc));
		return CALL_FAILED;
	}
	return ldap_conn_lost(c, false, err, "search: %s", ldap_err2string(rc));
}

static enum ldap_call judge(struct ldap_conn *c, const struct ldap_query *q, LDAPMessage *res,
    struct arena *a, int *entries, struct err *err)
{
	const char *text = "";
	int code = ldap_conn_code(c, res, a, &text, NULL);
	*entries = ldap_count_entries(c->ld, res);
	if (*entries > 1 || code == LDAP_SIZELIMIT_EXCEEDED) {
		err_set(err, EX_DATAERR, "LDAP search returned multiple entries");
		return CALL_FAILED;
	}
	bool nowhere = code == LDAP_NO_SUCH_OBJECT || code == LDAP_INVALID_DN_SYNTAX;
	if (nowhere && q->base_is_users_own) {
		*entries = 0;
		return CALL_DONE;
	}
	if (code == LDAP_SUCCESS)
		return CALL_DONE;
	if (ldap_code_is_outage(code))
		return ldap_conn_lost(c, true, err, "search: %s%s%s", ldap_err2string(code),
		    text[0] != '\0' ? ": " : "", text);
	/* a base without variables is everybody's */
	err_set(err, nowhere ? EX_UNAVAILABLE : EX_TEMPFAIL, "%s: search in \"%s\": %s%s%s",
	    ldap_conn_uri(c), q->base, ldap_err2string(code), text[0] != '\0' ? ": " : "", text);
	return CALL_FAILED;
}

enum ldap_call ldap_search_send(
    struct ldap_conn *c, const struct ldap_query *q, int *msgid, struct err *err)
{
	return send_search(c, q, NULL, msgid, err);
}

enum ldap_call ldap_search_take(struct ldap_conn *c, const struct ldap_query *q, int msgid,
    int64_t deadline_ms, struct arena *a, struct ldap_entry *entry, size_t *found, struct err *err)
{
	LDAPMessage *res = NULL;
	int entries = 0;
	*found = 0;
	*entry = (struct ldap_entry){0};
	enum ldap_call call = ldap_conn_wait(c, msgid, true, deadline_ms, &res, err);
	if (call == CALL_DONE)
		call = judge(c, q, res, a, &entries, err);
	if (call == CALL_DONE && entries == 1) {
		*found = 1;
		if (!ldap_search_entry(c, ldap_first_entry(c->ld, res), a, entry))
			call = ldap_conn_lost(c, true, err, "an entry does not decode");
	}
	ldap_msgfree(res);
	return call;
}

/* ---- all ---- */

struct listing {
	struct ldap_conn *c;
	const struct ldap_query *q;
	struct arena *arena;
	ldap_each *each;
	void *ctx;
	struct berval cookie; /* libldap's */
	struct err *err;
};

static bool take_cookie(struct listing *l, LDAPControl **controls)
{
	ber_int_t estimate;
	LDAPControl *one = ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, controls, NULL);
	ber_memfree(l->cookie.bv_val);
	l->cookie = (struct berval){0, NULL};
	if (one != NULL &&
	    ldap_parse_pageresponse_control(l->c->ld, one, &estimate, &l->cookie) != LDAP_SUCCESS)
		return err_set(l->err, EX_TEMPFAIL, "the server's page control does not decode");
	return true;
}

static bool end_of_page(struct listing *l, LDAPMessage *msg)
{
	LDAPControl **controls = NULL;
	const char *text = "";
	int code = ldap_conn_code(l->c, msg, l->arena, &text, &controls);
	bool ok = code == LDAP_SUCCESS
		      ? take_cookie(l, controls)
		      : err_set(l->err, EX_TEMPFAIL, "%s: the list is not complete: %s%s%s",
			    ldap_conn_uri(l->c), ldap_err2string(code), text[0] != '\0' ? ": " : "",
			    text);
	ldap_controls_free(controls);
	return ok;
}

/* Entries one by one, until the message that ends the page. */
static bool read_page(struct listing *l, int msgid)
{
	for (;;) {
		LDAPMessage *msg = NULL;
		struct ldap_entry entry;
		if (ldap_conn_wait(l->c, msgid, false, clock_ms() + LIST_WAIT_MS, &msg, l->err) !=
		    CALL_DONE)
			return false;
		int type = ldap_msgtype(msg);
		bool ok = true, last = type == LDAP_RES_SEARCH_RESULT;
		if (last)
			ok = end_of_page(l, msg);
		else if (type == LDAP_RES_SEARCH_ENTRY)
			ok = ldap_search_entry(l->c, msg, l->arena, &entry)
				 ? l->each(l->ctx, &entry)
				 : err_set(l->err, EX_TEMPFAIL, "an entry does not decode");
		ldap_msgfree(msg);
		arena_reset(l->arena);
		if (!ok && !last && l->c->ld != NULL)
			ldap_abandon_ext(l->c->ld, msgid, NULL, NULL);
		if (last || !ok)
			return ok;
	}
}

static bool ask_page(struct listing *l, int *msgid)
{
	LDAPControl *page = NULL;
	if (ldap_create_page_control(l->c->ld, PAGE_ENTRIES, &l->cookie, 0, &page) != LDAP_SUCCESS)
		mem_panic("ldap_create_page_control");
	LDAPControl *controls[] = {page, NULL};
	bool v3 = l->c->set->version == 3;
	enum ldap_call call = send_search(l->c, l->q, v3 ? controls : NULL, msgid, l->err);
	ldap_control_free(page);
	return call == CALL_DONE;
}

bool ldap_search_all(struct ldap_conn *c, const struct ldap_query *q, struct arena *a,
    ldap_each *each, void *ctx, struct err *err)
{
	struct listing l = {c, q, a, each, ctx, {0, NULL}, err};
	bool ok;
	int msgid;
	do {
		ok = ask_page(&l, &msgid) && read_page(&l, msgid);
	} while (ok && l.cookie.bv_len > 0);
	ber_memfree(l.cookie.bv_val);
	if (!ok && err->text[0] == '\0')
		err_set(err, 0, "stopped");
	return ok;
}
