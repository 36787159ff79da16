/*
 * Bytes of a client or a provider in the oauth2 driver: a token that nobody
 * signed, what is said of one, a key. A token must not get further than its
 * signature, and nobody is let in whose name was not told.
 */
#include <stdlib.h>

#include "drivers/oauth2-claims.c"
#include "drivers/oauth2-jwt.c"
#include "drivers/oauth2-key.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good)
{
	if (!good)
		abort();
}

static const char *const all_algs =
    "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA HS256 HS384 HS512";

static void fuzz_token(struct span in, struct arena *a)
{
	struct oauth2_jwt jwt;
	struct err err = {0};
	struct oauth2_key key = {.hmac = secret_of(SPAN_LIT("0123456789abcdef0123456789abcdef"))};
	enum oauth2_jwt_is is = oauth2_jwt_parse(&jwt, secret_of(in), all_algs, a, &err);
	must(is != JWT_BAD || err.text[0] != '\0');
	must(is != JWT_GOOD || (jwt.alg != NULL && jwt.claims != NULL));
	if (is == JWT_GOOD)
		must(!oauth2_key_verifies(&key, jwt.alg, jwt.signed_part, jwt.signature));
	oauth2_jwt_free(&jwt);
}

static struct oauth2_settings *settings(struct arena *a)
{
	static const char text[] = "local_validation_jwks = /x\nissuers = i\naudience = a b\n"
				   "scope = s\nactive_attribute = on\nactive_value = true\n"
				   "pass_attrs = %{oauth2:k}=%{oauth2:v} x=%$ email=%$\n";
	struct err err = {0};
	struct oauth2_settings *set =
	    driver_args_parse(&spec_oauth2, SPAN_LIT("/x"), span_of(text), a, &err);
	must(set != NULL);
	return set;
}

static void fuzz_claims(struct span in, struct arena *a, bool here)
{
	struct vars vars = {.v = {[VAR_USER] = SPAN_LIT("tim")}};
	struct question q = {.vars = &vars, .arena = a, .entry = {.fields = fields_in(a)}};
	struct oauth2_token t = {.set = settings(a), .q = &q, .fields = fields_in(a)};
	json_t *json = json_loadb(in.ptr, in.len, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(json) && oauth2_claims_take(&t, json, here) == VERDICT_OK) {
		oauth2_claims_suffice(&t);
		enum verdict v = oauth2_claims_judge(&t);
		struct span name = fields_get(&t.fields, "email");
		must(v != VERDICT_OK || (t.audience_seen && span_eq_ci(name, SPAN_LIT("tim"))));
		must(v == VERDICT_OK || q.err.text[0] != '\0');
	}
	json_decref(json);
}

static void fuzz_key(struct span in, struct arena *a)
{
	struct oauth2_key key;
	struct err err = {0};
	json_t *json = json_loadb(in.ptr, in.len, 0, NULL);
	if (oauth2_key_of_jwk(&key, json, a)) {
		for (size_t i = 0; i < ARRAY_LEN(algs); i++)
			must(!oauth2_key_verifies(&key, &algs[i], in, SPAN_LIT("0123456789")));
	}
	oauth2_key_free(&key);
	json_decref(json);
	if (oauth2_key_of_file(&key, oauth2_alg_find(SPAN_LIT("RS256")), in, a, &err))
		must(!oauth2_key_is_for(&key, oauth2_alg_find(SPAN_LIT("HS256"))));
	oauth2_key_free(&key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = {0};
	if (size == 0)
		return 0;
	/* its own allocation, so that reading past its end is seen */
	char *copy = malloc(size);
	memcpy(copy, data + 1, size - 1);
	struct span in = span_make(copy, size - 1);
	switch (data[0] % 4) {
	case 0:
		fuzz_token(in, &a);
		break;
	case 1:
	case 2:
		fuzz_claims(in, &a, data[0] % 4 == 1);
		break;
	default:
		fuzz_key(in, &a);
	}
	free(copy);
	arena_free(&a);
	return 0;
}
