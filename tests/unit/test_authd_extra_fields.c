/*
 * What extra fields do: names, suffixes, imports, networks, delays, proxies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "authd/extra-fields.h"
#include "tests/unit/request-kit.h"

static struct request_kit kit;
static struct request *const req = &kit.request;

static int begin(void **state UNUSED)
{
	kit_begin(&kit);
	req->vars.v[VAR_USER] = SPAN_LIT("tim@example.com");
	return kit_compile(&kit, "%Lu") ? 0 : -1;
}

static int end(void **state UNUSED)
{
	kit_end(&kit);
	return 0;
}

/* "key=value" or "key" */
static void set(void (*setter)(struct request *, struct span, struct span), const char *text)
{
	struct span value = span_of(text), key;
	assert_true(span_split(&value, '=', &key));
	setter(req, key, value);
}

static void passdb(const char *text)
{
	set(passdb_field_set, text);
}

static void userdb(const char *text)
{
	set(userdb_field_set, text);
}

static char shown[1024];

static const char *show(const struct fields *f)
{
	size_t n = 0;
	shown[0] = '\0';
	for (size_t i = 0; i < f->count; i++)
		n += (size_t)snprintf(shown + n, sizeof(shown) - n, "%.*s%s%.*s;",
		    SPAN_ARG(f->items[i].key), f->items[i].value.ptr != NULL ? "=" : "",
		    SPAN_ARG(f->items[i].value));
	return shown;
}

/* ---- names ---- */

static void test_names(void **state UNUSED)
{
	static const struct {
		const char *before, *field, *after; /* after NULL: a failure */
	} cases[] = {
	    {"tim@example.com", "user=joe", "joe"},
	    {"tim@example.com", "user=joe@x", "joe@x"},
	    {"tim@example.com", "username=joe", "joe@example.com"},
	    {"tim@example.com", "username=joe@x", "joe@x"},
	    {"tim", "username=joe", "joe"},
	    {"tim@example.com", "domain=x", "tim@x"},
	    {"tim@a@b", "domain=x", "tim@x"},
	    {"tim", "domain=x", "tim@x"},
	    {"tim@example.com", "user=", NULL},
	    {"tim@example.com", "user", NULL},
	    {"tim@example.com", "username=", NULL},
	    /* as in Dovecot: a column domain of the default queries may be empty */
	    {"tim@example.com", "domain=", "tim@"},
	    {"tim", "domain=", "tim@"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		req->vars.v[VAR_USER] = span_of(cases[i].before);
		req->field_failure = NULL;
		passdb(cases[i].field);
		bool fails = cases[i].after == NULL;
		assert_int_equal(passdb_fields_check(req), !fails);
		if (!fails)
			assert_true(var_is(&kit, VAR_USER, cases[i].after));
		assert_int_equal(req->fields.count, 0); /* clients do not see these */
	}
}

static void test_names_in_userdb(void **state UNUSED)
{
	/* from the userdb itself they change the user; prefetched ones are only kept */
	passdb("userdb_user=joe");
	assert_true(var_is(&kit, VAR_USER, "tim@example.com"));
	assert_string_equal(show(&req->userdb), "user=joe;");
	req->asking = ASKING_USERDB;
	userdb("user=joe");
	assert_true(var_is(&kit, VAR_USER, "joe"));
}

static void test_login_user(void **state UNUSED)
{
	passdb("login_user=joe");
	assert_true(var_is(&kit, VAR_LOGIN_USER, NULL)); /* only a master passdb may */
	assert_true(passdb_field_is_hidden(SPAN_LIT("login_user")));
	req->master = MASTER_CHECKING;
	passdb("login_user=joe");
	assert_true(var_is(&kit, VAR_LOGIN_USER, "joe"));
}

/* ---- suffixes ---- */

static void test_suffixes(void **state UNUSED)
{
	passdb("host=a");
	passdb("host:protected=b");
	passdb("host:default=c");
	passdb("port:default=143");
	passdb("ssl:protected");
	assert_string_equal(show(&req->fields), "host=a;port=143;ssl;");
	passdb("host:remove");
	passdb("absent:remove=x");
	passdb("a:b=1"); /* a colon of its own */
	passdb("x:y:remove");
	passdb("x:y=2");
	passdb("x:y:protected=3");
	assert_string_equal(show(&req->fields), "port=143;ssl;a:b=1;x:y=2;");
}

static void test_no_key(void **state UNUSED)
{
	static const char *const nothing[] = {"", "=x", ":remove=x", ":default=x", ":protected=x"};
	for (size_t i = 0; i < ARRAY_LEN(nothing); i++) {
		passdb(nothing[i]);
		userdb(nothing[i]);
	}
	assert_int_equal(req->fields.count, 0);
	assert_int_equal(req->userdb.count, 0);
}

static void test_userdb_suffixes(void **state UNUSED)
{
	userdb("mail=a");
	userdb("mail:default=b");
	userdb("home:default=/h");
	userdb("uid=1");
	userdb("uid:remove");
	assert_string_equal(show(&req->userdb), "mail=a;home=/h;");
}

/* ---- prefetch and imports ---- */

static void test_prefetch(void **state UNUSED)
{
	passdb("userdb_uid=1000");
	passdb("userdb_mail:default=x");
	passdb("uid=1");
	assert_true(req->prefetched);
	assert_string_equal(show(&req->userdb), "uid=1000;mail=x;");
	assert_string_equal(show(&req->fields), "uid=1;");
}

static void test_prefetch_of_nothing(void **state UNUSED)
{
	passdb("userdb_");
	assert_true(req->prefetched);
	assert_int_equal(req->userdb.count, 0);
}

static void test_imports(void **state UNUSED)
{
	passdb("passdb_import=host=h\tproxy\t\t=x\tuserdb_uid=5\tuser=joe\tlast=");
	assert_string_equal(show(&req->fields), "host=h;proxy;last=;");
	assert_string_equal(show(&req->userdb), "uid=5;");
	assert_true(var_is(&kit, VAR_USER, "joe"));
	passdb("userdb_userdb_import=gid=6\tmail:default=m\tmail:default=n");
	assert_string_equal(show(&req->userdb), "uid=5;gid=6;mail=m;");
	passdb("passdb_import=");
	passdb("passdb_import");
	assert_int_equal(req->fields.count, 3);
}

/* an import within an import, and no deeper; and the count starts anew each time */
static void test_import_depth(void **state UNUSED)
{
	for (int i = 0; i < 3; i++) {
		passdb("passdb_import=a=1\tpassdb_import=b=2");
		passdb("passdb_import=passdb_import=passdb_import=c=3");
	}
	assert_string_equal(show(&req->fields), "a=1;b=2;");
}

/* ---- conditions ---- */

static bool nets(const char *field, const char *list, const char *rip)
{
	req->fields.count = 0;
	req->field_failure = NULL;
	fields_set_str(&req->fields, field, list);
	req->vars.v[VAR_RIP] = span_of(rip);
	bool allowed = passdb_fields_check(req);
	assert_int_equal(allowed, req->field_failure == NULL);
	return allowed;
}

static void test_allow_nets(void **state UNUSED)
{
	static const struct {
		const char *list, *rip;
		bool allowed;
	} cases[] = {
	    {"192.0.2.1", "192.0.2.1", true},
	    {"192.0.2.1", "192.0.2.2", false},
	    {"192.0.2.0/24", "192.0.2.255", true},
	    {"192.0.2.0/24", "192.0.3.0", false},
	    {"192.0.2.128/25", "192.0.2.128", true},
	    {"192.0.2.128/25", "192.0.2.127", false},
	    {"10.32.0.0/11", "10.63.255.255", true},
	    {"10.32.0.0/11", "10.64.0.0", false},
	    {"0.0.0.0/0", "203.0.113.9", true},
	    {"0.0.0.0/0", "2001:db8::1", false},
	    {"192.0.2.1/32", "192.0.2.1", true},
	    {"2001:db8::/32", "2001:db8:ffff::1", true},
	    {"2001:db8::/32", "2001:db9::1", false},
	    {"2001:db8::/33", "2001:db8:8000::", false},
	    {"2001:db8::1", "2001:DB8:0:0::1", true},
	    {"::/0", "2001:db8::1", true},
	    {"::/0", "192.0.2.1", false},
	    {"::1/128", "::1", true},
	    /* IPv4 in IPv6's clothes */
	    {"192.0.2.0/24", "::ffff:192.0.2.7", true},
	    {"::ffff:192.0.2.7", "192.0.2.7", true},
	    {"::/0", "::ffff:192.0.2.7", false},
	    /* lists */
	    {"10.0.0.0/8, 192.0.2.1", "192.0.2.1", true},
	    {"10.0.0.0/8 192.0.2.1", "10.1.1.1", true},
	    {"10.0.0.0/8,,192.0.2.1", "172.16.0.1", false},
	    {"", "192.0.2.1", false},
	    {NULL, "192.0.2.1", false},
	    {" , ", "192.0.2.1", false},
	    /* nobody knows from where */
	    {"local", NULL, true},
	    {"local", "", true},
	    {"local", "127.0.0.1", false},
	    {"192.0.2.1,local", NULL, true},
	    {"0.0.0.0/0", NULL, false},
	    {"0.0.0.0/0", "", false},
	    /* what is no network allows nobody, and does not hide the next one */
	    {"192.0.2.1/33", "192.0.2.1", false},
	    {"2001:db8::/129", "2001:db8::", false},
	    {"192.0.2.1/", "192.0.2.1", false},
	    {"192.0.2.1/-1", "192.0.2.1", false},
	    {"192.0.2.1/32x", "192.0.2.1", false},
	    {"/0", "192.0.2.1", false},
	    {"192.0.2", "192.0.2.0", false},
	    {"192.0.2.1.", "192.0.2.1", false},
	    {"example.com", "192.0.2.1", false},
	    {"LOCAL", NULL, false},
	    {"garbage,192.0.2.1", "192.0.2.1", true},
	    {"0000:0000:0000:0000:0000:ffff:192.0.2.100/32x,192.0.2.1", "192.0.2.1", true},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (nets("allow_nets", cases[i].list, cases[i].rip) != cases[i].allowed)
			fail_msg("allow_nets=%s with %s",
			    cases[i].list != NULL ? cases[i].list : "(flag)",
			    cases[i].rip != NULL ? cases[i].rip : "(none)");
	}
}

static void test_allow_real_nets(void **state UNUSED)
{
	assert_true(nets("allow_real_nets", "192.0.2.1", "192.0.2.1"));
	req->vars.v[VAR_REAL_RIP] = SPAN_LIT("10.0.0.1");
	assert_false(nets("allow_real_nets", "192.0.2.1", "192.0.2.1"));
	assert_true(nets("allow_real_nets", "10.0.0.1", "192.0.2.1"));
	assert_false(nets("allow_nets", "10.0.0.1", "192.0.2.1"));
}

static void test_fail(void **state UNUSED)
{
	static const struct {
		const char *field;
		bool good;
	} cases[] = {{"fail", false}, {"fail=", false}, {"fail=yes", false}, {"fail=1", false},
	    {"fail=no", false}, {"fail=N", false}, {"fail=0", false}, {"failed=yes", true}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		req->fields.count = 0;
		req->field_failure = NULL;
		passdb(cases[i].field);
		assert_int_equal(passdb_fields_check(req), cases[i].good);
	}
}

static bool delay_until(const char *fmt, ...) PRINTF_LIKE(1, 2);

static bool delay_until(const char *fmt, ...)
{
	char text[100];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	req->fields.count = 0;
	req->field_failure = NULL;
	req->delay_until = 0;
	fields_set_str(&req->fields, "delay_until", text);
	return passdb_fields_check(req);
}

static void test_delay_until(void **state UNUSED)
{
	static const char *const bad[] = {"", "x", "-1", "1+", "1+x", "+5", "1 ", "1+301",
	    "18446744073709551615", "9223372036854775807", "1+18446744073709551615"};
	long long now = (long long)time(NULL);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(delay_until("%s", bad[i]));
	assert_true(delay_until("1"));
	assert_int_equal(req->delay_until, 1);
	assert_true(delay_until("%lld", now + 200));
	assert_int_equal(req->delay_until, now + 200);
	assert_false(delay_until("%lld", now + 100000));
	for (uint64_t serial = 0; serial < 200; serial++) {
		req->serial = serial << 32 | serial;
		assert_true(delay_until("%lld+10", now));
		assert_in_range(req->delay_until, now, now + 10);
	}
	req->fields.count = 0;
	assert_true(passdb_fields_check(req));
}

static void test_nodelay_and_hidden(void **state UNUSED)
{
	static const char *const hidden[] = {
	    "allow_nets", "password", "nopassword", "delay_until", "k5principals"};
	static const char *const visible[] = {"nologin", "host", "reason", "allow_net", "x"};
	passdb("nodelay");
	assert_true(req->nodelay);
	for (size_t i = 0; i < ARRAY_LEN(hidden); i++)
		assert_true(passdb_field_is_hidden(span_of(hidden[i])));
	for (size_t i = 0; i < ARRAY_LEN(visible); i++)
		assert_false(passdb_field_is_hidden(span_of(visible[i])));
}

/* ---- templates ---- */

static struct template_fields *parse(const char *text)
{
	struct err err = {0};
	struct template_fields *tf = template_fields_parse(&kit.arena, span_of(text), &err);
	assert_non_null(tf);
	return tf;
}

static void test_templates(void **state UNUSED)
{
	assert_true(passdb_fields_expand(req, NULL));
	assert_true(passdb_fields_expand(
	    req, parse("host=h-%n userdb_home=/home/%d/%n proxy port:default=143")));
	assert_string_equal(show(&req->fields), "host=h-tim;proxy;port=143;");
	assert_string_equal(show(&req->userdb), "home=/home/example.com/tim;");
	/* fields see what was set before them */
	assert_true(passdb_fields_expand(req, parse("user=joe destuser=%u again=%{passdb:host}")));
	assert_true(span_eq_str(fields_get(&req->fields, "destuser"), "joe"));
	assert_true(span_eq_str(fields_get(&req->fields, "again"), "h-tim"));
	assert_true(userdb_fields_expand(req, parse("home=/new mail:default=maildir:~/%n")));
	assert_string_equal(show(&req->userdb), "home=/new;mail=maildir:~/joe;");
}

/* ---- proxies ---- */

static const char *settle(const char *list)
{
	struct span words = span_of(list), word;
	req->fields.count = 0;
	while (span_word(&words, " ", &word))
		passdb(arena_cstr(&req->arena, word));
	passdb_fields_settle_proxy(req);
	return show(&req->fields);
}

static void test_proxy_maybe(void **state UNUSED)
{
	req->vars.v[VAR_LIP] = SPAN_LIT("192.0.2.1");
	kit.auth.proxy_self = "10.0.0.1 mail.example.com";
	assert_string_equal(settle("proxy_maybe host=192.0.2.9 x"), "host=192.0.2.9;x;proxy;");
	assert_string_equal(
	    settle("proxy_maybe=y host=192.0.2.1 port=143 pass=p destuser=d proxy_timeout=5 "
		   "source_ip=1 ssl=yes starttls=yes x=1"),
	    "x=1;");
	assert_string_equal(settle("proxy_maybe host=MAIL.example.com"), "");
	assert_string_equal(settle("proxy_maybe host=10.0.0.1 nologin"), "nologin;");
	assert_string_equal(settle("proxy_maybe x"), "x;");
	assert_string_equal(settle("proxy_maybe host=far hostip=192.0.2.1"), "");
	/* the same machine on another port is somebody else */
	req->vars.v[VAR_LPORT] = SPAN_LIT("143");
	assert_string_equal(settle("proxy_maybe host=192.0.2.1 port=143"), "");
	assert_string_equal(
	    settle("proxy_maybe host=192.0.2.1 port=144"), "host=192.0.2.1;port=144;proxy;");
	/* the address that was really connected to counts */
	req->vars.v[VAR_REAL_LIP] = SPAN_LIT("192.0.2.5");
	assert_string_equal(settle("proxy_maybe host=192.0.2.1"), "host=192.0.2.1;proxy;");
	assert_string_equal(settle("proxy_maybe host=192.0.2.5"), "");
	/* no maybe, nothing to settle */
	assert_string_equal(settle("proxy host=192.0.2.5 pass=p"), "proxy;host=192.0.2.5;pass=p;");
}

/* a worker gone mad must not send the front round in circles */
static void test_proxy_field_with_nul(void **state UNUSED)
{
	passdb("proxy_maybe");
	passdb_field_set(req, SPAN_LIT("proxy_\0x"), SPAN_LIT("1"));
	passdb_field_set(req, SPAN_LIT("proxy_\0y:remove"), SPAN_LIT("1"));
	passdb_field_set(req, SPAN_LIT("proxy_\0x:default"), SPAN_LIT("2"));
	passdb_fields_settle_proxy(req);
	assert_int_equal(req->fields.count, 0);
}

#define FIELD_TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    FIELD_TEST(test_names),
	    FIELD_TEST(test_names_in_userdb),
	    FIELD_TEST(test_login_user),
	    FIELD_TEST(test_suffixes),
	    FIELD_TEST(test_no_key),
	    FIELD_TEST(test_userdb_suffixes),
	    FIELD_TEST(test_prefetch),
	    FIELD_TEST(test_prefetch_of_nothing),
	    FIELD_TEST(test_imports),
	    FIELD_TEST(test_import_depth),
	    FIELD_TEST(test_allow_nets),
	    FIELD_TEST(test_allow_real_nets),
	    FIELD_TEST(test_fail),
	    FIELD_TEST(test_delay_until),
	    FIELD_TEST(test_nodelay_and_hidden),
	    FIELD_TEST(test_templates),
	    FIELD_TEST(test_proxy_maybe),
	    FIELD_TEST(test_proxy_field_with_nul),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
