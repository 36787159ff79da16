/*
 * Restart delays. Runs in: parent.
 */
#include "authd/backoff.h"

int64_t backoff_died(struct backoff *b, int64_t lived_ms)
{
	if (lived_ms >= BACKOFF_FORGIVEN_MS)
		*b = (struct backoff){0};
	if (!b->failed_before) {
		b->failed_before = true;
		b->next_delay_ms = BACKOFF_FIRST_MS;
		return 0;
	}
	int64_t delay = b->next_delay_ms;
	b->next_delay_ms = delay * 2 < BACKOFF_MAX_MS ? delay * 2 : BACKOFF_MAX_MS;
	return delay;
}
