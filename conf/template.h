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

/*
 * Variables that one driver alone knows: %{NAME:argument[:default]} for the
 * names listed, and %$ when "$" is among them.
 */
struct template_sources {
	const char *const *names; /* NULL ends */
	/* may be NULL; sees each of them while it is parsed and refuses what makes no sense */
	bool (*note)(void *ctx, struct span name, struct span argument, struct err *err);
	void *ctx;
};

/* template_parse() with these as well; for a text that never leaves the driver. */
struct template *template_parse_with(struct arena *a, struct span text,
    const struct template_sources *sources, struct err *err) MUST_CHECK;

/*
 * A text in Dovecot 2.4's language, "%{user | lower}", as one that the above
 * take: there is one language inside, in which such an expression has a mark
 * and is written without blanks, quotes and braces that anything around it
 * could stumble over. %{env:NAME} becomes its value. SPAN_NULL and *err.
 */
struct span template_from_24(struct arena *a, struct span text, struct err *err) MUST_CHECK;
/* The reverse, to be shown. */
struct span template_to_24(struct arena *a, struct span text);
/* For messages: a text that may be of 2.3, or have such expressions in it. */
struct span template_shown(struct arena *a, struct span text);

/* What a driver calls its variable %{ldap_multi:...}, which only 2.4 has. */
#define TEMPLATE_LDAP_MULTI "\2multi"

/* err.code of an expansion that failed because a variable has no value and there is no default */
enum { TEMPLATE_NO_VALUE = 69 }; /* EX_UNAVAILABLE */

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

/* The value of one of a driver's own variables; SPAN_NULL or empty: its default counts. */
typedef struct span template_source(
    void *ctx, struct arena *a, struct span name, struct span argument);

struct template_hooks {
	template_escape *escape; /* may be NULL; what source gives is never escaped */
	void *escape_ctx;
	template_source *source; /* may be NULL: none of them has a value */
	void *source_ctx;
};

/* template_expand() for a template of template_parse_with() */
struct span template_expand_with(const struct template *t, const struct vars *vars, struct arena *a,
    const struct template_hooks *hooks, struct err *err) MUST_CHECK;

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
