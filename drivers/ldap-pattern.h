/*
 * What of a filter depends on the user, so that several users can be searched
 * for at once. Runs in: worker. Needs no LDAP library.
 */
#ifndef DRIVERS_LDAP_PATTERN_H
#define DRIVERS_LDAP_PATTERN_H

#include "base/buffer.h"
#include "conf/template.h"

/*
 * A filter in which one condition holds all that depends on the user, and
 * must be true (nothing but "&" is around it): "(attr=value)", or "(|(attr=value)
 * (attr=value))" with the same value in all of them.
 */
struct ldap_pattern {
	struct span before, after; /* of the condition */
	struct span *pieces;	   /* of it, with the value between them */
	size_t count;		   /* of pieces; 0: the filter is none such */
	const char *const *names;  /* of the attributes in it; NULL ends */
	const char *const *attrs;  /* to ask for: what is wanted, and names */
	unsigned seen;		   /* bits of names that some entry had, and showed */
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
/* The condition with this value. */
void ldap_pattern_put(const struct ldap_pattern *p, struct span value, struct buffer *b);
/*
 * A matching rule might take an entry's value for such a value, or one such for
 * another: some know no case, some leave out blanks and hyphens (telephone
 * numbers), zeros in front (integers) or accents.
 */
bool ldap_pattern_alike(struct span any, struct span value);
/* The same, but for accents. */
bool ldap_pattern_nearly(struct span any, struct span value);
/* A name was seen; false: it is none of the names. */
bool ldap_pattern_see(struct ldap_pattern *p, const char *attr);
bool ldap_pattern_has_seen_all(const struct ldap_pattern *p);
bool ldap_attr_is_among(const char *const *attrs, const char *attr); /* NULL ends */

#endif
