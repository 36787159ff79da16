/*
 * Stored passwords made by other software, with the right password and a wrong
 * one: Dovecot's own, RFC examples, and what libxcrypt and argon2(1) wrote.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "schemes/scheme.h"

/* not ASCII, longer than a block of MD5 and than what bcrypt reads */
static const char long_password[] =
    "Gr\303\274\303\237e, 100 Jahre lang: 0123456789abcdefghijklmnopqrstuvwxyz"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

struct vector {
	const char *stored, *password, *user;
};

/* the vectors of the reference, password "test" where none is said */
static const struct vector reference[] = {
    {"{PLAIN}test", "test", "testuser1"},
    {"{CRYPT}//EsnG9FLTKjo", "test", "testuser1"},
    {"{PLAIN-MD4}db346d691d7acc4dc2625db19f9e3f52", "test", "testuser1"},
    {"{MD5}$1$wmyrgRuV$kImF6.9MAFQNHe23kq5vI/", "test", "testuser1"},
    {"{MD5-CRYPT}$1$GgvxyNz8$OjZhLh4P.gF1lxYEbLZ3e/", "test", "testuser1"},
    {"{SHA1}qUqP5cyxm6YcTAhz05Hph5gvu9M=", "test", "testuser1"},
    {"{SMD5}JTu1KRwptKZJg/RLd+6Vn5GUd0M=", "test", "testuser1"},
    {"{LDAP-MD5}CY9rzUYh03PK3k6DJie09g==", "test", "testuser1"},
    {"{SHA256}n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=", "test", "testuser1"},
    {"{SHA256.HEX}9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "test",
	"testuser1"},
    {"{SHA512}7iaw3Ur350mqGo7jwQrpkj9hiYB3Lkc/iBml1JQODbJ6wYX4oOHV+E+IvIh/1nsUNzLDBMxfqa2Ob1f1ACio/"
     "w==",
	"test", "testuser1"},
    {"{SSHA}H/zrDv8FXUu1JmwvVYijfrYEF34jVZcO", "test", "testuser1"},
    {"{PBKDF2}$1$bUnT4Pl7yFtYX0KU$5000$50a83cafdc517b9f46519415e53c6a858908680a", "test",
	"testuser1"},
    {"{CRAM-MD5}e02d374fde0dc75a17a557039a3a5338c7743304777dccd376f332bee68d2cf6", "test",
	"testuser1"},
    {"{DIGEST-MD5}77c1a8c437c9b08ba2f460fe5d58db5d", "test", "testuser1"},
    {"{SCRAM-SHA-1}4096,GetyLXdBuHzf1FWf8SLz2Q==,NA/"
     "OqmF4hhrsrB9KR7po+dliTGM=,QBiURvQaE6H6qYTmeghDHLANBFQ=",
	"test", "testuser1"},
    /* made with Python's hashlib */
    {"{SCRAM-SHA-512}4096,AAECAwQFBgcICQoLDA0ODw==,"
     "b21EIeVRdTOkbFqMuntyKjvr1oUxPzq9eJQd5qjcBAZH7ATLi+"
     "WdrFVCax6pLYhTGW2jDy5AMd0ICaRf+Bj5Pg==,IltuEzeYHLigat0hQ0GJBa+"
     "m8UkLqmt1Sc0FzDvXKjIfzvJjSOrH8VHFb3"
     "purzlbYHg677Zm1/mLYvBmnkvvuA==",
	"test", "testuser1"},
    {"{SCRAM-SHA-256}4096,LfNGSFqiFykEZ1xDAYlnKQ==,HACNf9CII7cMz3XjRy/"
     "Oh3Ae2LHApoDyNw74d3YtFws=,AQH0j7Hf8J12g8eNBadvzlNB2am3PxgNwFCFd3RxEaw=",
	"test", "testuser1"},
    {"{BLF-CRYPT}$2y$05$11ipvo5dR6CwkzwmhwM26OXgzXwhV2PyPuLV.Qi31ILcRcThQpEiW", "test",
	"testuser1"},
    {"{OTP}sha1 1024 ae6b49aa481f7233 f69fc7f98b8fbf54", "test", "testuser1"},
    {"{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$f2iuP4aUeNMrgu34fhOkkg$1XSZZMWlIs0zmE+"
     "snlUIcLADO3GXbA2O/hsQmmc317k",
	"test", "testuser1"},
    {"{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$vBb99oJ12p3WAdYlaMHz1A$jtFOtbo/sYV9OSlTxDo/"
     "nVNq3uArHd5GJSEx0ty85Cc",
	"test", "testuser1"},
    {"{ARGON2}$argon2id$v=19$m=65536,t=3,p=1$vBb99oJ12p3WAdYlaMHz1A$jtFOtbo/sYV9OSlTxDo/"
     "nVNq3uArHd5GJSEx0ty85Cc",
	"test", "testuser1"},
    {"{SHA512-CRYPT}$6$rounds=1000$0123456789abcdef$"
     "ZIAd5WqfyLkpvsVCVUU1GrvqaZTqvhJoouxdSqJO71l9Ld3tVrfOatEjarhghvEYADkq//LpDnTeO90tcbtHR1",
	"08/15!test~4711", "testuser1"},
    {"{SHA256-CRYPT}$5$rounds=1000$0123456789abcdef$K/DksR0DT01hGc8g/kt9McEgrbFMKi9qrb1jehe7hn4",
	"08/15!test~4711", "testuser1"},
    {"{DES-CRYPT}JBOZ0DgmtucwE", "08/15!test~4711", "testuser1"},
};

/* written by doveadm pw 2.3 */
static const struct vector dovecot[] = {
    {"{BLF-CRYPT}$2y$05$SRNBrZPqMlGFa0CLD78og.jXfz2wdt9lTl4MbsnZZYLxPV3oUqFaC", long_password,
	"joe"},
    {"{MD5-CRYPT}$1$f1Q9F60y$xxgf8vkBG0CAUxDyH4Mgk.", long_password, "joe"},
    {"{SHA256-CRYPT}$5$U7rhBbjG3owKb31I$7Ajx/mBYGl1DhArU7cx9ft4TRnS/MbpkZLuaMJDfY0.", long_password,
	"joe"},
    {"{SHA512-CRYPT}$6$pP4TAzTou0AOFmeE$wsBDrFz4r2QfiiU3LKC2r6bnuT2u8F.6ZsgpFa3f3Tn5Zf7Q5vwvF0/"
     "symYlliTswRnNVUF4vM2wNFr9jC.b9/",
	long_password, "joe"},
    {"{SHA}n5lzA9KTddW2xTFeZ0ZgKIASUms=", long_password, "joe"},
    {"{SHA256}E/Ux+A3qqqscbqhfUFjW0GbniG6wjeo6YVEUg7F9nWY=", long_password, "joe"},
    {"{SHA512}LeXWnuCyfirxkyLqAtrolbwNSdBeAVgraQAn97c4vJdf2+5zveNYttLgcY4oh9/"
     "fvtEvwo2v1Vni0liRTqp3IA==",
	long_password, "joe"},
    {"{SSHA}vZ/fX/d1FYy3TbZpb6/rKKjXo9Hj93+m", long_password, "joe"},
    {"{SSHA256}v7kIIgQzx1F1che4+aY3gltVvPlw+qvhy5pk9bOquW7SLqIl", long_password, "joe"},
    {"{SSHA512}GChWcTzPZx0JrEN847t5FWuXmVhmXtG+"
     "WNJgdzdVV9HCisl1QI8Sz3azFxtqjgg86u9YHak8FKGKRePNiUD5K2I3l1M=",
	long_password, "joe"},
    {"{SMD5}EWWbL4waMNqgVF/xLEQfGAiRz2k=", long_password, "joe"},
    {"{PLAIN-MD4}91a762aba354803c0f8eb9e7c265c80c", long_password, "joe"},
    {"{PLAIN-MD5}098dfb1c9760d39377650bfe00362d28", long_password, "joe"},
    {"{MD5}098dfb1c9760d39377650bfe00362d28", long_password, "joe"},
    {"{LDAP-MD5}CY37HJdg05N3ZQv+ADYtKA==", long_password, "joe"},
    {"{CRAM-MD5}9a05af0b5ed1a5b115ff8228673f7cb579615d2a8384956b4e6e9d4a4421993a", long_password,
	"joe"},
    {"{HMAC-MD5}9a05af0b5ed1a5b115ff8228673f7cb579615d2a8384956b4e6e9d4a4421993a", long_password,
	"joe"},
    {"{PBKDF2}$1$nhbpdlgFoOQ4fXE6$5000$60a21d1ee4cd635f74770fcf8a1d242c41d3571e", long_password,
	"joe"},
    {"{SCRAM-SHA-1}4096,ME2eltCGTkPv6FFz1VlWDw==,PXgRSL7ThoiUK0dhLUwIF0tj2H8=,BCPGvSLpzB5ppnvSKK/"
     "8UST3LsA=",
	long_password, "joe"},
    {"{SCRAM-SHA-256}4096,rPNf/x8XrQrg1NBLMqtd/g==,6s1PRT2m1N5CNGlTRGzK6wRLno//"
     "qqy1MDjOUYH8EvY=,vjpGa6Q51xEm3Wvl4AGIuRknxRIR6Q7M5fyMdP5h84A=",
	long_password, "joe"},
    {"{OTP}sha1 1024 5ccf7bfbade5ad6c f79a50caf252066a", long_password, "joe"},
    /* MS-NLMP 4.2.2.1.2 */
    {"{NT}a4f49c406510bdcab6824ee7c30fd852", "Password", "User"},
    {"{ntlm}A4F49C406510BDCAB6824EE7C30FD852", "Password", "User"},
    {"{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$luUPVMKw4fSWCnFSRjYchg$ykcGhec11qO14Q0nb+1+"
     "lFKoTk9k8CoytlG0Bgjv+Iw",
	long_password, "joe"},
    {"{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$NuWUvIC5n+COWOLJimD88g$nZtwqM/"
     "yaZpPly2uAVwVBqTawnMzw+Vlb7yh6GHFk74",
	long_password, "joe"},
    {"{SHA1.HEX}9f997303d29375d5b6c5315e674660288012526b", long_password, "joe"},
    {"{SSHA.HEX}deb4bf0fe8c0326d79fe2e918eaa377dc4d690b942fc3573", long_password, "joe"},
    {"{PLAIN.HEX}"
     "4772c3bcc39f652c20313030204a61687265206c616e673a20303132333435363738396162636465666768696a6b6"
     "c6d6e6f707172737475767778797a4142434445464748494a4b4c4d4e4f505152535455565758595a",
	long_password, "joe"},
    {"{SHA512.B64}LeXWnuCyfirxkyLqAtrolbwNSdBeAVgraQAn97c4vJdf2+5zveNYttLgcY4oh9/"
     "fvtEvwo2v1Vni0liRTqp3IA==",
	long_password, "joe"},
    {"{CRYPT.B64}JDJ5JDA1JHBuS1pra2R0S2VaT0ZIQm1ZOS5PTmVWdnh3LlpqRlBvaTB6Y0lCd1Vpd05LbVk5Q1A1NmFX",
	long_password, "joe"},
    {"{CRAM-MD5.B64}mgWvC17RpbEV/4IoZz98tXlhXSqDhJVrTm6dSkQhmTo=", long_password, "joe"},
};

static const struct vector dovecot_users[] = {
    {"{DIGEST-MD5}b1ead7982dea7016d54077c75c37858f", long_password, "joe@a@example.com"},
    {"{DIGEST-MD5}74cd2da9d1d262f94487ef8f51d675eb", long_password, "joe@"},
};

/* everything else that libxcrypt takes, and Argon2 that libsodium does not make itself */
static const struct vector libraries[] = {
    {"{CRYPT}$sha1$100$abcdefgh$M4cLFSrKXW6fo7CGMX0/1./QSlzd", "test", "joe"},
    {"{CRYPT}$md5,rounds=10$abcdefgh$$7sbDn48IjBXJDL8e/eqE11", "test", "joe"},
    {"{CRYPT}$7$8/..../....abcdefgh$jaW83k/RZjPzYoid5gGV9xxtgcN57fAWBLiiwNe38v3", "test", "joe"},
    {"{CRYPT}$y$j75$abcdefgh$0D0FAkY7TwqVv2j/JPzxTRIUuKA8VLsAgVDBYQHBU16", "test", "joe"},
    {"{CRYPT}$gy$j75$abcdefgh$d4FhEnchswGo.uf8/gwBUptXxTLnHzXtP7K1F6eVtc3", "test", "joe"},
    {"{CRYPT}$2a$04$abcdefghijklmnopqrstuuoD8yw7MmybLKVooaTGGZAt3HXugv2.a", "test", "joe"},
    {"{CRYPT}$2b$04$abcdefghijklmnopqrstuuoD8yw7MmybLKVooaTGGZAt3HXugv2.a", "test", "joe"},
    {"{CRYPT}_J9..abcdx/cgK8gMibw", "test", "joe"},
    {"{CRYPT}$3$$0cb6948805f797bf2a82807973b89537", "test", "joe"},
    {"{CRYPT}$1$wmyrgRuV$kImF6.9MAFQNHe23kq5vI/", "test", "joe"},
    {"{ARGON2}$argon2id$v=19$m=4096,t=2,p=4$c29tZXNhbHRsb25nZXIxMjM0NQ$4O+"
     "zWS5LHXVkdfuBJF7IPnnzqyso0imPdFackrvhHtg",
	"test", "joe"},
    {"{ARGON2}$argon2i$v=19$m=1024,t=1,p=1$c29tZXNhbHRsb25nZXIxMjM0NQ$To/eaW4n4yYjss5DCeLlBkl3N/"
     "90PLhTIU2R/JgbjmQ",
	"test", "joe"},
    {"{ARGON2ID}$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRsb25nZXIxMjM0NQ$"
     "YF6mO5CjkHxgu90g9B7Bmlqn1SW19UzV",
	"test", "joe"},
};

/* RFC 5802, 7677, 6070, 2289 */
static const struct vector rfcs[] = {
    {"{SCRAM-SHA-1}4096,QSXCR+Q6sek8bf92,6dlGYMOdZcOPutkcNY8U2g7vK9Y=,D+CSWLOshSulAsxiupA+qs2/fTE=",
	"pencil", "joe"},
    {"{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
     "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
	"pencil", "joe"},
    {"{PBKDF2}$1$salt$1$0c60c80f961f0e71f3a9b524af6012062fe037a6", "password", "joe"},
    {"{PBKDF2}$1$salt$4096$4B007901B765489ABEAD49D926F721D065A429C1", "password", "joe"},
    {"{OTP}md4 0 test D1854218EBBB0B51", "This is a test.", "joe"},
    {"{OTP}md5 0 test 9E876134D90499DD", "This is a test.", "joe"},
    {"{OTP}md5 1 test 7965E05436F5029F", "This is a test.", "joe"},
    {"{OTP}md5 99 test 50FE1962C4965880", "This is a test.", "joe"},
    {"{OTP}sha1 0 test BB9E6AE1979D8FF4", "This is a test.", "joe"},
    {"{OTP}sha1 1 test 63D936639734385B", "This is a test.", "joe"},
    {"{OTP}sha1 99 test 87FEC7768B73CCF9", "This is a test.", "joe"},
    {"{OTP}sha1 0 alpha1 AD85F658EBE383C9", "AbCdEfGhIjK", "joe"},
};

static enum verdict try_password(const struct vector *v, const char *password, struct err *err)
{
	struct arena a = {0};
	struct scheme_hash h;
	enum verdict verdict = VERDICT_COUNT;
	if (scheme_parse(secret_of(span_of(v->stored)), NULL, false, &a, &h, err))
		verdict =
		    scheme_verify(&h, secret_of(span_of(password)), span_of(v->user), &a, err);
	arena_free(&a);
	return verdict;
}

/* wrong: one character more, one less, the other case, none at all */
static void check_one(const struct vector *v)
{
	struct err err = {0};
	char wrong[256];
	size_t len = strlen(v->password);
	print_message("%s\n", v->stored);
	assert_string_equal(
	    verdict_name(try_password(v, v->password, &err)), verdict_name(VERDICT_OK));
	assert_true(len + 2 < sizeof(wrong));
	strcpy(wrong, v->password);
	wrong[0] ^= 1;
	assert_int_equal(try_password(v, wrong, &err), VERDICT_MISMATCH);
	strcpy(wrong, v->password);
	wrong[len > 8 ? 6 : len - 1] = '\0';
	assert_int_equal(try_password(v, wrong, &err), VERDICT_MISMATCH);
	assert_int_equal(try_password(v, "", &err), VERDICT_MISMATCH);
	assert_string_equal(err.text, "");
}

#define CHECK_ALL(name)                                                                            \
	static void name##_verify(void **state)                                                    \
	{                                                                                          \
		(void)state;                                                                       \
		for (size_t i = 0; i < ARRAY_LEN(name); i++)                                       \
			check_one(&name[i]);                                                       \
	}

CHECK_ALL(reference)
CHECK_ALL(dovecot)
CHECK_ALL(dovecot_users)
CHECK_ALL(libraries)
CHECK_ALL(rfcs)

/* MD5-crypt, the digests and DES read or refuse bytes beyond 72; bcrypt never did */
static void bcrypt_reads_72_bytes(void **state)
{
	(void)state;
	struct err err = {0};
	char more[1000];
	memset(more, 'x', sizeof(more));
	memcpy(more, long_password, 72);
	more[sizeof(more) - 1] = '\0';
	const struct vector *bcrypt = &dovecot[0], *sha512 = &dovecot[3];
	assert_int_equal(try_password(bcrypt, more, &err), VERDICT_OK);
	assert_int_equal(try_password(sha512, more, &err), VERDICT_MISMATCH);
}

static void digest_md5_is_of_one_user(void **state)
{
	(void)state;
	struct err err = {0};
	struct vector v = dovecot_users[0];
	v.user = "joe@example.com";
	assert_int_equal(try_password(&v, v.password, &err), VERDICT_MISMATCH);
	v.user = NULL;
	assert_int_equal(try_password(&v, v.password, &err), VERDICT_INTERNAL);
	assert_string_equal(err.text, "DIGEST-MD5 needs a user name");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reference_verify),
	    cmocka_unit_test(dovecot_verify),
	    cmocka_unit_test(dovecot_users_verify),
	    cmocka_unit_test(libraries_verify),
	    cmocka_unit_test(rfcs_verify),
	    cmocka_unit_test(bcrypt_reads_72_bytes),
	    cmocka_unit_test(digest_md5_is_of_one_user),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
