/*
 * Bump allocation in chunks. A small per-thread list keeps free chunks of the
 * standard size, so that a request costs no malloc.
 * Fatal: out of memory.
 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

enum { CHUNK_SIZE = 3072, SPARE_MAX = 256 };

static _Thread_local struct arena_chunk *spares;
static _Thread_local unsigned spare_count;

static struct arena_chunk *chunk_get(size_t need)
{
	size_t size = CHUNK_SIZE - sizeof(struct arena_chunk);
	if (need <= size && spares != NULL) {
		struct arena_chunk *c = spares;
		spares = c->next;
		spare_count--;
		return c;
	}
	if (need > size)
		size = need;
	/* chunks on the spare list were wiped, so every chunk starts zeroed */
	struct arena_chunk *c = mem_alloc(sizeof(*c) + size);
	c->size = size;
	return c;
}

static void chunk_put(struct arena_chunk *c)
{
	mem_wipe(c->bytes, c->used);
	c->used = 0;
	if (c->size == CHUNK_SIZE - sizeof(*c) && spare_count < SPARE_MAX) {
		c->next = spares;
		spares = c;
		spare_count++;
	} else {
		free(c);
	}
}

void *arena_alloc_slow(struct arena *a, size_t size)
{
	if (size > SIZE_MAX / 2)
		mem_panic("arena allocation too large");
	struct arena_chunk *c = chunk_get(size);
	c->next = a->chunks;
	a->chunks = c;
	c->used = size;
	return c->bytes;
}

struct span arena_dup(struct arena *a, struct span s)
{
	if (s.ptr == NULL)
		return s;
	char *p = arena_alloc(a, s.len + 1);
	if (s.len > 0)
		memcpy(p, s.ptr, s.len);
	return span_make(p, s.len);
}

char *arena_cstr(struct arena *a, struct span s)
{
	char *p = arena_alloc(a, s.len + 1);
	if (s.len > 0)
		memcpy(p, s.ptr, s.len);
	return p;
}

struct span arena_join(struct arena *a, struct span x, struct span y)
{
	char *p = arena_alloc(a, x.len + y.len + 1);
	if (x.len > 0)
		memcpy(p, x.ptr, x.len);
	if (y.len > 0)
		memcpy(p + x.len, y.ptr, y.len);
	return span_make(p, x.len + y.len);
}

struct span arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		mem_panic("bad format");
	char *p = arena_alloc(a, (size_t)n + 1);
	vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return span_make(p, (size_t)n);
}

void arena_reset(struct arena *a)
{
	while (a->chunks != NULL && a->chunks->next != NULL) {
		struct arena_chunk *c = a->chunks;
		a->chunks = c->next;
		chunk_put(c);
	}
	if (a->chunks != NULL) {
		mem_wipe(a->chunks->bytes, a->chunks->used);
		a->chunks->used = 0;
	}
}

void arena_free(struct arena *a)
{
	while (a->chunks != NULL) {
		struct arena_chunk *c = a->chunks;
		a->chunks = c->next;
		chunk_put(c);
	}
}

void arena_thread_end(void)
{
	while (spares != NULL) {
		struct arena_chunk *c = spares;
		spares = c->next;
		free(c);
	}
	spare_count = 0;
}
