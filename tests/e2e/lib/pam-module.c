/*
 * A PAM module for tests. What it does depends on the user's name; the right
 * password is "good". Its argument is a file that it writes down things in.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <security/pam_ext.h>
#include <security/pam_modules.h>

#define EXPORT __attribute__((visibility("default")))

static const char *user_of(pam_handle_t *h)
{
	const char *user = NULL;
	return pam_get_user(h, &user, NULL) == PAM_SUCCESS && user != NULL ? user : "";
}

static void note(int argc, const char **argv, const char *text)
{
	FILE *f = argc > 0 ? fopen(argv[0], "a") : NULL;
	if (f == NULL)
		return;
	fprintf(f, "%s\n", text);
	fclose(f);
}

static const char *item(pam_handle_t *h, int what)
{
	const void *p = NULL;
	return pam_get_item(h, what, &p) == PAM_SUCCESS && p != NULL ? p : "-";
}

/* "auth9" -> 9 for prefix "auth"; else -1 */
static int number(const char *user, const char *prefix)
{
	size_t n = strlen(prefix);
	return strncmp(user, prefix, n) == 0 && user[n] >= '0' && user[n] <= '9' ? atoi(user + n)
										 : -1;
}

static void leak(void)
{
	char *p = malloc(4 << 20);
	if (p != NULL)
		memset(p, 1, 4 << 20);
	for (int i = 0; i < 10; i++)
		(void)!open("/dev/null", O_RDONLY);
}

EXPORT int pam_sm_authenticate(pam_handle_t *h, int flags, int argc, const char **argv)
{
	char line[512];
	const char *user = user_of(h), *password = NULL;
	(void)flags;
	if (strcmp(user, "hang") == 0) {
		for (;;)
			pause();
	}
	/* more arguments: while such files are there, what is behind the module hangs, or is away
	 */
	if (argc > 1 && access(argv[1], F_OK) == 0) {
		for (;;)
			pause();
	}
	if (argc > 2 && access(argv[2], F_OK) == 0)
		return PAM_AUTHINFO_UNAVAIL;
	/* what libraries print, with a name in it that a client chose */
	if (strncmp(user, "print", 5) == 0)
		fprintf(stderr, "no such user: %s\n", user);
	for (int i = 0; strcmp(user, "flood") == 0 && i < 200000; i++)
		fprintf(stderr, "line %d of many\n", i);
	if (strcmp(user, "abort") == 0) {
		fprintf(stderr, "last words");
		abort();
	}
	if (strcmp(user, "crash") == 0)
		raise(SIGSEGV);
	if (strcmp(user, "exit") == 0)
		exit(0);
	if (strcmp(user, "slow") == 0)
		sleep(1);
	if (strcmp(user, "unroot") == 0 && setuid(65534) != 0)
		return PAM_SYSTEM_ERR;
	if (strcmp(user, "leak") == 0)
		leak();
	if (strcmp(user, "talk") == 0)
		pam_error(h, "your account is locked by Jupiter");
	if (number(user, "auth") >= 0)
		return number(user, "auth");
	if (pam_get_authtok(h, PAM_AUTHTOK, &password, NULL) != PAM_SUCCESS)
		return PAM_CONV_ERR;
	snprintf(line, sizeof(line), "items %s %s %s %s %s", item(h, PAM_SERVICE),
	    item(h, PAM_USER), item(h, PAM_RUSER), item(h, PAM_RHOST), item(h, PAM_TTY));
	note(argc, argv, line);
	if (strcmp(password, "good") != 0) {
		pam_fail_delay(h, 20 * 1000000);
		return PAM_AUTH_ERR;
	}
	if (strcmp(user, "renamed") == 0)
		pam_set_item(h, PAM_USER, "other");
	return PAM_SUCCESS;
}

EXPORT int pam_sm_setcred(pam_handle_t *h, int flags, int argc, const char **argv)
{
	note(argc, argv, (flags & PAM_DELETE_CRED) != 0 ? "setcred delete" : "setcred establish");
	return number(user_of(h), "cred") >= 0 ? number(user_of(h), "cred") : PAM_SUCCESS;
}

EXPORT int pam_sm_acct_mgmt(pam_handle_t *h, int flags, int argc, const char **argv)
{
	(void)flags;
	note(argc, argv, "acct");
	return number(user_of(h), "acct") >= 0 ? number(user_of(h), "acct") : PAM_SUCCESS;
}

EXPORT int pam_sm_open_session(pam_handle_t *h, int flags, int argc, const char **argv)
{
	(void)flags;
	note(argc, argv, "open");
	return number(user_of(h), "sess") >= 0 ? number(user_of(h), "sess") : PAM_SUCCESS;
}

EXPORT int pam_sm_close_session(pam_handle_t *h, int flags, int argc, const char **argv)
{
	(void)h;
	(void)flags;
	note(argc, argv, "close");
	return PAM_SUCCESS;
}
