/*
 * Debug lines of what goes over the client and master protocols, as Dovecot
 * writes them ("client in: AUTH..."), with everything secret hidden.
 * Only with auth_debug=yes. Runs in: front.
 */
#ifndef AUTHD_TRACE_H
#define AUTHD_TRACE_H

#include "base/buffer.h"

/* The value of this key is not to be shown. */
bool trace_hides(struct span key);
/* One line without its LF. what: "client in", "master in" */
void trace_line(const char *what, struct span line);
/* The line that was appended to the buffer since it was from bytes long. */
void trace_out(const char *what, const struct buffer *out, size_t from);

#endif
