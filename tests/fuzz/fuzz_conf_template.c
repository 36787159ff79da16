/*
 * Templates: any text is parsed, as a template, as a list of fields and in
 * Dovecot 2.4's language, and expanded with any values. What is checked: an answer or an error,
 * never both; escaped values arrive escaped; a text for a child process says the same.
 */
#include <stdlib.h>

#include "conf/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* every byte becomes two hexadecimal digits, so that any other byte is text of the template */
static struct span escape(void *ctx, struct arena *a, struct span value)
{
	char *out = arena_alloc(a, value.len * 2 + 1);
	*(size_t *)ctx += value.len;
	for (size_t i = 0; i < value.len; i++) {
		out[2 * i] = (char)('A' + ((uint8_t)value.ptr[i] >> 4));
		out[2 * i + 1] = (char)('A' + ((uint8_t)value.ptr[i] & 15));
	}
	return span_make(out, value.len * 2);
}

static void expand(struct arena *a, const struct template *t, const struct vars *vars)
{
	struct err err = {0};
	size_t escaped = 0;
	struct span plain = template_expand(t, vars, a, NULL, NULL, &err);
	require((plain.ptr == NULL) == (err.code != 0));
	err.code = 0;
	struct span hex = template_expand(t, vars, a, escape, &escaped, &err);
	require((hex.ptr == NULL) == (err.code != 0));
	require((plain.ptr == NULL) == (hex.ptr == NULL));
	/* what makes a DN of dots finds none in hexadecimal digits */
	bool dots = strpbrk(template_text(t), "D") != NULL || strstr(template_text(t), "ldap_dn");
	require(plain.ptr == NULL || dots || hex.len >= plain.len);
	if (plain.ptr == NULL || template_needs(t) != 0)
		return;
	struct vars none = {0};
	require(span_eq(plain, template_expand(t, &none, a, NULL, NULL, &err)));
}

static void resolve(struct arena *a, struct span text, const struct vars *vars)
{
	struct err err = {0};
	struct template *here = template_parse(a, text, &err);
	require((here == NULL) == (err.code != 0));
	struct span sent = template_resolve_env(a, text);
	struct template *there = here != NULL ? template_parse(a, sent, &err) : NULL;
	if (there == NULL)
		return;
	struct span x = template_expand(here, vars, a, NULL, NULL, &err);
	struct span y = template_expand(there, vars, a, NULL, NULL, &err);
	require(memmem(text.ptr, text.len, "\\%", 2) != NULL || span_eq(x, y));
	expand(a, here, vars);
}

/* What 2.4's language becomes inside means the same after it was shown and read again. */
static void expand_24(struct arena *a, struct span text, const struct vars *vars)
{
	struct err err = {0};
	struct span inside = template_from_24(a, text, &err);
	require((inside.ptr == NULL) == (err.code != 0));
	if (inside.ptr == NULL)
		return;
	struct span again = template_from_24(a, template_to_24(a, inside), &err);
	require(span_eq(inside, again));
	struct template *t = template_parse(a, inside, &err);
	require((t == NULL) == (err.code != 0));
	if (t != NULL)
		expand(a, t, vars);
}

/* rounds beyond a few say nothing new and take long */
static bool slow(struct span text)
{
	const char *at = memmem(text.ptr, text.len, "rounds=", 7);
	if (at == NULL)
		return false;
	struct span digits = span_skip(text, (size_t)(at - text.ptr) + 7);
	size_t n = 0;
	while (n < digits.len && digits.ptr[n] >= '0' && digits.ptr[n] <= '9')
		n++;
	return n > 2 || memmem(digits.ptr, digits.len, "rounds=", 7) != NULL;
}

/* the text up to the first NUL, then the value of all variables */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = {0};
	struct err err = {0};
	struct span text, value = span_make(data, size);
	if (size > 4096 || !span_split(&value, '\0', &text) || slow(text))
		return 0;
	setenv("FUZZ", "e;n}v", 1);
	if (value.ptr == NULL)
		value = SPAN_LIT("Joe@Example.com");
	struct fields fields = fields_in(&a);
	fields_set(&fields, SPAN_LIT("x"), value);
	struct vars vars = {.passdb = &fields, .userdb = &fields};
	for (size_t i = 0; i < VAR_COUNT; i++)
		vars.v[i] = value;
	vars.password = secret_of(value);
	resolve(&a, text, &vars);
	expand_24(&a, text, &vars);
	struct template_fields *tf = template_fields_parse(&a, text, &err);
	for (size_t i = 0; tf != NULL && i < tf->count; i++) {
		expand(&a, tf->items[i].key, &vars);
		if (tf->items[i].value != NULL)
			expand(&a, tf->items[i].value, &vars);
	}
	require((tf == NULL) == (err.code != 0));
	arena_free(&a);
	return 0;
}
