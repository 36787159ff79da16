/*
 * The verdicts' names.
 */
#include "base/verdict.h"

static const char *const names[VERDICT_COUNT] = {
    [VERDICT_INTERNAL] = "internal",
    [VERDICT_OK] = "ok",
    [VERDICT_MISMATCH] = "mismatch",
    [VERDICT_UNKNOWN_USER] = "unknown-user",
    [VERDICT_DISABLED] = "disabled",
    [VERDICT_EXPIRED] = "expired",
    [VERDICT_NO_SCHEME] = "no-scheme",
    [VERDICT_NEXT] = "next",
};

const char *verdict_name(enum verdict v)
{
	return (unsigned)v < VERDICT_COUNT ? names[v] : "invalid";
}
