/*
 * Values of settings, nearest names, transfer, and the documentation printer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "conf/config.h"
#include "conf/driver-args.h"
#include "conf-kit.h"

struct all {
	const char *s, *w;
	bool b;
	unsigned u, m;
	uint64_t size, time;
	int e;
	struct template *t;
	struct template_fields *f;
};

#define ROW(member, kind, d, ...)                                                                  \
	{                                                                                          \
		.name = #member, .type = SETTING_##kind, .offset = offsetof(struct all, member),   \
		.def = (d), .help = __VA_ARGS__                                                    \
	}
static const struct setting rows[] = {
    ROW(s, STRING, "text", "A text | with a bar."),
    ROW(w, WORDS, "", "Words.", .old_name = "words"),
    ROW(b, BOOL, "no", "A switch."),
    ROW(u, UINT, "7", ".hidden - a number.", .flags = SETTING_REQUIRED),
    ROW(m, MODE, "0600", "A mode."),
    ROW(size, SIZE, "512 M", "A size."),
    ROW(time, TIME, "2 secs", "A time."),
    ROW(e, ENUM, "two", "A choice.", .choices = "one two three"),
    ROW(t, TEMPLATE, "%u", "A template."),
    ROW(f, FIELDS, "", "Fields."),
};
static const struct setting_table table = {"all", rows, ARRAY_LEN(rows), sizeof(struct all)};

static struct arena arena;
static struct all *all;

static int setup(void **state)
{
	(void)state;
	all = settings_new(&table, &arena);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

/* Sets a row and returns how it prints. */
static const char *set(const char *name, const char *value)
{
	struct err err = {0};
	const struct setting *row = settings_find(&table, span_of(name));
	assert_non_null(row);
	if (!setting_set(row, all, span_of(value), &arena, &err))
		return arena_printf(&arena, "error: %s", err.text).ptr;
	return arena_cstr(&arena, setting_text(row, all, &arena));
}

static void defaults(void **state)
{
	(void)state;
	assert_string_equal(all->s, "text");
	assert_string_equal(all->w, "");
	assert_false(all->b);
	assert_int_equal(all->u, 7);
	assert_int_equal(all->m, 0600);
	assert_int_equal(all->size, 512 << 20);
	assert_int_equal(all->time, 2000);
	assert_int_equal(all->e, 1);
	assert_string_equal(template_text(all->t), "%u");
	assert_int_equal(all->f->count, 0);
	for (size_t i = 0; i < table.count; i++)
		assert_true(setting_is_default(&rows[i], all));
}

static void times(void **state)
{
	(void)state;
	assert_string_equal(set("time", "2 secs"), "2 secs");
	assert_string_equal(set("time", "2s"), "2 secs");
	assert_string_equal(set("time", "5 S"), "5 secs");
	assert_string_equal(set("time", "1m"), "1 mins");
	assert_string_equal(set("time", "120 seconds"), "2 mins");
	assert_string_equal(set("time", "1 hour"), "1 hours");
	assert_string_equal(set("time", "3weeks"), "3 weeks");
	assert_string_equal(set("time", "2 d"), "2 days");
	assert_string_equal(set("time", "500 ms"), "500 msecs");
	assert_int_equal(all->time, 500);
	assert_string_equal(set("time", "1500 msecs"), "1500 msecs");
	assert_string_equal(set("time", "0"), "0");
	assert_string_equal(set("time", "90"), "error: the time \"90\" has no unit: write \"90 "
					       "secs\", or msecs, mins, hours, days");
	assert_string_equal(set("time", "5 parsecs"),
	    "error: \"parsecs\" is not a unit of time (msecs, secs, mins, hours, days, weeks)");
	assert_string_equal(set("time", "5 sex"),
	    "error: \"sex\" is not a unit of time (msecs, secs, mins, hours, days, weeks)");
	assert_string_equal(set("time", "2.5 s"),
	    "error: \".5 s\" is not a unit of time (msecs, secs, mins, hours, "
	    "days, weeks)");
	assert_string_equal(
	    set("time", "-1 s"), "error: \"-1 s\" is not a time (as in \"2 secs\")");
	assert_string_equal(set("time", "99999999999999999 weeks"), "error: the time is too long");
	assert_int_equal(all->time, 0); /* errors change nothing */
}

static void sizes(void **state)
{
	(void)state;
	assert_string_equal(set("size", "10 M"), "10 M");
	assert_string_equal(set("size", "2mb"), "2 M");
	assert_string_equal(set("size", "1024k"), "1 M");
	assert_string_equal(set("size", "1G"), "1 G");
	assert_string_equal(set("size", "1 T"), "1 T");
	assert_string_equal(set("size", "5"), "5 B");
	assert_string_equal(set("size", "5 B"), "5 B");
	assert_string_equal(set("size", "0"), "0");
	assert_string_equal(
	    set("size", "1x"), "error: \"x\" is not a unit of size (B, k, M, G, T)");
	assert_string_equal(
	    set("size", "unlimited"), "error: \"unlimited\" is not a size (as in \"512 M\")");
	assert_string_equal(set("size", "99999999999 T"), "error: the size is too large");
}

static void others(void **state)
{
	(void)state;
	assert_string_equal(set("b", "YES"), "yes");
	assert_string_equal(set("b", "y"), "yes");
	assert_string_equal(set("b", "0"), "no");
	assert_string_equal(set("b", "maybe"), "error: \"maybe\" is neither yes nor no");
	assert_string_equal(set("m", "0"), "0000");
	assert_string_equal(set("m", "0660"), "0660");
	assert_string_equal(
	    set("m", "666"), "error: a mode is octal and begins with 0: write \"0666\"");
	assert_string_equal(
	    set("m", "0999"), "error: \"0999\" is not an octal mode (as in \"0660\")");
	assert_string_equal(
	    set("m", "07777"), "error: \"07777\" is not an octal mode (as in \"0660\")");
	assert_string_equal(set("u", "12"), "12");
	assert_string_equal(set("u", "12x"), "error: \"12x\" is not a number");
	assert_string_equal(set("u", "4294967296"), "error: \"4294967296\" is not a number");
	assert_string_equal(set("u", ""), "error: must not be empty");
	assert_string_equal(set("e", "three"), "three");
	assert_string_equal(set("e", "thre"),
	    "error: \"thre\" is not one of: one two three; did you mean \"three\"?");
	assert_string_equal(set("e", "xyz"), "error: \"xyz\" is not one of: one two three");
	assert_string_equal(set("words", "a  b"), "a  b");
	assert_string_equal(set("t", "%Lu@%d"), "%Lu@%d");
	assert_string_equal(set("f", "a=b c=%u"), "a=b c=%u");
	assert_non_null(strstr(set("t", "%{nonsense}"), "error: unknown variable"));
	assert_string_equal(template_text(all->t), "%Lu@%d");
}

static void nearest(void **state)
{
	(void)state;
	static const char *const names[] = {"auth_mechanisms", "auth_realms", "mode"};
	assert_string_equal(nearest_name(SPAN_LIT("auth_mechanims"), names, 3), "auth_mechanisms");
	assert_string_equal(nearest_name(SPAN_LIT("auht_realms"), names, 3), "auth_realms");
	assert_string_equal(nearest_name(SPAN_LIT("mdoe"), names, 3), "mode");
	assert_string_equal(nearest_name(SPAN_LIT("mde"), names, 3), "mode");
	assert_null(nearest_name(SPAN_LIT("me"), names, 3));
	assert_null(nearest_name(SPAN_LIT("something else"), names, 3));
	assert_null(nearest_name(SPAN_LIT(""), names, 3));
	assert_string_equal(settings_nearest(&table, SPAN_LIT("tiem")), "time");
	assert_string_equal(
	    settings_nearest(&auth_settings_table, SPAN_LIT("auth_verbos")), "auth_verbose");
}

static void transfer(void **state)
{
	(void)state;
	struct buffer b = {0};
	struct err err = {0};
	set("s", "changed");
	set("b", "yes");
	set("time", "0");
	set("f", "x=%u");
	settings_export(&table, all, &b);
	struct wire_reader r = wire_reader_of(buffer_span(&b));
	struct all *copy = settings_new(&table, &arena);
	assert_true(settings_import(&table, copy, &r, &arena, &err));
	assert_true(wire_done(&r));
	assert_string_equal(copy->s, "changed");
	assert_true(copy->b);
	assert_int_equal(copy->time, 0);
	assert_int_equal(copy->u, 7);
	assert_int_equal(copy->f->count, 1);
	for (size_t cut = 0; cut < b.len; cut++) {
		r = wire_reader_of(span_first(buffer_span(&b), cut));
		copy = settings_new(&table, &arena);
		assert_false(settings_import(&table, copy, &r, &arena, &err));
	}
	buffer_free(&b);
}

static void needs(void **state)
{
	(void)state;
	set("t", "%u");
	set("f", "x=%r");
	assert_true(settings_needs(&table, all) == (VAR_BIT(VAR_USER) | VAR_BIT(VAR_RIP)));
}

static void documents(void **state)
{
	(void)state;
	struct buffer b = {0};
	struct setting_table few = {"few", rows, 4, sizeof(struct all)};
	settings_document(&few, &b);
	assert_string_equal(arena_cstr(&arena, buffer_span(&b)),
	    "| setting | type | default | meaning |\n|---|---|---|---|\n"
	    "| `s` | text | `text` | A text \\| with a bar. |\n"
	    "| `w` | words |  | Words. Also understood as `words`. |\n"
	    "| `b` | yes or no | `no` | A switch. |\n"
	    "| `u` | number | `7` | .hidden - a number. |\n");
	buffer_free(&b);
	few.rows += 3;
	few.count = 1;
	settings_document_man(&few, &b);
	assert_string_equal(arena_cstr(&arena, buffer_span(&b)),
	    ".TP\n.BR u \" = number\"\n\\&.hidden \\- a number.\n.br\nDefault: 7\n");
	buffer_free(&b);
}

/* Every row of every table has what the documentation and the printer need. */
static void tables_are_complete(void **state)
{
	(void)state;
	for (size_t i = 0; config_tables[i] != NULL; i++) {
		const struct setting_table *t = config_tables[i];
		void *s = settings_new(t, &arena);
		for (size_t j = 0; j < t->count; j++) {
			const struct setting *row = &t->rows[j];
			size_t len = strlen(row->help);
			assert_true(len > 0 && row->help[len - 1] == '.');
			assert_true(setting_is_default(row, s));
			assert_ptr_equal(settings_find(t, span_of(row->name)), row);
			assert_true(row->offset + setting_member_size(row) <= t->size);
		}
	}
}

/* ---- args of drivers ---- */

static void *args(const struct driver_spec *spec, const char *text, const char *file, char *why)
{
	struct err err = {0};
	struct span f = file != NULL ? span_of(file) : SPAN_NULL;
	void *s = driver_args_parse(spec, span_of(text), f, &arena, &err);
	strcpy(why, err.text);
	return s;
}

static void args_of_words(void **state)
{
	(void)state;
	char why[512];
	const struct kit_file_settings *f =
	    args(&kit_file, "scheme=CRYPT username_format=%n /etc/users", NULL, why);
	assert_non_null(f);
	assert_string_equal(f->scheme, "CRYPT");
	assert_string_equal(template_text(f->path), "/etc/users");
	f = args(&kit_file, "/etc/%d/a=b", NULL, why);
	assert_string_equal(template_text(f->path), "/etc/%d/a=b");
	assert_null(args(&kit_file, "schme=CRYPT /etc/users", NULL, why));
	assert_string_equal(why, "unknown setting \"schme\", did you mean \"scheme\"?");
	assert_null(args(&kit_file, "scheme=CRYPT", NULL, why));
	assert_string_equal(why, "the path is missing");

	const struct kit_pam_settings *p =
	    args(&kit_pam, "session=yes max_requests=5 *", NULL, why);
	assert_true(p->session);
	assert_int_equal(p->max_requests, 5);
	assert_string_equal(p->service, "*");
	p = args(&kit_pam, "", NULL, why);
	assert_string_equal(p->service, "dovecot");
	assert_null(args(&kit_pam, "max_requests=x", NULL, why));
	assert_string_equal(why, "max_requests: \"x\" is not a number");
}

static void args_of_fields(void **state)
{
	(void)state;
	char why[512];
	const struct kit_static_settings *s =
	    args(&kit_static, "password=x nopassword uid=%u", NULL, why);
	assert_int_equal(s->fields->count, 3);
	assert_non_null(args(&kit_prefetch, " ", NULL, why));
	assert_null(args(&kit_prefetch, "x=y", NULL, why));
	assert_string_equal(why, "the driver takes none");
}

static void args_of_file(void **state)
{
	(void)state;
	char why[512];
	const struct kit_sql_settings *s = args(&kit_sql, "/x",
	    "# comment\ndriver = mysql\nconnect = host=a \\\n  password=b\n"
	    "password_query = SELECT '#' FROM t # not this\n",
	    why);
	assert_non_null(s);
	assert_string_equal(s->connect, "host=a password=b");
	assert_string_equal(template_text(s->password_query), "SELECT '#' FROM t");
	assert_null(args(&kit_sql, "/x", "driver = a\nconect = x\n", why));
	assert_string_equal(why, "line 2: unknown setting \"conect\", did you mean \"connect\"?");
	assert_null(args(&kit_sql, "/x", "", why));
	assert_string_equal(why, "driver is missing");
	assert_null(args(&kit_sql, "/x", "driver {\n", why));
	assert_string_equal(
	    why, "line 1: only lines of the form \"key = value\" are possible here");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(defaults, setup, teardown),
	    cmocka_unit_test_setup_teardown(times, setup, teardown),
	    cmocka_unit_test_setup_teardown(sizes, setup, teardown),
	    cmocka_unit_test_setup_teardown(others, setup, teardown),
	    cmocka_unit_test_setup_teardown(nearest, setup, teardown),
	    cmocka_unit_test_setup_teardown(transfer, setup, teardown),
	    cmocka_unit_test_setup_teardown(needs, setup, teardown),
	    cmocka_unit_test_setup_teardown(documents, setup, teardown),
	    cmocka_unit_test_setup_teardown(tables_are_complete, setup, teardown),
	    cmocka_unit_test_setup_teardown(args_of_words, setup, teardown),
	    cmocka_unit_test_setup_teardown(args_of_fields, setup, teardown),
	    cmocka_unit_test_setup_teardown(args_of_file, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
