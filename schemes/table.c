/*
 * Every scheme, one line each, in the order in which they are listed.
 * A new one: its row in a file of its own, declared in families.h, named here.
 */
#include "schemes/families.h"

const struct scheme *const scheme_table[] = {
    &scheme_plain,
    &scheme_clear,
    &scheme_cleartext,
    &scheme_plain_trunc,
    &scheme_crypt,
    &scheme_blf_crypt,
    &scheme_sha512_crypt,
    &scheme_sha256_crypt,
    &scheme_md5_crypt,
    &scheme_md5,
    &scheme_des_crypt,
    &scheme_argon2,
    &scheme_argon2id,
    &scheme_argon2i,
    &scheme_sha,
    &scheme_sha1,
    &scheme_sha256,
    &scheme_sha512,
    &scheme_ssha,
    &scheme_ssha256,
    &scheme_ssha512,
    &scheme_smd5,
    &scheme_plain_md4,
    &scheme_plain_md5,
    &scheme_ldap_md5,
    &scheme_pbkdf2,
    &scheme_cram_md5,
    &scheme_hmac_md5,
    &scheme_digest_md5,
    &scheme_scram_sha1,
    &scheme_scram_sha256,
    &scheme_scram_sha512,
    &scheme_otp,
    &scheme_nt,
    &scheme_ntlm,
    NULL,
};
