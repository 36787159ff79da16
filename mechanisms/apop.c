/*
 * APOP (RFC 1939 section 7), as a login process passes it on in one message:
 * challenge NUL user NUL digest, which is MD5 of challenge and password. The
 * challenge was the greeting's: <pid.connection.time.random@host>, its numbers in
 * hex; it must be of this server, of this connection, and not older than either.
 */
#include <nettle/md5.h>

#include "base/mem.h"
#include "mechanisms/mech.h"

struct apop_state {
	bool asked;
	struct span challenge, digest;
};

static bool take_hex(struct span *rest, uint64_t *number)
{
	struct span digits;
	if (!span_split(rest, '.', &digits) || digits.len == 0 || digits.len > 16)
		return false;
	*number = 0;
	for (size_t i = 0; i < digits.len; i++) {
		char c = digits.ptr[i], lower = (char)(c | 0x20);
		if (c >= '0' && c <= '9')
			*number = *number << 4 | (unsigned)(c - '0');
		else if (lower >= 'a' && lower <= 'f')
			*number = *number << 4 | (unsigned)(lower - 'a' + 10);
		else
			return false;
	}
	return true;
}

static bool is_ours(const struct mech_context *c, struct span challenge)
{
	uint64_t pid, connection, time;
	struct span rest = span_skip(challenge, 1);
	return span_starts(challenge, "<") && take_hex(&rest, &pid) &&
	       take_hex(&rest, &connection) && take_hex(&rest, &time) && rest.ptr != NULL &&
	       pid == c->server_pid && connection == c->connect_uid &&
	       time >= (uint64_t)c->server_started && time <= (uint64_t)c->now;
}

static bool fits(const struct apop_state *s, struct secret password)
{
	struct md5_ctx ctx;
	uint8_t digest[MD5_DIGEST_SIZE];
	struct span plain = secret_reveal(password);
	md5_init(&ctx);
	md5_update(&ctx, s->challenge.len, (const uint8_t *)s->challenge.ptr);
	if (plain.len > 0)
		md5_update(&ctx, plain.len, (const uint8_t *)plain.ptr);
	md5_digest(&ctx, sizeof(digest), digest);
	mem_wipe(&ctx, sizeof(ctx));
	return secret_eq(secret_of(span_make(digest, sizeof(digest))), secret_of(s->digest));
}

static enum mech_next take_message(struct apop_state *s, struct mech_io *io)
{
	struct span rest = arena_dup(io->arena, io->in), user;
	/* the digest may hold NULs */
	if (!span_split(&rest, '\0', &s->challenge) || !span_split(&rest, '\0', &user) ||
	    rest.len != MD5_DIGEST_SIZE || user.len == 0 || !is_ours(io->context, s->challenge)) {
		io->why = "invalid input";
		return MECH_FAIL;
	}
	s->digest = rest;
	s->asked = true;
	io->user = user;
	io->scheme = "PLAIN";
	return MECH_CREDENTIAL;
}

static enum mech_next apop_step(const struct mech *m UNUSED, void *state, struct mech_io *io)
{
	struct apop_state *s = state;
	if (!s->asked)
		return take_message(s, io);
	if (io->verdict != VERDICT_INTERNAL && fits(s, io->credential) && io->verdict == VERDICT_OK)
		return MECH_DONE;
	io->why = "Password mismatch";
	return MECH_FAIL;
}

const struct mech mech_apop = {
    .name = "APOP",
    .flags = MECH_PRIVATE | MECH_DICTIONARY | MECH_ACTIVE | MECH_ALLOW_NUL | MECH_NEEDS_LOOKUP,
    .state_size = sizeof(struct apop_state),
    .step = apop_step,
};
