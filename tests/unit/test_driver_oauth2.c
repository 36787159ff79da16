/*
 * JSON Web Tokens and their keys, the examples of RFC 7515 and RFC 8037, and
 * all that must not let in; what settings may say. No provider is asked here:
 * tests/e2e/test_driver_oauth2.py does that.
 */
#include "tests/unit/oauth2-kit.h"

#define COMMON "issuers = https://id.example\naudience = mail\nusername_attribute = email\n"
#define DICT COMMON "local_validation_key_dict = fs:posix:prefix=DIR/keys/\n"
#define JWKS COMMON "local_validation_jwks = DIR/jwks.json\n"
#define BODY "\"iss\":\"https://id.example\",\"aud\":\"mail\",\"email\":\"tim\""

/* ---- the driver on a file of settings ---- */

static const struct oauth2_settings *parse(struct kit *k, const char *text, struct err *err)
{
	struct buffer b = {0};
	const char *at;
	kit_close(k);
	while ((at = strstr(text, "DIR")) != NULL) {
		buffer_append(&b, span_make(text, (size_t)(at - text)));
		buffer_append_str(&b, k->dir);
		text = at + 3;
	}
	buffer_append_str(&b, text);
	const struct oauth2_settings *set = driver_args_parse(&spec_oauth2, SPAN_LIT("/x.conf.ext"),
	    arena_dup(&k->arena, buffer_span(&b)), &k->arena, err);
	buffer_free(&b);
	return set;
}

static void make_directory(struct kit *k, const char *name)
{
	char command[400];
	snprintf(command, sizeof(command), "mkdir -p '%s/%s'", k->dir, name);
	assert_int_equal(system(command), 0);
}

static void open_with(struct kit *k, const char *text)
{
	struct err err = {0};
	const struct oauth2_settings *set = parse(k, text, &err);
	if (set == NULL)
		fail_msg("%s", err.text);
	k->driver = &authd_driver;
	k->state = authd_driver.open(set, &err);
	assert_non_null(k->state);
	if (set->key_dir == NULL)
		return;
	make_directory(k, "keys/default/HS256");
	kit_write(k, "keys/default/HS256/default", HMAC_FILE);
}

static enum verdict ask_about(struct kit *k, const char *user, struct span token)
{
	struct span kept = arena_dup(&k->arena, token);
	arena_reset(&k->answer);
	k->vars.v[VAR_USER] = span_of(user);
	k->vars.v[VAR_MECH] = SPAN_LIT("OAUTHBEARER");
	k->q = (struct question){
	    .kind = ASK_VERIFY,
	    .vars = &k->vars,
	    .password = secret_of(kept),
	    .arena = &k->answer,
	    .entry = {.fields = fields_in(&k->answer)},
	    .tell = fields_in(&k->answer),
	};
	return k->driver->ask(k->state, &k->q);
}

static const char *told(struct kit *k)
{
	return arena_cstr(&k->answer, fields_get(&k->q.tell, "status"));
}

static struct span hs256(struct kit *k, const char *claims)
{
	return token_of(&k->arena, "HS256", "{\"alg\":\"HS256\"}",
	    arena_printf(&k->arena, "{%s}", claims), NULL, HMAC_KEY);
}

/* exp is relative to now */
static struct span ending(struct kit *k, long exp, const char *more)
{
	const char *claims =
	    arena_printf(&k->arena, BODY ",\"exp\":%ld%s", (long)time(NULL) + exp, more).ptr;
	return hs256(k, claims);
}

static void refused(struct kit *k, struct span token)
{
	enum verdict v = ask_about(k, "tim", token);
	if (v != VERDICT_MISMATCH)
		fail_msg("%s for %.*s", verdict_name(v), SPAN_ARG(token));
	assert_string_not_equal(k->q.err.text, "");
	assert_string_equal(told(k), "invalid_token");
}

/* ---- keys and signatures ---- */

#define ES256_TOKEN                                                                                \
	"eyJhbGciOiJFUzI1NiJ9"                                                                     \
	".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ij"  \
	"p0cnVlfQ"
#define RS256_TOKEN                                                                                \
	"eyJhbGciOiJSUzI1NiJ9"                                                                     \
	".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ij"  \
	"p0cnVlfQ"

/* RFC 7515 A.2 and A.3, RFC 8037 A.4 */
static const struct {
	const char *alg, *jwk, *text, *signature;
} vectors[] = {
    {"RS256",
	"{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-"
	"Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_"
	"7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb"
	"3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FR"
	"WyuXpoQ\",\"e\":\"AQAB\"}",
	RS256_TOKEN,
	"cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2F"
	"p5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQB"
	"MHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeY"
	"I2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"},
    {"ES256",
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
	"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
	ES256_TOKEN,
	"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
    {"EdDSA",
	"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"
	"7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
	"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
	"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"},
};

static void test_rfc_vectors(void **state)
{
	struct arena *a = &((struct kit *)*state)->arena;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		struct oauth2_key key;
		json_t *jwk = json_loads(vectors[i].jwk, 0, NULL);
		const struct oauth2_alg *alg = oauth2_alg_find(span_of(vectors[i].alg));
		assert_true(oauth2_key_of_jwk(&key, jwk, a));
		struct span sig = base64url_decode(a, span_of(vectors[i].signature));
		struct span text = arena_dup(a, span_of(vectors[i].text));
		assert_true(oauth2_key_verifies(&key, alg, text, sig));
		((char *)(uintptr_t)text.ptr)[text.len / 2] ^= 1;
		assert_false(oauth2_key_verifies(&key, alg, text, sig));
		assert_false(oauth2_key_verifies(&key, alg, text, span_first(sig, sig.len - 1)));
		assert_false(oauth2_key_verifies(&key, alg, text, SPAN_LIT("")));
		oauth2_key_free(&key);
		json_decref(jwk);
	}
}

/* RFC 7515 A.1 */
static void test_rfc_hmac(void **state)
{
	struct arena *a = &((struct kit *)*state)->arena;
	struct span text = SPAN_LIT("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
				    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQ"
				    "ogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ");
	struct oauth2_key key = {
	    .hmac = secret_of(base64url_decode(a,
		SPAN_LIT("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuT"
			 "wjAzZr1Z9CAow"))),
	};
	struct span sig =
	    base64url_decode(a, SPAN_LIT("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
	assert_true(oauth2_key_verifies(&key, oauth2_alg_find(SPAN_LIT("HS256")), text, sig));
	assert_false(oauth2_key_verifies(&key, oauth2_alg_find(SPAN_LIT("HS384")), text, sig));
	assert_false(oauth2_key_verifies(&key, oauth2_alg_find(SPAN_LIT("RS256")), text, sig));
	assert_false(oauth2_key_verifies(
	    &key, oauth2_alg_find(SPAN_LIT("HS256")), text, span_first(sig, 16)));
}

static const char *const public_algs[] = {
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"};

static struct span signed_with(struct kit *k, const char *alg, const char *header)
{
	const char *head =
	    header != NULL ? header : arena_printf(&k->arena, "{\"alg\":\"%s\"}", alg).ptr;
	struct span claims =
	    arena_printf(&k->arena, "{" BODY ",\"exp\":%ld}", (long)time(NULL) + 600);
	return token_of(&k->arena, alg, head, claims, key_for(alg), NULL);
}

static void write_set(struct kit *k, const char *keys)
{
	kit_write(k, "jwks.json", arena_printf(&k->arena, "{\"keys\":[%s]}", keys).ptr);
}

static void test_every_algorithm(void **state)
{
	struct kit *k = *state;
	open_with(k, JWKS);
	for (size_t i = 0; i < ARRAY_LEN(public_algs); i++) {
		const char *alg = public_algs[i];
		write_set(k, jwk_of(&k->arena, key_for(alg), "").ptr);
		struct span good = signed_with(k, alg, NULL);
		assert_int_equal(ask_about(k, "tim", good), VERDICT_OK);
		for (size_t j = 0; j < ARRAY_LEN(public_algs); j++) {
			const char *head =
			    arena_printf(&k->arena, "{\"alg\":\"%s\"}", public_algs[j]).ptr;
			if (i != j)
				refused(k, signed_with(k, alg, head));
		}
		bool es256 = strcmp(alg, "ES256") == 0;
		open_with(k, es256 ? JWKS "local_validation_algorithms = RS256 HS256\n"
				   : JWKS "local_validation_algorithms = ES256\n");
		write_set(k, jwk_of(&k->arena, key_for(alg), "").ptr);
		refused(k, signed_with(k, alg, NULL));
		open_with(k, JWKS);
		good = signed_with(k, alg, NULL);
		/* the key says that it is for another one */
		write_set(k, jwk_of(&k->arena, key_for(alg), ",\"alg\":\"RS1\"").ptr);
		refused(k, good);
	}
}

/* As Dovecot's dict has them, with and without "shared" in the path. */
static void test_keys_in_files(void **state)
{
	struct kit *k = *state;
	open_with(k, DICT);
	for (size_t i = 0; i < ARRAY_LEN(public_algs); i++) {
		const char *alg = public_algs[i];
		const char *dir =
		    arena_printf(&k->arena, "keys/%sdefault/%s", i % 2 == 0 ? "" : "shared/", alg)
			.ptr;
		struct span pem = pem_of(&k->arena, key_for(alg));
		make_directory(k, dir);
		refused(k, signed_with(k, alg, NULL)); /* no key */
		kit_write(k, arena_printf(&k->arena, "%s/default", dir).ptr, pem.ptr);
		assert_int_equal(ask_about(k, "tim", signed_with(k, alg, NULL)), VERDICT_OK);
		const char *head =
		    arena_printf(&k->arena, "{\"alg\":\"%s\",\"kid\":\"a/b\"}", alg).ptr;
		refused(k, signed_with(k, alg, head));
		kit_write(k, arena_printf(&k->arena, "%s/a%%2fb", dir).ptr, pem.ptr);
		assert_int_equal(ask_about(k, "tim", signed_with(k, alg, head)), VERDICT_OK);
		kit_write(k, arena_printf(&k->arena, "%s/default", dir).ptr, "no key");
		assert_int_equal(ask_about(k, "tim", signed_with(k, alg, NULL)), VERDICT_INTERNAL);
	}
	/* of a client of its own */
	make_directory(k, "keys/app/HS256");
	kit_write(k, "keys/app/HS256/default", HMAC_FILE);
	kit_write(k, "keys/default/HS256/default", "b3RoZXI=");
	refused(k, ending(k, 600, ""));
	assert_int_equal(ask_about(k, "tim", ending(k, 600, ",\"azp\":\"app\"")), VERDICT_OK);
}

/* A public key is no shared secret, and there is no "none". */
static void test_forged(void **state)
{
	static const char *const heads[] = {"{\"alg\":\"none\"}", "{\"alg\":\"None\"}",
	    "{\"alg\":\"\"}", "{\"alg\":null}", "{}", "{\"alg\":[\"HS256\"]}",
	    "{\"alg\":\"hs256\"}", "{\"alg\":\"HS256\\u0000\"}", "{\"alg\":\"RS1\"}",
	    "{\"alg\":\"A128KW\"}"};
	struct kit *k = *state;
	struct span claims =
	    arena_printf(&k->arena, "{" BODY ",\"exp\":%ld}", (long)time(NULL) + 600);
	for (int set = 0; set < 2; set++) {
		open_with(k, set ? JWKS : DICT);
		claims = arena_printf(&k->arena, "{" BODY ",\"exp\":%ld}", (long)time(NULL) + 600);
		struct span jwk = jwk_of(&k->arena, key_for("RS256"), "");
		struct span pem = pem_of(&k->arena, key_for("RS256"));
		write_set(k, jwk.ptr);
		for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
			refused(k, token_of(&k->arena, "", heads[i], claims, NULL, NULL));
			refused(k, token_of(&k->arena, "HS256", heads[i], claims, NULL, HMAC_KEY));
		}
		refused(
		    k, token_of(&k->arena, "HS256", "{\"alg\":\"HS256\"}", claims, NULL, pem.ptr));
		refused(
		    k, token_of(&k->arena, "HS256", "{\"alg\":\"HS256\"}", claims, NULL, jwk.ptr));
		refused(k, token_of(&k->arena, "HS256", "{\"alg\":\"HS256\"}", claims, NULL, ""));
		refused(
		    k, token_of(&k->arena, "HS256", "{\"alg\":\"RS256\"}", claims, NULL, HMAC_KEY));
	}
	/* somebody put a public key where a shared secret belongs: nobody decides with that */
	open_with(k, DICT);
	struct span pem = pem_of(&k->arena, key_for("RS256"));
	kit_write(k, "keys/default/HS256/default", pem.ptr);
	assert_int_equal(ask_about(k, "tim", ending(k, 600, "")), VERDICT_INTERNAL);
	struct span forged = token_of(&k->arena, "HS256", "{\"alg\":\"HS256\"}",
	    arena_printf(&k->arena, "{" BODY ",\"exp\":%ld}", (long)time(NULL) + 600), NULL,
	    pem.ptr);
	assert_int_equal(ask_about(k, "tim", forged), VERDICT_INTERNAL);
}

static void test_sets_of_keys(void **state)
{
	struct kit *k = *state;
	struct arena *a = &k->arena;
	open_with(k, JWKS);
	struct span token = signed_with(k, "ES256", "{\"alg\":\"ES256\",\"kid\":\"b\"}");
	struct span nameless = signed_with(k, "ES256", NULL);
	const char *good = jwk_of(a, key_for("ES256"), ",\"kid\":\"b\"").ptr;
	EVP_PKEY *other_key = EVP_EC_gen("P-256"), *short_key = EVP_RSA_gen(1024);
	const char *other = jwk_of(a, other_key, ",\"kid\":\"a\"").ptr;
	assert_int_equal(ask_about(k, "tim", token), VERDICT_INTERNAL); /* no file */
	write_set(k, arena_printf(a, "%s,{\"kty\":\"X\"},3,%s", other, good).ptr);
	assert_int_equal(ask_about(k, "tim", token), VERDICT_OK);
	assert_int_equal(ask_about(k, "tim", nameless), VERDICT_OK);
	/* not a set: what was there stays */
	kit_write(k, "jwks.json", "{\"keys\":[{\"kty\":");
	assert_int_equal(ask_about(k, "tim", token), VERDICT_OK);
	/* rotated */
	write_set(k, other);
	refused(k, token);
	refused(k, nameless);
	write_set(k, jwk_of(a, other_key, ",\"kid\":\"b\"").ptr);
	refused(k, token);
	/* for encryption, or for signing only */
	write_set(k, arena_printf(a, "%s,%s", other,
			 jwk_of(a, key_for("ES256"), ",\"kid\":\"b\",\"use\":\"enc\"").ptr)
			 .ptr);
	refused(k, token);
	write_set(k, arena_printf(a, "%s,%s", other,
			 jwk_of(a, key_for("ES256"), ",\"kid\":\"b\",\"key_ops\":[\"sign\"]").ptr)
			 .ptr);
	refused(k, token);
	/* too short, and a shared secret in public */
	write_set(k, arena_printf(a, "%s,{\"kty\":\"oct\",\"k\":\"%s\"}",
			 jwk_of(a, short_key, "").ptr, b64url(a, SPAN_LIT(HMAC_KEY)).ptr)
			 .ptr);
	struct span claims = arena_printf(a, "{" BODY ",\"exp\":%ld}", (long)time(NULL) + 600);
	refused(k, token_of(a, "RS256", "{\"alg\":\"RS256\"}", claims, short_key, NULL));
	refused(k, token_of(a, "HS256", "{\"alg\":\"HS256\"}", claims, NULL, HMAC_KEY));
	EVP_PKEY_free(other_key);
	EVP_PKEY_free(short_key);
}

/* ---- what is in a token ---- */

static void test_times(void **state)
{
	struct kit *k = *state;
	char more[100];
	long now = (long)time(NULL);
	open_with(k, DICT);
	assert_int_equal(ask_about(k, "tim", ending(k, 600, "")), VERDICT_OK);
	assert_in_range(k->q.keep_ms, 598000, 600000);
	assert_int_equal(ask_about(k, "tim", ending(k, -30, "")), VERDICT_OK);
	assert_true(k->q.keep_ms < 0); /* not for the cache */
	refused(k, ending(k, -61, ""));
	snprintf(more, sizeof(more), ",\"nbf\":%ld,\"iat\":%ld", now + 30, now + 30);
	assert_int_equal(ask_about(k, "tim", ending(k, 600, more)), VERDICT_OK);
	snprintf(more, sizeof(more), ",\"nbf\":%ld", now + 90);
	refused(k, ending(k, 600, more));
	snprintf(more, sizeof(more), ",\"iat\":%ld", now + 90);
	refused(k, ending(k, 600, more));
	refused(k, hs256(k, BODY));
	refused(k, hs256(k, BODY ",\"exp\":0"));
	refused(k, hs256(k, BODY ",\"exp\":-9223372036854775808"));
	refused(k, hs256(k, BODY ",\"exp\":1e300"));
	refused(k, hs256(k, BODY ",\"exp\":9223372036854775807"));
	refused(k, hs256(k, BODY ",\"exp\":\"9999999999\""));
	refused(k, hs256(k, BODY ",\"exp\":null"));
	refused(k, hs256(k, BODY ",\"exp\":true"));
	assert_int_equal(ask_about(k, "tim", hs256(k, BODY ",\"exp\":9.9e9")), VERDICT_OK);
}

static void test_issuer_and_audience(void **state)
{
#define EXP ",\"exp\":9999999999"
	static const char *const bad[] = {"\"aud\":\"mail\"", "\"iss\":\"https://id.example\"",
	    "\"iss\":\"https://id.example/\",\"aud\":\"mail\"",
	    "\"iss\":[\"https://id.example\"],\"aud\":\"mail\"",
	    "\"iss\":\"https://id.example\",\"aud\":\"mai\"",
	    "\"iss\":\"https://id.example\",\"aud\":[]",
	    "\"iss\":\"https://id.example\",\"aud\":[\"calendar\",3]",
	    "\"iss\":\"https://id.example\",\"aud\":{\"mail\":1}",
	    "\"iss\":\"https://id.example\",\"aud\":\"mail x\"", "\"iss\":\"\",\"aud\":\"mail\""};
	struct kit *k = *state;
	open_with(k, DICT);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		refused(
		    k, hs256(k, arena_printf(&k->arena, "%s,\"email\":\"tim\"" EXP, bad[i]).ptr));
	assert_int_equal(ask_about(k, "tim",
			     hs256(k, "\"iss\":\"https://id.example\",\"email\":\"tim\","
				      "\"aud\":[\"x\",\"mail\"]" EXP)),
	    VERDICT_OK);
	/* the one that the discovery document belongs to, and authd's own name there */
	open_with(k,
	    "openid_configuration_url = https://id.example/.well-known/openid-configuration\n"
	    "client_id = mail\nlocal_validation_key_dict = fs:posix:prefix=DIR/keys\n");
	assert_int_equal(ask_about(k, "tim", hs256(k, BODY EXP)), VERDICT_OK);
	refused(k, hs256(k, "\"iss\":\"https://other\",\"aud\":\"mail\",\"email\":\"tim\"" EXP));
	refused(k, hs256(k, "\"iss\":\"https://id.example\",\"aud\":\"x\",\"email\":\"tim\"" EXP));
	refused(k, hs256(k, "\"iss\":\"https://id.example\",\"email\":\"tim\"" EXP));
}

static void test_users(void **state)
{
	struct kit *k = *state;
	open_with(k, DICT);
	struct span token = hs256(k, "\"iss\":\"https://id.example\",\"aud\":\"mail\","
				     "\"email\":\"Tim@Example.com\"" EXP);
	assert_int_equal(ask_about(k, "tim@example.com", token), VERDICT_OK);
	assert_int_equal(ask_about(k, "TIM@example.COM", token), VERDICT_OK);
	assert_int_equal(ask_about(k, "tim", token), VERDICT_UNKNOWN_USER);
	assert_string_equal(told(k), "invalid_token");
	assert_int_equal(ask_about(k, "", token), VERDICT_UNKNOWN_USER);
	assert_int_equal(ask_about(k, "tim@example.com ", token), VERDICT_UNKNOWN_USER);
	/* not told who it is: nobody decides */
	static const char *const bad[] = {
	    "\"x\":1", "\"email\":\"\"", "\"email\":{}", "\"email\":null", "\"email\":[]"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		token =
		    hs256(k, arena_printf(&k->arena,
				 "\"iss\":\"https://id.example\",\"aud\":\"mail\",%s" EXP, bad[i])
				 .ptr);
		assert_int_equal(ask_about(k, "tim", token), VERDICT_INTERNAL);
	}
	/* what is inside does not stand in for it */
	open_with(k, DICT "username_attribute = preferred_username\n");
	token = hs256(
	    k, BODY EXP ",\"preferred_username\":\"tim\",\"preferred\":{\"username\":\"bob\"}");
	assert_int_equal(ask_about(k, "tim", token), VERDICT_OK);
	assert_int_equal(ask_about(k, "bob", token), VERDICT_UNKNOWN_USER);
	open_with(k, DICT "username_attribute = sub\nusername_format = %n\n");
	token = hs256(k, BODY EXP ",\"sub\":\"tim@a\"");
	assert_int_equal(ask_about(k, "tim@b", token), VERDICT_OK);
}

static void test_scope_and_lock(void **state)
{
	static const struct {
		const char *more;
		enum verdict want;
		const char *status;
	} cases[] = {
	    {"", VERDICT_DISABLED, "insufficient_scope"}, /* aud is not one of them */
	    {",\"scope\":\"imap\"", VERDICT_DISABLED, "invalid_token"},
	    {",\"scope\":\"x imap y\",\"on\":true", VERDICT_OK, ""},
	    {",\"scope\":[\"x\",\"smtp\"],\"on\":true", VERDICT_OK, ""},
	    {",\"scope\":\"x IMAP imapx\",\"on\":true", VERDICT_DISABLED, "insufficient_scope"},
	    {",\"scope\":\"imap\",\"on\":\"yes\"", VERDICT_DISABLED, "invalid_token"},
	    {",\"scope\":\"imap\",\"on\":true,\"active\":false", VERDICT_MISMATCH, "invalid_token"},
	    {",\"scope\":\"imap\",\"on\":true,\"active\":true", VERDICT_OK, ""},
	};
	struct kit *k = *state;
	open_with(k, DICT "scope = imap smtp\nactive_attribute = on\nactive_value = true\n");
	for (size_t i = 1; i < ARRAY_LEN(cases); i++) {
		struct span token =
		    hs256(k, arena_printf(&k->arena, BODY EXP "%s", cases[i].more).ptr);
		assert_int_equal(ask_about(k, "tim", token), cases[i].want);
		assert_string_equal(told(k), cases[i].status);
	}
	open_with(k, DICT "scope = imap\n");
	assert_int_equal(ask_about(k, "tim", hs256(k, BODY EXP)), cases[0].want);
	assert_string_equal(told(k), cases[0].status);
	assert_true(span_eq_str(fields_get(&k->q.tell, "scope"), "imap"));
}

static void test_fields(void **state)
{
	struct kit *k = *state;
	open_with(k, DICT "pass_attrs = user=%{oauth2:sub} email=x-%$ n=%{oauth2:num} flag "
			  "in=%{oauth2:address_city} list=%{oauth2:groups} b=%{oauth2:ok} "
			  "none=%{oauth2:none:default value} dir=%{oauth2:dir} "
			  "token=%{oauth2:access_token}\n");
	struct span token = hs256(k, BODY EXP
	    ",\"sub\":\"4711\",\"num\":-7,\"ok\":true,"
	    "\"address\":{\"city\":\"K\\u00f6ln\"},\"groups\":[\"a\",2,null,\"b\"],\"dir\":\"%u\"");
	assert_int_equal(ask_about(k, "tim", token), VERDICT_OK);
	assert_string_equal(kit_fields(k), arena_printf(&k->arena,
					       "user=4711 email=x-tim n=-7 flag in=K\xc3\xb6ln "
					       "list=a 2 b b=true none=default value "
					       "dir=%%u token=%s",
					       token.ptr)
					       .ptr);
}

/* ---- bytes that are no token ---- */

static void test_odd_tokens(void **state)
{
	struct kit *k = *state;
	open_with(k, DICT);
	static const char *const bad[] = {"", ".", "..", "...", "a", "a.b", "a.b.c", "a.b.c.d",
	    "e30..", "e30.e30.", "e30.e30.e30", "bnVsbA.e30.e30", "W10.e30.e30", "e30=.e30.e30",
	    " e30.e30.e30", "eyJhbGciOiJIUzI1NiJ9..", "eyJhbGciOiJIUzI1NiJ9.e30.",
	    "eyJhbGciOiJIUzI1NiJ9.bm8.AAAA", "eyJhbGciOiJIUzI1NiJ9.e30.AAAA",
	    "eyJhbGciOiJIUzI1NiJ9.e30.A", "caf\xc3\xa9", "a b"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		refused(k, span_of(bad[i]));
	static const char *const heads[] = {"{\"alg\":\"HS256\",\"alg\":\"HS256\"}",
	    "{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", "{\"alg\":\"HS256\",\"typ\":\"dpop+jwt\"}",
	    "{\"alg\":\"HS256\",\"typ\":7}", "{\"alg\":\"HS256\",\"kid\":7}",
	    "{\"alg\":\"HS256\",\"kid\":\"../HS256/default\"}", "{\"alg\":\"HS256\",\"kid\":\".\"}",
	    "{\"alg\":\"HS256\",\"kid\":\"\\u0000\"}"};
	struct span claims = SPAN_LIT("{" BODY EXP "}");
	for (size_t i = 0; i < ARRAY_LEN(heads); i++)
		refused(k, token_of(&k->arena, "HS256", heads[i], claims, NULL, HMAC_KEY));
	assert_int_equal(ask_about(k, "tim",
			     token_of(&k->arena, "HS256", "{\"alg\":\"HS256\",\"typ\":\"at+JWT\"}",
				 claims, NULL, HMAC_KEY)),
	    VERDICT_OK);
	refused(k, hs256(k, BODY EXP ",\"azp\":\"..\""));
	refused(k, hs256(k, BODY EXP ",\"azp\":\"../default\""));
	refused(k, hs256(k, BODY EXP ",\"email\":\"bob\""));
	refused(k, hs256(k, BODY EXP "} {"));
}

static void test_huge_tokens(void **state)
{
	struct kit *k = *state;
	struct buffer b = {0};
	open_with(k, DICT);
	for (int i = 0; i < 3000; i++)
		buffer_append_str(&b, "{\"a\":[");
	struct span deep = arena_dup(&k->arena, buffer_span(&b));
	refused(k, token_of(&k->arena, "HS256", "{\"alg\":\"HS256\"}", deep, NULL, HMAC_KEY));
	buffer_consume(&b, b.len);
	buffer_append_str(&b, "{" BODY EXP);
	for (int i = 0; i < 20000; i++)
		buffer_printf(&b, ",\"k%d\":{\"x\":{\"x\":{\"x\":{\"x\":{\"x\":%d}}}}}", i, i);
	buffer_append_str(&b, "}");
	struct span wide = arena_dup(&k->arena, buffer_span(&b));
	struct span token =
	    token_of(&k->arena, "HS256", "{\"alg\":\"HS256\"}", wide, NULL, HMAC_KEY);
	assert_int_equal(ask_about(k, "tim", token), VERDICT_OK);
	buffer_free(&b);
}

/* ---- settings ---- */

static void bad_settings(struct kit *k, const char *text, const char *error)
{
	struct err err = {0};
	if (parse(k, text, &err) != NULL)
		fail_msg("taken: %s", text);
	if (strstr(err.text, error) == NULL)
		fail_msg("%s: %s", text, err.text);
}

static void test_settings(void **state)
{
	struct kit *k = *state;
	struct err err = {0};
	bad_settings(k, "", "who is to judge a token");
	bad_settings(k, "grant_url = https://x/\n", "who is to judge a token");
	bad_settings(k, "use_grant_password = yes\n", "needs grant_url");
	bad_settings(k, "tokeninfo_url = ldap://x\n", "is no URL");
	bad_settings(k, "tokeninfo_ulr = https://x\n", "did you mean \"tokeninfo_url\"");
	bad_settings(
	    k, "tokeninfo_url = https://x\nforce_introspection = yes\n", "needs introspection_url");
	bad_settings(
	    k, "introspection_mode = local\nintrospection_url = https://x\n", "local needs");
	bad_settings(k, "local_validation_jwks = x\n", "neither an absolute path nor a URL");
	bad_settings(k, "local_validation_jwks = /x\naudience = a\n", "issuers is missing");
	bad_settings(k, "local_validation_jwks = /x\nissuers = a\n", "audience is missing");
	bad_settings(k, "local_validation_key_dict = redis:host=x\n", "only fs:posix");
	bad_settings(k, "local_validation_key_dict = fs:posix:prefix=x\n", "absolute path");
	bad_settings(
	    k, JWKS "local_validation_algorithms = RS256 none\n", "\"none\" is not one of");
	bad_settings(k, JWKS "pass_attrs = a=%{oauth3:x}\n", "oauth3");
	bad_settings(k, JWKS "pass_attrs = =x\n", "without a key");
	bad_settings(k, JWKS "username_attribute =\n", "names the user");
	bad_settings(k, JWKS "tls_cert_file = /x\n", "need each other");
	/* what Dovecot's own example has */
	const struct oauth2_settings *set = parse(k,
	    "tokeninfo_url = http://x/oauth?token=\n"
	    "introspection_url = http://a:b@x/me\nintrospection_mode = auth\nscope = something\n"
	    "username_attribute = username\nusername_format = %Lu\nactive_attribute =\n"
	    "active_value =\nclient_id = a\nclient_secret = b\nuse_grant_password = no\n"
	    "tls_ca_cert_file = /etc/ssl/certs/ca-certificates.crt\nrawlog_dir = /x\n"
	    "pass_attrs = pass=%{oauth2:access_token}\ntimeout_msecs = 5\ndebug = yes\n"
	    "max_parallel_connections = 10\nmax_pipelined_requests = 1\nmax_idle_time_msecs = 1\n"
	    "tls_allow_invalid_cert = no\nsend_auth_headers = yes\nforce_introspection = no\n",
	    &err);
	if (set == NULL)
		fail_msg("%s", err.text);
	assert_false(set->local);
	assert_int_equal(set->attr_count, 1);
	assert_int_equal(set->wanted_count, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_rfc_vectors),
	    T(test_rfc_hmac),
	    T(test_every_algorithm),
	    T(test_keys_in_files),
	    T(test_forged),
	    T(test_sets_of_keys),
	    T(test_times),
	    T(test_issuer_and_audience),
	    T(test_users),
	    T(test_scope_and_lock),
	    T(test_fields),
	    T(test_odd_tokens),
	    T(test_huge_tokens),
	    T(test_settings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
