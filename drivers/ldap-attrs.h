/*
 * The attribute language of pass_attrs, user_attrs and iterate_attrs:
 *
 *   attr=field             field is the attribute's value
 *   attr=field=prefix      the same with text in front
 *   attr=field=template    %$ is the value, %{ldap:other[:default]} another attribute's
 *   =field=template        made of other things only
 *   attr                   attr=attr
 *   !attr                  fetched for %{ldap:attr}, no field of its own
 *   @name=%{ldap:dnattr}   another entry, whose DN the template gives
 *   attr@name=field        an attribute of that entry; %{ldap:attr@name} too
 *
 * %{ldap_ptr:attr} reads the attribute that attr names, %{ldap_dn} is the entry's DN.
 * Parsed when the configuration is loaded, without libldap; expanded in the
 * worker through struct ldap_reader. Owner: the arena of ldap_attrs_parse().
 */
#ifndef DRIVERS_LDAP_ATTRS_H
#define DRIVERS_LDAP_ATTRS_H

#include "base/fields.h"
#include "conf/template.h"

struct ldap_source {
	const char *name;	  /* of "@name"; "" is the user's own entry */
	struct template *dn;	  /* of "@name"; NULL for the user's own */
	const char *const *attrs; /* to ask for, NULL-terminated: "1.1" when none */
};

struct ldap_attr {
	const char *attr; /* NULL: none ("=field=template") */
	size_t source;
	struct template *field; /* NULL: fetched only */
	struct template *value; /* NULL: the attribute as it is */
};

struct ldap_attrs {
	struct ldap_source *sources; /* [0] is the user's own entry */
	size_t source_count;
	struct ldap_attr *items;
	size_t count;
	uint64_t needs; /* VAR_BIT()s of all templates */
};

/* skip: a field that is left out ("password" with auth_bind), or NULL */
struct ldap_attrs *ldap_attrs_parse(
    struct arena *a, struct span text, const char *skip, struct err *err) MUST_CHECK;

/* ---- expanding ---- */

struct ldap_values {
	const struct span *items;
	size_t count;
};

/* Access to entries, by the number of their source. */
struct ldap_reader {
	void *ctx;
	/* count 0: the entry has no such attribute, or there is no entry */
	struct ldap_values (*values)(void *ctx, size_t source, const char *attr);
	struct span (*dn)(void *ctx, size_t source); /* SPAN_NULL: no entry */
	/*
	 * Several values where one is needed; the first one counts. May be NULL.
	 */
	void (*several)(void *ctx, const char *attr, const char *field);
};

/* The DN of a source other than the first; empty: nothing leads there. SPAN_NULL: *err */
struct span ldap_attrs_dn(const struct ldap_attrs *attrs, size_t source, const struct vars *vars,
    const struct ldap_reader *reader, struct arena *a, struct err *err) MUST_CHECK;

/* Sets all fields. A "gid" of several numbers becomes a list when userdb. */
bool ldap_attrs_expand(const struct ldap_attrs *attrs, const struct vars *vars,
    const struct ldap_reader *reader, bool userdb, struct fields *out, struct err *err) MUST_CHECK;

#endif
