/*
 * One passdb or userdb section in the form of Dovecot 2.4, for a driver that
 * makes its settings of it (driver_form_24.compose). All of 2.4's settings
 * are global: what the section does not say, the protocol block or the top
 * level may. Runs in: parent, authctl.
 */
#ifndef CONF_FORM_24_H
#define CONF_FORM_24_H

#include "conf/driver-spec.h"

struct conf_node;

/* The value of a setting by its full name; NULL: not set anywhere. */
const char *form_24_get(struct form_24 *f, const char *name);
bool form_24_yes(struct form_24 *f, const char *name, bool otherwise);

/* Block number i of that kind ("mysql"), of the innermost place that has any; NULL: no more. */
const struct conf_node *form_24_block(struct form_24 *f, const char *kind, size_t i);
const char *form_24_block_name(const struct conf_node *block);
/* "mysql_user" in a block, where it may be written "user"; else as form_24_get(). */
const char *form_24_get_in(struct form_24 *f, const struct conf_node *block, const char *name);
/* Setting number i of a list "parameters {" in the block; false: no more. */
bool form_24_item(struct form_24 *f, const struct conf_node *block, const char *list, size_t i,
    const char **key, const char **value);

/* Gives a row of the driver its text, as the driver's file would have it. */
void form_24_set(struct form_24 *f, const char *row, struct span text);
/* A text with %variables by its full name, as rows have it; SPAN_NULL: not set. */
struct span form_24_template(struct form_24 *f, const char *name);
/* Adds "key=value" to a row that is a list of fields. */
void form_24_add_field(struct form_24 *f, const char *row, const char *key, struct span value);
bool form_24_has(const struct form_24 *f, const char *row);
struct arena *form_24_arena(struct form_24 *f);

/* name: the setting that it is about, where it was last found; NULL: the section */
void form_24_complain(struct form_24 *f, const char *name, const char *text);

#endif
