/*
 * authctl auth test, login and lookup. The text is doveadm's, for
 * the scripts that read it.
 * Runs in: authctl.
 */
#include "authctl/authctl.h"
#include "authctl/sasl.h"

#include <unistd.h>

struct login_options {
	const char *socket, *master_socket, *mech, *master_user;
	struct authctl_fields fields;
	const char *user;
	struct secret password;
	struct sasl sasl; /* .mech NULL: PLAIN or LOGIN */
	struct arena arena;
};

/* ---- options ---- */

static bool is_known(const char *mech)
{
	static const char *const known[] = {"PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"};
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (strcasecmp(mech, known[i]) == 0)
			return true;
	}
	return false;
}

/* EX_OK, or the exit status. */
static int login_parse(struct login_options *o, int argc, char **argv, const char *options)
{
	int option;
	*o = (struct login_options){.mech = "PLAIN"};
	authctl_fields_init(&o->fields);
	while ((option = getopt(argc, argv, options)) != -1) {
		if (option == 'a')
			o->socket = optarg;
		else if (option == 'm')
			o->master_socket = optarg;
		else if (option == 'A')
			o->mech = optarg;
		else if (option == 'M')
			o->master_user = optarg;
		else if (option != 'x' || !authctl_fields_add(&o->fields, optarg))
			return authctl_usage();
	}
	if (argc - optind < 1 || argc - optind > 2)
		return authctl_usage();
	const struct sasl_mech *m = o->sasl.mech = sasl_find(o->mech);
	if (m == NULL && !is_known(o->mech)) {
		authctl_complain("-A %s: there are PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-1, "
				 "SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER, XOAUTH2, EXTERNAL and "
				 "ANONYMOUS",
		    o->mech);
		return EX_USAGE;
	}
	if (o->master_user != NULL &&
	    (m != NULL ? !sasl_takes_master(m) : strcasecmp(o->mech, "PLAIN") != 0)) {
		authctl_complain("a master user (-M) needs the mechanism PLAIN or SCRAM");
		return EX_USAGE;
	}
	o->user = argv[optind];
	if (m != NULL && !sasl_takes_password(m))
		return argc - optind == 1 ? EX_OK : authctl_usage();
	o->password = argc - optind == 2 ? authctl_take_password(argv[optind + 1], &o->arena)
					 : authctl_read_password("Password: ", &o->arena);
	if (!secret_is_set(o->password))
		return EX_NOINPUT;
	if (span_find(secret_reveal(o->password), '\0') < 0)
		return EX_OK;
	authctl_complain("the password has a NUL byte: no mechanism can send it");
	return EX_DATAERR;
}

/* ---- output ---- */

static void print_field(FILE *f, const struct authd_field *field)
{
	fputs("  ", f);
	output_text(f, field->name);
	if (field->value != NULL) {
		putc('=', f);
		output_text(f, field->value);
	}
	putc('\n', f);
}

static const char *result_word(enum authd_status status)
{
	return status == AUTHD_OK	 ? "succeeded"
	       : status == AUTHD_REFUSED ? "failed"
					 : "temporarily failed";
}

static void print_passdb(
    const struct login_options *o, enum authd_status status, const struct authd_event *e)
{
	fputs("passdb: ", stdout);
	output_text(stdout, o->user);
	printf(" auth %s\n", result_word(status));
	if (e->field_count > 0)
		puts("extra fields:");
	for (size_t i = 0; i < e->field_count; i++)
		print_field(stdout, &e->fields[i]);
}

static void print_userdb(const struct authd_event *e)
{
	fputs("userdb extra fields:\n  ", stdout);
	output_text(stdout, e->user);
	putchar('\n');
	for (size_t i = 0; i < e->field_count; i++)
		print_field(stdout, &e->fields[i]);
}

static void print_rows(const char *database, const char *result, const struct authd_event *e)
{
	static const char *const columns[] = {"database", "field", "value"};
	struct output out;
	output_begin(&out, OUTPUT_TAB, columns, ARRAY_LEN(columns));
	output_row(&out, (const char *[]){database, "result", result});
	for (size_t i = 0; i < e->field_count; i++) {
		const struct authd_field *f = &e->fields[i];
		output_row(&out, (const char *[]){database, f->name, f->value ? f->value : ""});
	}
	output_end(&out);
}

static void print_json(
    const struct login_options *o, enum authd_status status, const struct authd_event *e)
{
	static const char *const results[] = {"temporary", "ok", "refused"};
	fputs("{\"user\":", stdout);
	output_json_string(stdout, o->user);
	printf(",\"result\":\"%s\",\"passdb\":", results[status == AUTHD_OK	   ? 1
							 : status == AUTHD_REFUSED ? 2
										   : 0]);
	output_json_fields(stdout, e->fields, e->field_count);
}

/* The passdb's part; JSON stays open for the userdb's. */
static void print_answer(
    const struct login_options *o, enum authd_status status, const struct authd_event *e)
{
	if (authctl_globals.format == OUTPUT_DEFAULT)
		print_passdb(o, status, e);
	else if (authctl_globals.format == OUTPUT_JSON)
		print_json(o, status, e);
	else
		print_rows("passdb", result_word(status), e);
}

static void print_json_end(void)
{
	if (authctl_globals.format == OUTPUT_JSON)
		puts("}");
}

/* ---- auth test, auth login ---- */

static void use_sasl(struct login_options *o, struct authd_login *login)
{
	struct sasl *s = &o->sasl;
	s->user = span_of(o->user);
	s->master = span_of(o->master_user);
	s->password = o->password;
	s->arena = &o->arena;
	struct span initial = sasl_begin(s);
	login->initial = initial.ptr;
	login->initial_length = initial.len;
	login->respond = sasl_respond;
	login->context = s;
}

/* Connects and asks; prints. EX_OK, EX_NOPERM: decided and printed. */
static int ask(
    struct login_options *o, const char *name, struct authd_link **link, struct authd_event *e)
{
	*link = authctl_connect(AUTHD_CLIENT, o->socket, name);
	if (*link == NULL)
		return EX_TEMPFAIL;
	struct authd_login login = {
	    .mech = o->mech,
	    .user = o->user,
	    .password = secret_reveal(o->password).ptr,
	    .master = o->master_user,
	    .fields = o->fields.items,
	    .field_count = o->fields.count,
	};
	if (o->sasl.mech != NULL)
		use_sasl(o, &login);
	enum authd_status status = authd_authenticate(*link, &login, AUTHCTL_TIMEOUT_MS, e);
	if (status == AUTHD_USAGE && o->sasl.wrong != NULL) {
		authctl_complain("%s", o->sasl.wrong);
		return EX_PROTOCOL;
	}
	if (status == AUTHD_USAGE)
		return authctl_failed(*link, status);
	if (status == AUTHD_OK && o->sasl.mech != NULL && !sasl_is_complete(&o->sasl)) {
		authctl_complain("the server did not prove that it knows the password");
		return EX_PROTOCOL;
	}
	print_answer(o, status, e);
	if (status == AUTHD_OK || status == AUTHD_REFUSED)
		return status == AUTHD_OK ? EX_OK : EX_NOPERM;
	return authctl_failed(*link, status);
}

int authctl_auth_test(int argc, char **argv)
{
	struct login_options o;
	struct authd_link *link = NULL;
	struct authd_event e = {0};
	int status = login_parse(&o, argc, argv, "+a:A:M:x:");
	if (status == EX_OK) {
		status = ask(&o, "auth-client", &link, &e);
		if (e.type != AUTHD_EVENT_NONE && status != EX_USAGE)
			print_json_end();
	}
	authd_disconnect(link);
	arena_free(&o.arena);
	return status;
}

/* Takes the login over, as a mail server's session would. */
static int take_over(const struct login_options *o, struct authd_link *login, uint32_t id)
{
	struct authd_link *link = authctl_connect(AUTHD_MASTER, o->master_socket, "auth-master");
	if (link == NULL)
		return EX_TEMPFAIL;
	int result = EX_OK;
	struct authd_event e;
	enum authd_status status = authd_request(link, (uint32_t)getpid(), id,
	    authd_conn_cookie(authd_link_conn(login)), NULL, 0, AUTHCTL_TIMEOUT_MS, &e);
	if (status == AUTHD_REFUSED || status == AUTHD_NOT_FOUND) {
		authctl_complain("%s",
		    status == AUTHD_REFUSED
			? "the server refused to hand over the login (nologin or proxy set, no "
			  "userdb answer, or another server behind the master socket): see its log"
			: "the userdbs do not know this user");
		result = EX_NOPERM;
	} else if (status != AUTHD_OK) {
		result = authctl_failed(link, status);
	} else if (authctl_globals.format == OUTPUT_DEFAULT) {
		print_userdb(&e);
	} else if (authctl_globals.format == OUTPUT_JSON) {
		fputs(",\"userdb_user\":", stdout);
		output_json_string(stdout, e.user);
		fputs(",\"userdb\":", stdout);
		output_json_fields(stdout, e.fields, e.field_count);
	} else {
		print_rows("userdb", e.user, &e);
	}
	authd_disconnect(link);
	return result;
}

int authctl_auth_login(int argc, char **argv)
{
	struct login_options o;
	struct authd_link *link = NULL;
	struct authd_event e = {0};
	int status = login_parse(&o, argc, argv, "+a:m:A:M:x:");
	if (status == EX_OK) {
		status = ask(&o, "auth-login", &link, &e);
		if (status == EX_OK)
			status = take_over(&o, link, e.id);
		if (e.type != AUTHD_EVENT_NONE && status != EX_USAGE)
			print_json_end();
	}
	authd_disconnect(link);
	arena_free(&o.arena);
	return status;
}

/* ---- auth lookup ---- */

static void print_one(const struct authd_event *e, const char *field)
{
	for (size_t i = 0; i < e->field_count; i++) {
		if (strcmp(e->fields[i].name, field) != 0)
			continue;
		output_text(stdout, e->fields[i].value != NULL ? e->fields[i].value : "");
		putchar('\n');
	}
}

static void print_lookup(const char *user, const char *field, const struct authd_event *e)
{
	if (authctl_globals.format == OUTPUT_JSON) {
		fputs("{\"user\":", stdout);
		output_json_string(stdout, user);
		fputs(",\"passdb\":", stdout);
		output_json_fields(stdout, e->fields, e->field_count);
		putchar('}');
	} else if (field != NULL) {
		print_one(e, field);
	} else {
		fputs("passdb: ", stdout);
		output_text(stdout, user);
		putchar('\n');
		for (size_t i = 0; i < e->field_count; i++) {
			printf("  %-10s: ", e->fields[i].name);
			output_text(stdout, e->fields[i].value ? e->fields[i].value : "");
			putchar('\n');
		}
	}
}

/* The exit status for this user. */
static int lookup_one(struct authd_link *link, const struct authctl_fields *fields,
    const char *user, const char *field, bool *printed)
{
	struct authd_event e;
	bool json = authctl_globals.format == OUTPUT_JSON;
	enum authd_status status =
	    authd_lookup_pass(link, user, fields->items, fields->count, AUTHCTL_TIMEOUT_MS, &e);
	if (status == AUTHD_NOT_FOUND) {
		fflush(stdout);
		fprintf(field != NULL || json ? stderr : stdout,
		    "passdb lookup: user %s doesn't exist\n", user);
		return EX_NOUSER;
	}
	if (status != AUTHD_OK) {
		authctl_complain("passdb lookup failed for %s", user);
		return authctl_failed(link, status);
	}
	if (json && *printed)
		putchar(',');
	print_lookup(user, field, &e);
	*printed = true;
	return EX_OK;
}

int authctl_auth_lookup(int argc, char **argv)
{
	const char *socket = NULL, *field = NULL;
	struct authctl_fields fields;
	int option, result = EX_OK;
	bool printed = false, json = authctl_globals.format == OUTPUT_JSON;
	authctl_fields_init(&fields);
	while ((option = getopt(argc, argv, "+a:x:f:")) != -1) {
		if (option == 'a')
			socket = optarg;
		else if (option == 'f')
			field = optarg;
		else if (option != 'x' || !authctl_fields_add(&fields, optarg))
			return authctl_usage();
	}
	if (optind == argc)
		return authctl_usage();
	struct authd_link *link = authctl_connect(AUTHD_MASTER, socket, "auth-userdb");
	if (link == NULL)
		return EX_TEMPFAIL;
	if (json)
		putchar('[');
	for (int i = optind; i < argc; i++) {
		if (i > optind && field == NULL && !json)
			putchar('\n');
		int status = lookup_one(link, &fields, argv[i], field, &printed);
		if (status != EX_OK && result != EX_TEMPFAIL) /* "nobody knows" weighs more */
			result = status;
	}
	if (json)
		puts("]");
	authd_disconnect(link);
	return result;
}
