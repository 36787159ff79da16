/*
 * The verdicts' names.
 */
#include "base/verdict.h"

#define WORD(text)                                                                                 \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}

static const struct span words[VERDICT_COUNT] = {
    [VERDICT_INTERNAL] = WORD("internal"),
    [VERDICT_OK] = WORD("ok"),
    [VERDICT_MISMATCH] = WORD("mismatch"),
    [VERDICT_UNKNOWN_USER] = WORD("unknown-user"),
    [VERDICT_DISABLED] = WORD("disabled"),
    [VERDICT_EXPIRED] = WORD("expired"),
    [VERDICT_NO_SCHEME] = WORD("no-scheme"),
    [VERDICT_NEXT] = WORD("next"),
};

struct span verdict_word(enum verdict v)
{
	return (unsigned)v < VERDICT_COUNT ? words[v] : SPAN_LIT("invalid");
}
