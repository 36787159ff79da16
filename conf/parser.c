/*
 * From lines to a tree. Errors are reported and reading goes on, so that one
 * run shows them all.
 */
#include "conf/parser.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buffer.h"

enum { EXPANDED_MAX = 16384 }; /* $a $a doubles with every line */

struct source { /* one file being read, and those that include it */
	const char *file;
	dev_t dev;
	ino_t ino;
	bool on_disk;
	unsigned depth;
	const struct source *from;
};

static void parse(
    struct conf_parser *p, struct conf_node *root, const struct source *src, struct span text);

static void report(struct conf_parser *p, const char *file, unsigned line, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

static void report(struct conf_parser *p, const char *file, unsigned line, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	p->report(p->ctx, file, line, text);
}

/* ---- files ---- */

static bool read_all(int fd, size_t size, struct arena *a, struct span *text)
{
	char *data = arena_alloc(a, size + 1);
	size_t got = 0;
	while (got < size) {
		ssize_t n = read(fd, data + got, size - got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	*text = span_make(data, got);
	return true;
}

static bool read_file(
    const char *path, struct arena *a, struct span *text, struct stat *st, struct err *err)
{
	bool ok = false;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, st) != 0)
		err_set(err, EX_NOINPUT, "cannot read %s: %s", path, strerror(errno));
	else if (!S_ISREG(st->st_mode))
		err_set(err, EX_NOINPUT, "cannot read %s: it is not a file", path);
	else if (st->st_size > CONF_FILE_MAX)
		err_set(err, EX_NOINPUT, "cannot read %s: it is too large", path);
	else if (!read_all(fd, (size_t)st->st_size, a, text))
		err_set(err, EX_NOINPUT, "cannot read %s: %s", path, strerror(errno));
	else
		ok = true;
	if (fd >= 0)
		close(fd);
	return ok;
}

bool conf_read_file(const char *path, struct arena *a, struct span *text, struct err *err)
{
	struct stat st;
	return read_file(path, a, text, &st, err);
}

const char *conf_relative(const char *path, const char *file, struct arena *a)
{
	const char *slash = strrchr(file, '/');
	if (path[0] == '/' || slash == NULL)
		return path;
	return arena_printf(a, "%.*s%s", (int)(slash + 1 - file), file, path).ptr;
}

/* ---- $name ---- */

static bool same_section(const struct conf_node *a, const struct conf_node *b)
{
	return a->section && b->section && strcmp(a->key, b->key) == 0 &&
	       strcmp(a->name != NULL ? a->name : "", b->name != NULL ? b->name : "") == 0;
}

static const struct conf_node *last_setting(const struct conf_node *from, const char *name)
{
	for (const struct conf_node *n = from; n != NULL; n = n->prev) {
		if (!n->section && strcmp(n->key, name) == 0)
			return n;
	}
	return NULL;
}

/* What $name stands for here: set before, in this section, its earlier parts, or around it. */
static const char *lookup(struct conf_parser *p, const struct conf_node *section, const char *name)
{
	for (const struct conf_node *s = section; s != NULL; s = s->parent) {
		const struct conf_node *n = last_setting(s->last, name);
		for (const struct conf_node *e = s->prev; n == NULL && e != NULL; e = e->prev) {
			if (same_section(e, s))
				n = last_setting(e->last, name);
		}
		if (n != NULL)
			return n->value;
	}
	return p->default_of != NULL ? p->default_of(p->ctx, name) : NULL;
}

/* $name counts at the start of the value and after a space, and goes up to a space. */
static struct span expand(
    struct conf_parser *p, const struct conf_node *section, struct span v, const char **unknown)
{
	struct buffer out = {0};
	if (span_find(v, '$') < 0)
		return v;
	for (size_t i = 0; i < v.len; i++) {
		bool starts = i == 0 || v.ptr[i - 1] == ' ' || v.ptr[i - 1] == '\t';
		size_t end = i + 1;
		while (end < v.len && v.ptr[end] != ' ' && v.ptr[end] != '\t')
			end++;
		if (v.ptr[i] != '$' || !starts || end == i + 1) {
			buffer_append_char(&out, v.ptr[i]);
			continue;
		}
		const char *name = arena_cstr(p->arena, span_make(v.ptr + i + 1, end - i - 1));
		const char *value = lookup(p, section, name);
		if (value == NULL)
			*unknown = name;
		if (value == NULL)
			buffer_append(&out, span_make(v.ptr + i, end - i));
		else if (out.len + strlen(value) < EXPANDED_MAX)
			buffer_append_str(&out, value);
		i = end - 1;
	}
	struct span result =
	    arena_dup(p->arena, span_make(out.data != NULL ? out.data : "", out.len));
	buffer_free(&out);
	return result;
}

/* ---- the tree ---- */

static struct conf_node *add(
    struct conf_parser *p, struct conf_node *parent, const char *file, const struct conf_line *l)
{
	struct conf_node *n = arena_alloc(p->arena, sizeof(*n));
	n->file = file;
	n->line = l->line;
	n->key = arena_cstr(p->arena, l->key.ptr != NULL ? l->key : SPAN_LIT("?"));
	n->parent = parent;
	n->prev = parent->last;
	if (parent->last != NULL)
		parent->last->next = n;
	else
		parent->first = n;
	parent->last = n;
	return n;
}

static void add_setting(
    struct conf_parser *p, struct conf_node *parent, const char *file, const struct conf_line *l)
{
	struct span v = l->value;
	const char *unknown = NULL;
	if (!p->begun && span_eq_str(l->key, "dovecot_config_version"))
		p->is_24 = true;
	p->begun = true;
	if (l->value_kind == CONF_VALUE_PLAIN && !p->is_24)
		v = expand(p, parent, v, &unknown);
	struct conf_node *n = add(p, parent, file, l);
	n->value_kind = l->value_kind;
	n->unknown = unknown;
	n->value = arena_cstr(p->arena, v);
	if (l->value_kind == CONF_VALUE_FILE)
		n->value = conf_relative(n->value, file, p->arena);
}

static bool is_included_by(const struct source *src, const struct stat *st)
{
	for (; src != NULL; src = src->from) {
		if (src->on_disk && src->dev == st->st_dev && src->ino == st->st_ino)
			return true;
	}
	return false;
}

static void include_one(struct conf_parser *p, struct conf_node *into, const struct source *from,
    unsigned line, const char *path, bool try)
{
	struct span text;
	struct stat st;
	struct err err = {0};
	if (try && access(path, F_OK) != 0 && errno == ENOENT)
		return;
	if (!read_file(path, p->arena, &text, &st, &err)) {
		report(p, from->file, line, "!include: %s", err.text);
		return;
	}
	if (is_included_by(from, &st)) {
		report(p, from->file, line, "!include: %s includes itself", path);
		return;
	}
	struct source src = {.file = arena_cstr(p->arena, span_of(path)),
	    .dev = st.st_dev,
	    .ino = st.st_ino,
	    .on_disk = true,
	    .depth = from->depth + 1,
	    .from = from};
	parse(p, into, &src, text);
}

static void include(struct conf_parser *p, struct conf_node *into, const struct source *from,
    const struct conf_line *l)
{
	/* in 2.4 wildcards may match nothing */
	bool try = l->kind == CONF_LINE_INCLUDE_TRY ||
		   (p->is_24 && strpbrk(arena_cstr(p->arena, l->value), "*?[") != NULL);
	if (p->no_files) {
		report(p, from->file, l->line, "!include is not possible here");
		return;
	}
	if (from->depth >= CONF_INCLUDE_DEPTH) {
		report(p, from->file, l->line, "!include: more than %d files deep",
		    CONF_INCLUDE_DEPTH);
		return;
	}
	const char *path = conf_relative(arena_cstr(p->arena, l->value), from->file, p->arena);
	glob_t found = {0};
	int rc = glob(path, GLOB_BRACE, NULL, &found);
	if (rc == GLOB_NOMATCH && !try)
		report(p, from->file, l->line, "!include: no file matches %s", path);
	else if (rc != 0 && rc != GLOB_NOMATCH)
		report(p, from->file, l->line, "!include: cannot search for %s", path);
	for (size_t i = 0; rc == 0 && i < found.gl_pathc; i++)
		include_one(p, into, from, l->line, found.gl_pathv[i], try);
	globfree(&found);
}

static struct conf_node *open_section(
    struct conf_parser *p, struct conf_node *parent, const char *file, const struct conf_line *l)
{
	struct conf_node *n = add(p, parent, file, l);
	p->begun = true;
	n->section = true;
	n->name = l->name.ptr != NULL ? arena_cstr(p->arena, l->name) : NULL;
	return n;
}

static unsigned depth_of(const struct conf_node *n)
{
	unsigned depth = 0;
	for (; n->parent != NULL; n = n->parent)
		depth++;
	return depth;
}

/* Reads one text into root; its sections must end where they began: in the same text. */
static void parse(
    struct conf_parser *p, struct conf_node *root, const struct source *src, struct span text)
{
	struct conf_lexer lx = conf_lexer_of(text, p->arena);
	struct conf_node *at = root;
	for (;;) {
		lx.groups = p->is_24;
		struct conf_line l = conf_lexer_next(&lx);
		if (l.kind == CONF_LINE_EOF)
			break;
		if (l.kind == CONF_LINE_BAD)
			report(p, src->file, l.line, "%s", l.err.text);
		if (l.kind == CONF_LINE_SETTING)
			add_setting(p, at, src->file, &l);
		else if (l.kind == CONF_LINE_INCLUDE || l.kind == CONF_LINE_INCLUDE_TRY)
			include(p, at, src, &l);
		else if (l.kind == CONF_LINE_END && at == root)
			report(p, src->file, l.line, "\"}\" without a section");
		else if (l.kind == CONF_LINE_END)
			at = at->parent;
		if (l.kind != CONF_LINE_SECTION && !l.opens)
			continue;
		if (depth_of(at) >= CONF_SECTION_DEPTH) {
			report(p, src->file, l.line, "sections are nested too deeply");
			return;
		}
		at = open_section(p, at, src->file, &l);
		at->bad = l.opens;
	}
	for (; at != root; at = at->parent)
		report(p, src->file, lx.line, "\"}\" is missing for \"%s\" of line %u", at->key,
		    at->line);
}

static struct conf_node *new_root(struct conf_parser *p, const char *name)
{
	struct conf_node *root = arena_alloc(p->arena, sizeof(*root));
	root->section = true;
	root->key = "";
	root->file = name;
	return root;
}

struct conf_node *conf_parse_text(struct conf_parser *p, const char *name, struct span text)
{
	struct conf_node *root = new_root(p, name);
	struct source src = {.file = name};
	parse(p, root, &src, text);
	return root;
}

struct conf_node *conf_parse_file(struct conf_parser *p, const char *path)
{
	struct conf_node *root = new_root(p, path);
	struct span text;
	struct stat st;
	struct err err = {0};
	if (!read_file(path, p->arena, &text, &st, &err)) {
		p->report(p->ctx, NULL, 0, err.text);
		return root;
	}
	struct source src = {.file = path, .dev = st.st_dev, .ino = st.st_ino, .on_disk = true};
	parse(p, root, &src, text);
	return root;
}
