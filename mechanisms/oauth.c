/*
 * OAUTHBEARER (RFC 7628) and XOAUTH2 (Google's older form): one message with a
 * user's name and a bearer token, which the passdbs judge as they judge a
 * password. A refusal ends with a few words of JSON that make the client fetch
 * another token; an outage must not, or clients would throw good tokens away.
 */
#include "base/buffer.h"
#include "mechanisms/gs2.h"
#include "mechanisms/mech.h"

enum { KVSEP = '\x01' };

enum oauth_form { FORM_OAUTHBEARER, FORM_XOAUTH2 };

struct oauth_state {
	bool asked;
};

/* ---- what the client says ---- */

/* There is no channel binding with a bearer token, so "p=" is refused; the name is the user's. */
static bool take_header(struct arena *a, struct span *in, struct span *user)
{
	struct gs2_header h;
	if (!gs2_take_header(a, in, &h) || h.flag == 'p')
		return false;
	*user = h.authzid;
	return h.authzid.len > 0 && span_find(h.authzid, KVSEP) < 0;
}

static bool is_key(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = (char)(s.ptr[i] | 0x20);
		if (c < 'a' || c > 'z')
			return false;
	}
	return s.len > 0;
}

/* RFC 7628 section 3.1; XOAUTH2's user is such a value too, and may be beyond ASCII. */
static bool is_value(struct span s, bool beyond_ascii)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		bool white = c == '\t' || c == '\r' || c == '\n';
		if (!white && (c < 0x20 || c == 0x7f || (c >= 0x80 && !beyond_ascii)))
			return false;
	}
	return true;
}

/* "Bearer" SP token (RFC 6750 section 2.1, with any visible character in it) */
static bool take_token(struct mech_io *io, struct span value)
{
	struct span scheme, token;
	if (secret_is_set(io->password) || !span_word(&value, " ", &scheme) ||
	    !span_eq_ci(scheme, SPAN_LIT("Bearer")) || !span_word(&value, " ", &token) ||
	    span_trim(value).len > 0)
		return false;
	for (size_t i = 0; i < token.len; i++) {
		if (token.ptr[i] <= 0x20 || token.ptr[i] == 0x7f)
			return false;
	}
	io->password = secret_of(arena_dup(io->arena, token));
	return true;
}

/* Pairs up to an empty one, with which the message must end; unknown keys are passed over. */
static bool take_pairs(struct mech_io *io, struct span in, bool user_wanted)
{
	struct span pair, key, value;
	while (span_split(&in, KVSEP, &pair) && pair.len > 0) {
		value = pair;
		if (!span_split(&value, '=', &key) || value.ptr == NULL || !is_key(key))
			return false;
		bool is_user = user_wanted && span_eq_ci(key, SPAN_LIT("user"));
		if (!is_value(value, is_user))
			return false;
		if (is_user && (io->user.ptr != NULL || value.len == 0))
			return false;
		if (is_user)
			io->user = arena_dup(io->arena, value);
		if (span_eq_ci(key, SPAN_LIT("auth")) && !take_token(io, value))
			return false;
	}
	/* behind the empty pair's separator there is nothing */
	return in.ptr != NULL && in.len == 0;
}

static bool parse(enum oauth_form form, struct mech_io *io)
{
	struct span in = io->in, empty;
	bool header = form == FORM_OAUTHBEARER;
	if (header && (!take_header(io->arena, &in, &io->user) || !span_split(&in, KVSEP, &empty) ||
			  empty.len > 0))
		return false;
	return take_pairs(io, in, !header) && io->user.ptr != NULL && secret_is_set(io->password);
}

/* ---- what the client hears ---- */

/* Names of scopes and addresses come from the configuration; RFC 8259 section 7. */
static void put_string(struct buffer *b, struct span s)
{
	buffer_append_char(b, '"');
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		if (c == '"' || c == '\\')
			buffer_printf(b, "\\%c", c);
		else if (c < 0x20)
			buffer_printf(b, "\\u%04x", c);
		else
			buffer_append_char(b, (char)c);
	}
	buffer_append_char(b, '"');
}

static void put_member(struct buffer *b, const char *name, struct span value)
{
	buffer_append_char(b, b->len == 0 ? '{' : ',');
	put_string(b, span_of(name));
	buffer_append_char(b, ':');
	put_string(b, value);
}

/* Google's form has the numbers of HTTP (RFC 6750 section 3.1). */
static struct span status_number(struct span status)
{
	if (span_eq_str(status, "invalid_request"))
		return SPAN_LIT("400");
	return span_eq_str(status, "insufficient_scope") ? SPAN_LIT("403") : SPAN_LIT("401");
}

static enum mech_next refuse(enum oauth_form form, struct mech_io *io, struct span status)
{
	struct buffer b = {0};
	struct span scope = fields_get(&io->told, "scope");
	struct span more = fields_get(&io->told, "openid_configuration");
	if (scope.len == 0)
		scope = SPAN_LIT("mail");
	if (form == FORM_XOAUTH2) {
		put_member(&b, "status", status_number(status));
		put_member(&b, "schemes", SPAN_LIT("bearer"));
		put_member(&b, "scope", scope);
	} else {
		put_member(&b, "status", status);
		put_member(&b, "scope", scope);
		if (more.len > 0)
			put_member(&b, "openid-configuration", more);
	}
	buffer_append_char(&b, '}');
	io->out = arena_dup(io->arena, buffer_span(&b));
	buffer_free(&b);
	return MECH_FAIL;
}

static enum mech_next judged(enum oauth_form form, struct mech_io *io)
{
	if (io->verdict == VERDICT_OK)
		return MECH_DONE;
	if (io->verdict == VERDICT_INTERNAL)
		return MECH_FAIL;
	struct span status = fields_get(&io->told, "status");
	return refuse(form, io, status.len > 0 ? status : SPAN_LIT("invalid_token"));
}

static enum mech_next oauth_step(const struct mech *m, void *state, struct mech_io *io)
{
	struct oauth_state *s = state;
	enum oauth_form form = *(const enum oauth_form *)m->variant;
	if (s->asked)
		return judged(form, io);
	if (!parse(form, io)) {
		io->user = SPAN_NULL;
		io->password = SECRET_NULL;
		io->why = "invalid input";
		return refuse(form, io, SPAN_LIT("invalid_request"));
	}
	s->asked = true;
	return MECH_VERIFY;
}

static const enum oauth_form oauthbearer = FORM_OAUTHBEARER, xoauth2 = FORM_XOAUTH2;

/* a token is as good as a password to whoever reads it on its way */
extern const struct mech mech_oauthbearer, mech_xoauth2;
const struct mech mech_oauthbearer = {
    .name = "OAUTHBEARER",
    .flags = MECH_PLAINTEXT | MECH_NEEDS_VERIFY,
    .state_size = sizeof(struct oauth_state),
    .variant = &oauthbearer,
    .step = oauth_step,
};
const struct mech mech_xoauth2 = {
    .name = "XOAUTH2",
    .flags = MECH_PLAINTEXT | MECH_NEEDS_VERIFY,
    .state_size = sizeof(struct oauth_state),
    .variant = &xoauth2,
    .step = oauth_step,
};
