/*
 * Pauses that grow, with jitter.
 */
#include "base/rest.h"

#include <sodium.h>

int64_t rest_ms(unsigned failures, int64_t first_ms, int64_t max_ms)
{
	int64_t ms = first_ms;
	for (unsigned i = 1; i < failures && ms < max_ms; i++)
		ms *= 2;
	if (ms > max_ms)
		ms = max_ms;
	return ms - ms / 4 + (int64_t)randombytes_uniform((uint32_t)(ms / 2 + 1));
}
