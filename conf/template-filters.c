/*
 * The filters of Dovecot 2.4's expressions, %{user | lower}: one table, a
 * function each. A step that fails takes the value away; "default" brings one
 * back, as in Dovecot. Bytes that are no text are written in hex at the end.
 * Runs in: all processes, any thread. Results belong to the arena.
 */
#include <ctype.h>
#include <inttypes.h>
#include <sysexits.h>

#include "base/buffer.h"
#include "base/encode.h"
#include "conf/template-parts.h"

struct pipe_state {
	const struct expansion *x; /* raw: nothing is escaped on the way */
	struct arena *arena;
	struct span value;
	bool set;
	bool bytes;   /* a digest, say */
	bool literal; /* only made of what the administrator wrote */
	struct err *err;
};

struct pipe_filter {
	const char *name;
	bool (*run)(struct pipe_state *p, const struct pipe_step *s);
	uint8_t min, max;  /* arguments by position */
	const char *named; /* the other ones, separated by spaces; NULL: none */
	bool first;	   /* makes a value by itself when it stands first */
	bool unset;	   /* runs without a value, too */
};

/* ---- helpers ---- */

static bool failed(struct pipe_state *p, const char *why)
{
	return err_set(p->err, EX_DATAERR, "%s", why);
}

static void put(struct pipe_state *p, struct span value)
{
	p->value = value.ptr != NULL ? value : SPAN_LIT("");
	p->set = true;
}

static void put_text(struct pipe_state *p, struct span value)
{
	put(p, value);
	p->bytes = false;
}

static void put_buffer(struct pipe_state *p, struct buffer *b)
{
	put(p, arena_dup(p->arena, b->len > 0 ? buffer_span(b) : SPAN_LIT("")));
	buffer_free(b);
}

static const struct pipe_arg *positional(const struct pipe_step *s, size_t i)
{
	return i < s->count - s->named ? &s->args[i] : NULL;
}

static const struct pipe_arg *named(const struct pipe_step *s, const char *name)
{
	for (size_t i = s->count - s->named; i < s->count; i++) {
		if (strcmp(s->args[i].name, name) == 0)
			return &s->args[i];
	}
	return NULL;
}

static bool is_literal(const struct pipe_arg *a)
{
	return a->kind != ARG_VARIABLE || a->variable.kind == PART_FIXED;
}

static bool text_of(struct pipe_state *p, const struct pipe_arg *a, struct span *out)
{
	bool present = true;
	*out = a->text;
	if (a->kind != ARG_VARIABLE)
		return true;
	*out = template_part_value(p->x, &a->variable, &present);
	if (present)
		return true;
	if (p->err == NULL || p->err->code == 0)
		err_set(p->err, TEMPLATE_NO_VALUE, "a variable has no value, and no | default");
	return false;
}

static bool to_number(struct pipe_state *p, struct span s, int64_t *out)
{
	bool negative = s.len > 0 && s.ptr[0] == '-';
	uint64_t n;
	if (!span_to_u64(span_skip(s, negative), &n) || n > INT64_MAX)
		return err_set(
		    p->err, EX_DATAERR, "\"%.*s\" is not a number", SPAN_ARG(span_first(s, 64)));
	*out = negative ? -(int64_t)n : (int64_t)n;
	return true;
}

static bool number_of(struct pipe_state *p, const struct pipe_arg *a, int64_t *out)
{
	struct span text;
	*out = a->number;
	return a->kind == ARG_NUMBER || (text_of(p, a, &text) && to_number(p, text, out));
}

static bool small_number(
    struct pipe_state *p, const struct pipe_arg *a, int64_t min, int64_t max, int64_t *out)
{
	if (!number_of(p, a, out))
		return false;
	return (*out >= min && *out <= max) || failed(p, "a number is out of bounds");
}

/* yes and no as Dovecot's filters take them: 1 and 0 */
static bool flag_of(struct pipe_state *p, const struct pipe_step *s, const char *name, bool *out)
{
	const struct pipe_arg *a = named(s, name);
	int64_t n;
	if (a == NULL)
		return true;
	if (!small_number(p, a, 0, 1, &n))
		return false;
	*out = n == 1;
	return true;
}

/* ---- where values come from ---- */

static bool run_literal(struct pipe_state *p, const struct pipe_step *s)
{
	struct span v;
	p->literal = is_literal(&s->args[0]);
	if (!text_of(p, &s->args[0], &v))
		return false;
	put_text(p, v);
	return true;
}

static bool run_default(struct pipe_state *p, const struct pipe_step *s)
{
	struct span v = SPAN_LIT("");
	if (p->set && p->value.len > 0)
		return true;
	p->err->code = 0; /* whatever failed before, this mends it */
	p->literal = s->count == 0 || is_literal(&s->args[0]);
	if (s->count > 0 && !text_of(p, &s->args[0], &v))
		return false;
	put_text(p, v);
	return true;
}

static bool run_concat(struct pipe_state *p, const struct pipe_step *s)
{
	struct buffer out = {0};
	bool ok = true;
	if (!p->set)
		p->literal = true;
	buffer_append(&out, p->set ? p->value : SPAN_NULL);
	for (size_t i = 0; ok && i < s->count; i++) {
		struct span v;
		ok = text_of(p, &s->args[i], &v);
		if (ok)
			buffer_append(&out, v);
		p->literal = p->literal && is_literal(&s->args[i]);
	}
	if (ok)
		put_buffer(p, &out);
	buffer_free(&out);
	return ok;
}

/* ---- text ---- */

static bool change_case(struct pipe_state *p, const char *key)
{
	struct part_modifiers mod = {.any = true};
	mod.keys[0] = key[0];
	put(p, template_modify(&mod, p->value, p->arena));
	return true;
}

static bool run_lower(struct pipe_state *p, const struct pipe_step *s UNUSED)
{
	return change_case(p, "L");
}

static bool run_upper(struct pipe_state *p, const struct pipe_step *s UNUSED)
{
	return change_case(p, "U");
}

static bool run_reverse(struct pipe_state *p, const struct pipe_step *s UNUSED)
{
	return change_case(p, "R");
}

static bool run_ldap_dn(struct pipe_state *p, const struct pipe_step *s UNUSED)
{
	return change_case(p, "D");
}

static bool run_escape(struct pipe_state *p, const struct pipe_step *s UNUSED)
{
	return change_case(p, "E");
}

static bool run_username(struct pipe_state *p, const struct pipe_step *s UNUSED)
{
	put(p, var_cut(p->value, CUT_USERNAME));
	return true;
}

static bool run_domain(struct pipe_state *p, const struct pipe_step *s UNUSED)
{
	put(p, var_cut(p->value, CUT_DOMAIN));
	return true;
}

/* What follows the separator; SPAN_NULL after the last piece. */
static struct span next_piece(struct span *rest, struct span sep)
{
	struct span piece = *rest;
	const char *at = rest->len > 0 ? memmem(rest->ptr, rest->len, sep.ptr, sep.len) : NULL;
	if (at == NULL) {
		*rest = SPAN_NULL;
		return piece;
	}
	size_t n = (size_t)(at - rest->ptr);
	*rest = span_skip(*rest, n + sep.len);
	return span_first(piece, n);
}

static bool run_index(struct pipe_state *p, const struct pipe_step *s)
{
	struct span sep, rest = p->value, piece = SPAN_NULL;
	int64_t index, count = 1;
	if (!text_of(p, &s->args[0], &sep) || !number_of(p, &s->args[1], &index))
		return false;
	if (sep.len == 0)
		return failed(p, "the separator is empty");
	for (struct span r = p->value; (void)next_piece(&r, sep), r.ptr != NULL;)
		count++;
	if (index < 0)
		index += count;
	if (index < 0 || index >= count)
		return failed(p, "there is no piece of that number");
	for (; index >= 0; index--)
		piece = next_piece(&rest, sep);
	put(p, piece);
	return true;
}

static bool run_substr(struct pipe_state *p, const struct pipe_step *s)
{
	int64_t size = (int64_t)p->value.len, offset, len;
	const struct pipe_arg *second = positional(s, 1);
	if (!number_of(p, &s->args[0], &offset))
		return false;
	if (offset < -size || offset > size)
		return failed(p, "the offset is beyond the value");
	offset += offset < 0 ? size : 0;
	len = size - offset;
	if (second != NULL) {
		if (!number_of(p, second, &len))
			return false;
		if (len < -size || len > size)
			return failed(p, "the length is beyond the value");
		len = len < 0 ? size + len - offset : len;
	}
	if (len < 0 || offset + len > size)
		return failed(p, "the length is beyond the value");
	put(p, span_make(p->value.ptr + offset, (size_t)len));
	return true;
}

/* The first bits, moved to the right end of as few bytes as hold them. */
static struct span first_bits(struct pipe_state *p, size_t bits)
{
	size_t keep = (bits + 7) / 8;
	if (bits >= p->value.len * 8)
		return p->value;
	struct span out = arena_dup(p->arena, span_first(p->value, keep));
	uint8_t *b = (uint8_t *)(uintptr_t)out.ptr;
	unsigned shift = (unsigned)(keep * 8 - bits);
	for (size_t i = keep; shift > 0 && i-- > 0;)
		b[i] = (uint8_t)(((i > 0 ? (unsigned)b[i - 1] << 8 : 0) | b[i]) >> shift);
	return out;
}

static bool run_truncate(struct pipe_state *p, const struct pipe_step *s)
{
	const struct pipe_arg *bits = named(s, "bits"), *bytes = positional(s, 0);
	int64_t n;
	if (bits == NULL && bytes == NULL)
		return failed(p, "truncate needs a length");
	if (!small_number(p, bits != NULL ? bits : bytes, 0, INT32_MAX, &n))
		return false;
	put(p, bits != NULL ? first_bits(p, (size_t)n) : span_first(p->value, (size_t)n));
	return true;
}

static bool fill(struct pipe_state *p, const struct pipe_step *s, bool left)
{
	struct span filler = SPAN_LIT("0");
	struct buffer pad = {0};
	int64_t width;
	if (!small_number(p, &s->args[0], 1, TEMPLATE_PAD_MAX, &width))
		return false;
	if (positional(s, 1) != NULL && !text_of(p, positional(s, 1), &filler))
		return false;
	if (filler.len == 0)
		return failed(p, "there is nothing to fill with");
	if (!left)
		buffer_append(&pad, p->value);
	for (size_t n = p->value.len; n < (size_t)width; n += filler.len)
		buffer_append(&pad, filler);
	if (left)
		buffer_append(&pad, p->value);
	put_buffer(p, &pad);
	return true;
}

static bool run_lfill(struct pipe_state *p, const struct pipe_step *s)
{
	return fill(p, s, true);
}

static bool run_rfill(struct pipe_state *p, const struct pipe_step *s)
{
	return fill(p, s, false);
}

/* The values of %{ldap_multi:...}, which come escaped and separated by TABs. */
static bool run_list(struct pipe_state *p, const struct pipe_step *s)
{
	struct span sep = SPAN_LIT(","), rest = p->value, one;
	struct buffer out = {0};
	if (s->count > 0 && !text_of(p, &s->args[0], &sep))
		return false;
	for (bool any = false; span_split(&rest, '\t', &one); any = true) {
		if (any)
			buffer_append(&out, sep);
		buffer_append(&out, tab_unescape(p->arena, one));
	}
	put_buffer(p, &out);
	return true;
}

static bool run_regexp(struct pipe_state *p, const struct pipe_step *s)
{
	struct span pattern, replacement;
	if (!text_of(p, &s->args[0], &pattern) || !text_of(p, &s->args[1], &replacement))
		return false;
	struct span v = regex_replace(pattern, replacement, p->value, p->arena, p->err);
	if (v.ptr != NULL)
		put(p, v);
	return v.ptr != NULL;
}

/* ---- numbers ---- */

/* A digest's last eight bytes as a number. */
static uint64_t number_at_end(struct span v)
{
	uint64_t n = 0;
	for (size_t i = v.len > 8 ? v.len - 8 : 0; i < v.len; i++)
		n = n << 8 | (uint8_t)v.ptr[i];
	return n;
}

static bool calculate(struct pipe_state *p, char op, int64_t left, int64_t right, int64_t *out)
{
	bool over = false;
	if ((op == '/' || op == '%') && right == 0)
		return failed(p, "division by zero");
	if ((op == '/' || op == '%') && right == -1) { /* INT64_MIN / -1 is no number */
		op = op == '/' ? '*' : '0';
		*out = 0;
	}
	switch (op) {
	case '+':
		over = __builtin_add_overflow(left, right, out);
		break;
	case '-':
		over = __builtin_sub_overflow(left, right, out);
		break;
	case '*':
		over = __builtin_mul_overflow(left, right, out);
		break;
	case '/':
		*out = left / right;
		break;
	case '%':
		*out = left % right;
		break;
	default:
		break;
	}
	return !over || failed(p, "a number is too large");
}

static bool run_calculate(struct pipe_state *p, const struct pipe_step *s)
{
	int64_t left, right, result = 0;
	char op = s->args[0].text.ptr[0];
	if (!number_of(p, &s->args[1], &right))
		return false;
	if (p->bytes && op == '%') {
		if (right <= 0)
			return failed(p, "the divisor must be above zero");
		put_text(p,
		    arena_printf(p->arena, "%" PRIu64, number_at_end(p->value) % (uint64_t)right));
		return true;
	}
	if (!to_number(p, p->value, &left) || !calculate(p, op, left, right, &result))
		return false;
	put_text(p, arena_printf(p->arena, "%" PRId64, result));
	return true;
}

/* width > 0: so many digits from the right end; < 0: from the left, zeros after them */
static struct span fit(struct pipe_state *p, struct span digits, int64_t width)
{
	size_t want = (size_t)(width < 0 ? -width : width);
	if (width == 0 || digits.len == want)
		return digits;
	if (digits.len > want)
		return width > 0 ? span_skip(digits, digits.len - want) : span_first(digits, want);
	char *out = arena_alloc(p->arena, want + 1);
	memset(out, '0', want);
	memcpy(width > 0 ? out + want - digits.len : out, digits.ptr, digits.len);
	return span_make(out, want);
}

static bool run_hex(struct pipe_state *p, const struct pipe_step *s)
{
	int64_t width = 0;
	uint64_t n;
	if (s->count > 0 &&
	    !small_number(p, &s->args[0], -TEMPLATE_PAD_MAX, TEMPLATE_PAD_MAX, &width))
		return false;
	if (!span_to_u64(p->value, &n))
		return failed(p, "hex needs a number");
	put_text(p, fit(p, arena_printf(p->arena, "%" PRIx64, n), width));
	return true;
}

static bool run_unhex(struct pipe_state *p, const struct pipe_step *s UNUSED)
{
	uint64_t n = 0;
	if (p->value.len == 0 || p->value.len > 16)
		return failed(p, "unhex needs a number in hex");
	for (size_t i = 0; i < p->value.len; i++) {
		unsigned char c = (unsigned char)p->value.ptr[i];
		if (!isxdigit(c))
			return failed(p, "unhex needs a number in hex");
		n = n << 4 | (uint64_t)(isdigit(c) ? c - '0' : tolower(c) - 'a' + 10);
	}
	put_text(p, arena_printf(p->arena, "%" PRIu64, n));
	return true;
}

static bool bytes_number(struct pipe_state *p, bool little)
{
	struct span v = p->value;
	uint64_t n = 0;
	if (v.len != 1 && v.len != 2 && v.len != 4 && v.len != 8)
		return failed(p, "a number has 1, 2, 4 or 8 bytes");
	for (size_t i = 0; i < v.len; i++)
		n = n << 8 | (uint8_t)v.ptr[little ? v.len - 1 - i : i];
	put_text(p, arena_printf(p->arena, "%" PRIu64, n));
	return true;
}

static bool run_lenumber(struct pipe_state *p, const struct pipe_step *s UNUSED)
{
	return bytes_number(p, true);
}

static bool run_benumber(struct pipe_state *p, const struct pipe_step *s UNUSED)
{
	return bytes_number(p, false);
}

/* ---- bytes ---- */

static bool run_text(struct pipe_state *p, const struct pipe_step *s UNUSED)
{
	p->bytes = false;
	return true;
}

static bool run_hexlify(struct pipe_state *p, const struct pipe_step *s)
{
	int64_t width = 0;
	if (s->count > 0 && !small_number(p, &s->args[0], 0, TEMPLATE_PAD_MAX, &width))
		return false;
	struct span hex = hex_encode_arena(p->arena, p->value);
	if (width > 0 && hex.len > (size_t)width)
		hex = span_first(hex, (size_t)width);
	put_text(p, fit(p, hex, width));
	return true;
}

static bool run_unhexlify(struct pipe_state *p, const struct pipe_step *s UNUSED)
{
	struct span bytes = hex_decode(p->arena, p->value);
	if (bytes.ptr == NULL)
		return failed(p, "the value is not in hex");
	put(p, bytes);
	p->bytes = true;
	return true;
}

static bool run_base64(struct pipe_state *p, const struct pipe_step *s)
{
	bool pad = true, url = false;
	if (!flag_of(p, s, "pad", &pad) || !flag_of(p, s, "url", &url))
		return false;
	struct span v = base64_encode_arena(p->arena, p->value);
	char *text = arena_cstr(p->arena, v);
	for (char *c = text; url && *c != '\0'; c++)
		*c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
	put_text(p, span_first(span_of(text), pad ? v.len : strcspn(text, "=")));
	return true;
}

static bool run_unbase64(struct pipe_state *p, const struct pipe_step *s)
{
	bool pad = true, url = false;
	if (!flag_of(p, s, "pad", &pad) || !flag_of(p, s, "url", &url))
		return false;
	size_t len = p->value.len;
	char *text = arena_alloc(p->arena, len + 4);
	for (size_t i = 0; i < len; i++) {
		char c = p->value.ptr[i];
		text[i] = url && c == '-' ? '+' : url && c == '_' ? '/' : c;
	}
	while (!pad && len % 4 != 0)
		text[len++] = '=';
	struct span bytes = base64_decode(p->arena, span_make(text, len));
	if (bytes.ptr == NULL)
		return failed(p, "the value is not in base64");
	put(p, bytes);
	p->bytes = true;
	return true;
}

static bool hash_with(struct pipe_state *p, const struct pipe_step *s, struct span method)
{
	struct part_hash h = {.method = hash_method_find(method), .rounds = 1, .format = HASH_HEX};
	const struct pipe_arg *rounds = named(s, "rounds"), *salt = named(s, "salt");
	struct span salt_text = SPAN_LIT("");
	int64_t n = 1;
	if (h.method == NULL)
		return err_set(
		    p->err, EX_DATAERR, "there is no hash named \"%.*s\"", SPAN_ARG(method));
	if (rounds != NULL && !small_number(p, rounds, 1, TEMPLATE_ROUNDS_MAX, &n))
		return false;
	if (salt != NULL && !text_of(p, salt, &salt_text))
		return false;
	h.rounds = (unsigned)n;
	put(p, hex_decode(p->arena, hash_run(&h, salt_text, p->value, p->arena)));
	p->bytes = true;
	return true;
}

static bool run_hash(struct pipe_state *p, const struct pipe_step *s)
{
	struct span method;
	return text_of(p, &s->args[0], &method) && hash_with(p, s, method);
}

static bool run_named_hash(struct pipe_state *p, const struct pipe_step *s)
{
	return hash_with(p, s, span_of(s->filter->name));
}

/* ---- conditions: [value,] operator, right, then, else ---- */

/* The first of count comparisons that holds, or count; -1: *err */
static int find_match(struct pipe_state *p, const struct pipe_step *s, size_t first, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct span right;
		if (!text_of(p, &s->args[first + 2 * i], &right))
			return -1;
		int yes = if_compare(&s->ifs[i], p->value, right, p->arena, p->err);
		if (yes != 0)
			return yes < 0 ? -1 : (int)i;
	}
	return (int)count;
}

static bool choose(struct pipe_state *p, const struct pipe_arg *a)
{
	struct span v;
	if (a == NULL)
		return failed(p, "nothing matches, and there is no default");
	p->literal = is_literal(a);
	if (!text_of(p, a, &v))
		return false;
	put_text(p, v);
	return true;
}

static bool run_choice(struct pipe_state *p, const struct pipe_step *s)
{
	size_t value = s->first, count = (s->count - value - 1) / 2;
	if (value > 0 && !text_of(p, &s->args[0], &p->value))
		return false;
	int match = find_match(p, s, value + 1, count);
	if (match < 0)
		return false;
	size_t at = value + 1 + 2 * (size_t)match + ((size_t)match < count ? 1 : 0);
	return choose(p, positional(s, at));
}

/* ---- the table ---- */

static bool run_safe(struct pipe_state *p UNUSED, const struct pipe_step *s UNUSED)
{
	return true;
}

static const struct pipe_filter filters[] = {
    {"literal", run_literal, 1, 1, NULL, true, true},
    {"lookup", run_literal, 1, 1, NULL, true, true},
    {"default", run_default, 0, 1, NULL, true, true},
    {"concat", run_concat, 1, PIPE_ARGS_MAX, NULL, true, true},
    {"if", run_choice, 4, 5, NULL, true, false},
    {"switch", run_choice, 3, PIPE_ARGS_MAX, NULL, true, false},
    {"calculate", run_calculate, 2, 2, NULL, false, false},
    {"lower", run_lower, 0, 0, NULL, false, false},
    {"upper", run_upper, 0, 0, NULL, false, false},
    {"reverse", run_reverse, 0, 0, NULL, false, false},
    {"ldap_dn", run_ldap_dn, 0, 0, NULL, false, false},
    {"escape", run_escape, 0, 0, NULL, false, false},
    {"safe", run_safe, 0, 0, NULL, false, false},
    {"username", run_username, 0, 0, NULL, false, false},
    {"domain", run_domain, 0, 0, NULL, false, false},
    {"index", run_index, 2, 2, NULL, false, false},
    {"substr", run_substr, 1, 2, NULL, false, false},
    {"truncate", run_truncate, 0, 1, "bits", false, false},
    {"lfill", run_lfill, 1, 2, NULL, false, false},
    {"rfill", run_rfill, 1, 2, NULL, false, false},
    {"list", run_list, 0, 1, NULL, false, false},
    {"regexp", run_regexp, 2, 2, NULL, false, false},
    {"hex", run_hex, 0, 1, NULL, false, false},
    {"unhex", run_unhex, 0, 0, NULL, false, false},
    {"lenumber", run_lenumber, 0, 0, NULL, false, false},
    {"benumber", run_benumber, 0, 0, NULL, false, false},
    {"text", run_text, 0, 0, NULL, false, false},
    {"hexlify", run_hexlify, 0, 1, NULL, false, false},
    {"unhexlify", run_unhexlify, 0, 0, NULL, false, false},
    {"base64", run_base64, 0, 0, "pad url", false, false},
    {"unbase64", run_unbase64, 0, 0, "pad url", false, false},
    {"hash", run_hash, 1, 1, "rounds salt", false, false},
    {"md4", run_named_hash, 0, 0, "rounds salt", false, false},
    {"md5", run_named_hash, 0, 0, "rounds salt", false, false},
    {"sha1", run_named_hash, 0, 0, "rounds salt", false, false},
    {"sha256", run_named_hash, 0, 0, "rounds salt", false, false},
    {"sha384", run_named_hash, 0, 0, "rounds salt", false, false},
    {"sha512", run_named_hash, 0, 0, "rounds salt", false, false},
    /* known, and not here */
    {"encrypt", NULL, 0, 0, NULL, false, false},
    {"decrypt", NULL, 0, 0, NULL, false, false},
    {"date", NULL, 0, 0, NULL, false, false},
    {"iso8601", NULL, 0, 0, NULL, false, false},
    {"epoch", NULL, 0, 0, NULL, false, false},
    {"from_epoch", NULL, 0, 0, NULL, false, false},
};

const struct pipe_filter *pipe_filter_find(struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
		if (span_eq_str(name, filters[i].name))
			return &filters[i];
	}
	return NULL;
}

const char *pipe_filter_name(size_t i)
{
	return i < ARRAY_LEN(filters) ? filters[i].name : NULL;
}

bool pipe_filter_is(const struct pipe_filter *f, const char *name)
{
	return strcmp(f->name, name) == 0;
}

/* ---- checks when it is loaded ---- */

static bool check_names(const struct pipe_step *s, struct err *err)
{
	for (size_t i = s->count - s->named; i < s->count; i++) {
		struct span rest = span_of(s->filter->named), word;
		bool known = false;
		while (rest.ptr != NULL && span_word(&rest, " ", &word))
			known = known || span_eq_str(word, s->args[i].name);
		if (!known)
			return err_set(err, EX_CONFIG, "there is no argument %s=", s->args[i].name);
	}
	return true;
}

/* A comparison for each right side; constant patterns are compiled, constant numbers checked. */
static bool prepare_ifs(
    struct arena *a, struct pipe_step *s, size_t value, size_t count, struct err *err)
{
	static const struct template variable = {.constant = false};
	const struct pipe_arg *op = &s->args[value];
	const struct if_op *found = op->kind == ARG_TEXT ? if_op_find(op->text) : NULL;
	if (found == NULL)
		return err_set(err, EX_CONFIG, "there is no operator \"%.*s\" (only %s)",
		    SPAN_ARG(op->text), if_op_names());
	s->ifs = arena_alloc(a, count * sizeof(*s->ifs));
	for (size_t i = 0; i < count; i++) {
		const struct pipe_arg *right = &s->args[value + 1 + 2 * i];
		struct template *t = arena_alloc(a, sizeof(*t));
		*t = variable;
		t->constant = right->kind != ARG_VARIABLE;
		t->fixed = right->text;
		struct part_if *c = &s->ifs[i];
		*c = (struct part_if){.op = found, .left = &variable, .right = t};
		if (!if_prepare(c, err))
			return false;
	}
	return true;
}

static bool prepare_choice(struct arena *a, struct pipe_step *s, bool first, struct err *err)
{
	size_t value = first, after = s->count - value;
	if (pipe_filter_is(s->filter, "if") && after != 4)
		return err_set(
		    err, EX_CONFIG, "needs %soperator, value, then, else", first ? "value, " : "");
	if (s->count < value + 3)
		return err_set(err, EX_CONFIG, "needs an operator and at least one pair of values");
	return prepare_ifs(a, s, value, (after - 1) / 2, err);
}

static bool prepare_values(struct arena *a, struct pipe_step *s, struct err *err)
{
	const struct pipe_arg *arg = &s->args[0];
	if (pipe_filter_is(s->filter, "hash") && arg->kind == ARG_TEXT &&
	    hash_method_find(arg->text) == NULL)
		return err_set(
		    err, EX_CONFIG, "there is no hash named \"%.*s\"", SPAN_ARG(arg->text));
	if (pipe_filter_is(s->filter, "calculate") &&
	    (arg->kind != ARG_TEXT || arg->text.len != 1 ||
		strchr("+-*/%", arg->text.ptr[0]) == NULL))
		return err_set(err, EX_CONFIG, "the operator is one of + - * / %%");
	if (pipe_filter_is(s->filter, "regexp") && arg->kind == ARG_TEXT)
		return regex_replace(arg->text, SPAN_LIT(""), SPAN_NULL, a, err).ptr != NULL;
	return true;
}

bool pipe_step_prepare(struct arena *a, struct pipe_step *s, bool first, struct err *err)
{
	const struct pipe_filter *f = s->filter;
	size_t n = s->count - s->named;
	s->first = first;
	if (f->run == NULL)
		return err_set(err, EX_CONFIG, "this filter is not built into authd");
	if (first && !f->first)
		return err_set(err, EX_CONFIG, "there is no value before this filter");
	if (!first && pipe_filter_is(f, "lookup"))
		return err_set(err, EX_CONFIG, "can only stand first");
	if (!check_names(s, err))
		return false;
	if (n < f->min || n > f->max)
		return err_set(err, EX_CONFIG, "takes %u to %u arguments", f->min, f->max);
	if (f->run == run_choice)
		return prepare_choice(a, s, first, err);
	return prepare_values(a, s, err);
}

/* ---- running ---- */

static void run_steps(struct pipe_state *p, const struct part_pipe *pipe)
{
	for (size_t i = 0; i < pipe->count; i++) {
		const struct pipe_step *s = &pipe->steps[i];
		bool ready =
		    p->set || (i == 0 && s->filter->first) || s->filter->run == run_default;
		if (ready && (p->err->code == 0 || s->filter->run == run_default) &&
		    s->filter->run(p, s))
			continue;
		p->set = false;
		if (p->err->code == 0)
			(void)failed(p, "there is no value");
	}
}

struct span pipe_expand(const struct expansion *x, const struct part_pipe *pipe)
{
	struct err why = {0};
	struct expansion raw = *x;
	raw.hooks.escape = NULL;
	raw.err = &why;
	struct pipe_state p = {.x = &raw, .arena = x->arena, .err = &why};
	run_steps(&p, pipe);
	if (!p.set) {
		err_set(x->err, why.code, "%s", why.text);
		return SPAN_NULL;
	}
	struct span v = p.bytes ? hex_encode_arena(x->arena, p.value) : p.value;
	if (x->hooks.escape != NULL && !(pipe->safe && p.literal))
		v = template_escaped(x, v);
	static const struct part_modifiers dn = {.any = true, .keys = "D"};
	return pipe->ldap_dn && v.ptr != NULL ? template_modify(&dn, v, x->arena) : v;
}
