#include "mechanisms/gs2.h"

bool gs2_decode_name(struct arena *a, struct span text, struct span *name)
{
	char *out = arena_alloc(a, text.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		if (c == '=') {
			struct span code = span_first(span_skip(text, i), 3);
			if (!span_eq_str(code, "=2C") && !span_eq_str(code, "=3D"))
				return false;
			c = code.ptr[1] == '2' ? ',' : '=';
			i += 2;
		}
		if (c == '\0')
			return false;
		out[n++] = c;
	}
	*name = span_make(out, n);
	return n > 0;
}

/* letters, digits, dots and hyphens */
static bool is_binding_type(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i], lower = (char)(c | 0x20);
		if ((lower < 'a' || lower > 'z') && (c < '0' || c > '9') && c != '.' && c != '-')
			return false;
	}
	return s.len > 0;
}

static bool take_flag(struct span text, struct gs2_header *h)
{
	if (text.len == 0)
		return false;
	h->flag = text.ptr[0];
	if (h->flag == 'p') {
		h->binding_type = span_skip(text, 2);
		return span_starts(text, "p=") && is_binding_type(h->binding_type);
	}
	return text.len == 1 && (h->flag == 'n' || h->flag == 'y');
}

bool gs2_take_header(struct arena *a, struct span *in, struct gs2_header *h)
{
	struct span start = *in, flag, name;
	*h = (struct gs2_header){0};
	if (!span_split(in, ',', &flag) || !span_split(in, ',', &name) || in->ptr == NULL ||
	    !take_flag(flag, h))
		return false;
	h->text = span_first(start, start.len - in->len);
	return name.len == 0 ||
	       (span_starts(name, "a=") && gs2_decode_name(a, span_skip(name, 2), &h->authzid));
}
