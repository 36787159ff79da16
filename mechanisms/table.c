/*
 * All mechanisms, one line each.
 */
#include "mechanisms/mech.h"

extern const struct mech mech_plain, mech_login, mech_dovecot_token;
extern const struct mech mech_otp, mech_ntlm;
extern const struct mech mech_oauthbearer, mech_xoauth2; /* oauth.c */
extern const struct mech mech_gssapi, mech_gss_spnego;	 /* gssapi.c */
extern const struct mech mech_cram_md5, mech_digest_md5, mech_apop, mech_external, mech_anonymous;
extern const struct mech mech_scram_sha1, mech_scram_sha256, mech_scram_sha512; /* scram.c */
extern const struct mech mech_scram_sha1_plus, mech_scram_sha256_plus, mech_scram_sha512_plus;

const struct mech *const mech_table[] = {
    &mech_plain,
    &mech_login,
    &mech_gssapi,
    &mech_gss_spnego,
    &mech_dovecot_token,
    &mech_oauthbearer,
    &mech_xoauth2,
    &mech_cram_md5,
    &mech_digest_md5,
    &mech_scram_sha1,
    &mech_scram_sha256,
    &mech_scram_sha512,
    &mech_scram_sha1_plus,
    &mech_scram_sha256_plus,
    &mech_scram_sha512_plus,
    &mech_external,
    &mech_anonymous,
    &mech_apop,
    &mech_otp,
    &mech_ntlm,
    NULL,
};

const struct mech *mech_find(struct span name)
{
	for (size_t i = 0; mech_table[i] != NULL; i++) {
		if (span_eq_ci(name, span_of(mech_table[i]->name)))
			return mech_table[i];
	}
	return NULL;
}

const char *const *mech_names(unsigned flag, struct arena *a)
{
	const char **names = arena_alloc(a, sizeof(mech_table));
	size_t count = 0;
	for (size_t i = 0; mech_table[i] != NULL; i++) {
		if (flag == 0 || (mech_table[i]->flags & flag) != 0)
			names[count++] = mech_table[i]->name;
	}
	return names;
}
