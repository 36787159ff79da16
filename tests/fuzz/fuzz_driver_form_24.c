/*
 * Arbitrary text in the form of Dovecot 2.4, with all drivers: no crash; what
 * loads prints, and loads again; what each driver is given, it takes.
 */
#include <stdlib.h>

#include "conf/config.h"
#include "drivers/drivers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const mechs[] = {"PLAIN", "LOGIN", NULL};

static struct config *load(struct span text, bool dovecot)
{
	const struct config_options o = {
	    .drivers = known_driver_specs, .mechanisms = mechs, .dovecot = dovecot};
	return config_load_text("f", text, &o, NULL, NULL);
}

static void check_workers(const struct config *c)
{
	struct buffer b = {0};
	for (size_t i = 0; i < c->pool_count; i++) {
		const struct config_pool *p = &c->pools[i];
		struct err err = {0};
		if (p->spec == NULL || (p->spec->args == ARGS_FILE && p->file_text == NULL))
			continue;
		buffer_consume(&b, b.len);
		config_export_worker(c, i, &b);
		struct worker_config *wc = config_import_worker(buffer_span(&b), &err);
		if (wc == NULL || driver_args_parse(p->spec, span_of(wc->args),
				      span_of(wc->file_text), &wc->arena, &err) == NULL)
			abort();
		worker_config_free(&wc);
	}
	buffer_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer text = {0}, out = {0};
	if (size == 0 || size > 8192)
		return 0;
	buffer_append_str(&text, "dovecot_config_version = 2.4.1\n");
	buffer_append(&text, span_make(data + 1, size - 1));
	struct config *c = load(buffer_span(&text), data[0] & 1);
	if (c != NULL) {
		check_workers(c);
		config_print(c, (data[0] & 2) != 0, &out);
		struct span printed = buffer_span(&out);
		struct config *again = load(printed, false);
		/* a URL that is hidden is none */
		bool hidden = memmem(printed.ptr, printed.len, "<hidden>", 8) != NULL;
		if (again == NULL && !hidden)
			abort();
		config_free(&again);
	}
	config_free(&c);
	buffer_free(&text);
	buffer_free(&out);
	return 0;
}
