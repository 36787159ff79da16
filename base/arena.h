/*
 * An arena: memory that is freed all at once and wiped then.
 * Owner: whoever embeds it (a request, a question). Not shared between
 * threads. Pointers into it die with arena_free() or arena_reset().
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/span.h"

struct arena_chunk {
	struct arena_chunk *next;
	size_t size; /* of bytes[] */
	size_t used;
	size_t padding;
	char bytes[];
};

struct arena {
	struct arena_chunk *chunks; /* newest first */
};

enum { ARENA_ALIGN = 16 };

void *arena_alloc_slow(struct arena *a, size_t size); /* in a new chunk */

/* zeroed, aligned for any object */
static inline void *arena_alloc(struct arena *a, size_t size)
{
	struct arena_chunk *c = a->chunks;
	size_t rounded = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	/* a size near the end of the address space becomes 0, or is too large for any chunk */
	if (c == NULL || rounded < size || c->size - c->used < rounded)
		return arena_alloc_slow(a, rounded < size ? size : rounded);
	void *p = c->bytes + c->used;
	c->used += rounded;
	return p;
}

struct span arena_dup(struct arena *a, struct span s); /* NUL follows the bytes; NULL stays NULL */
char *arena_cstr(struct arena *a, struct span s);      /* the same, as a C string */
struct span arena_join(struct arena *a, struct span x, struct span y);
struct span arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
void arena_reset(struct arena *a); /* wipe everything, keep one chunk */
void arena_free(struct arena *a);  /* wipe everything, give it back */
void arena_thread_end(void);	   /* the thread ends: give back the chunks that it kept */

#endif
