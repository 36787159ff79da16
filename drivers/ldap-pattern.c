/*
 * What of a filter depends on the user: see ldap-pattern.h. Pure functions.
 * Runs in: worker.
 */
#include "drivers/ldap-pattern.h"

#include <ctype.h>

enum { NESTED_MAX = 16 };

/* ---- the pattern ---- */

static const char MARK = '\1'; /* where a variable stands */

static struct span mark(void *ctx UNUSED, struct arena *a UNUSED, struct span value UNUSED)
{
	return span_make(&MARK, 1);
}

static bool is_attr(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (!isalnum((unsigned char)s.ptr[i]) && s.ptr[i] != '-')
			return false;
	}
	return s.len > 0;
}

/* Every bracket that is open at the end begins an "&". In values they are \28 and \29. */
static bool is_in_ands(struct span s)
{
	bool is_and[NESTED_MAX] = {false};
	size_t depth = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == ')' && depth-- == 0)
			return false;
		if (s.ptr[i] != '(')
			continue;
		if (depth == NESTED_MAX)
			return false;
		size_t next = i + 1;
		while (next < s.len && s.ptr[next] == ' ')
			next++;
		is_and[depth++] = next < s.len && s.ptr[next] == '&';
	}
	while (depth > 0 && is_and[depth - 1])
		depth--;
	return depth == 0;
}

bool ldap_attr_is_among(const char *const *attrs, const char *attr)
{
	while (*attrs != NULL && strcasecmp(*attrs, attr) != 0)
		attrs++;
	return *attrs != NULL;
}

static const char *const *with_attr(struct arena *a, const char *const *attrs, const char *attr)
{
	size_t n = 0;
	while (attrs[n] != NULL)
		n++;
	const char **more = arena_alloc(a, (n + 2) * sizeof(*more));
	memcpy(more, attrs, n * sizeof(*more));
	more[n] = attr;
	return ldap_attr_is_among(attrs, attr) ? attrs : more;
}

void ldap_pattern_make(struct arena *a, const struct template *filter, const char *const *attrs,
    struct ldap_pattern *p)
{
	static const struct vars none;
	*p = (struct ldap_pattern){0};
	struct span text = template_expand(filter, &none, a, mark, NULL, NULL);
	ptrdiff_t first = text.ptr != NULL ? span_find(text, MARK) : -1;
	if (first < 0)
		return;
	ptrdiff_t open = first;
	while (open >= 0 && text.ptr[open] != '(')
		open--;
	ptrdiff_t eq = open < 0 ? -1 : span_find(span_skip(text, (size_t)open), '=');
	ptrdiff_t close = span_find(span_skip(text, (size_t)first), ')');
	if (eq < 0 || open + eq > first || close < 0)
		return;
	p->before = arena_dup(a, span_first(text, (size_t)(open + eq + 1)));
	p->leaf = span_skip(p->before, (size_t)open);
	p->before = span_first(p->before, (size_t)open);
	p->after = arena_dup(a, span_skip(text, (size_t)(first + close + 1)));
	struct span name = span_make(p->leaf.ptr + 1, p->leaf.len - 2);
	if (!is_attr(name) || !is_in_ands(p->before) || span_find(p->after, MARK) >= 0)
		return;
	p->attr = arena_cstr(a, name);
	p->attrs = with_attr(a, attrs, p->attr);
}

/* ---- values ---- */

/* Of characters that no matching rule takes for several others, and none of which is escaped. */
static bool is_plain(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];
		bool mark_of_a_name = c != '\0' && strchr("._@-", c) != NULL;
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && !mark_of_a_name)
			return false;
	}
	return s.len > 0;
}

struct span ldap_pattern_value(const struct ldap_pattern *p, struct span filter)
{
	struct span head = span_make(p->before.ptr, p->before.len + p->leaf.len);
	size_t tail = p->after.len + 1;
	if (filter.len < head.len + tail || !span_eq(span_first(filter, head.len), head) ||
	    filter.ptr[filter.len - tail] != ')' ||
	    !span_eq(span_skip(filter, filter.len - p->after.len), p->after))
		return SPAN_NULL;
	struct span value = span_make(filter.ptr + head.len, filter.len - head.len - tail);
	return is_plain(value) ? value : SPAN_NULL;
}

static struct span next_that_counts(struct span s, bool at_start)
{
	while (s.len > 0 && (s.ptr[0] == '-' || (at_start && s.ptr[0] == '0')))
		s = span_skip(s, 1);
	return s;
}

bool ldap_pattern_alike(struct span x, struct span y)
{
	x = next_that_counts(x, true);
	y = next_that_counts(y, true);
	while (x.len > 0 && y.len > 0 && x.ptr[0] == y.ptr[0]) {
		x = next_that_counts(span_skip(x, 1), false);
		y = next_that_counts(span_skip(y, 1), false);
	}
	return x.len == 0 && y.len == 0;
}
