/*
 * What the files of libauthd-client share. Names begin with libauthd_: the
 * static library must not take names from the program.
 */
#ifndef LIBAUTHD_INTERNAL_H
#define LIBAUTHD_INTERNAL_H

#include "client-lib/authd-client.h"

#include <string.h>

/* ---- bytes.c: a growing buffer that wipes, escaping, base64 ---- */

struct libauthd_bytes {
	char *data;
	size_t start, end; /* the content is data[start..end) */
	size_t size;
};

/* All return false when out of memory; the content is as before then. */
bool libauthd_put(struct libauthd_bytes *b, const void *data, size_t length);
bool libauthd_put_text(struct libauthd_bytes *b, const char *text);
bool libauthd_put_uint(struct libauthd_bytes *b, uint32_t n);
bool libauthd_put_escaped(struct libauthd_bytes *b, const char *text);
bool libauthd_put_base64(struct libauthd_bytes *b, const void *data, size_t length);
void libauthd_eat(struct libauthd_bytes *b, size_t length); /* from the start; wipes */
void libauthd_cut(struct libauthd_bytes *b, size_t length); /* down to that length; wipes */
void libauthd_bytes_free(struct libauthd_bytes *b);

size_t libauthd_unescape(char *text, size_t length);	 /* in place; the new length */
bool libauthd_base64_decode(char *text, size_t *length); /* in place; strict */
bool libauthd_parse_uint(const char *text, uint32_t *n); /* decimal digits, fits 32 bits */

/* ---- conn.c ---- */

enum libauthd_command { /* what a request waits for */
	LIBAUTHD_AUTH,
	LIBAUTHD_AUTH_ASKED, /* a CONT came; our answer is due */
	LIBAUTHD_USER,
	LIBAUTHD_PASS,
	LIBAUTHD_LIST,
	LIBAUTHD_REQUEST,
	LIBAUTHD_FLUSH,
	LIBAUTHD_CACHE_STATUS,
};

struct libauthd_pending {
	uint32_t id; /* 0: free slot */
	enum libauthd_command command;
};

struct authd_conn {
	enum authd_kind kind;
	enum authd_status status; /* not OK: broken */
	bool version_seen, ready, eof, closed_told;
	char error[256];

	struct libauthd_bytes in, out;
	size_t scanned;		    /* of in: no line feed in there */
	struct libauthd_bytes line; /* the line that the last event points into */
	struct authd_field *fields;
	size_t field_count, field_size;

	struct libauthd_pending *pending; /* hash table, linear probing */
	size_t pending_count, pending_size;
	uint32_t last_id;
	bool id_wrapped;

	uint32_t server_pid, connect_uid;
	char cookie[33];
	struct authd_mech *mechs;
	size_t mech_count;
};

/* Breaks the connection (the first reason stays). Always false. */
bool libauthd_break(struct authd_conn *c, enum authd_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Notes why a call cannot be done; gives AUTHD_USAGE. */
enum authd_status libauthd_usage(struct authd_conn *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

struct libauthd_pending *libauthd_find(struct authd_conn *c, uint32_t id);
void libauthd_forget(struct authd_conn *c, uint32_t id);

/*
 * The first id of a reply: the request that it belongs to; NULL with the
 * connection intact when the reply is late (we asked once, and no more), NULL
 * and broken when the id was never ours.
 */
struct libauthd_pending *libauthd_reply_to(struct authd_conn *c, const char *id);

/* Starts a request line "COMMAND <tab> id"; 0 when out of memory. */
uint32_t libauthd_begin(struct authd_conn *c, const char *command);
bool libauthd_put_fields(struct authd_conn *c, const struct authd_field *fields, size_t count);
/* Ends the line that began at out's length `from`: adds the request, or takes it all back. */
enum authd_status libauthd_commit(struct authd_conn *c, size_t from, bool complete, uint32_t id,
    enum libauthd_command command, uint32_t *id_out);
/* May a request be made now, with these fields? */
enum authd_status libauthd_may(struct authd_conn *c, enum authd_kind kind,
    const struct authd_field *fields, size_t count, bool need_service);

static inline size_t libauthd_length(const struct libauthd_bytes *b)
{
	return b->end - b->start;
}

/* The event's fields from words[from..]: "name=value" each. */
void libauthd_set_fields(struct authd_conn *c, struct authd_event *e, size_t from);
const char *libauthd_field(const struct authd_conn *c, size_t n); /* as one text; "" past the end */

/* ---- client.c, master.c: one line in; true: *event is set ---- */

bool libauthd_client_line(struct authd_conn *c, struct authd_event *event);
bool libauthd_master_line(struct authd_conn *c, struct authd_event *event);
bool libauthd_version_line(struct authd_conn *c);

#endif
