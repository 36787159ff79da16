/*
 * Allocation. Fatal: out of memory.
 */
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

void mem_panic(const char *what)
{
	fprintf(stderr, "authd: panic: %s\n", what);
	abort();
}

void *mem_alloc(size_t size)
{
	void *p = calloc(1, size > 0 ? size : 1);
	if (p == NULL)
		mem_panic("out of memory");
	return p;
}

void *mem_realloc(void *p, size_t size)
{
	void *q = realloc(p, size > 0 ? size : 1);
	if (q == NULL)
		mem_panic("out of memory");
	return q;
}

char *mem_strndup(const char *s, size_t len)
{
	char *p = mem_alloc(len + 1);
	if (len > 0)
		memcpy(p, s, len);
	return p;
}

char *mem_strdup(const char *s)
{
	return s != NULL ? mem_strndup(s, strlen(s)) : NULL;
}

char *mem_printf(const char *fmt, ...)
{
	va_list ap;
	char *p = NULL;
	va_start(ap, fmt);
	int n = vasprintf(&p, fmt, ap);
	va_end(ap);
	if (n < 0)
		mem_panic("out of memory");
	return p;
}

void mem_free(void *pp)
{
	void **p = pp;
	free(*p);
	*p = NULL;
}

void mem_wipe(void *p, size_t len)
{
	if (len > 0)
		sodium_memzero(p, len);
}

void *mem_grow(void *items, size_t count, size_t *capacity, size_t item_size)
{
	if (count < *capacity)
		return items;
	*capacity = *capacity > 0 ? *capacity * 2 : 8;
	return mem_realloc(items, *capacity * item_size);
}
