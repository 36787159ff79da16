/*
 * What a provider or a verified token says, and whether it lets this user in.
 * Runs in: worker. All of it are bytes from outside until they have passed.
 */
#include "drivers/oauth2-parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

enum { FIELDS_MAX = 200, DEPTH_MAX = 4 };
#define SECONDS_MAX UINT64_C(1000000000000000)

enum verdict oauth2_refuse(struct oauth2_token *t, const char *fmt, ...)
{
	char text[sizeof(t->q->err.text)];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	err_set(&t->q->err, 0, "%s", text);
	t->status = "invalid_token";
	return VERDICT_MISMATCH;
}

/* ---- time ---- */

/*
 * Seconds (RFC 7519 section 2). false: it is there and makes no sense. Some
 * providers answer with numbers in quotation marks; in a token that is wrong.
 */
static bool read_time(
    const json_t *claims, const char *name, bool quoted, bool *given, int64_t *out)
{
	const json_t *v = json_object_get(claims, name);
	uint64_t n;
	*given = v != NULL && !json_is_null(v);
	if (!*given)
		return true;
	if (quoted && json_is_string(v)) {
		if (!span_to_u64(span_of(json_string_value(v)), &n) || n > SECONDS_MAX)
			return false;
		*out = (int64_t)n;
		return true;
	}
	double d = json_number_value(v);
	/* also keeps what comes out far from overflowing */
	if (!json_is_number(v) || !(d >= 0) || d > (double)SECONDS_MAX)
		return false;
	*out = (int64_t)d;
	return true;
}

static void note_end(struct oauth2_token *t, int64_t end)
{
	if (t->expires == 0 || end < t->expires)
		t->expires = end;
}

static enum verdict check_times(struct oauth2_token *t, const json_t *claims, bool verified_here)
{
	int64_t exp = 0, nbf = 0, iat = 0, left = 0, now = (int64_t)time(NULL);
	bool quoted = !verified_here, has_exp, has_nbf, has_iat, has_left;
	if (!read_time(claims, "exp", quoted, &has_exp, &exp) ||
	    !read_time(claims, "nbf", quoted, &has_nbf, &nbf) ||
	    !read_time(claims, "iat", quoted, &has_iat, &iat))
		return oauth2_refuse(t, "exp, nbf or iat of the token is no time");
	if (!has_exp && verified_here)
		return oauth2_refuse(t, "the token has no end (exp)");
	if (has_exp && now - exp >= OAUTH2_GRACE_S)
		return oauth2_refuse(t, "the token has expired");
	if (has_nbf && nbf - now > OAUTH2_GRACE_S)
		return oauth2_refuse(t, "the token is not valid yet");
	if (has_iat && iat - now > OAUTH2_GRACE_S)
		return oauth2_refuse(t, "the token was issued in the future");
	if (has_exp)
		note_end(t, exp);
	/* what tokeninfo has instead */
	if (!verified_here && read_time(claims, "expires_in", true, &has_left, &left) && has_left)
		note_end(t, now + left);
	return VERDICT_OK;
}

/* ---- issuer and audience ---- */

static bool is_one_of(const json_t *v, const char *words)
{
	const json_t *item;
	size_t i;
	if (json_is_string(v))
		return oauth2_has_word(words, span_of(json_string_value(v)));
	json_array_foreach(v, i, item)
	{
		if (json_is_string(item) &&
		    oauth2_has_word(words, span_of(json_string_value(item))))
			return true;
	}
	return false;
}

static enum verdict check_issuer(struct oauth2_token *t, const json_t *claims, bool wanted)
{
	const json_t *iss = json_object_get(claims, "iss");
	const char *words = t->set->issuers_wanted;
	if (words[0] == '\0' || (iss == NULL && !wanted))
		return VERDICT_OK;
	if (!json_is_string(iss) || !is_one_of(iss, words))
		return oauth2_refuse(t, "the token's issuer is not allowed");
	return VERDICT_OK;
}

static enum verdict check_audience(struct oauth2_token *t, const json_t *claims, bool wanted)
{
	const json_t *aud = json_object_get(claims, "aud");
	const char *words = t->set->audience;
	/* what a provider answers is for authd, its client; a token must say so itself */
	if (words[0] == '\0' && wanted)
		words = t->set->client_id;
	if (words[0] == '\0' || (aud == NULL && !wanted))
		return VERDICT_OK;
	if (!is_one_of(aud, words))
		return oauth2_refuse(t, "the token is meant for somebody else (aud)");
	t->audience_seen = true;
	return VERDICT_OK;
}

/* ---- taking over ---- */

static struct span scalar_text(const json_t *v, struct arena *a)
{
	switch (json_typeof(v)) {
	case JSON_STRING:
		return span_make(json_string_value(v), json_string_length(v));
	case JSON_INTEGER:
		return arena_printf(a, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	case JSON_REAL:
		return arena_printf(a, "%.17g", json_real_value(v));
	case JSON_TRUE:
		return SPAN_LIT("true");
	case JSON_FALSE:
		return SPAN_LIT("false");
	default:
		return SPAN_NULL;
	}
}

static struct span array_text(const json_t *v, struct arena *a)
{
	struct buffer b = {0};
	const json_t *item;
	size_t i;
	json_array_foreach(v, i, item)
	{
		struct span s = scalar_text(item, a);
		if (s.ptr == NULL)
			continue;
		if (b.len > 0)
			buffer_append_char(&b, ' ');
		buffer_append(&b, s);
	}
	struct span text = arena_dup(a, span_make(b.len > 0 ? buffer_span(&b).ptr : "", b.len));
	buffer_free(&b);
	return text;
}

/* Members of objects inside become outer_inner, lists words. */
static void take_fields(struct oauth2_token *t, const json_t *object, struct span prefix, int depth)
{
	struct arena *a = t->q->arena;
	void *at = json_object_iter((json_t *)(uintptr_t)object);
	for (; at != NULL; at = json_object_iter_next((json_t *)(uintptr_t)object, at)) {
		const json_t *v = json_object_iter_value(at);
		struct span key = arena_join(a, prefix, span_of(json_object_iter_key(at)));
		if (t->fields.count >= FIELDS_MAX)
			return;
		if (json_is_object(v)) {
			if (depth < DEPTH_MAX)
				take_fields(t, v, arena_join(a, key, SPAN_LIT("_")), depth + 1);
			continue;
		}
		struct span text = json_is_array(v) ? array_text(v, a) : scalar_text(v, a);
		/* what is inside never stands in for a field of its own */
		bool taken = depth > 0 && fields_has(&t->fields, arena_cstr(a, key));
		if (text.ptr != NULL && !taken)
			fields_set(&t->fields, key, text);
	}
}

enum verdict oauth2_claims_take(struct oauth2_token *t, const json_t *claims, bool verified_here)
{
	enum verdict v = VERDICT_OK;
	/* RFC 7662 section 2.2: expired, revoked, or never given out */
	if (json_is_false(json_object_get(claims, "active")))
		v = oauth2_refuse(t, "the token is not active");
	if (v == VERDICT_OK)
		v = check_times(t, claims, verified_here);
	if (v == VERDICT_OK)
		v = check_issuer(t, claims, verified_here);
	if (v == VERDICT_OK)
		v = check_audience(t, claims, verified_here);
	if (v == VERDICT_OK)
		take_fields(t, claims, SPAN_LIT(""), 0);
	return v;
}

/* ---- judging ---- */

struct attr_source {
	const struct oauth2_token *t;
	struct span key; /* of the field at hand, for %$ */
};

static struct span source_value(void *ctx, struct arena *a, struct span name, struct span argument)
{
	const struct attr_source *s = ctx;
	if (span_eq_str(name, "$"))
		argument = s->key;
	if (span_eq_str(argument, "access_token"))
		return secret_reveal(s->t->text);
	return fields_get(&s->t->fields, arena_cstr(a, argument));
}

static enum verdict check_user(struct oauth2_token *t)
{
	struct question *q = t->q;
	const char *name = t->set->username_attribute;
	struct span of_token = fields_get(&t->fields, name);
	const struct template *form = t->set->username_format;
	if (of_token.len == 0) {
		err_set(&q->err, 0,
		    "nothing was told of the token's user (username_attribute = %s)", name);
		return VERDICT_INTERNAL;
	}
	struct vars vars = {.v = {[VAR_USER] = of_token}};
	struct span got = template_expand(form, &vars, q->arena, NULL, NULL, &q->err);
	if (got.ptr == NULL)
		return VERDICT_INTERNAL;
	struct span want = template_expand(form, q->vars, q->arena, NULL, NULL, &q->err);
	if (want.ptr == NULL)
		return VERDICT_INTERNAL;
	if (want.len > 0 && span_eq(got, want))
		return VERDICT_OK;
	oauth2_refuse(t, "the token is for the user %.100s", arena_cstr(q->arena, got));
	return VERDICT_UNKNOWN_USER;
}

static enum verdict check_lock(struct oauth2_token *t)
{
	const struct oauth2_settings *set = t->set;
	if (set->active_attribute[0] == '\0')
		return VERDICT_OK;
	struct span value = fields_get(&t->fields, set->active_attribute);
	if (value.ptr != NULL &&
	    (set->active_value[0] == '\0' || span_eq_str(value, set->active_value)))
		return VERDICT_OK;
	oauth2_refuse(t, "User account is not active");
	return VERDICT_DISABLED;
}

static enum verdict check_scope(struct oauth2_token *t)
{
	struct span has = fields_get(&t->fields, "scope"), word;
	const char *wanted = t->set->scope;
	if (wanted[0] == '\0')
		return VERDICT_OK;
	if (has.ptr == NULL)
		has = fields_get(&t->fields, "aud");
	while (span_word(&has, " \t", &word)) {
		if (oauth2_has_word(wanted, word))
			return VERDICT_OK;
	}
	oauth2_refuse(t, "Token is not valid for scope '%s'", wanted);
	t->status = "insufficient_scope";
	return VERDICT_DISABLED;
}

static bool set_field(struct oauth2_token *t, const struct oauth2_attr *at)
{
	struct question *q = t->q;
	struct attr_source source = {.t = t};
	struct template_hooks hooks = {.source = source_value, .source_ctx = &source};
	struct span value = SPAN_NULL;
	source.key = template_expand_with(at->field, q->vars, q->arena, &hooks, &q->err);
	if (source.key.ptr == NULL)
		return false;
	if (at->value != NULL) {
		value = template_expand_with(at->value, q->vars, q->arena, &hooks, &q->err);
		if (value.ptr == NULL)
			return false;
	}
	if (source.key.len > 0)
		fields_set(&q->entry.fields, source.key, value);
	return true;
}

static enum verdict set_fields(struct oauth2_token *t)
{
	for (size_t i = 0; i < t->set->attr_count; i++) {
		if (!set_field(t, &t->set->attrs[i]))
			return VERDICT_INTERNAL;
	}
	return VERDICT_OK;
}

enum verdict oauth2_claims_judge(struct oauth2_token *t)
{
	enum verdict v = VERDICT_OK;
	if (t->set->audience[0] != '\0' && !t->audience_seen)
		v = oauth2_refuse(t, "nothing was told of whom the token is meant for (aud)");
	if (v == VERDICT_OK)
		v = check_user(t);
	if (v == VERDICT_OK)
		v = check_lock(t);
	if (v == VERDICT_OK)
		v = check_scope(t);
	return v == VERDICT_OK ? set_fields(t) : v;
}

/* All that the settings speak of by name is known. */
bool oauth2_claims_suffice(const struct oauth2_token *t)
{
	const struct oauth2_settings *set = t->set;
	bool scope = fields_has(&t->fields, "scope") || fields_has(&t->fields, "aud");
	for (size_t i = 0; i < set->wanted_count; i++) {
		if (!fields_has(&t->fields, set->wanted[i]))
			return false;
	}
	if (!fields_has(&t->fields, set->username_attribute))
		return false;
	if (set->active_attribute[0] != '\0' && !fields_has(&t->fields, set->active_attribute))
		return false;
	return (set->scope[0] == '\0' || scope) && (set->audience[0] == '\0' || t->audience_seen);
}
