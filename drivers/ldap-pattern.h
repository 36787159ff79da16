/*
 * What of a filter depends on the user, so that several users can be searched
 * for at once. Runs in: worker. Needs no LDAP library.
 */
#ifndef DRIVERS_LDAP_PATTERN_H
#define DRIVERS_LDAP_PATTERN_H

#include "conf/template.h"

/*
 * A filter in which one assertion, "(attr=value)", holds all that depends on
 * the user and must be true: nothing but "&" is around it.
 */
struct ldap_pattern {
	const char *attr;	  /* NULL: the filter is none such */
	struct span before, leaf; /* one after the other; leaf is "(attr=" */
	struct span after;	  /* behind the assertion's ")" */
	const char *const *attrs; /* to ask for: what is wanted, and attr */
};

/* What attrs a search of filter asks for; all of it lives in the arena. */
void ldap_pattern_make(struct arena *a, const struct template *filter, const char *const *attrs,
    struct ldap_pattern *p);

/*
 * The value in a filter that was made of the template and is as the pattern
 * says; SPAN_NULL: it is not, or has characters that could mean more than
 * themselves. It lives as long as the filter.
 */
struct span ldap_pattern_value(const struct ldap_pattern *p, struct span filter);
/*
 * A matching rule might take two such values for the same one: some leave
 * hyphens out (telephone numbers), or zeros in front (integers).
 */
bool ldap_pattern_alike(struct span x, struct span y);
bool ldap_attr_is_among(const char *const *attrs, const char *attr); /* NULL ends */

#endif
