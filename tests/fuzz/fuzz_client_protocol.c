/*
 * What a hostile server can do to libauthd-client. The first byte chooses the
 * kind of connection and how the rest is cut.
 */
#include <stdlib.h>
#include <string.h>

#include "client-lib/authd-client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void make_requests(struct authd_conn *c, enum authd_kind kind)
{
	struct authd_field fields[] = {{.name = "service", .value = "smtp"}, {.name = "secured"}};
	const struct authd_auth auth = {.mech = "PLAIN", .fields = fields, .field_count = 2};
	uint32_t id;
	bool made = false;
	for (int i = 0; i < 3; i++) {
		if (kind == AUTHD_CLIENT) {
			made |= authd_client_auth(c, &auth, &id) == AUTHD_OK;
			continue;
		}
		made |= authd_master_user(c, "tim", fields, 2, &id) == AUTHD_OK;
		made |= authd_master_pass(c, "tim", fields, 2, &id) == AUTHD_OK;
		made |= authd_master_list(c, "*", fields, 2, &id) == AUTHD_OK;
		made |= authd_master_cache_flush(c, NULL, &id) == AUTHD_OK;
		made |= authd_master_cache_status(c, true, &id) == AUTHD_OK;
	}
	if (made)
		authd_conn_cancel(c, 2);
}

/* Every byte that an event shows must be there. */
static size_t read_all(const struct authd_event *e)
{
	size_t sum = e->data_length > 0 ? *(const unsigned char *)e->data : 0;
	sum += (e->user ? strlen(e->user) : 0) + (e->code ? strlen(e->code) : 0) +
	       (e->reason ? strlen(e->reason) : 0);
	for (size_t i = 0; i < e->field_count; i++) {
		const struct authd_field *f = &e->fields[i];
		sum += strlen(f->name) + (f->value ? strlen(f->value) : 0);
		if (f->value != NULL && f->value[f->length] != '\0')
			abort();
	}
	return sum;
}

static void pull(struct authd_conn *c, enum authd_kind kind, bool *closed)
{
	struct authd_event e;
	while (authd_conn_next(c, &e) != AUTHD_EVENT_NONE) {
		if (*closed)
			abort(); /* nothing comes after CLOSED */
		*closed = e.type == AUTHD_EVENT_CLOSED;
		volatile size_t sum = read_all(&e);
		(void)sum;
		if (e.type == AUTHD_EVENT_READY)
			make_requests(c, kind);
		else if (e.type == AUTHD_EVENT_CONTINUE &&
			 authd_client_continue(c, e.id, e.data, e.data_length) == AUTHD_NO_MEMORY)
			abort();
		else if (e.type == AUTHD_EVENT_OK && (e.user == NULL || *e.user == '\0'))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	enum authd_kind kind = data[0] & 1 ? AUTHD_CLIENT : AUTHD_MASTER;
	size_t step = data[0] >> 1;
	struct authd_conn *c = kind == AUTHD_CLIENT ? authd_client_new(1) : authd_master_new();
	bool closed = false;
	data++;
	size--;
	for (size_t n; c != NULL && size > 0; data += n, size -= n) {
		n = step == 0 || step > size ? size : step;
		authd_conn_feed(c, data, n);
		pull(c, kind, &closed);
	}
	if (c != NULL) {
		authd_conn_eof(c);
		pull(c, kind, &closed);
		if (!closed || authd_conn_pending(c) != 0)
			abort();
	}
	authd_conn_free(c);
	return 0;
}
