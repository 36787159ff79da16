/*
 * Filters of Dovecot 2.4's expressions that change a value: text, numbers,
 * bytes. Bytes that are no text are written in hex at the end.
 * Runs in: all processes, any thread. Results belong to the arena.
 */
#include <ctype.h>
#include <inttypes.h>
#include <sysexits.h>

#include "base/encode.h"
#include "conf/template-filters.h"

/* ---- text ---- */

static bool change_case(struct pipe_state *p, const char *key)
{
	struct part_modifiers mod = {.any = true};
	mod.keys[0] = key[0];
	filter_put(p, template_modify(&mod, p->value, p->arena));
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
	filter_put(p, var_cut(p->value, CUT_USERNAME));
	return true;
}

static bool run_domain(struct pipe_state *p, const struct pipe_step *s UNUSED)
{
	filter_put(p, var_cut(p->value, CUT_DOMAIN));
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
	if (!filter_text(p, &s->args[0], &sep) || !filter_number(p, &s->args[1], &index))
		return false;
	if (sep.len == 0)
		return filter_failed(p, "the separator is empty");
	for (struct span r = p->value; (void)next_piece(&r, sep), r.ptr != NULL;)
		count++;
	if (index < 0)
		index += count;
	if (index < 0 || index >= count)
		return filter_failed(p, "there is no piece of that number");
	for (; index >= 0; index--)
		piece = next_piece(&rest, sep);
	filter_put(p, piece);
	return true;
}

static bool run_substr(struct pipe_state *p, const struct pipe_step *s)
{
	int64_t size = (int64_t)p->value.len, offset, len;
	const struct pipe_arg *second = filter_arg(s, 1);
	if (!filter_number(p, &s->args[0], &offset))
		return false;
	if (offset < -size || offset > size)
		return filter_failed(p, "the offset is beyond the value");
	offset += offset < 0 ? size : 0;
	len = size - offset;
	if (second != NULL) {
		if (!filter_number(p, second, &len))
			return false;
		if (len < -size || len > size)
			return filter_failed(p, "the length is beyond the value");
		len = len < 0 ? size + len - offset : len;
	}
	if (len < 0 || offset + len > size)
		return filter_failed(p, "the length is beyond the value");
	filter_put(p, span_make(p->value.ptr + offset, (size_t)len));
	return true;
}

static struct span first_bits(struct pipe_state *p, size_t bits)
{
	uint8_t *bytes = arena_alloc(p->arena, p->value.len + 1);
	if (p->value.len > 0)
		memcpy(bytes, p->value.ptr, p->value.len);
	return span_make(bytes, template_truncate_bits(bytes, p->value.len, bits));
}

static bool run_truncate(struct pipe_state *p, const struct pipe_step *s)
{
	const struct pipe_arg *bits = filter_named(s, "bits"), *bytes = filter_arg(s, 0);
	int64_t n;
	if (bits == NULL && bytes == NULL)
		return filter_failed(p, "truncate needs a length");
	if (!filter_small_number(p, bits != NULL ? bits : bytes, 0, INT32_MAX, &n))
		return false;
	filter_put(p, bits != NULL ? first_bits(p, (size_t)n) : span_first(p->value, (size_t)n));
	return true;
}

static bool fill(struct pipe_state *p, const struct pipe_step *s, bool left)
{
	struct span filler = SPAN_LIT("0");
	struct buffer pad = {0};
	int64_t width;
	if (!filter_small_number(p, &s->args[0], 1, TEMPLATE_PAD_MAX, &width))
		return false;
	if (filter_arg(s, 1) != NULL && !filter_text(p, filter_arg(s, 1), &filler))
		return false;
	if (filler.len == 0)
		return filter_failed(p, "there is nothing to fill with");
	if (!left)
		buffer_append(&pad, p->value);
	for (size_t n = p->value.len; n < (size_t)width; n += filler.len)
		buffer_append(&pad, filler);
	if (left)
		buffer_append(&pad, p->value);
	filter_put_buffer(p, &pad);
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
	if (s->count > 0 && !filter_text(p, &s->args[0], &sep))
		return false;
	for (bool any = false; span_split(&rest, '\t', &one); any = true) {
		if (any)
			buffer_append(&out, sep);
		buffer_append(&out, tab_unescape(p->arena, one));
	}
	filter_put_buffer(p, &out);
	return true;
}

static bool run_regexp(struct pipe_state *p, const struct pipe_step *s)
{
	struct span pattern, replacement;
	if (!filter_text(p, &s->args[0], &pattern) || !filter_text(p, &s->args[1], &replacement))
		return false;
	struct span v = regex_replace(pattern, replacement, p->value, p->arena, p->err);
	if (v.ptr != NULL)
		filter_put(p, v);
	return v.ptr != NULL;
}

/* yes and no as Dovecot's filters take them: 1 and 0 */
static bool flag_of(struct pipe_state *p, const struct pipe_step *s, const char *name, bool *out)
{
	const struct pipe_arg *a = filter_named(s, name);
	int64_t n;
	if (a == NULL)
		return true;
	if (!filter_small_number(p, a, 0, 1, &n))
		return false;
	*out = n == 1;
	return true;
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
		return filter_failed(p, "division by zero");
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
	return !over || filter_failed(p, "a number is too large");
}

static bool run_calculate(struct pipe_state *p, const struct pipe_step *s)
{
	int64_t left, right, result = 0;
	char op = s->args[0].text.ptr[0];
	if (!filter_number(p, &s->args[1], &right))
		return false;
	if (p->bytes && op == '%') {
		if (right <= 0)
			return filter_failed(p, "the divisor must be above zero");
		filter_put_text(p,
		    arena_printf(p->arena, "%" PRIu64, number_at_end(p->value) % (uint64_t)right));
		return true;
	}
	if (!filter_to_number(p, p->value, &left) || !calculate(p, op, left, right, &result))
		return false;
	filter_put_text(p, arena_printf(p->arena, "%" PRId64, result));
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
	    !filter_small_number(p, &s->args[0], -TEMPLATE_PAD_MAX, TEMPLATE_PAD_MAX, &width))
		return false;
	if (!span_to_u64(p->value, &n))
		return filter_failed(p, "hex needs a number");
	filter_put_text(p, fit(p, arena_printf(p->arena, "%" PRIx64, n), width));
	return true;
}

static bool run_unhex(struct pipe_state *p, const struct pipe_step *s UNUSED)
{
	uint64_t n = 0;
	if (p->value.len == 0 || p->value.len > 16)
		return filter_failed(p, "unhex needs a number in hex");
	for (size_t i = 0; i < p->value.len; i++) {
		unsigned char c = (unsigned char)p->value.ptr[i];
		if (!isxdigit(c))
			return filter_failed(p, "unhex needs a number in hex");
		n = n << 4 | (uint64_t)(isdigit(c) ? c - '0' : tolower(c) - 'a' + 10);
	}
	filter_put_text(p, arena_printf(p->arena, "%" PRIu64, n));
	return true;
}

static bool bytes_number(struct pipe_state *p, bool little)
{
	struct span v = p->value;
	uint64_t n = 0;
	if (v.len != 1 && v.len != 2 && v.len != 4 && v.len != 8)
		return filter_failed(p, "a number has 1, 2, 4 or 8 bytes");
	for (size_t i = 0; i < v.len; i++)
		n = n << 8 | (uint8_t)v.ptr[little ? v.len - 1 - i : i];
	filter_put_text(p, arena_printf(p->arena, "%" PRIu64, n));
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
	if (s->count > 0 && !filter_small_number(p, &s->args[0], 0, TEMPLATE_PAD_MAX, &width))
		return false;
	struct span hex = hex_encode_arena(p->arena, p->value);
	if (width > 0 && hex.len > (size_t)width)
		hex = span_first(hex, (size_t)width);
	filter_put_text(p, fit(p, hex, width));
	return true;
}

static bool run_unhexlify(struct pipe_state *p, const struct pipe_step *s UNUSED)
{
	struct span bytes = hex_decode(p->arena, p->value);
	if (bytes.ptr == NULL)
		return filter_failed(p, "the value is not in hex");
	filter_put(p, bytes);
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
	filter_put_text(p, span_first(span_of(text), pad ? v.len : strcspn(text, "=")));
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
		return filter_failed(p, "the value is not in base64");
	filter_put(p, bytes);
	p->bytes = true;
	return true;
}

static bool hash_with(struct pipe_state *p, const struct pipe_step *s, struct span method)
{
	struct part_hash h = {.method = hash_method_find(method), .rounds = 1, .format = HASH_HEX};
	const struct pipe_arg *rounds = filter_named(s, "rounds"), *salt = filter_named(s, "salt");
	struct span salt_text = SPAN_LIT("");
	int64_t n = 1;
	if (h.method == NULL)
		return err_set(
		    p->err, EX_DATAERR, "there is no hash named \"%.*s\"", SPAN_ARG(method));
	if (rounds != NULL && !filter_small_number(p, rounds, 1, TEMPLATE_ROUNDS_MAX, &n))
		return false;
	if (salt != NULL && !filter_text(p, salt, &salt_text))
		return false;
	h.rounds = (unsigned)n;
	filter_put(p, hex_decode(p->arena, hash_run(&h, salt_text, p->value, p->arena)));
	p->bytes = true;
	return true;
}

static bool run_hash(struct pipe_state *p, const struct pipe_step *s)
{
	struct span method;
	return filter_text(p, &s->args[0], &method) && hash_with(p, s, method);
}

static bool run_named_hash(struct pipe_state *p, const struct pipe_step *s)
{
	return hash_with(p, s, span_of(s->filter->name));
}

/* ---- the table ---- */

const struct pipe_filter value_filters[] = {
    {"calculate", run_calculate, 2, 2, NULL, false},
    {"lower", run_lower, 0, 0, NULL, false},
    {"upper", run_upper, 0, 0, NULL, false},
    {"reverse", run_reverse, 0, 0, NULL, false},
    {"ldap_dn", run_ldap_dn, 0, 0, NULL, false},
    {"escape", run_escape, 0, 0, NULL, false},
    {"username", run_username, 0, 0, NULL, false},
    {"domain", run_domain, 0, 0, NULL, false},
    {"index", run_index, 2, 2, NULL, false},
    {"substr", run_substr, 1, 2, NULL, false},
    {"truncate", run_truncate, 0, 1, "bits", false},
    {"lfill", run_lfill, 1, 2, NULL, false},
    {"rfill", run_rfill, 1, 2, NULL, false},
    {"list", run_list, 0, 1, NULL, false},
    {"regexp", run_regexp, 2, 2, NULL, false},
    {"hex", run_hex, 0, 1, NULL, false},
    {"unhex", run_unhex, 0, 0, NULL, false},
    {"lenumber", run_lenumber, 0, 0, NULL, false},
    {"benumber", run_benumber, 0, 0, NULL, false},
    {"text", run_text, 0, 0, NULL, false},
    {"hexlify", run_hexlify, 0, 1, NULL, false},
    {"unhexlify", run_unhexlify, 0, 0, NULL, false},
    {"base64", run_base64, 0, 0, "pad url", false},
    {"unbase64", run_unbase64, 0, 0, "pad url", false},
    {"hash", run_hash, 1, 1, "rounds salt", false},
    {"md4", run_named_hash, 0, 0, "rounds salt", false},
    {"md5", run_named_hash, 0, 0, "rounds salt", false},
    {"sha1", run_named_hash, 0, 0, "rounds salt", false},
    {"sha256", run_named_hash, 0, 0, "rounds salt", false},
    {"sha384", run_named_hash, 0, 0, "rounds salt", false},
    {"sha512", run_named_hash, 0, 0, "rounds salt", false},
};
const size_t value_filter_count = ARRAY_LEN(value_filters);
