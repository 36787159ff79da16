/*
 * Lines of the configuration language. Expected values were compared with
 * Dovecot 2.3.19's doveconf.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "conf/lexer.h"

static struct arena arena;

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

static struct conf_line only(const char *text)
{
	struct conf_lexer lx = conf_lexer_of(span_of(text), &arena);
	struct conf_line l = conf_lexer_next(&lx);
	assert_int_equal(conf_lexer_next(&lx).kind, CONF_LINE_EOF);
	return l;
}

static void check_value(const char *text, const char *value, enum conf_value_kind kind)
{
	struct conf_line l = only(text);
	assert_int_equal(l.kind, CONF_LINE_SETTING);
	assert_int_equal(l.value_kind, kind);
	assert_string_equal(arena_cstr(&arena, l.value), value);
}

static void check_section(const char *text, const char *key, const char *name)
{
	struct conf_line l = only(text);
	assert_int_equal(l.kind, CONF_LINE_SECTION);
	assert_string_equal(arena_cstr(&arena, l.key), key);
	if (name == NULL)
		assert_null(l.name.ptr);
	else
		assert_string_equal(arena_cstr(&arena, l.name), name);
}

static void check_bad(const char *text, const char *why, bool opens)
{
	struct conf_line l = only(text);
	assert_int_equal(l.kind, CONF_LINE_BAD);
	assert_string_equal(l.err.text, why);
	assert_int_equal(l.opens, opens);
}

static void values(void **state)
{
	(void)state;
	check_value("a = b", "b", CONF_VALUE_PLAIN);
	check_value("  a=b  ", "b", CONF_VALUE_PLAIN);
	check_value("a\t=\tb c\r\n", "b c", CONF_VALUE_PLAIN);
	check_value("a =", "", CONF_VALUE_PLAIN);
	check_value("a = b=c", "b=c", CONF_VALUE_PLAIN);
	check_value("a = {x}", "{x}", CONF_VALUE_PLAIN);
	check_value("a = pam }", "pam }", CONF_VALUE_PLAIN);
	check_value("a = a\\\\b \\x", "a\\\\b \\x", CONF_VALUE_PLAIN);
	check_value("\xef\xbb\xbf"
		    "a = b",
	    "b", CONF_VALUE_PLAIN);
}

static void quotes(void **state)
{
	(void)state;
	check_value("a = \"b # c\"  # comment", "b # c", CONF_VALUE_QUOTED);
	check_value("a = 'b'", "b", CONF_VALUE_QUOTED);
	check_value("a = 'single \\' x'", "single ' x", CONF_VALUE_QUOTED);
	check_value("a = \"esc \\\" \\\\ \\n x\"", "esc \" \\ n x", CONF_VALUE_QUOTED);
	check_value("a = \" padded \"", " padded ", CONF_VALUE_QUOTED);
	check_value("a = \"\"", "", CONF_VALUE_QUOTED);
	check_value("a = \"unfinished", "\"unfinished", CONF_VALUE_QUOTED);
	check_value("a = \"", "\"", CONF_VALUE_QUOTED);
	check_value("a = \"x\\\"", "x", CONF_VALUE_QUOTED);
	check_value("a = \"x\" y", "\"x\" y", CONF_VALUE_QUOTED);
	check_value("a = \"x' ", "\"x'", CONF_VALUE_QUOTED);
}

static void comments(void **state)
{
	(void)state;
	struct conf_lexer lx = conf_lexer_of(SPAN_LIT("# a = b\n\n   # c\n\t\n"), &arena);
	assert_int_equal(conf_lexer_next(&lx).kind, CONF_LINE_EOF);
	check_value("a = b # c", "b", CONF_VALUE_PLAIN);
	check_value("a = b#c", "b", CONF_VALUE_PLAIN);
	check_value("a = it's b # c", "it's b # c", CONF_VALUE_PLAIN);
	check_section("passdb { # the users", "passdb", NULL);
}

static void continuation(void **state)
{
	(void)state;
	check_value("a = b\\\nc", "b c", CONF_VALUE_PLAIN);
	check_value("a = b   \\  \n    c \\\n d", "b c d", CONF_VALUE_PLAIN);
	check_value("a = \\\n b", "b", CONF_VALUE_PLAIN);
	check_value("\\\n a = b", "b", CONF_VALUE_PLAIN);
	check_value("a = b \\", "b", CONF_VALUE_PLAIN);

	struct conf_lexer lx = conf_lexer_of(SPAN_LIT("a = b \\\n # c\nd = e\n"), &arena);
	struct conf_line l = conf_lexer_next(&lx);
	assert_string_equal(arena_cstr(&arena, l.value), "b");
	l = conf_lexer_next(&lx);
	assert_string_equal(arena_cstr(&arena, l.value), "e");
	assert_int_equal(l.line, 3);

	lx = conf_lexer_of(SPAN_LIT("a = b \\\n # c \\\n\n  \n e # f\ng = h \\\n#\n"), &arena);
	lx.patient = true;
	assert_string_equal(arena_cstr(&arena, conf_lexer_next(&lx).value), "b e");
	l = conf_lexer_next(&lx);
	assert_string_equal(arena_cstr(&arena, l.value), "h");
	assert_int_equal(l.line, 6);
	assert_int_equal(conf_lexer_next(&lx).kind, CONF_LINE_EOF);
}

static void numbers_lines(void **state)
{
	(void)state;
	struct conf_lexer lx = conf_lexer_of(SPAN_LIT("\na = 1 \\\n 2\n\nb = 3"), &arena);
	assert_int_equal(conf_lexer_next(&lx).line, 2);
	assert_int_equal(conf_lexer_next(&lx).line, 5);
	assert_int_equal(conf_lexer_next(&lx).line, 5);
}

static void files(void **state)
{
	(void)state;
	check_value("a = </x/y", "/x/y", CONF_VALUE_FILE);
	check_value("a = < /x y", "/x y", CONF_VALUE_FILE);
	check_value("a = \"</x/y\"", "</x/y", CONF_VALUE_QUOTED);
}

static void sections(void **state)
{
	(void)state;
	check_section("passdb {", "passdb", NULL);
	check_section("protocol !imap {", "protocol", "!imap");
	check_section("unix_listener \"a b\\\"c\" {", "unix_listener", "a b\"c");
	check_section("inet_listener \"\" {", "inet_listener", "");
	assert_int_equal(only(" }").kind, CONF_LINE_END);
	assert_int_equal(only("} # end").kind, CONF_LINE_END);
}

static void includes(void **state)
{
	(void)state;
	struct conf_line l = only("!include conf.d/*.conf");
	assert_int_equal(l.kind, CONF_LINE_INCLUDE);
	assert_string_equal(arena_cstr(&arena, l.value), "conf.d/*.conf");
	l = only("!include_try \"local file\"");
	assert_int_equal(l.kind, CONF_LINE_INCLUDE_TRY);
	assert_string_equal(arena_cstr(&arena, l.value), "local file");
	check_bad("!include", "expected a file name", false);
}

static void bad_lines(void **state)
{
	(void)state;
	check_bad("auth_realms x", "expected \"=\" or \"{\"", false);
	check_bad("passdb", "expected \"=\" or \"{\"", false);
	check_bad("passdb foo bar {", "expected \"=\" or \"{\"", true);
	check_bad("passdb{", "a space is missing before \"{\"", true);
	check_bad("passdb { driver = x",
	    "there is something after \"{\": it belongs on the next line", true);
	check_bad("passdb { driver = x }",
	    "there is something after \"{\": it belongs on the next line", false);
	check_bad("} x", "there is something after \"}\": it belongs on the next line", false);
	check_bad("= x", "there is no name before \"=\"", false);
	check_bad("x \"y {", "the quote is not closed", true);
	struct conf_lexer lx = conf_lexer_of(span_make("a = b\0c", 7), &arena);
	struct conf_line l = conf_lexer_next(&lx);
	assert_int_equal(l.kind, CONF_LINE_BAD);
	assert_string_equal(l.err.text, "the line has a NUL byte in it");
}

static void quoting_comes_back(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "plain", " lead", "trail ", "a # b", "it's",
	    "say \"x\"", "back\\slash", "end\\", "$name", "</file", "\"", "'x'", "a=b", "{", "}"};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct span q = conf_quote(span_of(texts[i]), &arena);
		const char *line = arena_printf(&arena, "k = %.*s", SPAN_ARG(q)).ptr;
		struct conf_line l = only(line);
		assert_int_equal(l.kind, CONF_LINE_SETTING);
		assert_int_not_equal(l.value_kind, CONF_VALUE_FILE);
		assert_string_equal(arena_cstr(&arena, l.value), texts[i]);
	}
	assert_string_equal(
	    arena_cstr(&arena, conf_quote(SPAN_LIT("plain a=b"), &arena)), "plain a=b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(values, teardown),
	    cmocka_unit_test_teardown(quotes, teardown),
	    cmocka_unit_test_teardown(comments, teardown),
	    cmocka_unit_test_teardown(continuation, teardown),
	    cmocka_unit_test_teardown(numbers_lines, teardown),
	    cmocka_unit_test_teardown(files, teardown),
	    cmocka_unit_test_teardown(sections, teardown),
	    cmocka_unit_test_teardown(includes, teardown),
	    cmocka_unit_test_teardown(bad_lines, teardown),
	    cmocka_unit_test_teardown(quoting_comes_back, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
