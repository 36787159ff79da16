/*
 * Passwords for the commands: from the terminal, standard input or an argument.
 * Runs in: authctl.
 */
#include "authctl/authctl.h"

#include <errno.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"

enum { PASSWORD_MAX = 4096 };

static volatile sig_atomic_t caught; /* while the terminal's echo is off */

/* Up to a line feed or the end; one byte at a time, so that nothing behind it is eaten. */
static ssize_t read_line(int fd, char *line, size_t size)
{
	size_t length = 0;
	for (;;) {
		char byte;
		ssize_t n = read(fd, &byte, 1);
		if (n < 0 && errno == EINTR && caught == 0)
			continue;
		if (n < 0 || (n == 0 && length == 0))
			return -1;
		if (n == 0 || byte == '\n')
			return (ssize_t)length;
		if (length == size)
			return -1;
		line[length++] = byte;
	}
}

static void note_signal(int number)
{
	caught = number;
}

/* The terminal's echo comes back even when the user presses ^C. */
static ssize_t read_hidden(int fd, const char *prompt, char *line, size_t size)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	struct sigaction note = {.sa_handler = note_signal}, before[ARRAY_LEN(signals)];
	struct termios old, hidden;
	if (tcgetattr(fd, &old) != 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaction(signals[i], &note, &before[i]);
	hidden = old;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	hidden.c_lflag |= ECHONL;
	tcsetattr(fd, TCSAFLUSH, &hidden);
	fputs(prompt, stderr);
	ssize_t n = read_line(fd, line, size);
	tcsetattr(fd, TCSAFLUSH, &old);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaction(signals[i], &before[i], NULL);
	if (caught != 0)
		raise(caught);
	return n;
}

struct secret authctl_read_password(const char *prompt, struct arena *a)
{
	char line[PASSWORD_MAX];
	struct secret password = SECRET_NULL;
	ssize_t n = isatty(STDIN_FILENO) ? read_hidden(STDIN_FILENO, prompt, line, sizeof(line))
					 : read_line(STDIN_FILENO, line, sizeof(line));
	if (n >= 0)
		password = secret_of(arena_dup(a, span_make(line, (size_t)n)));
	else
		authctl_complain("no password: end of input, or more than %d bytes", PASSWORD_MAX);
	mem_wipe(line, sizeof(line));
	return password;
}

struct secret authctl_take_password(char *argument, struct arena *a)
{
	struct secret password = secret_of(arena_dup(a, span_of(argument)));
	memset(argument, '*', strlen(argument)); /* seen by ps, so no mere wiping */
	return password;
}
