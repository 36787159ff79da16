/*
 * Blocks in a file for Dovecot 2.4 that are settings in another form: lists
 * of names with yes and no, and oauth2 {}, whose settings are what they would
 * be around it. Runs in: parent, authctl. Nothing is fatal.
 */
#include "conf/load.h"

/* Of databases; those of the top level are known by their rows. */
static const char *const lists[] = {"mechanisms_filter", "passdb_mechanisms_filter",
    "auth_sasl_mechanisms", "ldap_auth_sasl_mechanisms", "scope", "oauth2_scope", "issuers",
    "oauth2_issuers"};

static bool is_list(const struct conf_node *n)
{
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		if (n->section && n->name == NULL && strcmp(n->key, lists[i]) == 0)
			return true;
	}
	return false;
}

/* "scope { mail = yes }" as "scope = mail" */
static void make_words(struct load *l, struct conf_node *list)
{
	struct buffer words = {0};
	for (const struct conf_node *n = list->first; n != NULL; n = n->next) {
		bool yes = !n->section && strcasecmp(n->value, "yes") == 0;
		if (yes)
			buffer_printf(&words, "%s%s", words.len > 0 ? " " : "", n->key);
		else if (n->section || strcasecmp(n->value, "no") != 0)
			load_error(
			    l, load_place(n), "%s: %s is neither yes nor no", list->key, n->key);
	}
	list->section = false;
	list->first = list->last = NULL;
	list->value_kind = CONF_VALUE_QUOTED;
	list->value = arena_cstr(l->arena, words.len > 0 ? buffer_span(&words) : SPAN_LIT(""));
	buffer_free(&words);
}

/* ---- oauth2 {} ---- */

static bool is_oauth2(const struct conf_node *n)
{
	return n->section && n->name == NULL && strcmp(n->key, "oauth2") == 0;
}

static void name_in_full(struct load *l, struct conf_node *n, bool top)
{
	bool tls = strncmp(n->key, "ssl_", 4) == 0;
	if (strcmp(n->key, "fields") == 0 || strcmp(n->key, "oauth2_fields") == 0)
		load_error(l, load_place(n), "write these fields in passdb oauth2 { fields {} }");
	else if (tls && top)
		load_error(l, load_place(n),
		    "%s: write it in passdb oauth2 {}, or for all databases outside of oauth2 {}",
		    n->key);
	else if (!tls && strncmp(n->key, "oauth2_", 7) != 0 && strncmp(n->key, "http_", 5) != 0)
		n->key = arena_printf(l->arena, "oauth2_%s", n->key).ptr;
}

/* What is in the block takes its place. */
static void put_in_place(struct load *l, struct conf_node *block)
{
	struct conf_node *parent = block->parent, *last = block->prev;
	for (struct conf_node *n = block->first, *next; n != NULL; n = next) {
		next = n->next;
		name_in_full(l, n, parent->parent == NULL);
		n->parent = parent;
		n->prev = last;
		*(last != NULL ? &last->next : &parent->first) = n;
		last = n;
	}
	*(last != NULL ? &last->next : &parent->first) = block->next;
	*(block->next != NULL ? &block->next->prev : &parent->last) = last;
}

static bool is_of_oauth2(const struct conf_node *section)
{
	const char *driver = section->name;
	for (const struct conf_node *n = section->first; n != NULL; n = n->next) {
		if (!n->section &&
		    (strcmp(n->key, "driver") == 0 || strcmp(n->key, "passdb_driver") == 0))
			driver = n->value;
	}
	return driver != NULL && strcmp(driver, "oauth2") == 0;
}

static bool has_oauth2_passdb(const struct conf_node *section)
{
	for (const struct conf_node *n = section->first; n != NULL; n = n->next) {
		if (!n->section)
			continue;
		if (strcmp(n->key, "passdb") == 0 ? is_of_oauth2(n) : has_oauth2_passdb(n))
			return true;
	}
	return false;
}

/* ---- the whole ---- */

static void rewrite_blocks(struct load *l, struct conf_node *section)
{
	for (struct conf_node *n = section->first, *next; n != NULL; n = next) {
		if (is_oauth2(n)) {
			struct conf_node *before = n->prev;
			put_in_place(l, n);
			next = before != NULL ? before->next : section->first;
			continue;
		}
		next = n->next;
		if (is_list(n))
			make_words(l, n);
		else if (n->section &&
			 (strcmp(n->key, "passdb") == 0 || strcmp(n->key, "userdb") == 0 ||
			     strcmp(n->key, "protocol") == 0))
			rewrite_blocks(l, n);
	}
}

void load_24_blocks(struct load *l, struct conf_node *root)
{
	const struct conf_node *n = root->first;
	while (n != NULL && !is_oauth2(n))
		n = n->next;
	if (n != NULL && !has_oauth2_passdb(root))
		load_error(l, load_place(n),
		    "oauth2 {} by itself judges no token here: write passdb oauth2 {}, too");
	rewrite_blocks(l, root);
}
