/*
 * The program's own crypt_r(), which its loadable modules and their libraries
 * find before libcrypt's. It passes everything on to that; only between
 * crypt_once_begin() and crypt_once_end(), in the thread that called these, the
 * last call's result is kept, and given once to a call that is byte for byte
 * the same. Runs in: every process; keeps anything in workers' lanes only.
 * Owner: the caller of crypt_once_begin(). Fatal: nothing.
 */
#include "authd/crypt-once.h"

#include <dlfcn.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"
#include "base/secret.h"

typedef char *crypt_function(const char *, const char *, struct crypt_data *);

static _Thread_local struct crypt_once *current;

void crypt_once_begin(struct crypt_once *once)
{
	if (current != NULL)
		mem_panic("crypt_once_begin() twice");
	memset(once, 0, sizeof(*once));
	current = once;
}

void crypt_once_end(struct crypt_once *once)
{
	current = NULL;
	mem_wipe(once, sizeof(*once));
}

/* libcrypt's, or what a sanitizer has put before it. It is the next one, whatever its version. */
static crypt_function *real_crypt_r(void)
{
	static crypt_function *_Atomic known;
	union {
		void *symbol;
		crypt_function *function;
	} found = {.function = known};
	if (found.function == NULL) {
		found.symbol = dlsym(RTLD_NEXT, "crypt_r");
		known = found.function;
	}
	return found.function;
}

static char *compute(const char *phrase, const char *setting, struct crypt_data *data)
{
	crypt_function *real = real_crypt_r();
	if (real != NULL)
		return real(phrase, setting, data);
	/* what is linked in any case does the same, and says NULL instead of "*0" */
	return crypt_rn(phrase, setting, data, (int)sizeof(*data));
}

static void forget(struct crypt_once *once)
{
	if (!once->holds)
		return;
	mem_wipe(once->phrase, sizeof(once->phrase));
	mem_wipe(once->hash, sizeof(once->hash));
	once->holds = false;
}

/* What lies in *data changes while the hash is computed. */
static bool is_within(const char *p, const struct crypt_data *data)
{
	return (uintptr_t)p - (uintptr_t)data < sizeof(*data);
}

static bool is_plain_call(const char *phrase, const char *setting, const struct crypt_data *data)
{
	return phrase != NULL && setting != NULL && !is_within(phrase, data) &&
	       !is_within(setting, data);
}

static bool is_repeated(const struct crypt_once *once, const char *phrase, const char *setting)
{
	if (!once->holds)
		return false;
	/* never past the end of these: what is held is shorter than its array */
	size_t phrase_len = strnlen(phrase, sizeof(once->phrase));
	size_t setting_len = strnlen(setting, sizeof(once->setting));
	return phrase_len == once->phrase_len && setting_len == once->setting_len &&
	       secret_bytes_eq(phrase, once->phrase, phrase_len) &&
	       secret_bytes_eq(setting, once->setting, setting_len);
}

/* As libcrypt leaves it, its scratch memory wiped. */
static char *repeat(struct crypt_once *once, struct crypt_data *data)
{
	once->repeated++;
	memcpy(data->output, once->hash, once->hash_len + 1);
	mem_wipe(data->internal, sizeof(data->internal));
	forget(once);
	return data->output;
}

/* False: it is as long as the array or longer. */
static bool keep(char *out, size_t size, size_t *len, const char *text)
{
	*len = strnlen(text, size);
	if (*len >= size)
		return false;
	memcpy(out, text, *len + 1);
	return true;
}

/* A failure, which begins with "*", is no hash. */
static void remember(struct crypt_once *once, const char *phrase, const char *setting,
    const struct crypt_data *data, const char *result)
{
	if (result != data->output || result[0] == '*')
		return;
	once->computed++;
	if (!keep(once->setting, sizeof(once->setting), &once->setting_len, setting))
		once->setting[0] = '\0';
	else
		once->holds = keep(once->phrase, sizeof(once->phrase), &once->phrase_len, phrase) &&
			      keep(once->hash, sizeof(once->hash), &once->hash_len, result);
}

char *crypt_r(const char *phrase, const char *setting, struct crypt_data *data)
{
	struct crypt_once *once = current;
	if (once == NULL)
		return compute(phrase, setting, data);
	bool plain = is_plain_call(phrase, setting, data);
	if (plain && is_repeated(once, phrase, setting))
		return repeat(once, data);
	forget(once);
	char *result = compute(phrase, setting, data);
	if (plain)
		remember(once, phrase, setting, data, result);
	return result;
}
