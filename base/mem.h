/*
 * Allocation that never returns NULL: out of memory ends the process, and the
 * parent starts it again.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include "base/macros.h"

void *mem_alloc(size_t size);		      /* zeroed */
void *mem_realloc(void *p, size_t size);      /* new bytes are not zeroed */
char *mem_strdup(const char *s);	      /* NULL stays NULL */
char *mem_strndup(const char *s, size_t len); /* always terminated */
char *mem_printf(const char *fmt, ...) PRINTF_LIKE(1, 2);
void mem_free(void *pp); /* takes a pointer to the pointer, frees it and sets it to NULL */
void mem_wipe(void *p, size_t len);	    /* not optimised away */
NO_RETURN void mem_panic(const char *what); /* broken invariant: log and abort */

/* Grows an array whose elements are *items of item_size so that one more fits. */
void *mem_grow(void *items, size_t count, size_t *capacity, size_t item_size);

#endif
