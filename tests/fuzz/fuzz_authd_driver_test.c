/*
 * What a server says before TLS begins, to each protocol's way of asking for
 * it: authd/driver-test-tls.c. The first byte chooses the protocol.
 */
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "authd/driver-test.h"

static void quiet(struct driver_report *r, enum step kind, const char *what, const char *text)
{
	(void)r, (void)kind, (void)what, (void)text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct driver_report r = {.step = quiet, .file = "fuzz", .module_dir = "/nowhere"};
	int ends[2];
	if (size < 1 || size > 8192 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
		return 0;
	if (send(ends[1], data + 1, size - 1, MSG_NOSIGNAL) >= 0) {
		shutdown(ends[1], SHUT_WR);
		driver_test_certificate(
		    &r, ends[0], (enum driver_tls)(data[0] % 5), "localhost", "", "");
	}
	close(ends[0]);
	close(ends[1]);
	return 0;
}
