/*
 * What a parsed template is made of: private to conf/template*.c.
 * A template is a sequence of parts; the arguments of %{if} and the salt of a
 * hash are templates themselves, those of a 2.4 pipeline are values. All lives
 * in the arena of template_parse().
 */
#ifndef CONF_TEMPLATE_PARTS_H
#define CONF_TEMPLATE_PARTS_H

#include <regex.h>

#include "conf/template.h"

enum {
	TEMPLATE_MODIFIERS_MAX = 10,
	TEMPLATE_DEPTH_MAX = 16,       /* braces in braces */
	TEMPLATE_PAD_MAX = 4096,       /* zero padding */
	TEMPLATE_ROUNDS_MAX = 1000000, /* of a hash */
};

enum part_kind {
	PART_TEXT,  /* as it stands */
	PART_FIXED, /* a variable's value that is known already: environment, host name */
	PART_VAR,
	PART_FIELD, /* passdb:, userdb: */
	PART_UID,
	PART_GID,
	PART_HASH,
	PART_IF,
	PART_SOURCE, /* a driver's own */
	PART_PIPE,   /* an expression of Dovecot 2.4's language */
};

struct part_modifiers {
	bool any; /* anything but the defaults below */
	bool zero_pad;
	int offset, width;
	char keys[TEMPLATE_MODIFIERS_MAX + 1]; /* in the order of their use */
};

struct part_field {
	bool userdb;
	const char *name;
	struct span otherwise; /* the default */
};

struct part_source {
	struct span name, argument, otherwise;
};

struct template_part {
	enum part_kind kind;
	struct part_modifiers mod;
	union {
		struct span text; /* TEXT, FIXED */
		const struct var_name *var;
		struct part_field field;
		struct part_hash *hash;
		struct part_if *cond;
		struct part_source source;
		struct part_pipe *pipe;
	} u;
};

struct template
{
	const char *text; /* NULL: an argument inside another template */
	size_t count;
	struct template_part *parts;
	uint64_t needs;
	bool constant;	   /* only TEXT and FIXED */
	bool plain;	   /* only TEXT: there is nothing to escape */
	struct span fixed; /* constant: the whole */
};

/* template.c: base is added to the offsets in messages */
struct template *template_parse_at(
    struct arena *a, struct span text, size_t base, struct err *err) MUST_CHECK;
/* template.c: offset after the %variable that starts at at, braces and all; at most text.len */
size_t template_skip_variable(struct span text, size_t at);

/* One expansion under way. */
struct expansion {
	const struct vars *vars;
	struct arena *arena;
	struct template_hooks hooks;
	struct err *err;
};

/* template-expand.c: the value of a part that is no pipeline, unescaped; *present: it has one */
struct span template_part_value(
    const struct expansion *x, const struct template_part *part, bool *present);
/* template-expand.c: as the place wants it; SPAN_NULL and *err when it cannot be written */
struct span template_escaped(const struct expansion *x, struct span value);

/* template-body.c: offset of a } or stop that is in no braces of its own, from at on */
size_t template_raw_end(struct span text, size_t at, char stop);
/* template-env.c: the value now, or otherwise when unset or empty */
struct span template_env_value(struct arena *a, struct span name, struct span otherwise);

/* ---- template-modify.c ---- */

bool modifier_is_known(char key);
struct span template_modify(const struct part_modifiers *mod, struct span value, struct arena *a);

/* ---- template-hash.c ---- */

enum hash_format { HASH_HEX, HASH_HEX_UPPER, HASH_BASE64 };

struct hash_method;

struct part_hash {
	const struct hash_method *method;
	unsigned rounds;
	unsigned truncate_bits; /* 0: all */
	enum hash_format format;
	const struct template *salt;
	struct template_part of; /* what is hashed */
};

/* Keeps the first bits, moved to the right end of as few bytes as hold them: their number. */
size_t template_truncate_bits(uint8_t *bytes, size_t len, size_t bits);
const struct hash_method *hash_method_find(struct span name);
const char *hash_method_name(size_t i); /* NULL after the last */
/* sets what the method does unless told otherwise; pkcs5 salts with the variable's name */
void hash_defaults(struct part_hash *h, const struct hash_method *m);
bool hash_salts_with_name(const struct hash_method *m);
struct span hash_run(
    const struct part_hash *h, struct span salt, struct span value, struct arena *a);

/* ---- template-if.c ---- */

struct if_op;

struct part_if {
	const struct if_op *op;
	const struct template *left, *right, *yes, *no;
	const regex_t *regex; /* ~ with a constant pattern: compiled; else NULL */
};

const struct if_op *if_op_find(struct span name);
const char *if_op_names(void); /* for messages */
/* Checks the constant operands and compiles a constant pattern. */
bool if_prepare(struct part_if *c, struct err *err) MUST_CHECK;
/* 1 true, 0 false, -1 *err */
int if_compare(const struct part_if *c, struct span left, struct span right, struct arena *a,
    struct err *err) MUST_CHECK;

/*
 * value with the first match of the pattern replaced; $1 or \\1 is a group.
 * SPAN_NULL and *err; value NULL: only checks the pattern.
 */
struct span regex_replace(struct span pattern, struct span replacement, struct span value,
    struct arena *a, struct err *err) MUST_CHECK;

/* ---- template-pipe.c, template-filters.c ---- */

enum {
	PIPE_MARK = 2, /* "%{" and this byte begin an expression of 2.4, see template_from_24() */
	PIPE_STEPS_MAX = 32,
	PIPE_ARGS_MAX = 64,
};

struct pipe_arg {
	const char *name; /* name=value; NULL: by position */
	enum { ARG_TEXT, ARG_NUMBER, ARG_VARIABLE } kind;
	struct span text; /* TEXT, and NUMBER as it was written */
	int64_t number;
	struct template_part variable;
};

struct pipe_filter;

struct pipe_step {
	const struct pipe_filter *filter;
	struct pipe_arg *args; /* those by position come first */
	size_t count, named;   /* named: how many of them have names */
	bool first;	       /* nothing stands before it */
	struct part_if *ifs;   /* of if and switch: a comparison each */
};

struct part_pipe {
	struct pipe_step *steps; /* the first one makes the value */
	size_t count;
	bool safe;    /* ends in "| safe": what the administrator wrote is not escaped */
	bool ldap_dn; /* ends in "| ldap_dn", whose syntax is added after escaping */
};

const struct pipe_filter *pipe_filter_find(struct span name);
const char *pipe_filter_name(size_t i); /* NULL after the last */
bool pipe_filter_is(const struct pipe_filter *f, const char *name);
/* Checks the number and the names of the arguments and what can be known of them. */
bool pipe_step_prepare(
    struct arena *a, struct pipe_step *s, bool first, struct err *err) MUST_CHECK;
/* SPAN_NULL and *err */
struct span pipe_expand(const struct expansion *x, const struct part_pipe *pipe) MUST_CHECK;

#endif
