/*
 * What of a filter depends on the user: see ldap-pattern.h. Pure functions.
 * Runs in: worker.
 */
#include "drivers/ldap-pattern.h"

#include <ctype.h>

enum { NESTED_MAX = 16, NAMES_MAX = 8 };

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

static const char *const *join_attrs(
    struct arena *a, const char *const *attrs, const char *const *names, size_t count)
{
	size_t n = 0;
	while (attrs[n] != NULL)
		n++;
	const char **all = arena_alloc(a, (n + count + 1) * sizeof(*all));
	memcpy(all, attrs, n * sizeof(*all));
	for (size_t i = 0; i < count; i++) {
		if (!ldap_attr_is_among(attrs, names[i]))
			all[n++] = names[i];
	}
	return all;
}

/* "(attr=value)" at the start of *rest, value being one MARK or (whole) any text with some. */
static bool take_assertion(struct span *rest, bool whole, struct span *name, struct span *value)
{
	ssize_t eq = span_find(*rest, '='), close = span_find(*rest, ')');
	if (rest->len == 0 || rest->ptr[0] != '(' || eq < 0 || close < eq)
		return false;
	*name = span_make(rest->ptr + 1, (size_t)eq - 1);
	*value = span_make(rest->ptr + eq + 1, (size_t)(close - eq) - 1);
	*rest = span_skip(*rest, (size_t)close + 1);
	bool marked = whole ? span_find(*value, MARK) >= 0 : span_eq(*value, span_make(&MARK, 1));
	return is_attr(*name) && marked;
}

/* The assertions of the condition at the start of *rest; false: it is not as it should be. */
static bool take_condition(struct ldap_pattern *p, struct span *rest, struct arena *a)
{
	bool either = span_starts(*rest, "(|");
	const char **names = arena_alloc(a, (NAMES_MAX + 1) * sizeof(*names));
	struct span name, value;
	const char *from = rest->ptr;
	size_t n = 0;
	p->pieces = arena_alloc(a, (NAMES_MAX + 1) * sizeof(*p->pieces));
	*rest = span_skip(*rest, either ? 2 : 0);
	do {
		if (n == NAMES_MAX || !take_assertion(rest, !either, &name, &value))
			return false;
		p->pieces[n] = span_make(from, (size_t)(value.ptr - from));
		names[n++] = arena_cstr(a, name);
		from = value.ptr + value.len;
	} while (either && !span_starts(*rest, ")"));
	*rest = span_skip(*rest, either ? 1 : 0);
	p->pieces[n] = span_make(from, (size_t)(rest->ptr - from));
	p->names = names;
	p->count = n + 1;
	return true;
}

/* The bracket that begins the condition around the first variable; -1: there is none. */
static ssize_t condition_in(struct span text)
{
	ssize_t first = span_find(text, MARK);
	while (first >= 0 && text.ptr[first] != '(')
		first--;
	if (first < 0 || is_in_ands(span_first(text, (size_t)first)))
		return first;
	return first >= 2 && memcmp(text.ptr + first - 2, "(|", 2) == 0 ? first - 2 : -1;
}

void ldap_pattern_make(struct arena *a, const struct template *filter, const char *const *attrs,
    struct ldap_pattern *p)
{
	static const struct vars none;
	struct ldap_pattern made = {0};
	*p = made;
	struct span text = template_expand(filter, &none, a, mark, NULL, NULL);
	ssize_t at = text.ptr != NULL ? condition_in(text) : -1;
	if (at < 0)
		return;
	text = arena_dup(a, text);
	made.before = span_first(text, (size_t)at);
	made.after = span_skip(text, (size_t)at);
	if (!is_in_ands(made.before) || !take_condition(&made, &made.after, a) ||
	    span_find(made.after, MARK) >= 0)
		return;
	made.attrs = join_attrs(a, attrs, made.names, made.count - 1);
	*p = made;
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

void ldap_pattern_put(const struct ldap_pattern *p, struct span value, struct buffer *b)
{
	for (size_t i = 0; i < p->count; i++) {
		if (i > 0)
			buffer_append(b, value);
		buffer_append(b, p->pieces[i]);
	}
}

static bool eat(struct span *rest, struct span part)
{
	bool there = span_eq(span_first(*rest, part.len), part);
	*rest = span_skip(*rest, part.len);
	return there;
}

struct span ldap_pattern_value(const struct ldap_pattern *p, struct span filter)
{
	if (p->count == 0 || !eat(&filter, p->before) || !eat(&filter, p->pieces[0]))
		return SPAN_NULL;
	ssize_t close = span_find(filter, ')');
	struct span value = span_first(filter, close > 0 ? (size_t)close : 0);
	bool same = is_plain(value);
	for (size_t i = 1; i < p->count; i++)
		same = same && eat(&filter, value) && eat(&filter, p->pieces[i]);
	return same && span_eq(filter, p->after) ? value : SPAN_NULL;
}

static struct span next_that_counts(struct span s, bool at_start)
{
	while (s.len > 0 && (s.ptr[0] == '-' || s.ptr[0] == ' ' || (at_start && s.ptr[0] == '0')))
		s = span_skip(s, 1);
	return s;
}

bool ldap_pattern_nearly(struct span any, struct span value)
{
	any = next_that_counts(any, true);
	value = next_that_counts(value, true);
	while (any.len > 0 && value.len > 0 && tolower((unsigned char)any.ptr[0]) == value.ptr[0]) {
		any = next_that_counts(span_skip(any, 1), false);
		value = next_that_counts(span_skip(value, 1), false);
	}
	return any.len == 0 && value.len == 0;
}

bool ldap_pattern_alike(struct span any, struct span value)
{
	for (size_t i = 0; i < any.len; i++) {
		if ((unsigned char)any.ptr[i] < ' ' || (unsigned char)any.ptr[i] > '~')
			return true;
	}
	return ldap_pattern_nearly(any, value);
}

/* ---- names ---- */

bool ldap_pattern_see(struct ldap_pattern *p, const char *attr)
{
	bool is_one = false;
	for (size_t i = 0; p->names[i] != NULL; i++) {
		if (strcasecmp(p->names[i], attr) != 0)
			continue;
		p->seen |= 1U << i;
		is_one = true;
	}
	return is_one;
}

bool ldap_pattern_has_seen_all(const struct ldap_pattern *p)
{
	return p->seen == (1U << (p->count - 1)) - 1;
}
