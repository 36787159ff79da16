/*
 * authctl user: userdb lookups and lists of users, with doveadm's output.
 * Runs in: authctl.
 */
#include "authctl/authctl.h"

#include <unistd.h>

#include "conf/template.h"

struct user_command {
	const char *socket, *field, *expression;
	bool block; /* -u */
	struct authctl_fields fields;
	struct arena arena;
	struct template *template; /* of -e */
	struct authd_link *link;
	struct output out;
	char **masks;
	int mask_count;
	bool printed;
};

/* ---- list of users ---- */

static bool is_wild(const char *mask)
{
	return strpbrk(mask, "*?") != NULL;
}

static bool print_listed(void *context, const char *user)
{
	struct user_command *c = context;
	bool matches = false;
	for (int i = 0; i < c->mask_count && !matches; i++)
		matches = authd_mask_match(c->masks[i], user);
	if (!matches)
		return true;
	if (authctl_globals.format == OUTPUT_JSON) {
		output_row(&c->out, (const char *[]){user});
	} else {
		output_text(stdout, user);
		putchar('\n');
	}
	return ferror(stdout) == 0;
}

static int list_users(struct user_command *c)
{
	static const char *const columns[] = {"user"};
	bool json = authctl_globals.format == OUTPUT_JSON;
	if (json)
		output_begin(&c->out, OUTPUT_JSON, columns, 1);
	enum authd_status status = authd_list(c->link, c->mask_count == 1 ? c->masks[0] : NULL,
	    c->fields.items, c->fields.count, AUTHCTL_TIMEOUT_MS, print_listed, c);
	if (json)
		output_end(&c->out);
	if (status == AUTHD_OK)
		return EX_OK;
	authctl_complain("the list of users is not complete");
	return authctl_failed(c->link, status);
}

/* ---- one user ---- */

static struct span known(const char *text)
{
	return text != NULL ? span_of(text) : SPAN_LIT("");
}

static int print_expanded(struct user_command *c, const struct authd_event *e)
{
	struct fields userdb = fields_in(&c->arena);
	struct vars vars = {.userdb = &userdb};
	struct err err;
	vars.v[VAR_USER] = span_of(e->user);
	for (size_t i = 0; i < e->field_count; i++) {
		fields_set(&userdb, span_of(e->fields[i].name), known(e->fields[i].value));
		if (strcmp(e->fields[i].name, "home") == 0)
			vars.v[VAR_HOME] = known(e->fields[i].value);
	}
	for (size_t i = 0; i < c->fields.count; i++)
		if (strcmp(c->fields.items[i].name, "service") == 0)
			vars.v[VAR_SERVICE] = known(c->fields.items[i].value);
	struct span text = template_expand(c->template, &vars, &c->arena, NULL, NULL, &err);
	if (text.ptr == NULL) {
		authctl_complain("-e %s: %s", c->expression, err.text);
		return EX_USAGE;
	}
	output_data(text);
	putchar('\n');
	return EX_OK;
}

static void print_block(const struct authd_event *e, const char *user)
{
	fputs("userdb: ", stdout);
	output_text(stdout, user);
	fputs("\n  user      : ", stdout);
	output_text(stdout, e->user);
	putchar('\n');
	for (size_t i = 0; i < e->field_count; i++) {
		printf("  %-10s: ", e->fields[i].name);
		output_text(stdout, e->fields[i].value != NULL ? e->fields[i].value : "");
		putchar('\n');
	}
}

static void print_rows(struct user_command *c, const struct authd_event *e)
{
	for (size_t i = 0; i < e->field_count; i++) {
		const char *value = e->fields[i].value != NULL ? e->fields[i].value : "";
		output_row(&c->out, (const char *[]){e->fields[i].name, value, e->user});
	}
}

static int print_user(struct user_command *c, const struct authd_event *e, const char *user)
{
	if (c->expression != NULL)
		return print_expanded(c, e);
	if (c->block && c->field == NULL) {
		print_block(e, user);
		return EX_OK;
	}
	if (c->field == NULL) {
		print_rows(c, e);
		return EX_OK;
	}
	for (size_t i = 0; i < e->field_count; i++)
		if (strcmp(e->fields[i].name, c->field) == 0) {
			output_text(stdout, e->fields[i].value ? e->fields[i].value : "");
			putchar('\n');
		}
	return EX_OK;
}

/* Only the text forms have the blank lines and messages of doveadm between the rows. */
static bool is_prose(const struct user_command *c)
{
	return c->field == NULL && c->expression == NULL &&
	       (c->block || c->out.format == OUTPUT_TAB);
}

static int lookup(struct user_command *c, const char *user)
{
	struct authd_event e;
	enum authd_status status = authd_lookup_user(
	    c->link, user, c->fields.items, c->fields.count, AUTHCTL_TIMEOUT_MS, &e);
	if (c->printed && is_prose(c))
		putchar('\n');
	c->printed = true;
	if (status == AUTHD_OK)
		return print_user(c, &e, user);
	if (status == AUTHD_NOT_FOUND) {
		fflush(stdout);
		fprintf(
		    is_prose(c) ? stdout : stderr, "userdb lookup: user %s doesn't exist\n", user);
		return EX_NOUSER;
	}
	authctl_complain("userdb lookup failed for %s", user);
	return authctl_failed(c->link, status);
}

static int lookup_users(struct user_command *c)
{
	/* JSON names the user in each row; the others have doveadm's two columns */
	static const char *const columns[] = {"field", "value", "user"};
	bool rows = !c->block && c->field == NULL && c->expression == NULL;
	if (rows)
		output_begin(
		    &c->out, OUTPUT_TAB, columns, authctl_globals.format == OUTPUT_JSON ? 3 : 2);
	int result = EX_OK;
	for (int i = 0; i < c->mask_count; i++) {
		int status = lookup(c, c->masks[i]);
		if (status != EX_OK && result != EX_TEMPFAIL)
			result = status;
	}
	if (rows)
		output_end(&c->out);
	return result;
}

static int parse(struct user_command *c, int argc, char **argv)
{
	int option;
	struct err err;
	authctl_fields_init(&c->fields);
	while ((option = getopt(argc, argv, "+a:x:f:e:u")) != -1) {
		if (option == 'a')
			c->socket = optarg;
		else if (option == 'f')
			c->field = optarg;
		else if (option == 'e')
			c->expression = optarg;
		else if (option == 'u')
			c->block = true;
		else if (option != 'x' || !authctl_fields_add(&c->fields, optarg))
			return authctl_usage();
	}
	if (optind == argc)
		return authctl_usage();
	if (c->expression != NULL && c->field != NULL) {
		authctl_complain("-e and -f exclude each other");
		return EX_USAGE;
	}
	c->masks = argv + optind;
	c->mask_count = argc - optind;
	if (c->expression == NULL)
		return EX_OK;
	c->template = template_parse(&c->arena, span_of(c->expression), &err);
	if (c->template != NULL)
		return EX_OK;
	authctl_complain("-e: %s", err.text);
	return EX_USAGE;
}

int authctl_user(int argc, char **argv)
{
	struct user_command c = {0};
	int status = parse(&c, argc, argv);
	if (status != EX_OK)
		goto out;
	status = EX_TEMPFAIL;
	c.link = authctl_connect(AUTHD_MASTER, c.socket, "auth-userdb");
	if (c.link == NULL)
		goto out;
	bool wild = false;
	for (int i = 0; i < c.mask_count; i++)
		wild = wild || is_wild(c.masks[i]);
	status = wild ? list_users(&c) : lookup_users(&c);
out:
	authd_disconnect(c.link);
	arena_free(&c.arena);
	return status;
}
