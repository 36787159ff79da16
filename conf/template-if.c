/*
 * The comparisons of %{if;left;op;right;then;else}. Regular expressions are
 * POSIX extended ones and bounded: no back references, no large repetitions,
 * no long inputs. Compiled ones are kept for the life of the process, because
 * an arena cannot free them and a reload brings the same ones again.
 * Runs in: all processes, any thread.
 */
#include "conf/template-parts.h"

#include <pthread.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/buffer.h"
#include "base/mem.h"

enum if_kind { IF_NUMBER, IF_STRING, IF_WILDCARD, IF_REGEX };

struct if_op {
	const char *name;
	enum if_kind kind;
	/* the result for left < right, left == right, left > right; other kinds: no match, match */
	bool when[3];
};

static const struct if_op ops[] = {
    {"==", IF_NUMBER, {false, true, false}},
    {"!=", IF_NUMBER, {true, false, true}},
    {"<", IF_NUMBER, {true, false, false}},
    {"<=", IF_NUMBER, {true, true, false}},
    {">", IF_NUMBER, {false, false, true}},
    {">=", IF_NUMBER, {false, true, true}},
    {"eq", IF_STRING, {false, true, false}},
    {"ne", IF_STRING, {true, false, true}},
    {"lt", IF_STRING, {true, false, false}},
    {"le", IF_STRING, {true, true, false}},
    {"gt", IF_STRING, {false, false, true}},
    {"ge", IF_STRING, {false, true, true}},
    {"*", IF_WILDCARD, {false, true, false}},
    {"!*", IF_WILDCARD, {true, false, false}},
    {"~", IF_REGEX, {false, true, false}},
    {"!~", IF_REGEX, {true, false, false}},
};

const struct if_op *if_op_find(struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(ops); i++)
		if (span_eq_str(name, ops[i].name))
			return &ops[i];
	return NULL;
}

const char *if_op_names(void)
{
	return "== != < <= > >= eq ne lt le gt ge * !* ~ !~";
}

/* ---- numbers and strings ---- */

static bool to_number(struct span s, int64_t *out, struct err *err)
{
	bool negative = s.len > 0 && s.ptr[0] == '-';
	uint64_t n, max = (uint64_t)INT64_MAX + (negative ? 1 : 0);
	if (!span_to_u64(span_skip(s, negative ? 1 : 0), &n) || n > max)
		return err_set(
		    err, EX_DATAERR, "\"%.*s\" is not a number", SPAN_ARG(span_first(s, 64)));
	*out = negative ? (int64_t)(0 - n) : (int64_t)n;
	return true;
}

/* 0, 1, 2: less, equal, greater */
static int order_numbers(struct span left, struct span right, struct err *err)
{
	int64_t l, r;
	if (!to_number(left, &l, err) || !to_number(right, &r, err))
		return -1;
	return l < r ? 0 : l == r ? 1 : 2;
}

static int order_strings(struct span left, struct span right)
{
	size_t common = left.len < right.len ? left.len : right.len;
	int c = common > 0 ? memcmp(left.ptr, right.ptr, common) : 0;
	if (c != 0)
		return c < 0 ? 0 : 2;
	return left.len < right.len ? 0 : left.len == right.len ? 1 : 2;
}

/* ---- regular expressions ---- */

/*
 * How large an expression may be once its repetitions are written out, and
 * the text that it is tried on. The worst of them, (a|b)*a(a|b){n}, costs the
 * matcher cost * cost * input; one that comes from a variable may be hostile.
 */
static const struct regex_bounds {
	uint64_t cost;
	size_t input;
} constant_bounds = {512, 512}, variable_bounds = {128, 256};

struct cost {
	uint64_t done; /* of what is closed in this group */
	uint64_t atom; /* of the last atom, which a {n,m} may repeat */
};

/* {m}, {m,} or {m,n} at s: its largest count, 0 when it is none; *len its length */
static uint64_t interval_max(struct span s, size_t *len)
{
	uint64_t n = 0, max = 0;
	size_t i = 1;
	for (; i < s.len && s.ptr[i] != '}'; i++) {
		if (s.ptr[i] == ',') {
			n = 0;
		} else if (s.ptr[i] >= '0' && s.ptr[i] <= '9' && n < 100000) {
			n = n * 10 + (uint64_t)(s.ptr[i] - '0');
			max = n > max ? n : max;
		} else {
			return 0;
		}
	}
	*len = i + 1;
	return i < s.len ? max : 0;
}

/* offset after a bracket expression that starts at at */
static size_t skip_bracket(struct span s, size_t at)
{
	size_t i = at + 1;
	if (i < s.len && s.ptr[i] == '^')
		i++;
	if (i < s.len && s.ptr[i] == ']')
		i++;
	for (; i < s.len && s.ptr[i] != ']'; i++) {
		char kind = i + 1 < s.len ? s.ptr[i + 1] : '\0';
		if (s.ptr[i] != '[' || (kind != ':' && kind != '.' && kind != '='))
			continue;
		for (i += 2; i + 1 < s.len && !(s.ptr[i] == kind && s.ptr[i + 1] == ']'); i++)
			;
		i++;
	}
	return i < s.len ? i + 1 : s.len;
}

static bool too_costly(struct err *err)
{
	return err_set(err, EX_CONFIG, "the regular expression is too large");
}

/* What the expression becomes when its + and {n,m} are written out, as regcomp does. */
static bool regex_is_bounded(struct span s, uint64_t max, struct err *err)
{
	struct cost groups[TEMPLATE_DEPTH_MAX + 1] = {{0, 0}}, *g = groups;
	for (size_t i = 0; i < s.len;) {
		size_t len = 1;
		uint64_t times, atom = 1;
		char c = s.ptr[i];
		if (c == '{' && (times = interval_max(span_skip(s, i), &len)) > 0) {
			g->atom *= times + 1;
		} else if (c == '+') {
			g->atom *= 2; /* x+ is written out as xx* */
		} else if (c == '(') {
			if (g == &groups[TEMPLATE_DEPTH_MAX])
				return too_costly(err);
			*++g = (struct cost){0, 0};
		} else {
			if (c == '\\' && i + 1 < s.len) {
				char next = s.ptr[i + 1];
				if (next >= '1' && next <= '9')
					return err_set(err, EX_CONFIG,
					    "back references are not supported in regular "
					    "expressions");
				len = 2;
			} else if (c == '[') {
				len = skip_bracket(s, i) - i;
			} else if (c == ')' && g > groups) {
				atom = 1 + g->done + g->atom;
				g--;
			}
			g->done += g->atom;
			g->atom = atom;
		}
		if (g->done + g->atom > max)
			return too_costly(err);
		i += len;
	}
	return true;
}

static bool regex_compile(
    struct span pattern, const struct regex_bounds *bounds, int flags, regex_t *re, struct err *err)
{
	char text[1024], why[128];
	if (!regex_is_bounded(pattern, bounds->cost, err))
		return false;
	if (!span_to_cstr(pattern, text, sizeof(text)))
		return err_set(err, EX_CONFIG, "the regular expression is too long or holds a NUL");
	int rc = regcomp(re, text, REG_EXTENDED | flags);
	if (rc == 0)
		return true;
	regerror(rc, re, why, sizeof(why));
	return err_set(err, EX_CONFIG, "the regular expression is not valid: %s", why);
}

/* ---- compiled constant patterns, kept ---- */

enum { KEPT_MAX = 256 };

struct kept_regex {
	char *pattern;
	regex_t re;
};

static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
static struct kept_regex *kept[KEPT_MAX];
static size_t kept_count;

static const regex_t *kept_find(struct span pattern)
{
	for (size_t i = 0; i < kept_count; i++)
		if (span_eq_str(pattern, kept[i]->pattern))
			return &kept[i]->re;
	return NULL;
}

/* *out stays NULL when there are too many: such a pattern is compiled each time */
static bool kept_compile(struct span pattern, const regex_t **out, struct err *err)
{
	regex_t re;
	pthread_mutex_lock(&kept_lock);
	bool ok = (*out = kept_find(pattern)) != NULL;
	if (!ok && (ok = regex_compile(pattern, &constant_bounds, REG_NOSUB, &re, err))) {
		if (kept_count < KEPT_MAX) {
			struct kept_regex *k = mem_alloc(sizeof(*k));
			k->pattern = mem_strndup(pattern.ptr, pattern.len);
			k->re = re;
			kept[kept_count++] = k;
			*out = &k->re;
		} else {
			regfree(&re);
		}
	}
	pthread_mutex_unlock(&kept_lock);
	return ok;
}

static int regex_match(
    const struct part_if *c, struct span left, struct span right, struct arena *a, struct err *err)
{
	regex_t mine;
	const regex_t *re = c->regex;
	const struct regex_bounds *bounds =
	    c->right->constant ? &constant_bounds : &variable_bounds;
	if (left.len > bounds->input) {
		err_set(err, EX_DATAERR, "%zu bytes are too many for a regular expression (%zu)",
		    left.len, bounds->input);
		return -1;
	}
	if (re == NULL) {
		if (!regex_compile(right, bounds, REG_NOSUB, &mine, err))
			return -1;
		re = &mine;
	}
	regmatch_t range = {0, (regoff_t)left.len};
	/* the range lets NULs in; sanitizers want the end marked nonetheless */
	int rc = regexec(re, arena_cstr(a, left), 1, &range, REG_STARTEND);
	if (re == &mine)
		regfree(&mine);
	if (rc == 0 || rc == REG_NOMATCH)
		return rc == 0;
	err_set(err, EX_DATAERR, "the regular expression could not be matched");
	return -1;
}

/* ---- replacing, for 2.4's filter regexp ---- */

enum { GROUPS_MAX = 10 };

/* One character of the replacement, or the group that it names; returns how much it took. */
static size_t put_replacement(
    struct buffer *out, struct span rep, struct span value, const regmatch_t *groups)
{
	char c = rep.ptr[0], next = rep.len > 1 ? rep.ptr[1] : '\0';
	if ((c == '$' || c == '\\') && next >= '0' && next <= '9') {
		const regmatch_t *g = &groups[next - '0'];
		if (g->rm_so >= 0)
			buffer_append(
			    out, span_make(value.ptr + g->rm_so, (size_t)(g->rm_eo - g->rm_so)));
		return 2;
	}
	buffer_append_char(out, c);
	return c == '\\' && next == '\\' ? 2 : 1;
}

static struct span replaced(
    struct span rep, struct span value, const regmatch_t *groups, struct arena *a)
{
	struct buffer out = {0};
	buffer_append(&out, span_first(value, (size_t)groups[0].rm_so));
	while (rep.len > 0)
		rep = span_skip(rep, put_replacement(&out, rep, value, groups));
	buffer_append(&out, span_skip(value, (size_t)groups[0].rm_eo));
	struct span s = arena_dup(a, out.len > 0 ? buffer_span(&out) : SPAN_LIT(""));
	buffer_free(&out);
	return s;
}

struct span regex_replace(struct span pattern, struct span replacement, struct span value,
    struct arena *a, struct err *err)
{
	regex_t re;
	regmatch_t groups[GROUPS_MAX] = {{0, (regoff_t)value.len}};
	if (value.len > variable_bounds.input) {
		err_set(err, EX_DATAERR, "%zu bytes are too many for a regular expression (%zu)",
		    value.len, variable_bounds.input);
		return SPAN_NULL;
	}
	if (!regex_compile(pattern, &variable_bounds, 0, &re, err))
		return SPAN_NULL;
	int rc = value.ptr == NULL
		     ? REG_NOMATCH
		     : regexec(&re, arena_cstr(a, value), GROUPS_MAX, groups, REG_STARTEND);
	regfree(&re);
	if (rc == 0)
		return replaced(replacement, value, groups, a);
	if (rc == REG_NOMATCH)
		return value.ptr != NULL ? value : SPAN_LIT("");
	err_set(err, EX_DATAERR, "the regular expression could not be matched");
	return SPAN_NULL;
}

/* ---- the face ---- */

bool if_prepare(struct part_if *c, struct err *err)
{
	int64_t n;
	if (c->op->kind == IF_NUMBER) {
		if (c->left->constant && !to_number(c->left->fixed, &n, err))
			return false;
		if (c->right->constant && !to_number(c->right->fixed, &n, err))
			return false;
	}
	if (c->op->kind == IF_REGEX && c->right->constant)
		return kept_compile(c->right->fixed, &c->regex, err);
	return true;
}

int if_compare(
    const struct part_if *c, struct span left, struct span right, struct arena *a, struct err *err)
{
	int how = -1;
	switch (c->op->kind) {
	case IF_NUMBER:
		how = order_numbers(left, right, err);
		break;
	case IF_STRING:
		how = order_strings(left, right);
		break;
	case IF_WILDCARD:
		how = span_matches(left, right, false);
		break;
	case IF_REGEX:
		how = regex_match(c, left, right, a, err);
		break;
	}
	return how < 0 ? -1 : c->op->when[how];
}
