/*
 * What holds for each protocol, and the checks of the whole that no single
 * setting shows: chains that cannot succeed, mechanisms that do not exist.
 */
#include "conf/load.h"

#include <ctype.h>

/* Does the block hold for the protocol? name NULL: one that no block names. */
static bool block_matches(const struct config_block *b, const char *name)
{
	if (b->protocol == NULL)
		return false;
	bool same = name != NULL && strcasecmp(b->protocol, name) == 0;
	return b->negated ? !same : same;
}

static void add_dbs(
    struct load *l, struct config_db **list, size_t *count, const struct config_db *from, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		*list = load_grow(l, *list, *count, sizeof(**list));
		(*list)[(*count)++] = from[i];
	}
}

static void take_auth(struct config_scope *s, const struct config_block *b)
{
	for (size_t i = 0; i < auth_settings_table.count; i++) {
		if (b->auth_places[i].file != NULL)
			setting_copy(&auth_settings_table.rows[i], s->auth, b->auth);
	}
}

static void take_block(struct load *l, struct config_scope *s, const struct config_block *b)
{
	add_dbs(l, &s->passdbs, &s->passdb_count, b->passdbs, b->passdb_count);
	add_dbs(l, &s->userdbs, &s->userdb_count, b->userdbs, b->userdb_count);
}

/* The more verbose settings imply the less verbose ones. */
static void imply(struct auth_settings *a)
{
	a->debug = a->debug || a->debug_passwords;
	a->verbose = a->verbose || a->debug;
}

/*
 * name is the protocol whose effective settings these are; NULL with
 * protocol "" negated: all that no block names.
 */
static void add_scope(
    struct load *l, const char *protocol, bool negated, const char *name, bool global_only)
{
	struct config *c = l->c;
	c->scopes = load_grow(l, c->scopes, c->scope_count, sizeof(*c->scopes));
	struct config_scope *s = &c->scopes[c->scope_count++];
	*s = (struct config_scope){.protocol = protocol, .negated = negated};
	s->auth = settings_new(&auth_settings_table, l->arena);
	memcpy(s->auth, c->blocks[0].auth, sizeof(*s->auth));
	for (size_t i = c->block_count; !global_only && i-- > 1;) { /* the first one wins */
		if (block_matches(&c->blocks[i], name))
			take_auth(s, &c->blocks[i]);
	}
	for (size_t i = 1; !global_only && i < c->block_count; i++) {
		if (block_matches(&c->blocks[i], name))
			take_block(l, s, &c->blocks[i]);
	}
	take_block(l, s, &c->blocks[0]);
	imply(s->auth);
}

static bool has_scope(const struct config *c, const char *protocol, bool negated)
{
	for (size_t i = 1; i < c->scope_count; i++) {
		if (c->scopes[i].negated == negated &&
		    strcasecmp(c->scopes[i].protocol, protocol) == 0)
			return true;
	}
	return false;
}

/*
 * One scope for each protocol that is named positively; one for each !X. With
 * several !X blocks each X gets a scope of its own, since the others' !Y hold
 * for it.
 */
void load_scopes(struct load *l)
{
	struct config *c = l->c;
	size_t negations = 0;
	add_scope(l, NULL, false, NULL, true);
	for (size_t i = 1; i < c->block_count; i++)
		negations += c->blocks[i].negated;
	for (size_t i = 1; i < c->block_count; i++) {
		const char *protocol = c->blocks[i].protocol;
		if (c->blocks[i].negated)
			add_scope(l, protocol, true, NULL, false);
		if ((!c->blocks[i].negated || negations > 1) && !has_scope(c, protocol, false))
			add_scope(l, protocol, false, protocol, false);
	}
}

/* ---- chains ---- */

static bool succeeds(int rule)
{
	return rule == RULE_RETURN_OK || rule == RULE_CONTINUE_OK;
}

static bool can_succeed(const struct db_settings *s)
{
	return !s->deny && ((succeeds(s->result_success) && !s->pass) ||
			       succeeds(s->result_failure) || succeeds(s->result_internalfail));
}

/* Says it once for a passdb, however many scopes have it at their end. */
static bool first_time(const struct config *c, size_t scope, unsigned id)
{
	for (size_t i = 0; i < scope; i++) {
		const struct config_scope *s = &c->scopes[i];
		for (size_t j = s->passdb_count; j-- > 0;) {
			if (s->passdbs[j].set->master)
				continue;
			if (s->passdbs[j].id == id)
				return false;
			break;
		}
	}
	return true;
}

static void check_chain(struct load *l, size_t index)
{
	const struct config_scope *s = &l->c->scopes[index];
	const struct config_db *last = NULL;
	bool possible = false;
	for (size_t i = 0; i < s->passdb_count; i++) {
		const struct config_db *db = &s->passdbs[i];
		if (db->set->master)
			continue;
		last = db;
		possible = possible || can_succeed(db->set);
	}
	if (last == NULL || !first_time(l->c, index, last->id))
		return;
	if (last->set->pass)
		load_error(l, last->place,
		    "the last passdb cannot have pass = yes: there is nothing to pass on to");
	else if (!possible && last->set->deny)
		load_error(l, last->place,
		    "no login can succeed: deny passdbs only refuse, and there is no other after "
		    "them");
	else if (!possible)
		load_error(l, last->place,
		    "no login can succeed: no passdb up to this last one has a result of "
		    "return-ok or continue-ok");
}

void load_check_databases(struct load *l)
{
	const struct config *c = l->c;
	bool any = false;
	for (size_t i = 0; i < c->scope_count; i++) {
		for (size_t j = 0; j < c->scopes[i].passdb_count; j++)
			any = any || !c->scopes[i].passdbs[j].set->master;
		check_chain(l, i);
	}
	if (!any && !l->incomplete)
		load_error(l, c->blocks[0].place,
		    "there is no passdb: nobody could log in; write passdb { driver = ... args = "
		    "... "
		    "} (one setting a line)");
}

/* ---- mechanisms ---- */

/* Dovecot's, so that one that is not built in is not taken for a slip of the pen. */
static const char *const dovecot_mechanisms[] = {"PLAIN", "LOGIN", "CRAM-MD5", "DIGEST-MD5",
    "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS", "EXTERNAL", "GSSAPI",
    "GSS-SPNEGO", "ANONYMOUS", "APOP", "OTP", "NTLM", "OAUTHBEARER", "XOAUTH2", "DOVECOT-TOKEN"};

/* Those that Dovecot had until 2.3.12. */
static const char *const old_mechanisms[] = {"RPA", "SKEY"};

static bool is_in(struct span name, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (span_eq_ci(name, span_of(list[i])))
			return true;
	}
	return false;
}

static size_t list_length(const char *const *list)
{
	size_t n = 0;
	while (list != NULL && list[n] != NULL)
		n++;
	return n;
}

static struct span upper(struct load *l, struct span s)
{
	char *copy = arena_cstr(l->arena, s);
	for (char *p = copy; *p != '\0'; p++)
		*p = (char)toupper((unsigned char)*p);
	return span_of(copy);
}

static void check_mechanism(
    struct load *l, struct config_place place, const char *what, struct span name)
{
	const char *const *known = l->options->mechanisms;
	size_t count = list_length(known);
	const char *near = nearest_name(upper(l, name), known, count);
	if (is_in(name, known, count))
		return;
	if (is_in(name, dovecot_mechanisms, ARRAY_LEN(dovecot_mechanisms)))
		load_error(
		    l, place, "%s: mechanism \"%.*s\" is not built in", what, SPAN_ARG(name));
	else if (is_in(name, old_mechanisms, ARRAY_LEN(old_mechanisms)))
		load_error(l, place,
		    "%s: mechanism \"%.*s\" was given up, by Dovecot too: leave it out", what,
		    SPAN_ARG(name));
	else if (near != NULL)
		load_error(l, place, "%s: unknown mechanism \"%.*s\", did you mean \"%s\"?", what,
		    SPAN_ARG(name), near);
	else
		load_error(l, place, "%s: unknown mechanism \"%.*s\"", what, SPAN_ARG(name));
}

/* A passdb's filter may name what is not offered, but must not be misspelt. */
static void check_filter(struct load *l, const struct config_db *db)
{
	struct span rest = span_of(db->set->mechanisms), word;
	while (span_word(&rest, " \t,", &word)) {
		if (span_eq_ci(word, SPAN_LIT("none")) || span_eq_ci(word, SPAN_LIT("lookup")) ||
		    is_in(word, dovecot_mechanisms, ARRAY_LEN(dovecot_mechanisms)))
			continue;
		check_mechanism(l, db->place, "mechanisms", word);
	}
}

struct config_place load_auth_place(const struct config_block *b, const char *name)
{
	const struct setting *row = settings_find(&auth_settings_table, span_of(name));
	struct config_place p = b->auth_places[row - auth_settings_table.rows];
	return p.file != NULL ? p : b->place;
}

static bool filter_has(const struct db_settings *set, struct span name)
{
	struct span rest = span_of(set->mechanisms), word;
	bool any = false;
	while (span_word(&rest, " \t,", &word)) {
		any = true;
		if (span_eq_ci(word, name))
			return true;
	}
	return !any;
}

/* Nobody could log in with a mechanism that computes where no passdb shows what to compute with. */
static void check_credentials(struct load *l, struct config_place place, struct span name)
{
	const char *const *needing = l->options->lookup_mechanisms;
	struct span drivers = SPAN_LIT("");
	if (!is_in(name, needing, list_length(needing)))
		return;
	for (size_t i = 0; i < l->c->block_count; i++) {
		const struct config_block *b = &l->c->blocks[i];
		for (size_t j = 0; j < b->passdb_count; j++) {
			const struct config_db *db = &b->passdbs[j];
			bool shows =
			    db->spec == NULL || (db->spec->use & DRIVER_ONLY_VERIFIES) == 0;
			if (shows && !db->set->deny && filter_has(db->set, name))
				return;
			drivers = arena_printf(l->arena, "%.*s%s%s", SPAN_ARG(drivers),
			    drivers.len > 0 ? ", " : "", db->set->driver);
		}
	}
	if (drivers.len > 0)
		load_error(l, place,
		    "auth_mechanisms: mechanism %.*s can't be supported with the given passdbs "
		    "(%.*s): none of them shows it credentials",
		    SPAN_ARG(upper(l, name)), SPAN_ARG(drivers));
}

static bool any_certificate_names(const struct config *c)
{
	for (size_t i = 0; i < c->block_count; i++) {
		if (c->blocks[i].auth->ssl_username_from_cert)
			return true;
	}
	return false;
}

static void check_offered(struct load *l, const struct config_block *b)
{
	const struct auth_settings *a = b->auth;
	struct config_place place = load_auth_place(b, "auth_mechanisms");
	struct span rest = span_of(a->mechanisms), word;
	size_t count = 0;
	for (; span_word(&rest, " \t,", &word); count++) {
		check_mechanism(l, place, "auth_mechanisms", word);
		if (span_eq_ci(word, SPAN_LIT("anonymous")) && a->anonymous_username[0] == '\0')
			load_error(l, place, "mechanism ANONYMOUS needs auth_anonymous_username");
		if (span_eq_ci(word, SPAN_LIT("external")) && !l->options->dovecot &&
		    !any_certificate_names(l->c))
			load_error(l, place,
			    "mechanism EXTERNAL needs auth_ssl_username_from_cert = yes: there is "
			    "no other way to know who a client is");
		check_credentials(l, place, word);
	}
	if (count == 0)
		load_error(l, place, "auth_mechanisms is empty: no client could log in");
}

/* ---- auth_* values whose type says too little ---- */

static bool verbose_passwords_ok(struct span v)
{
	static const char *const words[] = {"no", "yes", "plain", "sha1"};
	ssize_t colon = span_find(v, ':');
	uint32_t n;
	if (colon >= 0 && !span_to_u32(span_skip(v, (size_t)colon + 1), &n))
		return false;
	return is_in(colon >= 0 ? span_first(v, (size_t)colon) : v, words, ARRAY_LEN(words));
}

static void check_values(struct load *l, const struct config_block *b)
{
	const struct auth_settings *a = b->auth;
	if (strlen(a->master_user_separator) > 1)
		load_error(l, load_auth_place(b, "auth_master_user_separator"),
		    "auth_master_user_separator: \"%s\" is more than one character",
		    a->master_user_separator);
	if (strlen(a->username_translation) % 2 != 0)
		load_error(l, load_auth_place(b, "auth_username_translation"),
		    "auth_username_translation: \"%s\" is not made of pairs of characters",
		    a->username_translation);
	if (a->cache_size > 0 && a->cache_size < 1024)
		load_error(l, load_auth_place(b, "auth_cache_size"),
		    "auth_cache_size: %u bytes is too small for anything: write \"%u M\"",
		    (unsigned)a->cache_size, (unsigned)a->cache_size);
	if (a->worker_max_count == 0)
		load_error(l, load_auth_place(b, "auth_worker_max_count"),
		    "auth_worker_max_count must be at least 1");
	if (!verbose_passwords_ok(span_of(a->verbose_passwords)))
		load_error(l, load_auth_place(b, "auth_verbose_passwords"),
		    "auth_verbose_passwords: \"%s\" is not one of: no plain sha1 yes (with :N)",
		    a->verbose_passwords);
	if (a->policy_server_url[0] != '\0' && a->policy_hash_nonce[0] == '\0')
		load_error(l, load_auth_place(b, "auth_policy_server_url"),
		    "auth_policy_server_url needs auth_policy_hash_nonce");
}

void load_check_auth(struct load *l)
{
	const struct config *c = l->c;
	for (size_t i = 0; i < c->block_count; i++) {
		check_values(l, &c->blocks[i]);
		for (size_t j = 0; j < c->blocks[i].passdb_count; j++)
			check_filter(l, &c->blocks[i].passdbs[j]);
	}
	check_offered(l, &c->blocks[0]);
}
