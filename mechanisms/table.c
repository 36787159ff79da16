/*
 * All mechanisms, one line each.
 */
#include "mechanisms/mech.h"

extern const struct mech mech_plain, mech_login, mech_cram_md5, mech_dovecot_token;
extern const struct mech mech_oauthbearer, mech_xoauth2; /* oauth.c */
extern const struct mech mech_gssapi, mech_gss_spnego;	 /* gssapi.c */

const struct mech *const mech_table[] = {
    &mech_plain,
    &mech_login,
    &mech_gssapi,
    &mech_gss_spnego,
    &mech_dovecot_token,
    &mech_oauthbearer,
    &mech_xoauth2,
    &mech_cram_md5,
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
