/*
 * DIGEST-MD5 (RFC 2831), for authentication alone: no layer of its own, no
 * second login with an old nonce. Historic, as RFC 6331 says why; there for
 * clients that know nothing better.
 */
#include "base/buffer.h"
#include "base/encode.h"
#include "base/hmac.h"
#include "base/mem.h"
#include "mechanisms/mech.h"

enum { DIGEST = 16, NONCE_LEN = 32 };

/* What the client says, by name. Zero: it did not. */
enum directive {
	USERNAME,
	REALM,
	NONCE,
	CNONCE,
	NC,
	QOP,
	URI,
	RESPONSE,
	MAXBUF,
	CHARSET,
	AUTHZID,
	DIRECTIVES,
};

struct digest_state {
	enum { START, CHALLENGE_SENT, CREDENTIAL_WANTED } at;
	struct span given[DIRECTIVES];
	struct span response; /* decoded */
};

static enum mech_next refuse(struct mech_io *io, const char *why)
{
	io->why = why;
	return MECH_FAIL;
}

/* ---- the challenge ---- */

/* Shorter than there is room for: curl gives up on one of 64 characters. */
static struct span nonce_of(const struct mech_io *io)
{
	return span_first(io->context->nonce, NONCE_LEN);
}

static void put_quoted(struct buffer *out, const char *key, struct span value)
{
	buffer_printf(out, "%s=\"", key);
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] == '"' || value.ptr[i] == '\\')
			buffer_append_char(out, '\\');
		buffer_append_char(out, value.ptr[i]);
	}
	buffer_append_char(out, '"');
}

static enum mech_next send_challenge(struct digest_state *s, struct mech_io *io)
{
	struct buffer out = {0};
	struct span realms = io->context->realms, realm;
	while (span_word(&realms, " ,\t", &realm)) {
		put_quoted(&out, "realm", realm);
		buffer_append_char(&out, ',');
	}
	if (out.len == 0)
		buffer_append_str(&out, "realm=\"\",");
	put_quoted(&out, "nonce", nonce_of(io));
	buffer_append_str(&out, ",qop=\"auth\",charset=utf-8,algorithm=md5-sess");
	io->out = arena_dup(io->arena, buffer_span(&out));
	buffer_free(&out);
	s->at = CHALLENGE_SENT;
	return MECH_CLIENT;
}

/* ---- the answer: key=value and key="value", separated by commas (section 7.1) ---- */

static struct span skip_white(struct span s)
{
	while (s.len > 0 &&
	       (s.ptr[0] == ' ' || s.ptr[0] == '\t' || s.ptr[0] == '\r' || s.ptr[0] == '\n'))
		s = span_skip(s, 1);
	return s;
}

/* The closing quote's place; its length: there is none. */
static size_t quote_end(struct span s)
{
	size_t i = 0;
	while (i < s.len && s.ptr[i] != '"')
		i += s.ptr[i] == '\\' ? 2 : 1;
	return i < s.len ? i : s.len;
}

/* *rest begins behind the first quote and ends behind the last one. */
static bool take_quoted(struct arena *a, struct span *rest, struct span *value)
{
	size_t end = quote_end(*rest), n = 0;
	if (end == rest->len)
		return false;
	/* as long as this value and no longer: there may be thousands in a message */
	char *out = arena_alloc(a, end + 1);
	for (size_t i = 0; i < end; i++) {
		if (rest->ptr[i] == '\\')
			i++;
		out[n++] = rest->ptr[i];
	}
	*value = span_make(out, n);
	*rest = span_skip(*rest, end + 1);
	return true;
}

static bool take_value(struct arena *a, struct span *rest, struct span *value)
{
	*rest = skip_white(*rest);
	if (span_starts(*rest, "\"")) {
		*rest = span_skip(*rest, 1);
		if (!take_quoted(a, rest, value))
			return false;
	} else {
		ssize_t end = span_find(*rest, ',');
		*value = span_trim(span_first(*rest, end < 0 ? rest->len : (size_t)end));
		*rest = span_skip(*rest, end < 0 ? rest->len : (size_t)end);
	}
	*rest = skip_white(*rest);
	return rest->len == 0 || rest->ptr[0] == ',';
}

static bool keep_value(struct digest_state *s, struct span key, struct span value)
{
	static const char *const names[DIRECTIVES] = {"username", "realm", "nonce", "cnonce", "nc",
	    "qop", "digest-uri", "response", "maxbuf", "charset", "authzid"};
	for (size_t i = 0; i < DIRECTIVES; i++) {
		if (!span_eq_ci(key, span_of(names[i])))
			continue;
		if (s->given[i].len > 0 && i == REALM)
			return true;
		if (s->given[i].ptr != NULL && i != REALM)
			return false;
		s->given[i] = value;
	}
	return true;
}

static bool parse(struct digest_state *s, struct mech_io *io)
{
	struct span rest = skip_white(arena_dup(io->arena, io->in)), key, value;
	while (rest.len > 0) {
		ssize_t equals = span_find(rest, '=');
		if (rest.ptr[0] == ',') {
			rest = skip_white(span_skip(rest, 1));
			continue;
		}
		if (equals <= 0)
			return false;
		key = span_trim(span_first(rest, (size_t)equals));
		rest = span_skip(rest, (size_t)equals + 1);
		if (!take_value(io->arena, &rest, &value) || !keep_value(s, key, value))
			return false;
	}
	return true;
}

static bool check_numbers(const struct digest_state *s)
{
	struct span nc = s->given[NC], maxbuf = s->given[MAXBUF];
	uint32_t n;
	/* no second login with the same nonce */
	if (nc.ptr != NULL && !span_eq_str(nc, "00000001"))
		return false;
	return maxbuf.ptr == NULL || (span_to_u32(maxbuf, &n) && n > 0);
}

static const char *what_is_wrong(const struct digest_state *s, const struct mech_io *io)
{
	const struct span *g = s->given;
	if (g[USERNAME].len == 0)
		return "the username is missing";
	if (!span_eq(g[NONCE], nonce_of(io)))
		return "the nonce is not the one that was sent";
	if (g[CNONCE].len == 0)
		return "the cnonce is missing";
	if (!check_numbers(s))
		return "nc or maxbuf is not valid";
	if (g[QOP].ptr != NULL && !span_eq_ci(g[QOP], SPAN_LIT("auth")))
		return "only qop=auth is supported";
	if (g[CHARSET].ptr != NULL && !span_eq_ci(g[CHARSET], SPAN_LIT("utf-8")))
		return "only charset=utf-8 is supported";
	if (g[URI].ptr != NULL && span_find(g[URI], '/') < 0)
		return "the digest-uri is not valid";
	if (g[AUTHZID].ptr != NULL && g[AUTHZID].len == 0)
		return "the authzid is empty";
	return s->response.len == DIGEST ? NULL : "the response is not valid";
}

static enum mech_next take_answer(struct digest_state *s, struct mech_io *io)
{
	struct span *g = s->given;
	if (!parse(s, io))
		return refuse(io, "invalid input");
	s->response = hex_decode(io->arena, g[RESPONSE]);
	const char *wrong = what_is_wrong(s, io);
	if (wrong != NULL)
		return refuse(io, wrong);
	if (g[NC].ptr == NULL)
		g[NC] = SPAN_LIT("00000001");
	if (g[QOP].ptr == NULL)
		g[QOP] = SPAN_LIT("auth");
	io->user = g[USERNAME];
	if (g[REALM].len > 0 && span_find(g[USERNAME], '@') < 0)
		io->user =
		    arena_printf(io->arena, "%.*s@%.*s", SPAN_ARG(g[USERNAME]), SPAN_ARG(g[REALM]));
	io->authzid = g[AUTHZID];
	io->salt = arena_printf(io->arena, "%.*s:%.*s", SPAN_ARG(g[USERNAME]), SPAN_ARG(g[REALM]));
	io->scheme = "DIGEST-MD5";
	s->at = CREDENTIAL_WANTED;
	return MECH_CREDENTIAL;
}

/* ---- the digests (section 2.1.2.1) ---- */

static struct span hex_of_md5(struct arena *a, struct span bytes)
{
	uint8_t digest[DIGEST];
	hash_of(&nettle_md5, bytes, digest);
	return hex_encode_arena(a, span_make(digest, sizeof(digest)));
}

/* role: "AUTHENTICATE" from the client, "" from the server */
static struct span response_value(
    const struct digest_state *s, struct mech_io *io, const char *role)
{
	const struct span *g = s->given;
	struct arena *a = io->arena;
	struct span a1 = arena_join(a, secret_reveal(io->credential),
	    arena_printf(a, ":%.*s:%.*s%s%.*s", SPAN_ARG(g[NONCE]), SPAN_ARG(g[CNONCE]),
		g[AUTHZID].len > 0 ? ":" : "", SPAN_ARG(g[AUTHZID])));
	struct span a2 = arena_printf(a, "%s:%.*s", role, SPAN_ARG(g[URI]));
	struct span text = arena_printf(a, "%.*s:%.*s:%.*s:%.*s:%.*s:%.*s",
	    SPAN_ARG(hex_of_md5(a, a1)), SPAN_ARG(g[NONCE]), SPAN_ARG(g[NC]), SPAN_ARG(g[CNONCE]),
	    SPAN_ARG(g[QOP]), SPAN_ARG(hex_of_md5(a, a2)));
	return hex_of_md5(a, text);
}

static enum mech_next compare(struct digest_state *s, struct mech_io *io)
{
	if (io->verdict == VERDICT_INTERNAL)
		return MECH_FAIL;
	struct span expected = hex_decode(io->arena, response_value(s, io, "AUTHENTICATE"));
	if (!secret_eq(secret_of(expected), secret_of(s->response)) || io->verdict != VERDICT_OK)
		return refuse(io, "Password mismatch");
	io->out = arena_join(io->arena, SPAN_LIT("rspauth="), response_value(s, io, ""));
	return MECH_DONE;
}

static enum mech_next digest_step(const struct mech *m UNUSED, void *state, struct mech_io *io)
{
	struct digest_state *s = state;
	switch (s->at) {
	case START:
		return send_challenge(s, io); /* an initial response would be a second login */
	case CHALLENGE_SENT:
		return take_answer(s, io);
	case CREDENTIAL_WANTED:
		return compare(s, io);
	}
	return MECH_FAIL;
}

const struct mech mech_digest_md5 = {
    .name = "DIGEST-MD5",
    .flags =
	MECH_DICTIONARY | MECH_ACTIVE | MECH_MUTUAL_AUTH | MECH_SERVER_FIRST | MECH_NEEDS_LOOKUP,
    .state_size = sizeof(struct digest_state),
    .step = digest_step,
};
