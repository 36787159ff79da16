/*
 * Templates: text with %variables, parsed when the configuration is loaded
 * and expanded at each request. The language is Dovecot 2.3's: %u, %Lu,
 * %2.256Hu, %{long_name}, %{if;...}, %{sha256;rounds=N:user}, %{passdb:x:def},
 * %{env:NAME}, %% (man 7 authd-variables).
 * Owner: the arena given to template_parse(). Immutable, so threads may share.
 */
#ifndef CONF_TEMPLATE_H
#define CONF_TEMPLATE_H

#include "base/err.h"
#include "conf/vars.h"

struct template;

/* NULL and *err on a syntax error or an unknown variable or modifier (err says which and where). */
struct template *template_parse(struct arena *a, struct span text, struct err *err) MUST_CHECK;

/* VAR_BIT()s of all that the template reads. */
uint64_t template_needs(const struct template *t);
bool template_is_constant(const struct template *t);
const char *template_text(const struct template *t); /* the source, as written */

/*
 * The text with each %{env:NAME} replaced by its value, written so that any
 * parser of templates takes it as data. For what goes to a child process,
 * which has no environment. Any text may be given; one without is returned
 * as it is.
 */
struct span template_resolve_env(struct arena *a, struct span text);

/*
 * Escapes one variable's value for its place (SQL, LDAP, path); called for
 * each variable, after its modifiers, never for the text around them.
 */
typedef struct span template_escape(void *ctx, struct arena *a, struct span value);

/*
 * The expanded text, or SPAN_NULL and *err. It lives as long as the arena,
 * the template and the vars: text and values that need no change are not
 * copied, so nothing is said about the byte after it. escape may be NULL; when
 * it returns SPAN_NULL, the value cannot be written and expanding fails.
 */
struct span template_expand(const struct template *t, const struct vars *vars, struct arena *a,
    template_escape *escape, void *ctx, struct err *err) MUST_CHECK;

/*
 * A list of fields "key=template key=template flag" separated by spaces, as
 * in default_fields and in static's args. A double-quoted value may hold
 * spaces.
 */
struct template_fields {
	const char *text; /* the source */
	size_t count;
	struct template_field {
		struct template *key, *value; /* value NULL: no "=" */
	} * items;
};

struct template_fields *template_fields_parse(
    struct arena *a, struct span text, struct err *err) MUST_CHECK;
uint64_t template_fields_needs(const struct template_fields *tf);

#endif
