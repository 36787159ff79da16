/*
 * uid=vmail in default_fields and override_fields: names become numbers
 * before the front gets its configuration, as it cannot look names up without
 * waiting. Runs in: parent.
 */
#ifndef AUTHD_FIELD_IDS_H
#define AUTHD_FIELD_IDS_H

#include "conf/config.h"

/* Changes the configuration in place. A name that does not exist is logged and left. */
void field_ids_resolve(struct config *c);

#endif
