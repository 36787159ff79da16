/*
 * The tree: sections, $names, includes, and errors that do not stop reading.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/parser.h"

static struct arena arena;
static char errors[4096];
static char dir[] = "/tmp/authd-test-conf-XXXXXX";

static void collect(void *ctx, const char *file, unsigned line, const char *what)
{
	(void)ctx;
	size_t n = strlen(errors);
	const char *slash = file != NULL ? strrchr(file, '/') : NULL;
	snprintf(errors + n, sizeof(errors) - n, "%s:%u: %s\n",
	    slash != NULL  ? slash + 1
	    : file != NULL ? file
			   : "-",
	    line, what);
}

static const char *default_of(void *ctx, const char *name)
{
	(void)ctx;
	return strcmp(name, "known") == 0 ? "its default" : NULL;
}

static struct conf_parser parser(bool no_files)
{
	return (struct conf_parser){
	    .arena = &arena, .no_files = no_files, .report = collect, .default_of = default_of};
}

static struct conf_node *parse(const char *text)
{
	struct conf_parser p = parser(true);
	return conf_parse_text(&p, "t", span_of(text));
}

static int setup(void **state)
{
	(void)state;
	errors[0] = '\0';
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_free(&arena);
	return 0;
}

/* The tree on one line: a=b;s[name]{...} */
static void dump(const struct conf_node *section, char *out, size_t size)
{
	for (const struct conf_node *n = section->first; n != NULL; n = n->next) {
		size_t at = strlen(out);
		if (!n->section) {
			snprintf(out + at, size - at, "%s=%s;", n->key, n->value);
			continue;
		}
		snprintf(out + at, size - at, "%s[%s]{", n->key, n->name != NULL ? n->name : "-");
		dump(n, out, size);
		at = strlen(out);
		snprintf(out + at, size - at, "}");
	}
}

static void check_tree(const struct conf_node *root, const char *expected)
{
	char out[4096] = "";
	dump(root, out, sizeof(out));
	assert_string_equal(out, expected);
}

static void nesting(void **state)
{
	(void)state;
	struct conf_node *root =
	    parse("a = 1\nservice auth {\n  x = 2\n  unix_listener /a/b {\n    "
		  "mode = 0600\n  }\n}\npassdb {\n}\nb = 3\n");
	check_tree(root, "a=1;service[auth]{x=2;unix_listener[/a/b]{mode=0600;}}passdb[-]{}b=3;");
	assert_string_equal(errors, "");
	assert_int_equal(root->first->next->line, 2);
	assert_int_equal(root->first->next->last->first->line, 5);
	assert_string_equal(root->first->file, "t");
}

static void errors_go_on(void **state)
{
	(void)state;
	struct conf_node *root = parse("a\nb = 1\n}\npassdb foo bar {\nc = 2\n}\npassdb { x = y }\n"
				       "d = 4\nuserdb {\ne = 5\n");
	check_tree(root, "b=1;passdb[foo]{c=2;}d=4;userdb[-]{e=5;}");
	assert_string_equal(errors,
	    "t:1: expected \"=\" or \"{\"\n"
	    "t:3: \"}\" without a section\n"
	    "t:4: expected \"=\" or \"{\"\n"
	    "t:7: there is something after \"{\": it belongs on the next line\n"
	    "t:10: \"}\" is missing for \"userdb\" of line 9\n");
}

static void names(void **state)
{
	(void)state;
	check_tree(parse("a = x\nb = $a y\nb = $b z\nc = \"$a\"\nd = y$a $\ne = $known\n"),
	    "a=x;b=x y;b=x y z;c=$a;d=y$a $;e=its default;");
	/* a section sees what is around it, and its own earlier part */
	check_tree(
	    parse("p = q\nprotocol imap {\np = $p r\n}\np = s\nprotocol imap {\np = $p t\n}\n"
		  "protocol pop3 {\np = $p u\n}\n"),
	    "p=q;protocol[imap]{p=q r;}p=s;protocol[imap]{p=q r t;}protocol[pop3]{p=s u;}");
	struct conf_node *root = parse("a = $nothing x\n");
	assert_string_equal(root->first->unknown, "nothing");
	assert_string_equal(errors, "");
}

static void deep_nesting_is_refused(void **state)
{
	(void)state;
	char text[512] = "";
	for (int i = 0; i < CONF_SECTION_DEPTH + 1; i++)
		strcat(text, "a {\n");
	(void)parse(text);
	assert_string_equal(errors, "t:17: sections are nested too deeply\n");
}

static void no_files_from_memory(void **state)
{
	(void)state;
	struct conf_node *root =
	    parse("!include /etc/passwd\n!include_try /etc/passwd\na = </etc/passwd\n");
	assert_string_equal(errors, "t:1: !include is not possible here\n"
				    "t:2: !include is not possible here\n");
	check_tree(root, "a=/etc/passwd;"); /* whoever uses the value opens the file */
}

/* ---- with files ---- */

static const char *path_of(const char *name)
{
	return arena_printf(&arena, "%s/%s", dir, name).ptr;
}

static void write_file(const char *name, const char *text)
{
	FILE *f = fopen(path_of(name), "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static struct conf_node *parse_file(const char *name)
{
	struct conf_parser p = parser(false);
	return conf_parse_file(&p, path_of(name));
}

static void includes(void **state)
{
	(void)state;
	assert_int_equal(mkdir(path_of("conf.d"), 0700), 0);
	write_file("conf.d/20-b.conf", "b = 2\n");
	write_file("conf.d/10-a.conf", "a = 1\n!include ../leaf.inc\n");
	write_file("leaf.inc", "leaf = $a\n");
	write_file("main.conf",
	    "x = 0\npassdb {\n  !include leaf.inc\n}\n!include conf.d/*.conf\n"
	    "!include_try nothing-*.conf\n!include_try nothing\ny = <leaf.inc\n");
	struct conf_node *root = parse_file("main.conf");
	assert_string_equal(errors, "");
	assert_string_equal(root->last->value, path_of("leaf.inc"));
	root->last->value = "FILE";
	check_tree(root, "x=0;passdb[-]{leaf=$a;}a=1;leaf=1;b=2;y=FILE;");
	const struct conf_node *leaf = root->first->next->next->next;
	assert_string_equal(leaf->key, "leaf");
	assert_int_equal(leaf->line, 1);
	assert_non_null(strstr(leaf->file, "/leaf.inc"));
}

static void include_errors(void **state)
{
	(void)state;
	write_file("self.conf", "!include self.conf\n");
	write_file("ping.conf", "!include pong.conf\na = 1\n");
	write_file("pong.conf", "!include ping.conf\nb = 1\n");
	write_file("open.conf", "passdb {\n");
	write_file("close.conf", "!include open.conf\n}\n!include none\n!include .\n");
	(void)parse_file("self.conf");
	check_tree(parse_file("ping.conf"), "b=1;a=1;");
	(void)parse_file("close.conf");
	(void)parse_file("missing.conf");
	char expected[2048];
	snprintf(expected, sizeof(expected),
	    "self.conf:1: !include: %s/self.conf includes itself\n"
	    "pong.conf:1: !include: %s/ping.conf includes itself\n"
	    "open.conf:1: \"}\" is missing for \"passdb\" of line 1\n"
	    "close.conf:2: \"}\" without a section\n"
	    "close.conf:3: !include: no file matches %s/none\n"
	    "close.conf:4: !include: cannot read %s/.: it is not a file\n"
	    "-:0: cannot read %s/missing.conf: No such file or directory\n",
	    dir, dir, dir, dir, dir);
	assert_string_equal(errors, expected);
}

static void include_depth(void **state)
{
	(void)state;
	for (int i = 0; i <= CONF_INCLUDE_DEPTH + 1; i++)
		write_file(arena_printf(&arena, "deep%d.conf", i).ptr,
		    arena_printf(&arena, "!include deep%d.conf\n", i + 1).ptr);
	(void)parse_file("deep0.conf");
	assert_string_equal(errors, "deep16.conf:1: !include: more than 16 files deep\n");
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	char command[256];
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(nesting, setup, teardown),
	    cmocka_unit_test_setup_teardown(errors_go_on, setup, teardown),
	    cmocka_unit_test_setup_teardown(names, setup, teardown),
	    cmocka_unit_test_setup_teardown(deep_nesting_is_refused, setup, teardown),
	    cmocka_unit_test_setup_teardown(no_files_from_memory, setup, teardown),
	    cmocka_unit_test_setup_teardown(includes, setup, teardown),
	    cmocka_unit_test_setup_teardown(include_errors, setup, teardown),
	    cmocka_unit_test_setup_teardown(include_depth, setup, teardown),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
