/*
 * SCRAM (RFC 5802, RFC 7677) with SHA-1, SHA-256 and SHA-512, and the same
 * with channel binding (-PLUS; RFC 5929, RFC 9266). The server knows neither
 * the password nor anything that could be used in its place.
 */
#include "base/encode.h"
#include "base/hmac.h"
#include "base/mem.h"
#include "mechanisms/gs2.h"
#include "mechanisms/mech.h"

struct scram_variant {
	const char *scheme;
	const struct nettle_hash *hash;
};

struct scram_state {
	enum { START, BINDING_WANTED, CREDENTIAL_WANTED, PROOF_WANTED } at;
	struct span header;	  /* the client's GS2 header, which it repeats */
	struct span client_first; /* without the header */
	struct span server_first, nonce;
	struct span binding;
	struct span stored_key, server_key;
};

static enum mech_next refuse(struct mech_io *io, const char *why)
{
	io->why = why;
	return MECH_FAIL;
}

/* ---- the client's first message ---- */

/* Printable ASCII but for the comma (RFC 5802 section 7). */
static bool is_printable(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < 0x21 || s.ptr[i] > 0x7e || s.ptr[i] == ',')
			return false;
	}
	return s.len > 0;
}

/* "k=value" off the front of *rest */
static bool take_attribute(struct span *rest, const char *key, struct span *value)
{
	struct span field;
	if (!span_split(rest, ',', &field) || !span_starts(field, key))
		return false;
	*value = span_skip(field, strlen(key));
	return true;
}

static bool parse_first(struct scram_state *s, struct mech_io *io, struct gs2_header *header)
{
	struct span in = arena_dup(io->arena, io->in), user, nonce;
	if (!gs2_take_header(io->arena, &in, header))
		return false;
	s->header = header->text;
	s->client_first = in;
	/* an extension that must be understood ("m=") stands in the name's place and is none */
	if (!take_attribute(&in, "n=", &user) || !take_attribute(&in, "r=", &nonce) ||
	    !gs2_decode_name(io->arena, user, &io->user) || !is_printable(nonce))
		return false;
	io->authzid = header->authzid;
	s->nonce = arena_join(io->arena, nonce, io->context->nonce);
	return true;
}

static bool is_known_binding(struct span type)
{
	return span_eq_str(type, "tls-exporter") || span_eq_str(type, "tls-server-end-point") ||
	       span_eq_str(type, "tls-unique");
}

static enum mech_next want_credential(
    const struct scram_variant *v, struct scram_state *s, struct mech_io *io)
{
	s->at = CREDENTIAL_WANTED;
	io->scheme = v->scheme;
	return MECH_CREDENTIAL;
}

static enum mech_next first_message(const struct mech *m, struct scram_state *s, struct mech_io *io)
{
	struct gs2_header header;
	bool plus = (m->flags & MECH_CHANNEL_BINDING) != 0;
	if (!parse_first(s, io, &header))
		return refuse(io, "invalid input");
	if (plus != (header.flag == 'p'))
		return refuse(io, plus ? "Channel binding is missing"
				       : "Channel binding not supported by this mechanism");
	/* he saw no mechanism with a binding although it was offered: somebody in between hid it */
	if (header.flag == 'y' && io->context->plus_offered)
		return refuse(io, "Potential downgrade attack detected");
	if (!plus)
		return want_credential(m->variant, s, io);
	if (!is_known_binding(header.binding_type))
		return refuse(io, "Channel binding type is not supported");
	io->binding_type = arena_cstr(io->arena, header.binding_type);
	s->at = BINDING_WANTED;
	return MECH_BINDING;
}

static enum mech_next take_binding(const struct mech *m, struct scram_state *s, struct mech_io *io)
{
	if (io->binding.len == 0)
		return refuse(io, "The client's connection has no channel binding of this type");
	s->binding = arena_dup(io->arena, io->binding);
	return want_credential(m->variant, s, io);
}

/* ---- the credential: rounds, salt, StoredKey, ServerKey ---- */

static bool take_key(struct arena *a, struct span *rest, size_t len, struct span *key)
{
	struct span field;
	if (!span_split(rest, ',', &field))
		return false;
	*key = base64_decode(a, field);
	return key->ptr != NULL && key->len == len;
}

static enum mech_next challenge(
    const struct scram_variant *v, struct scram_state *s, struct mech_io *io)
{
	struct span text = secret_reveal(io->credential), rounds, salt;
	if (io->verdict == VERDICT_INTERNAL)
		return MECH_FAIL;
	text = arena_dup(io->arena, text);
	if (!span_split(&text, ',', &rounds) || !span_split(&text, ',', &salt) ||
	    !take_key(io->arena, &text, v->hash->digest_size, &s->stored_key) ||
	    !take_key(io->arena, &text, v->hash->digest_size, &s->server_key))
		return refuse(io, "the stored credential is not valid");
	s->server_first = arena_printf(io->arena, "r=%.*s,s=%.*s,i=%.*s", SPAN_ARG(s->nonce),
	    SPAN_ARG(salt), SPAN_ARG(rounds));
	s->at = PROOF_WANTED;
	io->out = s->server_first;
	return MECH_CLIENT;
}

/* ---- the client's proof ---- */

struct proof {
	struct span header, nonce, bytes;
	struct span without; /* the message up to the proof */
};

static bool parse_final(struct mech_io *io, struct proof *p)
{
	ssize_t comma = span_rfind(io->in, ',');
	if (comma < 0)
		return false;
	p->without = span_first(io->in, (size_t)comma);
	struct span rest = p->without, last = span_skip(io->in, (size_t)comma + 1), header;
	if (!span_starts(last, "p=") || !take_attribute(&rest, "c=", &header) ||
	    !take_attribute(&rest, "r=", &p->nonce))
		return false;
	p->header = base64_decode(io->arena, header);
	p->bytes = base64_decode(io->arena, span_skip(last, 2));
	return p->header.ptr != NULL && p->bytes.ptr != NULL;
}

/* ClientKey is what the proof leaves when the signature is taken away; its hash is stored. */
static bool fits(const struct nettle_hash *h, const struct scram_state *s, struct span message,
    struct span proof)
{
	uint8_t key[HASH_MAX], stored[HASH_MAX];
	if (proof.len != h->digest_size)
		return false;
	hmac_of(h, s->stored_key, message, key);
	for (size_t i = 0; i < proof.len; i++)
		key[i] ^= (uint8_t)proof.ptr[i];
	hash_of(h, span_make(key, h->digest_size), stored);
	bool same =
	    secret_eq(secret_of(span_make(stored, h->digest_size)), secret_of(s->stored_key));
	mem_wipe(key, sizeof(key));
	return same;
}

static enum mech_next last_message(
    const struct scram_variant *v, struct scram_state *s, struct mech_io *io)
{
	struct arena *a = io->arena;
	struct proof p;
	uint8_t signature[HASH_MAX];
	if (!parse_final(io, &p) || !span_eq(p.nonce, s->nonce))
		return refuse(io, "invalid input");
	struct span expected = arena_join(a, s->header, s->binding);
	if (!secret_eq(secret_of(p.header), secret_of(expected)))
		return refuse(
		    io, s->binding.len > 0 ? "Channel binding does not match" : "invalid input");
	struct span message = arena_printf(a, "%.*s,%.*s,%.*s", SPAN_ARG(s->client_first),
	    SPAN_ARG(s->server_first), SPAN_ARG(p.without));
	if (!fits(v->hash, s, message, p.bytes) || io->verdict != VERDICT_OK)
		return refuse(io, "Password mismatch");
	hmac_of(v->hash, s->server_key, message, signature);
	struct span text = base64_encode_arena(a, span_make(signature, v->hash->digest_size));
	io->out = arena_join(a, SPAN_LIT("v="), text);
	return MECH_DONE;
}

static enum mech_next scram_step(const struct mech *m, void *state, struct mech_io *io)
{
	struct scram_state *s = state;
	switch (s->at) {
	case START:
		return first_message(m, s, io);
	case BINDING_WANTED:
		return take_binding(m, s, io);
	case CREDENTIAL_WANTED:
		return challenge(m->variant, s, io);
	case PROOF_WANTED:
		return last_message(m->variant, s, io);
	}
	return MECH_FAIL;
}

#define SCRAM(symbol, text, more, row)                                                             \
	const struct mech symbol = {.name = text,                                                  \
	    .flags = MECH_MUTUAL_AUTH | MECH_NEEDS_LOOKUP | (more),                                \
	    .state_size = sizeof(struct scram_state),                                              \
	    .variant = row,                                                                        \
	    .step = scram_step}

static const struct scram_variant sha1 = {"SCRAM-SHA-1", &nettle_sha1};
static const struct scram_variant sha256 = {"SCRAM-SHA-256", &nettle_sha256};
static const struct scram_variant sha512 = {"SCRAM-SHA-512", &nettle_sha512};

SCRAM(mech_scram_sha1, "SCRAM-SHA-1", 0, &sha1);
SCRAM(mech_scram_sha256, "SCRAM-SHA-256", 0, &sha256);
SCRAM(mech_scram_sha512, "SCRAM-SHA-512", 0, &sha512);
SCRAM(mech_scram_sha1_plus, "SCRAM-SHA-1-PLUS", MECH_CHANNEL_BINDING, &sha1);
SCRAM(mech_scram_sha256_plus, "SCRAM-SHA-256-PLUS", MECH_CHANNEL_BINDING, &sha256);
SCRAM(mech_scram_sha512_plus, "SCRAM-SHA-512-PLUS", MECH_CHANNEL_BINDING, &sha512);
