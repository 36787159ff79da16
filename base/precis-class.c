/*
 * Which characters PRECIS allows where: the derived property of RFC 8264,
 * section 8, the contextual rules of RFC 5892, appendix A, and the Bidi rule
 * of RFC 5893. Unicode's own data is libunistring's. Pure.
 */
#include <stdlib.h>
#include <unictype.h>
#include <uninorm.h>

#include "base/precis.h"

enum property { PVALID, CONTEXT, FREE_PVAL, DISALLOWED };

struct range {
	uint32_t first, last;
	enum property property;
};

/* RFC 5892, 2.6; RFC 8264, 9.6: ahead of everything else */
static const struct range exceptions[] = {
    {0x00b7, 0x00b7, CONTEXT},
    {0x00df, 0x00df, PVALID},
    {0x0375, 0x0375, CONTEXT},
    {0x03c2, 0x03c2, PVALID},
    {0x05f3, 0x05f4, CONTEXT},
    {0x0640, 0x0640, DISALLOWED},
    {0x0660, 0x0669, CONTEXT},
    {0x06f0, 0x06f9, CONTEXT},
    {0x06fd, 0x06fe, PVALID},
    {0x07fa, 0x07fa, DISALLOWED},
    {0x0f0b, 0x0f0b, PVALID},
    {0x3007, 0x3007, PVALID},
    {0x302e, 0x302f, DISALLOWED},
    {0x3031, 0x3035, DISALLOWED},
    {0x303b, 0x303b, DISALLOWED},
    {0x30fb, 0x30fb, CONTEXT},
};

/* Hangul_Syllable_Type L, V or T (RFC 8264, 9.9) */
static const struct range old_hangul_jamo[] = {
    {0x1100, 0x11ff, DISALLOWED},
    {0xa960, 0xa97c, DISALLOWED},
    {0xd7b0, 0xd7fb, DISALLOWED},
};

static const struct range *range_find(const struct range *list, size_t count, uint32_t c)
{
	for (size_t i = 0; i < count; i++) {
		if (c >= list[i].first && c <= list[i].last)
			return &list[i];
	}
	return NULL;
}

static bool has_category(uint32_t c, uint32_t mask)
{
	return uc_is_general_category_withtable(c, mask);
}

/* NFKC changes it (RFC 8264, 9.17) */
static bool has_compat(uint32_t c)
{
	uint32_t out[32];
	size_t len = ARRAY_LEN(out);
	uint32_t *made = u32_normalize(UNINORM_NFKC, &c, 1, out, &len);
	bool same = made == out && len == 1 && out[0] == c;
	if (made != out)
		free(made);
	return !same;
}

/* RFC 8264, section 8, in its order; FREE_PVAL: in the FreeformClass only */
static enum property property_of(uint32_t c)
{
	const struct range *r = range_find(exceptions, ARRAY_LEN(exceptions), c);
	if (r != NULL)
		return r->property;
	if (c >= 0x21 && c <= 0x7e)
		return PVALID;
	if (uc_is_property_join_control(c))
		return CONTEXT;
	if (range_find(old_hangul_jamo, ARRAY_LEN(old_hangul_jamo), c) != NULL ||
	    uc_is_property_default_ignorable_code_point(c) || uc_is_property_not_a_character(c) ||
	    has_category(c, UC_CATEGORY_MASK_Cc | UC_CATEGORY_MASK_Cn))
		return DISALLOWED;
	if (has_compat(c))
		return FREE_PVAL;
	if (has_category(c, UC_CATEGORY_MASK_Ll | UC_CATEGORY_MASK_Lu | UC_CATEGORY_MASK_Lo |
				UC_CATEGORY_MASK_Nd | UC_CATEGORY_MASK_Lm | UC_CATEGORY_MASK_Mn |
				UC_CATEGORY_MASK_Mc))
		return PVALID;
	if (has_category(c, UC_CATEGORY_MASK_Lt | UC_CATEGORY_MASK_Nl | UC_CATEGORY_MASK_No |
				UC_CATEGORY_MASK_Me | UC_CATEGORY_MASK_Zs | UC_CATEGORY_MASK_S |
				UC_CATEGORY_MASK_P))
		return FREE_PVAL;
	return DISALLOWED;
}

/* ---- contextual rules ---- */

static bool is_in_script(uint32_t c, const char *name)
{
	const uc_script_t *script = uc_script(c);
	return script != NULL && strcmp(script->name, name) == 0;
}

static bool follows_virama(const uint32_t *text, size_t at)
{
	return at > 0 && uc_combining_class(text[at - 1]) == UC_CCC_VR;
}

/* (L|D) T* ZWNJ T* (R|D), of Joining_Type (appendix A.1) */
static bool breaks_a_join(const uint32_t *text, size_t len, size_t at)
{
	size_t before = at, after = at + 1;
	while (before > 0 && uc_joining_type(text[before - 1]) == UC_JOINING_TYPE_T)
		before--;
	while (after < len && uc_joining_type(text[after]) == UC_JOINING_TYPE_T)
		after++;
	if (before == 0 || after == len)
		return false;
	int left = uc_joining_type(text[before - 1]), right = uc_joining_type(text[after]);
	return (left == UC_JOINING_TYPE_L || left == UC_JOINING_TYPE_D) &&
	       (right == UC_JOINING_TYPE_R || right == UC_JOINING_TYPE_D);
}

static bool has_any(const uint32_t *text, size_t len, uint32_t first, uint32_t last)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] >= first && text[i] <= last)
			return true;
	}
	return false;
}

/*
 * A rule about the whole text is the same for each character that it is for: only the first one
 * looks, or a long text of nothing else would take seconds.
 */
static bool is_first(const uint32_t *text, size_t at, uint32_t first, uint32_t last)
{
	while (at > 0) {
		at--;
		if (text[at] >= first && text[at] <= last)
			return false;
	}
	return true;
}

static bool has_japanese(const uint32_t *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (is_in_script(text[i], "Hiragana") || is_in_script(text[i], "Katakana") ||
		    is_in_script(text[i], "Han"))
			return true;
	}
	return false;
}

static bool context_allows(const uint32_t *text, size_t len, size_t at)
{
	uint32_t c = text[at];
	if (c >= 0x0660 && c <= 0x0669) /* A.8 */
		return !is_first(text, at, 0x0660, 0x0669) || !has_any(text, len, 0x06f0, 0x06f9);
	if (c >= 0x06f0 && c <= 0x06f9) /* A.9 */
		return !is_first(text, at, 0x06f0, 0x06f9) || !has_any(text, len, 0x0660, 0x0669);
	switch (c) {
	case 0x200c: /* A.1: ZERO WIDTH NON-JOINER */
		return follows_virama(text, at) || breaks_a_join(text, len, at);
	case 0x200d: /* A.2: ZERO WIDTH JOINER */
		return follows_virama(text, at);
	case 0x00b7: /* A.3: MIDDLE DOT, between two l */
		return at > 0 && at + 1 < len && text[at - 1] == 'l' && text[at + 1] == 'l';
	case 0x0375: /* A.4: GREEK KERAIA */
		return at + 1 < len && is_in_script(text[at + 1], "Greek");
	case 0x05f3: /* A.5, A.6: HEBREW GERESH, GERSHAYIM */
	case 0x05f4:
		return at > 0 && is_in_script(text[at - 1], "Hebrew");
	case 0x30fb: /* A.7: KATAKANA MIDDLE DOT */
		return !is_first(text, at, c, c) || has_japanese(text, len);
	default:
		return false;
	}
}

bool precis_identifier_allows(const uint32_t *text, size_t len, size_t at)
{
	enum property p = property_of(text[at]);
	return p == PVALID || (p == CONTEXT && context_allows(text, len, at));
}

bool precis_freeform_allows(const uint32_t *text, size_t len, size_t at)
{
	enum property p = property_of(text[at]);
	return p == PVALID || p == FREE_PVAL || (p == CONTEXT && context_allows(text, len, at));
}

/* ---- right to left ---- */

#define BIT(bidi) (UINT32_C(1) << (bidi))
#define NEUTRAL                                                                                    \
	(BIT(UC_BIDI_ES) | BIT(UC_BIDI_CS) | BIT(UC_BIDI_ET) | BIT(UC_BIDI_ON) | BIT(UC_BIDI_BN) | \
	    BIT(UC_BIDI_NSM))
#define RTL (BIT(UC_BIDI_R) | BIT(UC_BIDI_AL))

bool precis_bidi_allows(const uint32_t *text, size_t len)
{
	uint32_t seen = 0, last = 0;
	for (size_t i = 0; i < len; i++) {
		uint32_t bit = BIT(uc_bidi_class(text[i]));
		seen |= bit;
		if (bit != BIT(UC_BIDI_NSM))
			last = bit;
	}
	if ((seen & (RTL | BIT(UC_BIDI_AN))) == 0)
		return true;
	uint32_t first = BIT(uc_bidi_class(text[0]));
	uint32_t numbers = BIT(UC_BIDI_EN) | BIT(UC_BIDI_AN);
	if ((first & RTL) != 0) /* rules 2, 3 and 4 */
		return (seen & ~(RTL | numbers | NEUTRAL)) == 0 && (last & (RTL | numbers)) != 0 &&
		       (seen & numbers) != numbers;
	/* rules 1, 5 and 6 */
	return first == BIT(UC_BIDI_L) && (seen & ~(first | BIT(UC_BIDI_EN) | NEUTRAL)) == 0 &&
	       (last & (first | BIT(UC_BIDI_EN))) != 0;
}
