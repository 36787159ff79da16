/*
 * Asks an authentication server whether a login is good.
 *   cc login.c $(pkg-config --cflags --libs authd-client) -o login
 *   echo "$PASSWORD" | ./login /run/authd/auth-client USER
 * Exit status: 0 good, 1 refused, 75 try again later.
 */
#include <stdio.h>
#include <string.h>

#include <authd-client.h>

enum { TIMEOUT_MS = 10000 };

int main(int argc, char **argv)
{
	char password[256];
	if (argc != 3 || fgets(password, sizeof(password), stdin) == NULL) {
		fprintf(stderr, "usage: login SOCKET USER < password\n");
		return 64;
	}
	password[strcspn(password, "\n")] = '\0';

	struct authd_error error;
	struct authd_link *link = authd_connect(AUTHD_CLIENT, argv[1], TIMEOUT_MS, &error);
	if (link == NULL) {
		fprintf(stderr, "%s: %s\n", authd_status_name(error.status), error.text);
		return 75;
	}
	struct authd_field fields[] = {{.name = "service", .value = "smtp"}, {.name = "secured"}};
	struct authd_login login = {
	    .user = argv[2], .password = password, .fields = fields, .field_count = 2};
	struct authd_event event;
	enum authd_status status = authd_authenticate(link, &login, TIMEOUT_MS, &event);
	explicit_bzero(password, sizeof(password));
	if (status == AUTHD_OK)
		printf("welcome, %s\n", event.user);
	else if (status == AUTHD_REFUSED)
		printf("refused%s%s\n", event.reason ? ": " : "", event.reason ? event.reason : "");
	else
		printf("try again later: %s\n", authd_link_error(link)->text);
	authd_disconnect(link);
	return status == AUTHD_OK ? 0 : status == AUTHD_REFUSED ? 1 : 75;
}
