/*
 * Printing a configuration, so that it can be read again, and the parts that
 * the front and the workers get.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "conf-kit.h"

#define LISTENER "service auth {\nunix_listener auth-client {\nmode = 0660\n}\n}\n"
#define PASSDB(args) "passdb {\ndriver = passwd-file\nargs = " args "\n}\n"

static struct kit_errors errors;

static struct config *load_with(const char *text, const struct config_options *options)
{
	memset(&errors, 0, sizeof(errors));
	struct config *c = config_load_text("t", span_of(text), options, kit_collect, &errors);
	assert_string_equal(errors.text, "");
	assert_non_null(c);
	return c;
}

static struct config *load(const char *text)
{
	return load_with(text, &kit_options);
}

static struct config *load_dovecot(const char *text)
{
	return load_with(text, &kit_dovecot);
}

static char *print(const struct config *c, bool changed_only)
{
	struct buffer b = {0};
	config_print(c, changed_only, &b);
	buffer_append_char(&b, '\0');
	char *text = strdup(b.data + b.start);
	buffer_free(&b);
	return text;
}

static const char everything[] = "base_dir = /run/x\n"
				 "hash_memory_limit = 1 G\n"
				 "auth_mechanisms = plain login\n"
				 "auth_default_realm = \" # x\"\n"
				 "auth_failure_delay = 1500 msecs\n"
				 "auth_winbind_helper_path =\n"
				 "passdb {\n"
				 "  driver = static\n"
				 "  args = \"nopassword=y home=\\\"/a b\\\"\"\n"
				 "  override_fields = proxy=y host=%d\n"
				 "  skip = authenticated\n"
				 "  master = yes\n"
				 "}\n"
				 "passdb {\n"
				 "  name = second\n"
				 "  driver = passwd-file\n"
				 "  args = /a\n"
				 "  result_internalfail = return-fail\n"
				 "  worker_count = 2\n"
				 "  mechanisms = plain none\n"
				 "}\n"
				 "userdb {\n"
				 "  driver = prefetch\n"
				 "  auth_verbose = yes\n"
				 "}\n"
				 "service auth {\n"
				 "  client_limit = 7\n"
				 "  unix_listener \"auth client\" {\n"
				 "    mode = 0666\n"
				 "    type = master\n"
				 "    client_deadline = 10 secs\n"
				 "  }\n"
				 "  inet_listener x-userdb {\n"
				 "    address = \"#1\"\n"
				 "    port = 99\n"
				 "  }\n"
				 "  user = u\n"
				 "}\n"
				 "service auth-worker {\n"
				 "  user = w\n"
				 "}\n"
				 "protocol !imap {\n"
				 "  auth_verbose = no\n"
				 "  passdb {\n"
				 "    driver = passwd\n"
				 "  }\n"
				 "}\n";

/* What -n prints of a file with nothing but changes is that file. */
static void prints_what_it_read(void **state)
{
	(void)state;
	struct config *c = load(everything);
	char *text = print(c, true);
	assert_string_equal(text, everything);
	char *full = print(c, false);
	config_free(&c);
	assert_non_null(strstr(full, "auth_username_format = %Lu\n"));
	assert_non_null(strstr(full, "    result_success = return-ok\n"));
	c = load(full);
	char *again = print(c, true);
	assert_string_equal(again, everything);
	config_free(&c);
	free(text);
	free(full);
	free(again);
}

static void prints_no_secrets(void **state)
{
	(void)state;
	struct config *c =
	    load("auth_policy_hash_nonce = s3cret\nauth_policy_server_api_header = X: s3cret\n"
		 "passdb {\ndriver = static\nargs = user=x password=s3cret nopassword=n "
		 "userdb_pass=\"s3 cret\" host=h\n"
		 "default_fields = pass=s3cret a=b\n}\n" LISTENER);
	char *text = print(c, false);
	assert_null(strstr(text, "s3"));
	assert_null(strstr(text, "cret\""));
	assert_non_null(strstr(text, "  args = user=x password=<hidden> nopassword=n "
				     "userdb_pass=<hidden> host=h\n"));
	assert_non_null(strstr(text, "  default_fields = pass=<hidden> a=b\n"));
	assert_non_null(strstr(text, "auth_policy_hash_nonce = \"<hidden>\"\n"));
	config_free(&c);
	c = load(text);
	config_free(&c);
	free(text);
}

/* Dovecot's defaults become explicit: what is printed is a valid authd.conf. */
static void prints_dovecot_as_authd(void **state)
{
	(void)state;
	struct config *c = load_dovecot("mail_location = x\n" PASSDB("/a"));
	char *text = print(c, true);
	config_free(&c);
	c = load(text);
	assert_int_equal(c->listener_count, 6);
	assert_string_equal(c->process->base_dir, "/run/dovecot");
	assert_true(c->scopes[0].auth->allow_weak_schemes);
	char *again = print(c, true);
	assert_string_equal(text, again);
	config_free(&c);
	free(text);
	free(again);
}

/* ---- the children's parts ---- */

static void front_part(void **state)
{
	(void)state;
	struct config *c = load(everything);
	struct buffer b = {0};
	struct err err = {0};
	config_export_front(c, &b);
	assert_null(memmem(b.data, b.len, "/a b", 4)); /* no args */
	struct config *f = config_import_front(buffer_span(&b), &err);
	assert_non_null(f);
	assert_string_equal(f->process->base_dir, "/run/x");
	assert_int_equal(f->scope_count, c->scope_count);
	assert_null(f->scopes[0].protocol);
	assert_string_equal(f->scopes[1].protocol, "imap");
	assert_true(f->scopes[1].negated);
	const struct config_db *db = &f->scopes[1].passdbs[1];
	assert_string_equal(db->set->driver, "static");
	assert_string_equal(db->set->args, "");
	assert_true(db->set->master);
	assert_string_equal(db->set->override_fields->text, "proxy=y host=%d");
	assert_int_equal(db->id, 1);
	assert_int_equal(db->pool, c->scopes[1].passdbs[1].pool);
	assert_int_equal(db->place.line, 7);
	assert_int_equal(f->scopes[0].userdbs[0].pool, -1);
	assert_int_equal(f->pool_count, c->pool_count);
	assert_string_equal(f->pools[0].driver, "static");
	assert_int_equal(f->listener_count, 2);
	assert_int_equal(f->listeners[0].type, LISTENER_MASTER);
	assert_int_equal(f->listeners[1].set->port, 99);
	assert_string_equal(f->service_user, "u");
	assert_int_equal(f->client_limit, 7);
	assert_ptr_equal(config_scope_for(f, SPAN_LIT("imap")), &f->scopes[0]);
	assert_ptr_equal(config_scope_for(f, SPAN_LIT("smtp")), &f->scopes[1]);
	config_free(&f);
	for (size_t cut = 0; cut < b.len; cut++)
		assert_null(config_import_front(span_first(buffer_span(&b), cut), &err));
	buffer_append_char(&b, 'x');
	assert_null(config_import_front(buffer_span(&b), &err));
	buffer_free(&b);
	config_free(&c);
}

static void worker_part(void **state)
{
	(void)state;
	struct config *c = load(everything);
	struct buffer b = {0};
	struct err err = {0};
	config_export_worker(c, 1, &b);
	assert_null(memmem(b.data, b.len, "nopassword", 10)); /* its own section only */
	struct worker_config *wc = config_import_worker(buffer_span(&b), &err);
	assert_non_null(wc);
	assert_string_equal(wc->driver, "passwd-file");
	assert_string_equal(wc->args, "/a");
	assert_null(wc->file_text);
	assert_int_equal(wc->pool, 1);
	assert_int_equal(wc->process->hash_memory_limit, 1 << 30);
	assert_false(wc->debug);
	worker_config_free(&wc);
	for (size_t cut = 0; cut < b.len; cut++)
		assert_null(config_import_worker(span_first(buffer_span(&b), cut), &err));
	buffer_free(&b);
	config_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(prints_what_it_read),
	    cmocka_unit_test(prints_no_secrets),
	    cmocka_unit_test(prints_dovecot_as_authd),
	    cmocka_unit_test(front_part),
	    cmocka_unit_test(worker_part),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
