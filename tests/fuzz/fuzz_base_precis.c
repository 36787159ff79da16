/*
 * PRECIS over any bytes: what a profile lets through it leaves as it is the
 * next time. The first byte picks the profile.
 */
#include <stdlib.h>

#include "base/precis.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
	if (!good)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = {0};
	struct err err = {0};
	if (size == 0)
		return 0;
	enum precis_profile profile = (enum precis_profile)(data[0] % 3);
	struct span once = precis_enforce(profile, span_make(data + 1, size - 1), &a, &err);
	check((once.ptr == NULL) == (err.text[0] != '\0'));
	if (once.ptr != NULL) {
		check(once.len > 0 && span_find(once, '\0') < 0);
		check(span_eq(precis_enforce(profile, once, &a, &err), once));
	}
	arena_free(&a);
	return 0;
}
