/*
 * OTP: the vectors of RFC 2289 appendix C, the exchange of RFC 2444, and what
 * must not let anybody in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/encode.h"
#include "base/otp.h"
#include "tests/unit/mech-kit.h"

static const struct vector {
	const char *hash, *password, *seed;
	unsigned count;
	const char *hex, *words;
} vectors[] = {
    {"md4", "This is a test.", "TeSt", 0, "D185 4218 EBBB 0B51", "ROME MUG FRED SCAN LIVE LACE"},
    {"md4", "This is a test.", "TeSt", 1, "6347 3EF0 1CD0 B444", "CARD SAD MINI RYE COL KIN"},
    {"md4", "This is a test.", "TeSt", 99, "C5E6 1277 6E6C 237A", "NOTE OUT IBIS SINK NAVE MODE"},
    {"md4", "AbCdEfGhIjK", "alpha1", 0, "5007 6F47 EB1A DE4E", "AWAY SEN ROOK SALT LICE MAP"},
    {"md4", "AbCdEfGhIjK", "alpha1", 1, "65D2 0D19 49B5 F7AB", "CHEW GRIM WU HANG BUCK SAID"},
    {"md4", "AbCdEfGhIjK", "alpha1", 99, "D150 C82C CE6F 62D1", "ROIL FREE COG HUNK WAIT COCA"},
    {"md4", "OTP's are good", "correct", 0, "849C 79D4 F6F5 5388", "FOOL STEM DONE TOOL BECK NILE"},
    {"md4", "OTP's are good", "correct", 1, "8C09 92FB 2508 47B1", "GIST AMOS MOOT AIDS FOOD SEEM"},
    {"md4", "OTP's are good", "correct", 99, "3F3B F4B4 145F D74B", "TAG SLOW NOV MIN WOOL KENO"},
    {"md5", "This is a test.", "TeSt", 0, "9E87 6134 D904 99DD", "INCH SEA ANNE LONG AHEM TOUR"},
    {"md5", "This is a test.", "TeSt", 1, "7965 E054 36F5 029F", "EASE OIL FUM CURE AWRY AVIS"},
    {"md5", "This is a test.", "TeSt", 99, "50FE 1962 C496 5880", "BAIL TUFT BITS GANG CHEF THY"},
    {"md5", "AbCdEfGhIjK", "alpha1", 0, "8706 6DD9 644B F206", "FULL PEW DOWN ONCE MORT ARC"},
    {"md5", "AbCdEfGhIjK", "alpha1", 1, "7CD3 4C10 40AD D14B", "FACT HOOF AT FIST SITE KENT"},
    {"md5", "AbCdEfGhIjK", "alpha1", 99, "5AA3 7A81 F212 146C", "BODE HOP JAKE STOW JUT RAP"},
    {"md5", "OTP's are good", "correct", 0, "F205 7539 43DE 4CF9", "ULAN NEW ARMY FUSE SUIT EYED"},
    {"md5", "OTP's are good", "correct", 1, "DDCD AC95 6F23 4937", "SKIM CULT LOB SLAM POE HOWL"},
    {"md5", "OTP's are good", "correct", 99, "B203 E28F A525 BE47", "LONG IVY JULY AJAR BOND LEE"},
    {"sha1", "This is a test.", "TeSt", 0, "BB9E 6AE1 979D 8FF4", "MILT VARY MAST OK SEES WENT"},
    {"sha1", "This is a test.", "TeSt", 1, "63D9 3663 9734 385B", "CART OTTO HIVE ODE VAT NUT"},
    {"sha1", "This is a test.", "TeSt", 99, "87FE C776 8B73 CCF9", "GAFF WAIT SKID GIG SKY EYED"},
    {"sha1", "AbCdEfGhIjK", "alpha1", 0, "AD85 F658 EBE3 83C9", "LEST OR HEEL SCOT ROB SUIT"},
    {"sha1", "AbCdEfGhIjK", "alpha1", 1, "D07C E229 B5CF 119B", "RITE TAKE GELD COST TUNE RECK"},
    {"sha1", "AbCdEfGhIjK", "alpha1", 99, "27BC 7103 5AAF 3DC6", "MAY STAR TIN LYON VEDA STAN"},
    {"sha1", "OTP's are good", "correct", 0, "D51F 3E99 BF8E 6F0B",
	"RUST WELT KICK FELL TAIL FRAU"},
    {"sha1", "OTP's are good", "correct", 1, "82AE B52D 9437 74E4", "FLIT DOSE ALSO MEW DRUM DEFY"},
    {"sha1", "OTP's are good", "correct", 99, "4F29 6A74 FE15 67EC",
	"AURA ALOE HURL WING BERG WAIT"},
};

static void make_link(const struct vector *v, unsigned count, uint8_t out[OTP_LEN])
{
	struct otp o = {.hash = otp_hash_find(span_of(v->hash)), .seed = span_of(v->seed)};
	assert_non_null(o.hash);
	otp_first(&o, secret_of(span_of(v->password)), out);
	for (unsigned i = 0; i < count; i++)
		otp_next(&o, out);
}

static void test_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		uint8_t made[OTP_LEN], hex[OTP_LEN], words[OTP_LEN];
		make_link(&vectors[i], vectors[i].count, made);
		assert_true(otp_from_hex(span_of(vectors[i].hex), hex));
		assert_true(otp_from_words(span_of(vectors[i].words), words));
		assert_memory_equal(made, hex, OTP_LEN);
		assert_memory_equal(words, hex, OTP_LEN);
	}
}

static void test_bad_words(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "ROME", "ROME MUG FRED SCAN LIVE",
	    "ROME MUG FRED SCAN LIVE LADY" /* the checksum */, "ROME MUG FRED SCAN LIVE LACE A",
	    "ROME MUG FRED SCAN LIVE XXXX", "ROMEO MUG FRED SCAN LIVE LACE", "A A A A A A A"};
	uint8_t out[OTP_LEN];
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(otp_from_words(span_of(bad[i]), out));
	assert_true(otp_from_words(SPAN_LIT(" rome\tmug Fred scan live  lace "), out));
	assert_false(otp_from_hex(SPAN_LIT("d1854218ebbb0b5"), out));
	assert_false(otp_from_hex(SPAN_LIT("d1854218ebbb0b511"), out));
	assert_false(otp_from_hex(SPAN_LIT("d1854218ebbb0b5g"), out));
}

/* ---- the exchange ---- */

static const struct vector user = {"md5", "This is a test.", "ke1234", 0, NULL, NULL};

static struct span hex_link(struct mech_run *r, const struct vector *v, unsigned count)
{
	uint8_t out[OTP_LEN];
	make_link(v, count, out);
	return hex_encode_arena(&r->arena, span_make(out, OTP_LEN));
}

static struct secret stored(struct mech_run *r, const struct vector *v, unsigned sequence)
{
	return secret_of(arena_printf(
	    &r->arena, "%s %u %s %s", v->hash, sequence, v->seed, hex_link(r, v, sequence).ptr));
}

/* Up to the challenge, "otp-md5 498 ke1234 ext". */
static void challenge(struct mech_run *r)
{
	mech_begin(r, "OTP");
	assert_int_equal(mech_message(r, SPAN_LIT("\0tim")), MECH_CREDENTIAL);
	assert_string_equal(r->io.scheme, "OTP");
	assert_true(span_eq_str(r->io.user, "tim"));
	assert_int_equal(mech_credential(r, VERDICT_OK, stored(r, &user, 499)), MECH_CLIENT);
	assert_true(mech_said(r, "otp-md5 498 ke1234 ext"));
}

static enum mech_next answer(struct mech_run *r, const char *kind, struct span text)
{
	return mech_message(r, arena_printf(&r->arena, "%s%.*s", kind, SPAN_ARG(text)));
}

static void test_login(void **state)
{
	(void)state;
	struct mech_run r;
	challenge(&r);
	assert_int_equal(answer(&r, "hex:", hex_link(&r, &user, 498)), MECH_STORE);
	assert_true(secret_eq(r.io.replacement, stored(&r, &user, 498)));
	assert_int_equal(mech_verdict(&r, VERDICT_OK), MECH_DONE);
	mech_end(&r);
	/* somebody was quicker, or nobody knows */
	for (int i = 0; i < 2; i++) {
		challenge(&r);
		assert_int_equal(answer(&r, "HEX:", hex_link(&r, &user, 498)), MECH_STORE);
		enum verdict v = i == 0 ? VERDICT_MISMATCH : VERDICT_INTERNAL;
		assert_int_equal(mech_verdict(&r, v), MECH_FAIL);
		mech_end(&r);
	}
}

static void test_words(void **state)
{
	(void)state;
	struct mech_run r;
	const struct vector *v = &vectors[11]; /* md5 99 TeSt */
	mech_begin(&r, "OTP");
	assert_int_equal(mech_message(&r, SPAN_LIT("\0tim")), MECH_CREDENTIAL);
	assert_int_equal(mech_credential(&r, VERDICT_OK, stored(&r, v, 100)), MECH_CLIENT);
	assert_true(mech_said(&r, "otp-md5 99 TeSt ext"));
	assert_int_equal(answer(&r, "word:", span_of(v->words)), MECH_STORE);
	mech_end(&r);
}

static void test_new_chain(void **state)
{
	(void)state;
	static const struct vector next = {"sha1", "another one", "ke1235", 0, NULL, NULL};
	struct mech_run r;
	challenge(&r);
	struct span text = arena_printf(&r.arena, "init-hex:%s:sha1 2000 ke1235:%s",
	    hex_link(&r, &user, 498).ptr, hex_link(&r, &next, 2000).ptr);
	assert_int_equal(mech_message(&r, text), MECH_STORE);
	assert_true(secret_eq(r.io.replacement, stored(&r, &next, 2000)));
	assert_int_equal(mech_verdict(&r, VERDICT_OK), MECH_DONE);
	mech_end(&r);
	challenge(&r);
	text = arena_printf(&r.arena, "init-word:%s:md5 99 TeSt:%s", "ROME MUG FRED SCAN LIVE LACE",
	    "BAIL TUFT BITS GANG CHEF THY");
	assert_int_equal(mech_message(&r, text), MECH_FAIL); /* the current one is wrong */
	mech_end(&r);
}

static void test_refused_answers(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "hex", "hex:", "hex:0123456789abcdef",
	    "word:ROME MUG FRED SCAN LIVE LACE", "word:", "plain:x", "init-hex:", "init-hex:%s",
	    "init-hex:%s:", "init-hex:%s:md5 499 x1:", "init-hex:%s:md5 499 x1:00",
	    "init-hex:%s:md6 499 x1:0123456789abcdef", "init-hex:%s:md5 10000 x1:0123456789abcdef",
	    "init-hex:%s:md5 0 x1:0123456789abcdef", "init-hex:%s:md5 5 :0123456789abcdef",
	    "init-hex:%s:md5 5 x1 y:0123456789abcdef", "init-hex:%s:md5 5 x1:0123456789abcdef:",
	    "init-hex:%s:md5 9 seventeenletters1:0123456789abcdef",
	    "init-hex:%s:md5 9 KE1234:0123456789abcdef" /* the old seed */};
	struct mech_run r;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		challenge(&r);
		struct span text = arena_printf(&r.arena, bad[i], hex_link(&r, &user, 498).ptr);
		if (mech_message(&r, text) != MECH_FAIL)
			fail_msg("%s", bad[i]);
		mech_end(&r);
	}
	/* the one that was used last, and the one after the next */
	for (unsigned count = 497; count <= 499; count += 2) {
		challenge(&r);
		assert_int_equal(answer(&r, "hex:", hex_link(&r, &user, count)), MECH_FAIL);
		mech_end(&r);
	}
}

static void test_refused_names(void **state)
{
	(void)state;
	static const struct span bad[] = {
	    {"tim", 3}, {"", 0}, {"\0", 1}, {"\0tim\0", 5}, {"a\0", 2}};
	struct mech_run r;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		mech_begin(&r, "OTP");
		assert_int_equal(mech_message(&r, bad[i]), MECH_FAIL);
		mech_end(&r);
	}
}

static void test_refused_values(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "x", "md5 0 ke1234 0123456789abcdef",
	    "md5 499 ke1234 0123456789abcde", "md5 10000 ke1234 0123456789abcdef",
	    "md6 499 ke1234 0123456789abcdef", "md5 499  0123456789abcdef",
	    "md5 499 ke\t34 0123456789abcdef"};
	struct mech_run r;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		mech_begin(&r, "OTP");
		assert_int_equal(mech_message(&r, SPAN_LIT("\0tim")), MECH_CREDENTIAL);
		assert_int_equal(
		    mech_credential(&r, VERDICT_OK, secret_of(span_of(bad[i]))), MECH_FAIL);
		mech_end(&r);
	}
	mech_begin(&r, "OTP");
	assert_int_equal(mech_message(&r, SPAN_LIT("\0tim")), MECH_CREDENTIAL);
	assert_int_equal(mech_credential(&r, VERDICT_INTERNAL, SECRET_NULL), MECH_FAIL);
	mech_end(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_vectors),
	    cmocka_unit_test(test_bad_words),
	    cmocka_unit_test(test_login),
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_new_chain),
	    cmocka_unit_test(test_refused_answers),
	    cmocka_unit_test(test_refused_names),
	    cmocka_unit_test(test_refused_values),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
