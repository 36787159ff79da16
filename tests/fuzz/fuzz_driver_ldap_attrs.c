/*
 * The attribute language of ldap and the escaping of values: any text is
 * parsed and expanded with any values. What is checked: an answer or an error,
 * never both; what is escaped has no syntax left in it.
 */
#include <stdlib.h>

#include "drivers/ldap-attrs.h"
#include "drivers/ldap-escape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static struct ldap_values values_of(void *ctx, size_t source, const char *attr)
{
	require(attr[0] != '\0');
	return (struct ldap_values){ctx, source == 0 ? 2 : strlen(attr) % 2};
}

static struct span dn_of(void *ctx, size_t source)
{
	return source == 0 ? *(const struct span *)ctx : SPAN_NULL;
}

static void expand(struct arena *a, const struct ldap_attrs *attrs, struct span value)
{
	struct vars vars = {.v[VAR_USER] = value};
	const struct span values[2] = {value, value};
	const struct ldap_reader reader = {(void *)values, values_of, dn_of, NULL};
	for (size_t i = 1; i < attrs->source_count; i++) {
		struct err err = {0};
		struct span dn = ldap_attrs_dn(attrs, i, &vars, &reader, a, &err);
		require((dn.ptr == NULL) == (err.code != 0));
	}
	for (int userdb = 0; userdb < 2; userdb++) {
		struct fields out = fields_in(a);
		struct err err = {0};
		bool ok = ldap_attrs_expand(attrs, &vars, &reader, userdb, &out, &err);
		require(ok == (err.text[0] == '\0') || (ok && userdb));
	}
}

static void escape(struct arena *a, struct span value)
{
	bool refused = false;
	struct span filter = ldap_escape_filter(&refused, a, value);
	struct span dn = ldap_escape_dn(&refused, a, value);
	require(refused == !ldap_is_utf8(value));
	require((filter.ptr == NULL) == refused && (dn.ptr == NULL) == refused);
	for (size_t i = 0; i < filter.len; i++)
		require(filter.ptr[i] != '\0' && strchr("*()", filter.ptr[i]) == NULL);
	for (size_t i = 0; i < dn.len; i++)
		require(dn.ptr[i] != '\0' && strchr(",+\"<>;=", dn.ptr[i]) == NULL);
}

/* rounds beyond a few say nothing new and take long */
static bool is_slow(struct span text)
{
	return memmem(text.ptr, text.len, "rounds", 6) != NULL ||
	       memmem(text.ptr, text.len, "pkcs5", 5) != NULL;
}

/* the text up to the first NUL, then the value of everything */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = {0};
	struct err err = {0};
	struct span text, value = span_make(data, size);
	if (size > 2048 || !span_split(&value, '\0', &text) || is_slow(text))
		return 0;
	if (value.ptr == NULL)
		value = SPAN_LIT("Joe,=(*)@Example.com");
	const struct ldap_attrs *attrs = ldap_attrs_parse(&a, text, "password", &err);
	require((attrs == NULL) == (err.code != 0));
	if (attrs != NULL)
		expand(&a, attrs, value);
	escape(&a, value);
	arena_free(&a);
	return 0;
}
