/*
 * How strong a stored password is against somebody who has stolen it: kinds of
 * hashes in ranks, and within a kind what they cost.
 * Runs in workers.
 */
#include "schemes/families.h"

/* In ranks: readable, quick, salted and quick, many rounds, bcrypt, much memory. */
enum { RANK_NONE, RANK_QUICK, RANK_SALTED, RANK_ROUNDS, RANK_SHA512, RANK_BCRYPT, RANK_MEMORY };

enum {
	KIND_DES,
	KIND_BSDI,
	KIND_MD5,
	KIND_NT,
	KIND_SHA1,
	KIND_SUN,
	KIND_BCRYPT,
	KIND_SHA256,
	KIND_SHA512,
	KIND_YESCRYPT,
	KIND_SCRYPT,
	KIND_OTHER,
	KIND_NAMED
};

const struct scheme_kind scheme_kinds[SCHEME_KINDS] = {
    [KIND_DES] = {"DES-CRYPT", RANK_QUICK, false},
    [KIND_BSDI] = {"BSDI-CRYPT", RANK_SALTED, false},
    [KIND_MD5] = {"MD5-CRYPT", RANK_SALTED, false},
    [KIND_NT] = {"NT-CRYPT", RANK_QUICK, false},
    [KIND_SHA1] = {"SHA1-CRYPT", RANK_ROUNDS, false},
    [KIND_SUN] = {"SUNMD5-CRYPT", RANK_ROUNDS, false},
    [KIND_BCRYPT] = {"BLF-CRYPT", RANK_BCRYPT, false},
    [KIND_SHA256] = {"SHA256-CRYPT", RANK_ROUNDS, false},
    [KIND_SHA512] = {"SHA512-CRYPT", RANK_SHA512, false},
    [KIND_YESCRYPT] = {"YESCRYPT", RANK_MEMORY, false},
    [KIND_SCRYPT] = {"SCRYPT", RANK_MEMORY, false},
    [KIND_OTHER] = {"OTHER", RANK_MEMORY, true},
    /* by the scheme's name; "for a mechanism": in another form it would be of no use to that */
    [KIND_NAMED] = {"PLAIN", RANK_NONE, false},
    {"CLEAR", RANK_NONE, false},
    {"CLEARTEXT", RANK_NONE, false},
    {"PLAIN-TRUNC", RANK_NONE, false},
    {"MD5", RANK_QUICK, false},
    {"PLAIN-MD4", RANK_QUICK, false},
    {"PLAIN-MD5", RANK_QUICK, false},
    {"LDAP-MD5", RANK_QUICK, false},
    {"SHA", RANK_QUICK, false},
    {"SHA1", RANK_QUICK, false},
    {"SHA256", RANK_QUICK, false},
    {"SHA512", RANK_QUICK, false},
    {"SMD5", RANK_SALTED, false},
    {"SSHA", RANK_SALTED, false},
    {"SSHA256", RANK_SALTED, false},
    {"SSHA512", RANK_SALTED, false},
    {"PBKDF2", RANK_ROUNDS, false},
    {"ARGON2I", RANK_MEMORY, false},
    {"ARGON2ID", RANK_MEMORY, false},
    {"CRAM-MD5", RANK_QUICK, true},
    {"HMAC-MD5", RANK_QUICK, true},
    {"DIGEST-MD5", RANK_QUICK, true},
    {"NT", RANK_QUICK, true},
    {"NTLM", RANK_QUICK, true},
    {"SCRAM-SHA-1", RANK_ROUNDS, true},
    {"SCRAM-SHA-256", RANK_ROUNDS, true},
    {"SCRAM-SHA-512", RANK_ROUNDS, true},
    {"OTP", RANK_ROUNDS, true},
};

/* crypt(3) strings say themselves what they are. */
static size_t crypt_kind(struct span raw)
{
	static const struct {
		const char *prefix;
		size_t kind;
	} prefixes[] = {{"$1", KIND_MD5}, {"$2", KIND_BCRYPT}, {"$3$", KIND_NT},
	    {"$5$", KIND_SHA256}, {"$6$", KIND_SHA512}, {"$y$", KIND_YESCRYPT},
	    {"$gy$", KIND_YESCRYPT}, {"$7$", KIND_SCRYPT}, {"$sha1", KIND_SHA1}, {"$md5", KIND_SUN},
	    {"$", KIND_OTHER}, {"_", KIND_BSDI}, {"", KIND_DES}};
	size_t i = 0;
	while (!span_starts(raw, prefixes[i].prefix))
		i++;
	return prefixes[i].kind;
}

size_t scheme_kind_of(const struct scheme_hash *h)
{
	struct span raw = secret_reveal(h->raw), name = span_of(h->scheme->name);
	bool is_hex = h->scheme == &scheme_md5 && !span_starts(raw, "$");
	if ((h->scheme->flags & SCHEME_CRYPT) != 0 && !is_hex)
		return crypt_kind(raw);
	if (span_eq_str(name, "ARGON2")) /* either */
		name = span_starts(raw, "$argon2id") ? SPAN_LIT("ARGON2ID") : SPAN_LIT("ARGON2I");
	for (size_t i = KIND_NAMED; i < SCHEME_KINDS && scheme_kinds[i].name != NULL; i++) {
		if (span_eq_str(name, scheme_kinds[i].name))
			return i;
	}
	return KIND_OTHER;
}

bool scheme_is_weaker(const struct scheme_hash *h, const struct scheme_hash *than)
{
	size_t kind = scheme_kind_of(h), other = scheme_kind_of(than);
	if (scheme_kinds[kind].for_mechanism)
		return false;
	if (kind != other)
		return scheme_kinds[kind].rank < scheme_kinds[other].rank;
	struct scheme_cost mine = scheme_cost(h), its = scheme_cost(than);
	return mine.usec <= its.usec && mine.memory <= its.memory &&
	       (mine.usec < its.usec || mine.memory < its.memory);
}

/* crypt(3)'s oldest kind and bcrypt look at a password's beginning, PLAIN-TRUNC keeps no more. */
bool scheme_reads_all(const struct scheme_hash *h, struct secret password)
{
	enum { DES_READS = 8, BCRYPT_READS = 72 };
	size_t len = secret_reveal(password).len, kind = scheme_kind_of(h);
	if (h->scheme == &scheme_plain_trunc)
		return secret_is_set(scheme_plain_trunc_full(h->raw));
	return (kind != KIND_DES || len <= DES_READS) &&
	       (kind != KIND_BCRYPT || len <= BCRYPT_READS);
}
