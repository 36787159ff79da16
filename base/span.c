/*
 * Splitting, numbers and wildcards on spans. No allocation, no policy.
 */
#include "base/span.h"

#include <ctype.h>

static bool is_one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

bool span_word(struct span *rest, const char *seps, struct span *word)
{
	size_t start = 0, end;
	while (start < rest->len && is_one_of(rest->ptr[start], seps))
		start++;
	for (end = start; end < rest->len && !is_one_of(rest->ptr[end], seps); end++)
		;
	if (start == end) {
		*rest = SPAN_NULL;
		return false;
	}
	*word = span_make(rest->ptr + start, end - start);
	*rest = span_skip(*rest, end);
	return true;
}

struct span span_trim(struct span s)
{
	while (s.len > 0 && isspace((unsigned char)s.ptr[0]))
		s = span_skip(s, 1);
	while (s.len > 0 && isspace((unsigned char)s.ptr[s.len - 1]))
		s.len--;
	return s;
}

bool span_to_u64(struct span s, uint64_t *out)
{
	uint64_t value = 0;
	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
		unsigned digit = (unsigned)(s.ptr[i] - '0');
		if (value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*out = value;
	return true;
}

bool span_to_u32(struct span s, uint32_t *out)
{
	uint64_t value;
	if (!span_to_u64(s, &value) || value > UINT32_MAX)
		return false;
	*out = (uint32_t)value;
	return true;
}

typedef unsigned char bytes16 __attribute__((vector_size(16)));

static bytes16 control_in(const char *at)
{
	bytes16 c;
	memcpy(&c, at, sizeof(c));
	return (bytes16)(c < 0x20) | (bytes16)(c == 0x7f);
}

bool span_has_control(struct span s)
{
	bytes16 found = {0};
	uint64_t halves[2];
	unsigned rest = 0;
	size_t i = 0;
	for (; i + sizeof(found) <= s.len; i += sizeof(found))
		found |= control_in(s.ptr + i);
	if (i > 0 && i < s.len) /* the last ones once more, together with the rest */
		found |= control_in(s.ptr + s.len - sizeof(found));
	for (; s.len < sizeof(found) && i < s.len; i++)
		rest |= (unsigned char)s.ptr[i] < 0x20 || s.ptr[i] == 0x7f;
	memcpy(halves, &found, sizeof(halves));
	return (halves[0] | halves[1] | rest) != 0;
}

static bool byte_eq(char a, char b, bool fold)
{
	if (fold)
		return tolower((unsigned char)a) == tolower((unsigned char)b);
	return a == b;
}

bool span_matches(struct span s, struct span pattern, bool fold)
{
	size_t i = 0, j = 0, star = SIZE_MAX, mark = 0;
	/* greedy with one point of return: linear in practice, never exponential */
	while (i < s.len) {
		if (j < pattern.len && pattern.ptr[j] == '*') {
			star = j++;
			mark = i;
		} else if (j < pattern.len &&
			   (pattern.ptr[j] == '?' || byte_eq(pattern.ptr[j], s.ptr[i], fold))) {
			i++;
			j++;
		} else if (star != SIZE_MAX) {
			j = star + 1;
			i = ++mark;
		} else {
			return false;
		}
	}
	while (j < pattern.len && pattern.ptr[j] == '*')
		j++;
	return j == pattern.len;
}

bool span_to_cstr(struct span s, char *buf, size_t size)
{
	size_t n = s.len < size - 1 ? s.len : size - 1;
	if (n > 0)
		memcpy(buf, s.ptr, n);
	buf[n] = '\0';
	return n == s.len && (n == 0 || memchr(buf, '\0', n) == NULL);
}
