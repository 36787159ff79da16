/*
 * The exchanges that wait for their clients' next message. Runs in: worker,
 * all lanes; one lock, held for a few instructions.
 */
#include <pthread.h>
#include <string.h>

#include "base/wheel.h"
#include "drivers/gssapi.h"

enum { BUCKETS = 1024, EXCHANGES_MAX = 4096, PATIENCE_MS = 180 * 1000 };

static struct {
	pthread_mutex_t lock;
	struct gssapi_exchange *buckets[BUCKETS];
	struct gssapi_exchange *oldest, *newest;
	size_t count;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct gssapi_exchange **bucket_of(const uint8_t *handle)
{
	uint16_t h;
	memcpy(&h, handle, sizeof(h)); /* handles are random */
	return &table.buckets[h % BUCKETS];
}

static void take_out(struct gssapi_exchange *e)
{
	struct gssapi_exchange **at = bucket_of(e->handle);
	while (*at != e)
		at = &(*at)->hash_next;
	*at = e->hash_next;
	if (e->older != NULL)
		e->older->newer = e->newer;
	else
		table.oldest = e->newer;
	if (e->newer != NULL)
		e->newer->older = e->older;
	else
		table.newest = e->older;
	table.count--;
}

struct gssapi_exchange *gssapi_table_take(struct span handle)
{
	struct gssapi_exchange *e = NULL;
	if (handle.len != GSSAPI_HANDLE_SIZE)
		return NULL;
	pthread_mutex_lock(&table.lock);
	e = *bucket_of((const uint8_t *)handle.ptr);
	while (e != NULL && memcmp(e->handle, handle.ptr, GSSAPI_HANDLE_SIZE) != 0)
		e = e->hash_next;
	if (e != NULL)
		take_out(e);
	pthread_mutex_unlock(&table.lock);
	return e;
}

struct gssapi_exchange *gssapi_table_put(struct gssapi_exchange *e)
{
	struct gssapi_exchange **place = bucket_of(e->handle), *out = NULL;
	pthread_mutex_lock(&table.lock);
	e->hash_next = *place;
	*place = e;
	e->newer = NULL;
	e->older = table.newest;
	if (table.newest != NULL)
		table.newest->newer = e;
	else
		table.oldest = e;
	table.newest = e;
	table.count++;
	if (table.count > EXCHANGES_MAX || table.oldest->started_ms + PATIENCE_MS < clock_ms())
		out = table.oldest;
	if (out != NULL)
		take_out(out);
	pthread_mutex_unlock(&table.lock);
	return out;
}
