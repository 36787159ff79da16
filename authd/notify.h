/*
 * sd_notify(3) without libsystemd: one datagram to $NOTIFY_SOCKET. Does
 * nothing when that is not set. Runs in: parent. Never fatal.
 */
#ifndef AUTHD_NOTIFY_H
#define AUTHD_NOTIFY_H

#include "base/macros.h"

void notify_send(const char *fmt, ...) PRINTF_LIKE(1, 2); /* "READY=1\nSTATUS=..." */
void notify_reloading(void);

#endif
