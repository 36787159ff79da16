/*
 * An arena: memory that is freed all at once and wiped then.
 * Owner: whoever embeds it (a request, a question). Not shared between
 * threads. Pointers into it die with arena_free() or arena_reset().
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/span.h"

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks; /* newest first */
};

void *arena_alloc(struct arena *a, size_t size);       /* zeroed, aligned for any object */
struct span arena_dup(struct arena *a, struct span s); /* NUL follows the bytes; NULL stays NULL */
char *arena_cstr(struct arena *a, struct span s);      /* the same, as a C string */
struct span arena_join(struct arena *a, struct span x, struct span y);
struct span arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
void arena_reset(struct arena *a); /* wipe everything, keep one chunk */
void arena_free(struct arena *a);  /* wipe everything, give it back */
void arena_thread_end(void);	   /* the thread ends: give back the chunks that it kept */

#endif
