/*
 * pam: the system's Pluggable Authentication Modules judge the password.
 * Runs in: worker, as root, one login at a time in a process, as modules keep
 * global state. A module that crashes or hangs takes its process with it.
 * Owner: the lane owns the state; a PAM handle lives for one login.
 */
#include "drivers/pam.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <security/pam_appl.h>

#include "base/log.h"
#include "base/mem.h"
#include "drivers/driver.h"
#include "drivers/pam-codes.h"
#include "drivers/report.h"

struct pam_state {
	const struct pam_settings *set;
	unsigned asked;
	uid_t uid; /* whose process it is: root's */
	gid_t gid;
	pam_handle_t *kept; /* never used: with it the modules stay loaded from login to login */
};

/* One login, while PAM has it. */
struct attempt {
	const struct pam_state *state;
	struct question *q;
	const char *user, *password;
	pam_handle_t *pamh;
};

/* ---- the service ---- */

/* Without a file of its own PAM takes "other", which refuses everybody and looks like a mismatch.
 */
static bool find_service(const char *service, char *path, size_t size)
{
	static const char *const places[] = {"/etc/pam.d", "/usr/lib/pam.d", "/usr/share/pam.d"};
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		snprintf(path, size, "%s/%s", places[i], service);
		if (access(path, F_OK) == 0)
			return true;
	}
	return false;
}

static void warn_of_other(const char *service)
{
	char path[PAM_SERVICE_MAX + 32];
	if (!find_service(service, path, sizeof(path)))
		log_warning("pam: there is no /etc/pam.d/%s; the service \"other\" decides, which "
			    "usually refuses everybody",
		    service);
}

static bool pam_test(const void *settings, struct driver_report *r)
{
	const char *service = ((const struct pam_settings *)settings)->name;
	char path[PAM_SERVICE_MAX + 32];
	if (service[0] == '\0')
		driver_step(
		    r, STEP_GOOD, "service", "that which its variables name, in /etc/pam.d");
	else if (find_service(service, path, sizeof(path)))
		driver_step(r, STEP_GOOD, "service", "%s", path);
	else
		driver_step(r, STEP_BROKEN, "service",
		    "there is no /etc/pam.d/%s\nmake it, or name another one in %s", service,
		    r->file);
	return true;
}

/* Who brings no name of a service is nobody, as long as it is his own name that it is made of. */
static enum verdict name_service(
    const struct pam_settings *set, struct question *q, char out[PAM_SERVICE_MAX])
{
	const struct template *t = set->template;
	memcpy(out, set->name, PAM_SERVICE_MAX);
	if (t == NULL)
		return VERDICT_OK;
	struct span name = template_expand(t, q->vars, q->arena, NULL, NULL, &q->err);
	if (name.ptr == NULL)
		return VERDICT_INTERNAL;
	if (pam_service_name(name, out))
		return VERDICT_OK;
	if (template_needs(t) != VAR_BIT(VAR_SERVICE)) {
		err_set(&q->err, 0, "unknown user: what his name makes is no PAM service's");
		return VERDICT_UNKNOWN_USER;
	}
	err_set(&q->err, 0, "protocol \"%.64s\" cannot be a PAM service's name",
	    arena_cstr(q->arena, q->vars->v[VAR_SERVICE]));
	return VERDICT_INTERNAL;
}

/* ---- talking to modules ---- */

static void free_replies(struct pam_response *replies, int count)
{
	for (int i = 0; i < count; i++) {
		if (replies[i].resp != NULL) {
			mem_wipe(replies[i].resp, strlen(replies[i].resp));
			free(replies[i].resp);
		}
	}
	free(replies);
}

/* A hostile name must not look like a line that is counted against somebody. */
static const char *name_for_log(const struct attempt *at)
{
	struct span user = span_first(span_of(at->user), 64);
	char *name = arena_cstr(at->q->arena, user);
	for (char *p = name; *p != '\0'; p++) {
		if ((unsigned char)*p <= ' ' || strchr("(),:", *p) != NULL)
			*p = '?';
	}
	return name;
}

static void heard(const struct attempt *at, const char *text)
{
	if (at->state->set->failure_show_msg)
		log_info("pam for %s: the modules say: %.300s", name_for_log(at), text);
	else
		log_debug("pam for %s: the modules say: %.300s", name_for_log(at), text);
}

/* The answers belong to PAM, which gives them to free(3). */
static int converse(
    int count, const struct pam_message **messages, struct pam_response **out, void *ctx)
{
	struct attempt *at = ctx;
	if (count <= 0 || count > PAM_MAX_NUM_MSG)
		return PAM_CONV_ERR;
	struct pam_response *replies = calloc((size_t)count, sizeof(*replies));
	if (replies == NULL)
		return PAM_BUF_ERR;
	for (int i = 0; i < count; i++) {
		const struct pam_message *m = messages[i];
		const char *text = NULL;
		switch (m->msg_style) {
		case PAM_PROMPT_ECHO_ON:
			text = at->user;
			break;
		case PAM_PROMPT_ECHO_OFF:
			text = at->password;
			break;
		case PAM_ERROR_MSG:
		case PAM_TEXT_INFO:
			heard(at, m->msg != NULL ? m->msg : "");
			continue;
		default:
			free_replies(replies, count);
			return PAM_CONV_ERR;
		}
		replies[i].resp = strdup(text);
		if (replies[i].resp == NULL) {
			free_replies(replies, count);
			return PAM_BUF_ERR;
		}
	}
	*out = replies;
	return PAM_SUCCESS;
}

/* Failures are delayed by the front, for all drivers alike; a lane that sleeps serves nobody. */
static void no_delay(int retval UNUSED, unsigned usec UNUSED, void *ctx UNUSED)
{
}

/* ---- modules that stay ---- */

static int say_nothing(int count UNUSED, const struct pam_message **messages UNUSED,
    struct pam_response **out UNUSED, void *ctx UNUSED)
{
	return PAM_CONV_ERR;
}

/*
 * Each pam_start() reads the service's files, loads all modules that they and
 * "other" name, and pam_end() unloads them, which takes as long as a hash. The
 * files are still read each time.
 */
static void keep_modules(struct pam_state *s, const char *service)
{
	static const struct pam_conv silent = {say_nothing, NULL};
	if (s->kept == NULL && pam_start(service, NULL, &silent, &s->kept) != PAM_SUCCESS)
		s->kept = NULL;
}

/* ---- one login ---- */

static enum verdict judge(struct attempt *at, enum pam_phase phase, int code)
{
	enum verdict v = pam_code_verdict(phase, code);
	const char *text = at->pamh != NULL ? pam_strerror(at->pamh, code) : NULL;
	if (text == NULL)
		text = "no such error";
	if (v == VERDICT_OK)
		return v;
	/* one stack may have several sources of users: others may be well */
	if (v == VERDICT_INTERNAL && pam_code_is_outage(code))
		at->q->backend = BACKEND_AWAY;
	/* fail2ban knows both of these */
	if (code == PAM_USER_UNKNOWN)
		err_set(
		    &at->q->err, 0, "unknown user (%s failed: %s)", pam_phase_name(phase), text);
	else if (phase == PHASE_AUTHENTICATE && code == PAM_AUTH_ERR)
		err_set(&at->q->err, 0, "%s failed: %s (Password mismatch?)", pam_phase_name(phase),
		    text);
	else if (v == VERDICT_MISMATCH && phase == PHASE_AUTHENTICATE && code != PAM_PERM_DENIED)
		err_set(&at->q->err, 0, "Password mismatch (%s failed: %s)", pam_phase_name(phase),
		    text);
	else
		err_set(&at->q->err, 0, "%s failed: %s", pam_phase_name(phase), text);
	return v;
}

static int set_items(struct attempt *at)
{
	const struct span *v = at->q->vars->v;
	union {
		void (*function)(int, unsigned, void *);
		const void *item;
	} delay = {.function = no_delay};
	char rip[128];
	int rc = pam_set_item(at->pamh, PAM_TTY, "dovecot");
	if (rc == PAM_SUCCESS)
		rc = pam_set_item(at->pamh, PAM_RUSER, at->user);
	if (rc == PAM_SUCCESS && v[VAR_RIP].len > 0 && span_to_cstr(v[VAR_RIP], rip, sizeof(rip)))
		rc = pam_set_item(at->pamh, PAM_RHOST, rip);
	if (rc == PAM_SUCCESS)
		rc = pam_set_item(at->pamh, PAM_FAIL_DELAY, delay.item);
	return rc;
}

/* The modules may have found another name for the user. */
static enum verdict take_user(struct attempt *at)
{
	const void *item = NULL;
	int rc = pam_get_item(at->pamh, PAM_USER, &item);
	if (rc != PAM_SUCCESS || item == NULL || *(const char *)item == '\0') {
		err_set(&at->q->err, 0, "the modules lost the user's name");
		return VERDICT_INTERNAL;
	}
	if (strcmp(item, at->user) != 0)
		fields_set_str(&at->q->entry.fields, "user", item);
	return VERDICT_OK;
}

static enum verdict session(struct attempt *at, int *code)
{
	*code = pam_open_session(at->pamh, 0);
	enum verdict v = judge(at, PHASE_SESSION, *code);
	if (v != VERDICT_OK)
		return v;
	int rc = pam_close_session(at->pamh, 0);
	if (rc != PAM_SUCCESS)
		log_warning("pam for %s: pam_close_session() failed: %s", name_for_log(at),
		    pam_strerror(at->pamh, rc));
	return v;
}

/* All phases in order; the first that does not succeed decides. *code: for pam_end(). */
static enum verdict run(struct attempt *at, int *code)
{
	enum verdict v;
	*code = set_items(at);
	if ((v = judge(at, PHASE_START, *code)) != VERDICT_OK)
		return v;
	*code = pam_authenticate(at->pamh, 0);
	if ((v = judge(at, PHASE_AUTHENTICATE, *code)) != VERDICT_OK)
		return v;
	if (at->state->set->setcred) {
		*code = pam_setcred(at->pamh, PAM_ESTABLISH_CRED);
		if ((v = judge(at, PHASE_SETCRED, *code)) != VERDICT_OK)
			return v;
	}
	*code = pam_acct_mgmt(at->pamh, 0);
	v = judge(at, PHASE_ACCOUNT, *code);
	if (v == VERDICT_OK && at->state->set->session)
		v = session(at, code);
	if (at->state->set->setcred)
		(void)pam_setcred(at->pamh, PAM_DELETE_CRED);
	return v == VERDICT_OK ? take_user(at) : v;
}

static bool has_nul(struct span s)
{
	return span_find(s, '\0') >= 0;
}

/* A module that gave the rights of the process up took them from all logins after this one. */
static bool lost_rights(const struct pam_state *s)
{
	return getuid() != s->uid || geteuid() != s->uid || getegid() != s->gid;
}

static enum verdict pam_ask(void *state, struct question *q)
{
	struct pam_state *s = state;
	const struct span user = q->vars->v[VAR_USER];
	struct span password = secret_reveal(q->password);
	char service[PAM_SERVICE_MAX];
	q->backend = BACKEND_UNSAID;
	if (user.len == 0 || has_nul(user))
		return VERDICT_UNKNOWN_USER;
	if (has_nul(password))
		return VERDICT_MISMATCH; /* PAM's are C strings: no user has such a password */
	enum verdict v = name_service(s->set, q, service);
	if (v != VERDICT_OK)
		return v;
	struct attempt at = {
	    .state = s,
	    .q = q,
	    .user = arena_cstr(q->arena, user),
	    .password = arena_cstr(q->arena, password.ptr != NULL ? password : SPAN_LIT("")),
	};
	const struct pam_conv conv = {converse, &at};
	/* a process that has run so many modules so often is replaced */
	q->retire = s->set->max_requests > 0 && ++s->asked >= s->set->max_requests;
	q->backend = BACKEND_ANSWERS;
	int code = pam_start(service, at.user, &conv, &at.pamh);
	if (code != PAM_SUCCESS) {
		at.pamh = NULL;
		err_set(&q->err, 0, "pam_start() failed: error %d", code);
		return VERDICT_INTERNAL;
	}
	keep_modules(s, service);
	v = run(&at, &code);
	int ended = pam_end(at.pamh, code);
	if (ended != PAM_SUCCESS)
		log_warning("pam for %s: pam_end() failed: error %d", name_for_log(&at), ended);
	if (lost_rights(s)) {
		log_warning("pam for %s: a module has changed whose process this is; it ends",
		    name_for_log(&at));
		q->retire = true;
	}
	return v;
}

static void *pam_open(const void *settings, struct err *err UNUSED)
{
	struct pam_state *s = mem_alloc(sizeof(*s));
	s->set = settings;
	s->uid = geteuid();
	s->gid = getegid();
	if (s->set->name[0] != '\0')
		warn_of_other(s->set->name);
	return s;
}

static uint64_t pam_needs(void *state)
{
	const struct template *t = ((struct pam_state *)state)->set->template;
	return VAR_BIT(VAR_RIP) | VAR_BIT(VAR_SERVICE) | (t != NULL ? template_needs(t) : 0);
}

static void pam_close(void *state)
{
	struct pam_state *s = state;
	if (s->kept != NULL)
		(void)pam_end(s->kept, PAM_SUCCESS);
	mem_free(&s);
}

extern const struct driver authd_driver;
const struct driver authd_driver = {
    .abi = DRIVER_ABI,
    .spec = &spec_pam,
    .can = CAN_VERIFY | HASHES_HERE,
    .lanes = LANES_PROCESS,
    .open = pam_open,
    .ask = pam_ask,
    .needs = pam_needs,
    .close = pam_close,
    .test = pam_test,
};
