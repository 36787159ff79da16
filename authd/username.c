/*
 * Normalising user names. Runs in: front.
 */
#include "authd/username.h"

#include <sysexits.h>

#include "base/precis.h"

void username_compile(struct scope *s)
{
	struct span chars = span_of(s->auth->username_chars);
	struct span pairs = span_of(s->auth->username_translation);
	bool allowed[256] = {false};
	for (size_t i = 0; i < chars.len; i++)
		allowed[(unsigned char)chars.ptr[i]] = true;
	for (int i = 0; i < 256; i++)
		s->translation[i] = (unsigned char)i;
	for (size_t i = 0; i + 1 < pairs.len; i += 2)
		s->translation[(unsigned char)pairs.ptr[i]] = (unsigned char)pairs.ptr[i + 1];
	for (int i = 0; i < 256; i++) {
		unsigned char c = s->translation[i];
		s->name_bytes[i] = chars.len == 0 || allowed[c] ? c : 0;
	}
}

static struct span add_default_realm(struct request *r, struct span name)
{
	const char *realm = r->scope->auth->default_realm;
	if (realm[0] == '\0' || span_find(name, '@') >= 0)
		return name;
	/* not by printf, which would end the name at a NUL before it is refused */
	return arena_join(&r->arena, arena_join(&r->arena, name, SPAN_LIT("@")), span_of(realm));
}

static bool refuse_byte(const struct scope *s, struct span name, struct err *err)
{
	size_t i = 0;
	while (s->name_bytes[(unsigned char)name.ptr[i]] != 0)
		i++;
	return err_set(err, EX_DATAERR,
	    "Username character disallowed by auth_username_chars: 0x%02x (username: %.*s)",
	    s->translation[(unsigned char)name.ptr[i]], SPAN_ARG(name));
}

static bool translate_and_check(struct request *r, struct span *name, struct err *err)
{
	const unsigned char *map = r->scope->name_bytes;
	char *out = arena_alloc(&r->arena, name->len + 1);
	bool good = true;
	for (size_t i = 0; i < name->len; i++) {
		unsigned char c = map[(unsigned char)name->ptr[i]];
		out[i] = (char)c;
		good = good && c != 0;
	}
	if (!good)
		return refuse_byte(r->scope, *name, err);
	*name = span_make(out, name->len);
	return true;
}

/* auth_username_precis; the parts before and after the first @ on their own */
static struct span prepare(struct request *r, struct span name, struct err *err)
{
	int set = r->scope->auth->username_precis;
	enum precis_profile profile = set == PRECIS_NAMES_CASE_MAPPED
					  ? PRECIS_USERNAME_CASE_MAPPED
					  : PRECIS_USERNAME_CASE_PRESERVED;
	ssize_t at = span_find(name, '@');
	struct span user = at < 0 ? name : span_first(name, (size_t)at);
	struct span domain = at < 0 ? SPAN_LIT("") : span_skip(name, (size_t)at + 1);
	if (set == PRECIS_NAMES_NO)
		return name;
	if (user.len > 0)
		user = precis_enforce(profile, user, &r->arena, err);
	if (domain.len > 0)
		domain = precis_enforce(profile, domain, &r->arena, err);
	if (user.ptr == NULL || domain.ptr == NULL)
		return SPAN_NULL;
	return at < 0 ? user
		      : arena_join(&r->arena, arena_join(&r->arena, user, SPAN_LIT("@")), domain);
}

struct span username_normalise(struct request *r, struct span raw, struct err *err)
{
	if (raw.len == 0) {
		/* a realm alone is nobody either */
		err_set(err, EX_DATAERR, "Empty username");
		return SPAN_NULL;
	}
	struct span name = prepare(r, raw, err);
	if (name.ptr == NULL)
		return SPAN_NULL;
	name = add_default_realm(r, name);
	if (!translate_and_check(r, &name, err))
		return SPAN_NULL;
	const struct template *format = r->scope->auth->username_format;
	if (format != NULL && template_text(format)[0] != '\0') {
		struct span *user = &r->vars.v[VAR_USER], before = *user;
		*user = name;
		name = template_expand(format, &r->vars, &r->arena, NULL, NULL, err);
		*user = before;
		if (name.ptr == NULL)
			return SPAN_NULL;
	}
	if (name.len == 0) {
		err_set(err, EX_DATAERR, "Empty username");
		return SPAN_NULL;
	}
	return name;
}

static bool split_master(struct request *r, struct span *authcid, struct span *authzid)
{
	const char *separator = r->scope->auth->master_user_separator;
	if (separator[0] == '\0' || authzid->len > 0)
		return true;
	ssize_t at = span_find(*authcid, separator[0]);
	if (at < 0)
		return true;
	*authzid = span_first(*authcid, (size_t)at);
	*authcid = span_skip(*authcid, (size_t)at + 1);
	return authzid->len > 0;
}

struct span username_from_cert(const struct request *r)
{
	bool counts = r->scope->auth->ssl_username_from_cert && r->valid_cert;
	return counts ? r->cert_username : SPAN_NULL;
}

bool username_set_login(
    struct request *r, struct span authcid, struct span authzid, struct err *err)
{
	struct vars *v = &r->vars;
	/* what an answer shows until a name was accepted */
	v->v[VAR_ORIGINAL_USER] = v->v[VAR_USER] = authcid;
	if (!split_master(r, &authcid, &authzid))
		return err_set(err, EX_DATAERR, "Empty username for a master user login");
	v->v[VAR_ORIGINAL_USER] = v->v[VAR_AUTH_USER] = authcid;
	struct span certified = username_from_cert(r);
	struct span user = username_normalise(r, certified.len > 0 ? certified : authcid, err);
	if (user.ptr == NULL)
		return false;
	v->v[VAR_USER] = user;
	r->user_set = true;
	if (authzid.len == 0)
		return true;
	struct span target = username_normalise(r, authzid, err);
	if (target.ptr == NULL)
		return false;
	if (span_eq(target, user))
		return true;
	v->v[VAR_LOGIN_USER] = target;
	r->master = MASTER_WANTED;
	return true;
}

void username_set_anonymous(struct request *r)
{
	struct vars *v = &r->vars;
	v->v[VAR_USER] = span_of(r->scope->auth->anonymous_username);
	v->v[VAR_ORIGINAL_USER] = v->v[VAR_AUTH_USER] = v->v[VAR_USER];
	r->user_set = true;
}

bool username_set_lookup(struct request *r, struct span name, struct err *err)
{
	r->vars.v[VAR_ORIGINAL_USER] = r->vars.v[VAR_AUTH_USER] = name;
	struct span user = username_normalise(r, name, err);
	if (user.ptr == NULL)
		return false;
	r->vars.v[VAR_USER] = user;
	r->user_set = true;
	return true;
}
