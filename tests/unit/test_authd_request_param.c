/*
 * The parameters of AUTH, USER, PASS and LIST.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/request-kit.h"

static void param(struct request_kit *k, const char *text)
{
	struct span value = span_of(text), key;
	assert_true(span_split(&value, '=', &key));
	request_param(&k->request, key, value);
}

static void test_texts(void **state UNUSED)
{
	static const struct {
		const char *text;
		enum var var;
		const char *want;
	} cases[] = {
	    {"service=smtp", VAR_SERVICE, "smtp"},
	    {"protocol=imap", VAR_SERVICE, "imap"},
	    {"service", VAR_SERVICE, NULL},
	    {"lip=192.0.2.1", VAR_LIP, "192.0.2.1"},
	    {"rip=2001:db8::1", VAR_RIP, "2001:db8::1"},
	    {"rip=", VAR_RIP, NULL}, /* Postfix sends it so */
	    {"rip", VAR_RIP, NULL},
	    {"rip=[::1]", VAR_RIP, NULL},
	    {"rip=localhost", VAR_RIP, NULL},
	    {"rip=192.0.2.1 ", VAR_RIP, NULL},
	    {"rip=192.0.2.256", VAR_RIP, NULL},
	    {"real_rip=::1", VAR_REAL_RIP, "::1"},
	    {"real_lip=::ffff:192.0.2.1", VAR_REAL_LIP, "::ffff:192.0.2.1"},
	    {"lport=143", VAR_LPORT, "143"},
	    {"rport=65535", VAR_RPORT, "65535"},
	    {"rport=65536", VAR_RPORT, NULL},
	    {"rport=-1", VAR_RPORT, NULL},
	    {"rport=", VAR_RPORT, NULL},
	    {"real_lport=x", VAR_REAL_LPORT, NULL},
	    {"real_rport=0", VAR_REAL_RPORT, "0"},
	    {"session=abc=def", VAR_SESSION, "abc=def"},
	    {"session=", VAR_SESSION, ""},
	    {"local_name=mail.example.com", VAR_LOCAL_NAME, "mail.example.com"},
	    {"client_id=(\"name\" \"x\")", VAR_CLIENT_ID, "(\"name\" \"x\")"},
	    {"ssl_client_cert_fp=ab", VAR_CERT_FP, "ab"},
	    {"ssl_client_cert_pubkey_fp=cd", VAR_CERT_PUBKEY_FP, "cd"},
	    {"ssl_ja3_hash=ef", VAR_JA3_HASH, "ef"},
	    {"secured", VAR_SECURED, "secured"},
	    {"secured=tls", VAR_SECURED, "TLS"},
	    {"secured=other", VAR_SECURED, "secured"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct request_kit k;
		kit_begin(&k);
		param(&k, cases[i].text);
		if (!var_is(&k, cases[i].var, cases[i].want))
			fail_msg("%s", cases[i].text);
		kit_end(&k);
	}
}

static void test_nul_in_an_address(void **state UNUSED)
{
	struct request_kit k;
	kit_begin(&k);
	request_param(&k.request, SPAN_LIT("rip"), SPAN_LIT("192.0.2.1\0x"));
	assert_true(var_is(&k, VAR_RIP, NULL));
	kit_end(&k);
}

static void test_a_bad_one_changes_nothing(void **state UNUSED)
{
	struct request_kit k;
	kit_begin(&k);
	param(&k, "rip=192.0.2.1");
	param(&k, "rip=bad");
	assert_true(var_is(&k, VAR_RIP, "192.0.2.1"));
	kit_end(&k);
}

static void test_flags(void **state UNUSED)
{
	struct request_kit k;
	kit_begin(&k);
	struct request *r = &k.request;
	param(&k, "nologins");
	param(&k, "NOLOGIN");
	assert_false(r->nologin || r->debug || r->secured || r->no_penalty || r->valid_cert);
	param(&k, "nologin");
	assert_true(r->nologin);
	assert_false(r->debug || r->secured || r->no_penalty || r->valid_cert || r->final_resp_ok);
	param(&k, "debug");
	param(&k, "secured=tls");
	param(&k, "no-penalty");
	param(&k, "valid-client-cert");
	param(&k, "final-resp-ok");
	assert_true(r->debug && r->secured && r->no_penalty && r->valid_cert && r->final_resp_ok);
	param(&k, "cert_username=joe");
	param(&k, "forward_fields=a=b\tforward_c=d\tproxy\tuserdb_uid=0\t=\t\te=f\x01tg");
	assert_true(span_eq_str(r->cert_username, "joe"));
	assert_int_equal(r->fields.count, 5);
	assert_true(span_eq_str(fields_get(&r->fields, "forward_a"), "b"));
	assert_true(span_eq_str(fields_get(&r->fields, "forward_c"), "d"));
	assert_true(span_eq_str(fields_get(&r->fields, "forward_proxy"), ""));
	assert_true(span_eq_str(fields_get(&r->fields, "forward_userdb_uid"), "0"));
	assert_true(span_eq_str(fields_get(&r->fields, "forward_e"), "f\tg"));
	kit_end(&k);
}

static void test_unknown_ones(void **state UNUSED)
{
	static const char *const unknown[] = {
	    "", "=", "=x", "user=tim", "transport=TLS", "resp=x", "tls_cipher=y"};
	struct request_kit k;
	kit_begin(&k);
	for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
		param(&k, unknown[i]);
	for (int v = 0; v < VAR_COUNT; v++)
		assert_null(k.request.vars.v[v].ptr);
	assert_int_equal(k.request.fields.count, 0);
	kit_end(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_texts),
	    cmocka_unit_test(test_nul_in_an_address),
	    cmocka_unit_test(test_a_bad_one_changes_nothing),
	    cmocka_unit_test(test_flags),
	    cmocka_unit_test(test_unknown_ones),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
