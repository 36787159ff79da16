/*
 * Any stored value under any default scheme: taken apart, priced, judged,
 * made a dummy of and, when that is cheap, verified with part of the input.
 * Input: default scheme, newline, password, newline, stored value.
 */
#include <stdlib.h>

#include "schemes/scheme.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* what a fuzzer can wait for and what its memory limit allows */
enum { CHEAP_USEC = 2000, CHEAP_MEMORY = 1 << 20, CHEAP_PASSWORD = 256 };

static void must(bool true_always)
{
	if (!true_always)
		abort();
}

static bool cheap(const struct scheme_hash *h)
{
	struct scheme_cost cost = scheme_cost(h);
	must(cost.expensive || (cost.memory == 0 && cost.usec == 0));
	return cost.memory <= CHEAP_MEMORY && cost.usec <= CHEAP_USEC;
}

static void try_hash(const struct scheme_hash *h, struct secret password, struct arena *a)
{
	struct err err = {0};
	struct secret out;
	struct scheme_hash dummy;
	const char *name = NULL;
	enum verdict v = scheme_verify(h, password, SPAN_LIT("joe@example.com"), a, &err);
	must(v == VERDICT_OK || v == VERDICT_MISMATCH || v == VERDICT_INTERNAL);
	must((v == VERDICT_INTERNAL) == (err.text[0] != '\0'));
	scheme_is_weak(h, &name);
	must(name != NULL && scheme_find(span_of(name)) != NULL);
	struct scheme_gen g = {.user = SPAN_LIT("joe")};
	v = scheme_convert(h, "CRAM-MD5", &g, a, &out, &err);
	must((v == VERDICT_OK) == secret_is_set(out));
	must(scheme_dummy(h, a, &dummy));
	must(scheme_verify(&dummy, password, SPAN_LIT("joe"), a, &err) == VERDICT_MISMATCH);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = {0};
	struct err err = {0};
	struct scheme_hash h;
	struct span rest = span_make(data, size), name, password;
	if (size == 0 || !span_split(&rest, '\n', &name) || !span_split(&rest, '\n', &password))
		return 0;
	bool parsed =
	    scheme_parse(secret_of(rest), arena_cstr(&a, name), size % 8 == 0, &a, &h, &err);
	must(parsed || err.text[0] != '\0');
	if (parsed && cheap(&h) && password.len <= CHEAP_PASSWORD)
		try_hash(&h, secret_of(password), &a);
	arena_free(&a);
	return 0;
}
