/*
 * How long something that failed is left alone before it is tried again.
 */
#ifndef BASE_REST_H
#define BASE_REST_H

#include <stdint.h>

/*
 * After so many failures in a row: first_ms, doubled each time up to max_ms,
 * a quarter more or less so that many processes do not come back together.
 */
int64_t rest_ms(unsigned failures, int64_t first_ms, int64_t max_ms);

#endif
