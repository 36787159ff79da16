/*
 * Arbitrary bytes as a configuration: no crash, and what loads prints, loads
 * again, and survives the transfer to the children.
 */
#include <stdlib.h>

#include "tests/unit/conf-kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As in conf-kit.h, without the driver that reads a file. */
static const struct driver_spec *const drivers[] = {
    &kit_file, &kit_static, &kit_prefetch, &kit_pam, &kit_passwd, &kit_vpopmail, NULL};

static struct config *load(struct span text, bool dovecot)
{
	const struct config_options options = {
	    .drivers = drivers, .mechanisms = kit_mechanisms, .dovecot = dovecot};
	return config_load_text("fuzz", text, &options, NULL, NULL);
}

static void check_children(const struct config *c)
{
	struct buffer b = {0};
	struct err err = {0};
	config_export_front(c, &b);
	struct config *front = config_import_front(buffer_span(&b), &err);
	if (front == NULL)
		abort();
	config_free(&front);
	for (size_t i = 0; i < c->pool_count; i++) {
		buffer_consume(&b, b.len);
		config_export_worker(c, i, &b);
		struct worker_config *wc = config_import_worker(buffer_span(&b), &err);
		if (wc == NULL)
			abort();
		worker_config_free(&wc);
	}
	buffer_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_make(data, size);
	(void)&kit_sql;
	(void)&kit_options;
	(void)&kit_dovecot;
	(void)&kit_collect;
	(void)&kit_drivers;
	if (size == 0)
		return 0;
	struct config *c = load(span_skip(text, 1), data[0] & 1);
	struct err err = {0};
	struct config *front = config_import_front(text, &err);
	config_free(&front);
	if (c == NULL)
		return 0;
	struct buffer b = {0};
	config_print(c, (data[0] & 2) != 0, &b);
	struct config *again = load(buffer_span(&b), false);
	if (again == NULL)
		abort();
	check_children(c);
	config_free(&again);
	config_free(&c);
	buffer_free(&b);
	return 0;
}
