/*
 * The meaning of extra fields. Runs in: front.
 */
#include "authd/extra-fields.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <time.h>

#include "base/encode.h"
#include "base/log.h"

enum { DELAY_UNTIL_MAX_S = 5 * 60, IMPORT_DEPTH_MAX = 2 };

/* fields that are settled here and never shown to a client */
static const char *const hidden[] = {"allow_nets", "allow_real_nets", "fail", "delay_until",
    "nopassword", "noauthenticate", "login_user", "password", "password_noscheme", "k5principals",
    "check_client_fp", "check_client_cert_fp", "check_client_pubkey_fp"};

bool passdb_field_is_hidden(struct span key)
{
	for (size_t i = 0; i < ARRAY_LEN(hidden); i++) {
		if (span_eq_str(key, hidden[i]))
			return true;
	}
	return false;
}

/* Dovecot 2.3 knows no empty values: with them a field is a bare word. */
void extra_field_put(struct buffer *out, const struct request *r, const struct field *f)
{
	bool newer = r->generation->config->version_24 != NULL;
	buffer_append_char(out, '\t');
	tab_escape(out, f->key);
	if (f->value.ptr == NULL || (f->value.len == 0 && !newer))
		return;
	buffer_append_char(out, '=');
	tab_escape(out, f->value);
}

/* ---- names: user, username and domain change who it is ---- */

static struct span with_domain(struct request *r, struct span local, struct span domain)
{
	return arena_join(&r->arena, arena_join(&r->arena, local, SPAN_LIT("@")), domain);
}

static bool change_user(struct request *r, struct span key, struct span value)
{
	struct span user = r->vars.v[VAR_USER], local = user, name;
	ssize_t at = span_find(user, '@');
	if (at >= 0)
		local = span_first(user, (size_t)at);
	if (span_eq_str(key, "user"))
		name = value;
	else if (span_eq_str(key, "username") && (at < 0 || span_find(value, '@') >= 0))
		name = value;
	else if (span_eq_str(key, "username"))
		name = with_domain(r, value, span_skip(user, (size_t)at + 1));
	else if (span_eq_str(key, "domain"))
		name = with_domain(r, local, value);
	else
		return false;
	if (value.len > 0 || span_eq_str(key, "domain"))
		r->vars.v[VAR_USER] = name;
	else
		r->field_failure = "username expanded to an empty string";
	return true;
}

/* ---- suffixes ---- */

enum field_mode { MODE_SET, MODE_IF_ABSENT, MODE_REMOVE };

static enum field_mode cut_suffix(struct span *key)
{
	ssize_t at = span_rfind(*key, ':');
	if (at < 0)
		return MODE_SET;
	struct span suffix = span_skip(*key, (size_t)at + 1);
	enum field_mode mode = MODE_SET;
	if (span_eq_str(suffix, "protected") || span_eq_str(suffix, "default"))
		mode = MODE_IF_ABSENT;
	else if (span_eq_str(suffix, "remove"))
		mode = MODE_REMOVE;
	else
		return MODE_SET; /* a colon that belongs to the name */
	*key = span_first(*key, (size_t)at);
	return mode;
}

static void store(struct fields *f, struct span key, enum field_mode mode, struct span value)
{
	if (mode == MODE_REMOVE)
		fields_remove_span(f, key);
	else if (mode == MODE_SET || fields_find_span(f, key) == NULL)
		fields_put(f, key, value);
}

typedef void field_setter(struct request *r, struct span key, struct span value);

/* the value of *_import: a TAB-separated list of further fields */
static void import_list(struct request *r, struct span list, field_setter *set)
{
	static int depth;
	struct span one, key;
	if (depth >= IMPORT_DEPTH_MAX)
		return;
	depth++;
	while (span_split(&list, '\t', &one)) {
		struct span value = one;
		if (!span_split(&value, '=', &key) || key.len == 0)
			continue;
		set(r, key, value);
	}
	depth--;
}

/* ---- passdb ---- */

static void set_userdb_prefetch(struct request *r, struct span key, struct span value)
{
	r->prefetched = true;
	/* a column that was NULL only says that the passdb knows about userdb fields */
	if (key.len > 0)
		userdb_field_set(r, key, value);
}

void passdb_field_set(struct request *r, struct span key, struct span value)
{
	if (key.len == 0)
		return;
	if (span_starts(key, "userdb_")) {
		set_userdb_prefetch(r, span_skip(key, strlen("userdb_")), value);
		return;
	}
	if (span_eq_str(key, "passdb_import")) {
		import_list(r, value, passdb_field_set);
		return;
	}
	enum field_mode mode = cut_suffix(&key);
	if (key.len == 0)
		return;
	if (mode == MODE_SET && change_user(r, key, value))
		return;
	if (span_eq_str(key, "login_user") && r->master == MASTER_CHECKING) {
		r->vars.v[VAR_LOGIN_USER] = value;
		return;
	}
	if (span_eq_str(key, "nodelay"))
		r->nodelay = true;
	store(&r->fields, key, mode, value);
}

/* ---- userdb ---- */

void userdb_field_set(struct request *r, struct span key, struct span value)
{
	if (key.len == 0)
		return;
	if (span_eq_str(key, "userdb_import")) {
		import_list(r, value, userdb_field_set);
		return;
	}
	enum field_mode mode = cut_suffix(&key);
	if (key.len == 0)
		return;
	if (mode == MODE_SET && r->asking == ASKING_USERDB && change_user(r, key, value))
		return;
	if (span_eq_str(key, "system_user")) /* its old name */
		key = SPAN_LIT("system_groups_user");
	store(&r->userdb, key, mode, value);
}

/* gid: perhaps a list, as LDAP has it */
static bool is_id_list(struct span list)
{
	struct span one;
	uint32_t number;
	while (span_split(&list, ',', &one)) {
		if (!span_to_u32(one, &number))
			return false;
	}
	return true;
}

bool userdb_fields_check(const struct request *r)
{
	static const char *const ids[] = {"uid", "gid"};
	struct span user = r->vars.v[VAR_USER];
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		struct span value = fields_get(&r->userdb, ids[i]);
		if (value.ptr == NULL || is_id_list(value))
			continue;
		log_error("userdb lookup of %.*s: %s=%.*s is not a number", SPAN_ARG(user), ids[i],
		    SPAN_ARG(value));
		return false;
	}
	if (fields_has(&r->userdb, "uidgid_file"))
		log_error("userdb lookup of %.*s: uidgid_file is not supported", SPAN_ARG(user));
	return !fields_has(&r->userdb, "uidgid_file");
}

/* ---- templates ---- */

static bool expand(struct request *r, const struct template_fields *tf, field_setter *set)
{
	struct err err;
	if (tf == NULL)
		return true;
	err_clear(&err);
	for (size_t i = 0; i < tf->count; i++) {
		const struct template_field *t = &tf->items[i];
		struct span value = SPAN_NULL;
		struct span key = template_expand(t->key, &r->vars, &r->arena, NULL, NULL, &err);
		if (key.ptr != NULL && t->value != NULL)
			value = template_expand(t->value, &r->vars, &r->arena, NULL, NULL, &err);
		if (key.ptr == NULL || (t->value != NULL && value.ptr == NULL)) {
			log_error("expanding the field %s: %s", template_text(t->key), err.text);
			return false;
		}
		set(r, key, value);
	}
	return true;
}

bool passdb_fields_expand(struct request *r, const struct template_fields *tf)
{
	return expand(r, tf, passdb_field_set);
}

bool userdb_fields_expand(struct request *r, const struct template_fields *tf)
{
	return expand(r, tf, userdb_field_set);
}

/* ---- allow_nets ---- */

static bool parse_ip(struct span s, unsigned char bytes[16], size_t *len)
{
	char text[INET6_ADDRSTRLEN + 1];
	static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
	if (!span_to_cstr(s, text, sizeof(text)))
		return false;
	if (inet_pton(AF_INET, text, bytes) == 1) {
		*len = 4;
		return true;
	}
	if (inet_pton(AF_INET6, text, bytes) != 1)
		return false;
	*len = 16;
	if (memcmp(bytes, mapped, sizeof(mapped)) == 0) {
		memmove(bytes, bytes + 12, 4);
		*len = 4;
	}
	return true;
}

static bool bits_equal(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	if (memcmp(a, b, bits / 8) != 0)
		return false;
	unsigned rest = bits % 8;
	if (rest == 0)
		return true;
	unsigned char mask = (unsigned char)(0xff << (8 - rest));
	return (a[bits / 8] & mask) == (b[bits / 8] & mask);
}

static bool net_matches(struct span net, struct span ip)
{
	unsigned char want[16], have[16];
	size_t want_len, have_len;
	struct span host = net, bits_text = SPAN_NULL;
	ssize_t slash = span_find(net, '/');
	if (slash >= 0) {
		host = span_first(net, (size_t)slash);
		bits_text = span_skip(net, (size_t)slash + 1);
	}
	uint32_t bits;
	bool good = parse_ip(host, want, &want_len);
	if (good && bits_text.ptr != NULL)
		good = span_to_u32(bits_text, &bits) && bits <= want_len * 8;
	else
		bits = good ? (uint32_t)want_len * 8 : 0;
	if (!good) {
		log_info("allow_nets: \"%.*s\" is not a network; ignored", SPAN_ARG(net));
		return false;
	}
	return ip.len > 0 && parse_ip(ip, have, &have_len) && have_len == want_len &&
	       bits_equal(want, have, bits);
}

static bool nets_allow(struct span nets, struct span ip)
{
	struct span net;
	while (span_word(&nets, ", \t", &net)) {
		if (span_eq_str(net, "local")) {
			if (ip.len == 0)
				return true;
		} else if (net_matches(net, ip)) {
			return true;
		}
	}
	return false;
}

static bool check_nets(struct request *r, const char *field, struct span ip)
{
	if (!fields_has(&r->fields, field) || nets_allow(fields_get(&r->fields, field), ip))
		return true;
	if (ip.len == 0)
		ip = SPAN_LIT("(unknown)");
	r->field_failure = arena_printf(
	    &r->arena, "%s check failed: IP %.*s not in allowed networks", field, SPAN_ARG(ip))
			       .ptr;
	return false;
}

/* ---- delay_until: <unix time>[+<at most so many random seconds>] ---- */

static bool take_delay_until(struct request *r)
{
	struct span value = fields_get(&r->fields, "delay_until"), at;
	uint64_t when, spread = 0;
	if (value.ptr == NULL)
		return true;
	struct span rest = value;
	bool good = span_split(&rest, '+', &at) && span_to_u64(at, &when) && when < INT64_MAX / 2;
	if (good && rest.ptr != NULL)
		good = span_to_u64(rest, &spread) && spread <= DELAY_UNTIL_MAX_S;
	if (!good) {
		r->field_failure = "delay_until is not a time";
		return false;
	}
	int64_t now = time(NULL);
	r->delay_until = (int64_t)when;
	if (spread > 0)
		r->delay_until += (int64_t)(r->serial * UINT64_C(0x9e3779b97f4a7c15) >> 33) %
				  (int64_t)(spread + 1);
	if (r->delay_until > now + DELAY_UNTIL_MAX_S) {
		r->field_failure = "delay_until is too far in the future";
		return false;
	}
	return true;
}

/* The client's certificate, or its key, must be the one that the passdb names. */
static bool check_fingerprint(struct request *r, const char *field, bool cert, bool key)
{
	const struct span *v = r->vars.v;
	struct span want = fields_get(&r->fields, field);
	if (want.ptr == NULL)
		return true;
	bool hit = want.len > 0 && ((cert && span_eq_ci(want, v[VAR_CERT_FP])) ||
				       (key && span_eq_ci(want, v[VAR_CERT_PUBKEY_FP])));
	if (hit && span_eq_str(v[VAR_SECURED], "TLS")) {
		r->vars.v[VAR_CERT] = SPAN_LIT("valid");
		return true;
	}
	r->field_failure =
	    arena_printf(&r->arena, "%s check failed: the client has another certificate", field)
		.ptr;
	return false;
}

bool passdb_fields_check(struct request *r)
{
	if (r->field_failure != NULL)
		return false;
	struct vars *v = &r->vars;
	struct span real = v->v[VAR_REAL_RIP].len > 0 ? v->v[VAR_REAL_RIP] : v->v[VAR_RIP];
	if (fields_has(&r->fields, "fail")) { /* whatever its value, as in Dovecot */
		r->field_failure = "the passdb's fail field refuses this login";
		return false;
	}
	return check_nets(r, "allow_nets", v->v[VAR_RIP]) &&
	       check_nets(r, "allow_real_nets", real) &&
	       check_fingerprint(r, "check_client_fp", true, true) &&
	       check_fingerprint(r, "check_client_cert_fp", true, false) &&
	       check_fingerprint(r, "check_client_pubkey_fp", false, true) && take_delay_until(r);
}

/* ---- proxies ---- */

static bool is_self(struct request *r, struct span host)
{
	struct span words = span_of(r->scope->auth->proxy_self), word;
	struct span lip =
	    r->vars.v[VAR_REAL_LIP].len > 0 ? r->vars.v[VAR_REAL_LIP] : r->vars.v[VAR_LIP];
	if (lip.len > 0 && span_eq(host, lip))
		return true;
	while (span_word(&words, " ,\t", &word)) {
		if (span_eq_ci(word, host))
			return true;
	}
	return false;
}

static bool is_proxy_field(struct span key)
{
	static const char *const names[] = {"proxy", "proxy_maybe", "proxy_always", "host",
	    "hostip", "port", "destuser", "pass", "source_ip", "ssl", "starttls"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (span_eq_str(key, names[i]))
			return true;
	}
	return span_starts(key, "proxy_");
}

void passdb_fields_settle_proxy(struct request *r)
{
	if (!fields_has(&r->fields, "proxy_maybe"))
		return;
	struct span host = fields_get(&r->fields, "hostip");
	if (host.len == 0)
		host = fields_get(&r->fields, "host");
	struct span port = fields_get(&r->fields, "port"), lport = r->vars.v[VAR_LPORT];
	bool self = host.len == 0 ||
		    (is_self(r, host) && (port.len == 0 || lport.len == 0 || span_eq(port, lport)));
	fields_remove(&r->fields, "proxy_maybe");
	if (!self) {
		fields_set_str(&r->fields, "proxy", NULL);
		return;
	}
	struct fields kept = fields_in(&r->arena);
	for (size_t i = 0; i < r->fields.count; i++) {
		const struct field *f = &r->fields.items[i];
		if (!is_proxy_field(f->key))
			fields_set(&kept, f->key, f->value);
	}
	r->fields = kept;
}
