/*
 * The passwd-files that a driver has open, by path: loaded when first asked
 * for, loaded anew when they change, never while a login waits for it.
 */
#ifndef DRIVERS_PASSWD_FILE_STORE_H
#define DRIVERS_PASSWD_FILE_STORE_H

#include "drivers/passwd-file.h"

struct pf_store;

/* many: paths come from users' names, so a missing file is not remembered */
struct pf_store *pf_store_new(bool many);
/* Waits for loads in the background. */
void pf_store_free(struct pf_store **store);

/*
 * A reference to the file's newest usable table; the caller unrefs it. NULL
 * and *err (its code an errno) when there is none. Any thread may call it.
 */
struct pf_table *pf_store_get(struct pf_store *s, const char *path, struct err *err) MUST_CHECK;

/* This process has just changed the file: what it holds now counts at once. */
void pf_store_reload(struct pf_store *s, const char *path);

/* Call it every second: a changed file is found before somebody asks for it. */
void pf_store_watch(struct pf_store *s);

/* Changes whenever a file was read anew. */
uint64_t pf_store_version(struct pf_store *s);

/* Some line here is a template: questions should come with all variables. */
bool pf_store_has_templates(struct pf_store *s);

enum {
	PF_CHECK_MS = 1000,    /* a file is looked at so often at most */
	PF_SMALL = 256 * 1024, /* smaller files are loaded at once, others in the background */
	PF_FILES_MAX = 1024,
	PF_HELLO_MS = 2000, /* so long it takes until questions come with the variables needed */
};

#endif
