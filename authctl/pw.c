/*
 * authctl pw: makes password hashes and checks passwords against them, with
 * the options, output and statuses of doveadm pw.
 * Runs in: authctl, alone; no server is asked. Weak schemes are allowed.
 */
#include "authctl/authctl.h"

#include <unistd.h>

#include "base/precis.h"
#include "schemes/scheme.h"

enum { TRIES = 3 };

struct pw {
	struct arena arena;
	const char *scheme;
	struct secret password; /* unset: ask for it */
	struct secret hash;	/* -t */
	struct scheme_gen gen;
	bool verify, list, prepare;
};

/* The fewest rounds that mean anything, and the most that a person waits for. */
static const struct rounds_limit {
	const char *family;
	unsigned low, high;
} limits[] = {
    {"CRYPT", 4, 16},
    {"SHA256-CRYPT", 1000, 20000000},
    {"SHA512-CRYPT", 1000, 20000000},
    {"PBKDF2", 1, 20000000},
    {"SCRAM-SHA-1", 4096, 20000000},
    {"SCRAM-SHA-256", 4096, 20000000},
    {"ARGON2I", 3, 10},
    {"ARGON2ID", 3, 10},
};

/* The statuses are those of doveadm: whatever goes wrong with a hash is 75. */
static int fail(const char *what, const struct err *err)
{
	authctl_complain("%s%s", what, err->text);
	return EX_TEMPFAIL;
}

static int list_schemes(void)
{
	static const char *const columns[] = {"scheme", "weak"};
	struct output out;
	if (authctl_globals.format == OUTPUT_DEFAULT) {
		for (size_t i = 0; scheme_table[i] != NULL; i++)
			printf("%s%s", i > 0 ? " " : "", scheme_table[i]->name);
		putchar('\n');
		return EX_OK;
	}
	output_begin(&out, OUTPUT_TAB, columns, ARRAY_LEN(columns));
	for (size_t i = 0; scheme_table[i] != NULL; i++) {
		const char *weak = scheme_table[i]->flags & SCHEME_WEAK ? "yes" : "no";
		output_row(&out, (const char *const[]){scheme_table[i]->name, weak});
	}
	output_end(&out);
	return EX_OK;
}

static int print_hash(struct pw *pw, struct secret hash, bool verified)
{
	static const char *const columns[] = {"hash", "verified"};
	struct output out;
	struct span text = secret_reveal(hash);
	if (authctl_globals.format == OUTPUT_DEFAULT) {
		fwrite(text.ptr, 1, text.len, stdout);
		puts(verified ? " (verified)" : "");
		return EX_OK;
	}
	const char *cells[] = {arena_cstr(&pw->arena, text), verified ? "yes" : "no"};
	output_begin(&out, OUTPUT_TAB, columns, ARRAY_LEN(columns));
	output_row(&out, cells);
	output_end(&out);
	return EX_OK;
}

/* -r beyond what the scheme can do or a person can wait for: says so and goes on. */
static void limit_rounds(struct pw *pw, const struct scheme *s)
{
	unsigned given = pw->gen.rounds;
	const struct rounds_limit *l = limits, *end = limits + ARRAY_LEN(limits);
	if (given == 0)
		return;
	while (l < end && strcmp(l->family, s->family) != 0)
		l++;
	if (l == end)
		authctl_complain("-r has no effect: %s has no rounds", s->name);
	else if (given < l->low)
		pw->gen.rounds = l->low;
	else if (given > l->high)
		pw->gen.rounds = l->high;
	if (pw->gen.rounds != given)
		authctl_complain("-r %u: for %s it is %u to %u here; taking %u", given, s->name,
		    l->low, l->high, pw->gen.rounds);
}

/* A new password: twice where nobody sees what is typed. */
static int ask_new_password(struct pw *pw)
{
	for (int i = 0; i < TRIES; i++) {
		pw->password = authctl_read_password("Enter new password: ", &pw->arena);
		if (!secret_is_set(pw->password))
			return EX_NOINPUT;
		if (!isatty(STDIN_FILENO))
			return EX_OK;
		struct secret again = authctl_read_password("Retype new password: ", &pw->arena);
		if (!secret_is_set(again))
			return EX_NOINPUT;
		if (secret_eq(pw->password, again))
			return EX_OK;
		authctl_complain("Passwords don't match!");
	}
	return EX_DATAERR;
}

static int verify(struct pw *pw, struct secret hash)
{
	struct err err = {0};
	struct scheme_hash parsed;
	if (!scheme_parse(hash, NULL, false, &pw->arena, &parsed, &err))
		return fail("reverse decode check failed: ", &err);
	enum verdict v = scheme_verify(&parsed, pw->password, pw->gen.user, &pw->arena, &err);
	if (v == VERDICT_MISMATCH)
		err_set(&err, EX_TEMPFAIL, "Password mismatch");
	if (v != VERDICT_OK)
		return fail("reverse password verification check failed: ", &err);
	return EX_OK;
}

/* "{SCHEME}..."; "$1$..." is known without */
static bool has_prefix(struct secret hash)
{
	struct span text = secret_reveal(hash);
	return (span_starts(text, "{") && span_find(text, '}') > 0) || span_starts(text, "$1$");
}

/* -P: as a server with auth_password_precis prepares what clients send */
static int prepare(struct pw *pw)
{
	struct err err = {0};
	if (!pw->prepare)
		return EX_OK;
	pw->password = secret_of(
	    precis_enforce(PRECIS_OPAQUE_STRING, secret_reveal(pw->password), &pw->arena, &err));
	if (secret_is_set(pw->password))
		return EX_OK;
	authctl_complain("-P: the password: %s", err.text);
	return EX_DATAERR;
}

static int test_hash(struct pw *pw)
{
	if (!has_prefix(pw->hash)) {
		authctl_complain("Missing {scheme} prefix from hash");
		return EX_TEMPFAIL;
	}
	if (!secret_is_set(pw->password))
		pw->password = authctl_read_password("Enter password to verify: ", &pw->arena);
	if (!secret_is_set(pw->password))
		return EX_NOINPUT;
	int status = prepare(pw);
	if (status == EX_OK)
		status = verify(pw, pw->hash);
	return status != EX_OK ? status : print_hash(pw, pw->hash, true);
}

static int make_hash(struct pw *pw)
{
	struct err err = {0};
	const struct scheme *s = scheme_find(span_of(pw->scheme));
	int status = EX_OK;
	if (s == NULL) {
		authctl_complain("Unknown scheme: %s", pw->scheme);
		return EX_TEMPFAIL;
	}
	limit_rounds(pw, s);
	if (!secret_is_set(pw->password))
		status = ask_new_password(pw);
	if (status == EX_OK)
		status = prepare(pw);
	if (status != EX_OK)
		return status;
	struct secret hash =
	    scheme_generate(span_of(pw->scheme), &pw->gen, pw->password, &pw->arena, &err);
	if (!secret_is_set(hash))
		return fail("", &err);
	if (pw->verify)
		status = verify(pw, hash);
	return status != EX_OK ? status : print_hash(pw, hash, pw->verify);
}

static bool take_rounds(struct pw *pw, const char *text)
{
	if (span_to_u32(span_of(text), &pw->gen.rounds))
		return true;
	authctl_complain("-r %s: not a number", text);
	return false;
}

static bool take_options(struct pw *pw, int argc, char **argv)
{
	int option;
	while ((option = getopt(argc, argv, "lp:Pr:s:t:u:V")) != -1) {
		if (option == 'l')
			pw->list = true;
		else if (option == 'p')
			pw->password = authctl_take_password(optarg, &pw->arena);
		else if (option == 'P')
			pw->prepare = true;
		else if (option == 's')
			pw->scheme = optarg;
		else if (option == 't')
			pw->hash = authctl_take_password(optarg, &pw->arena);
		else if (option == 'u')
			pw->gen.user = span_of(optarg);
		else if (option == 'V')
			pw->verify = true;
		else if (option != 'r' || !take_rounds(pw, optarg))
			return false;
	}
	return optind == argc;
}

int authctl_pw(int argc, char **argv)
{
	struct pw pw = {.scheme = "CRYPT"};
	int status;
	if (!take_options(&pw, argc, argv))
		status = authctl_usage();
	else if (pw.list)
		status = list_schemes();
	else if (secret_is_set(pw.hash))
		status = test_hash(&pw);
	else
		status = make_hash(&pw);
	arena_free(&pw.arena);
	return status;
}
