/*
 * The tables and how they are put into force. Runs in: front, worker.
 * Programs built with AddressSanitizer run without: its runtime makes system
 * calls of its own choice.
 */
#include "authd/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include <seccomp.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* Names that this machine does not have are passed over. */
static const char *const front_allowed[] = {
    /* sockets that it was handed */
    "accept4", "accept", "recvmsg", "sendmsg", "recvfrom", "sendto", "read", "write", "readv",
    "writev", "getsockopt", "setsockopt", "getsockname", "getpeername", "shutdown", "close",
    "close_range", "fcntl", "dup", "dup2", "dup3", "ioctl",
    /* its event loop */
    "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2",
    "poll", "ppoll", "select", "pselect6", "eventfd2", "timerfd_create", "timerfd_settime",
    "timerfd_gettime", "pipe", "pipe2", "socketpair",
    /* the sealed memfd with its configuration; descriptors it holds */
    "pread64", "lseek", "fstat", "newfstatat", "statx",
    /* memory */
    "brk", "munmap", "mremap", "madvise", "mlock", "munlock",
    /* time, identity, signals, end */
    "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time",
    "getrandom", "uname", "sysinfo", "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid",
    "getegid", "getrlimit", "prlimit64", "sched_yield", "sched_getaffinity", "futex", "rseq",
    "set_robust_list", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack",
    "restart_syscall", "tgkill", "exit", "exit_group", NULL};

/* What only an intruder would try: the process ends, and the parent's log says SIGSYS. */
static const char *const front_killed[] = {"execve", "execveat", "fork", "vfork", "clone", "clone3",
    "ptrace", "process_vm_readv", "process_vm_writev", "connect", "bind", "listen", "bpf", "mount",
    "move_mount", "setns", "unshare", "init_module", "finit_module", "kexec_load", "setuid",
    "setresuid", "io_uring_setup", "userfaultfd", "perf_event_open", NULL};

static const char *const worker_killed[] = {"ptrace", "process_vm_readv", "process_vm_writev",
    "pidfd_getfd", "kcmp", "bpf", "perf_event_open", "userfaultfd", "io_uring_setup",
    "io_uring_enter", "io_uring_register", "mount", "umount2", "move_mount", "fsopen", "fsmount",
    "fsconfig", "open_tree", "mount_setattr", "pivot_root", "chroot", "setns", "unshare",
    "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot",
    "swapon", "swapoff", "acct", "quotactl", "iopl", "ioperm", "settimeofday", "clock_settime",
    "adjtimex", "clock_adjtime", "sethostname", "setdomainname", "open_by_handle_at",
    "name_to_handle_at", "mknod", "mknodat", "personality", "syslog", "vhangup", NULL};

/* PAM's modules for Kerberos keep tickets in the kernel's keyrings. */
static const char *const programs_killed[] = {
    "execve", "execveat", "add_key", "request_key", "keyctl", NULL};

static int add_all(scmp_filter_ctx ctx, uint32_t action, const char *const *names)
{
	for (; *names != NULL; names++) {
		int number = seccomp_syscall_resolve_name(*names);
		if (number == __NR_SCMP_ERROR)
			continue;
		int rc = seccomp_rule_add(ctx, action, number, 0);
		if (rc != 0 && rc != -EDOM)
			return rc;
	}
	return 0;
}

/* Memory yes, executable memory no. */
static int add_memory(scmp_filter_ctx ctx)
{
	static const int calls[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect)};
	int rc = 0;
	for (size_t i = 0; i < ARRAY_LEN(calls) && rc == 0; i++)
		rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 1,
		    SCMP_A2(SCMP_CMP_MASKED_EQ, 4 /* PROT_EXEC */, 0));
	return rc;
}

/* Opening to read is refused and goes on (libraries look for files); to write ends the process. */
static int add_open(scmp_filter_ctx ctx)
{
	static const unsigned modes[] = {O_WRONLY, O_RDWR};
	int rc = 0;
	for (size_t i = 0; i < ARRAY_LEN(modes) && rc == 0; i++) {
		rc = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, SCMP_SYS(openat), 1,
		    SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE, modes[i]));
		if (rc == 0)
			rc = seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, SCMP_SYS(open), 1,
			    SCMP_A1(SCMP_CMP_MASKED_EQ, O_ACCMODE, modes[i]));
	}
	return rc;
}

/* syslog(3) connects again when the daemon was restarted; a datagram socket reaches no database. */
static int add_sockets(scmp_filter_ctx ctx, bool syslog)
{
	static const char *const connect_call[] = {"connect", NULL};
	if (!syslog)
		return seccomp_rule_add(ctx, SCMP_ACT_KILL_PROCESS, SCMP_SYS(socket), 0);
	int rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
	    SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0), SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, SOCK_DGRAM));
	return rc == 0 ? add_all(ctx, SCMP_ACT_ALLOW, connect_call) : rc;
}

static int fill_front(scmp_filter_ctx ctx, bool syslog)
{
	int rc = add_all(ctx, SCMP_ACT_ALLOW, front_allowed);
	for (size_t i = 0; front_killed[i] != NULL && rc == 0; i++) {
		const char *one[] = {front_killed[i], NULL};
		if (!syslog || strcmp(front_killed[i], "connect") != 0)
			rc = add_all(ctx, SCMP_ACT_KILL_PROCESS, one);
	}
	if (rc == 0)
		rc = add_memory(ctx);
	if (rc == 0)
		rc = add_open(ctx);
	return rc == 0 ? add_sockets(ctx, syslog) : rc;
}

static int fill(scmp_filter_ctx ctx, enum sandbox_kind kind)
{
	if (kind == SANDBOX_FRONT || kind == SANDBOX_FRONT_SYSLOG)
		return fill_front(ctx, kind == SANDBOX_FRONT_SYSLOG);
	int rc = add_all(ctx, SCMP_ACT_KILL_PROCESS, worker_killed);
	if (rc == 0 && kind == SANDBOX_WORKER)
		rc = add_all(ctx, SCMP_ACT_KILL_PROCESS, programs_killed);
	return rc;
}

static bool seccomp_here(void)
{
	return prctl(PR_GET_SECCOMP) >= 0;
}

static bool enter_seccomp(enum sandbox_kind kind, struct err *err)
{
	bool front = kind == SANDBOX_FRONT || kind == SANDBOX_FRONT_SYSLOG;
	if (!seccomp_here())
		return true;
	scmp_filter_ctx ctx = seccomp_init(front ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_ALLOW);
	if (ctx == NULL)
		return err_set(err, EX_OSERR, "seccomp_init failed");
	int rc = fill(ctx, kind);
	if (rc == 0)
		rc = seccomp_load(ctx);
	seccomp_release(ctx);
	if (rc != 0)
		return err_set(err, EX_OSERR, "the seccomp filter: %s", strerror(-rc));
	return true;
}

/* ---- Landlock: numbers of the kernel's interface, as not every libc's headers have them ---- */

struct landlock_ruleset {
	uint64_t handled_fs, handled_net, scoped;
};

struct landlock_beneath {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

enum {
	LANDLOCK_RULE_BENEATH = 1,
	LANDLOCK_FS_WRITE_FILE = 1 << 1,
	LANDLOCK_FS_REMOVE_FILE = 1 << 5,
	LANDLOCK_FS_MAKE_REG = 1 << 8,
	/* the above, and making and removing everything else */
	LANDLOCK_FS_WRITING = LANDLOCK_FS_WRITE_FILE | 0x1ff << 4,
	LANDLOCK_VERSION_FLAG = 1,
	LANDLOCK_FS_V1 = (1 << 13) - 1,
	LANDLOCK_FS_REFER = 1 << 13,	 /* ABI 2 */
	LANDLOCK_FS_TRUNCATE = 1 << 14,	 /* 3 */
	LANDLOCK_NET_TCP = 3,		 /* 4 */
	LANDLOCK_FS_IOCTL_DEV = 1 << 15, /* 5 */
	LANDLOCK_SCOPES = 3,		 /* 6: abstract sockets, signals */
};

static int landlock_version(void)
{
	return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION_FLAG);
}

static int landlock_create(const struct landlock_ruleset *rules, size_t size, struct err *err)
{
	int fd = (int)syscall(SYS_landlock_create_ruleset, rules, size, 0);
	if (fd < 0)
		err_set(err, EX_OSERR, "landlock_create_ruleset: %s", strerror(errno));
	return fd;
}

/* Closes fd. */
static bool landlock_enter(int fd, struct err *err)
{
	long rc = syscall(SYS_landlock_restrict_self, fd, 0);
	int saved = errno;
	close(fd);
	if (rc != 0)
		return err_set(err, EX_OSERR, "landlock_restrict_self: %s", strerror(saved));
	return true;
}

static bool enter_landlock(struct err *err)
{
	int abi = landlock_version();
	if (abi < 1)
		return true;
	struct landlock_ruleset rules = {.handled_fs = LANDLOCK_FS_V1};
	size_t size = offsetof(struct landlock_ruleset, handled_net);
	if (abi >= 2)
		rules.handled_fs |= LANDLOCK_FS_REFER;
	if (abi >= 3)
		rules.handled_fs |= LANDLOCK_FS_TRUNCATE;
	if (abi >= 4) {
		rules.handled_net = LANDLOCK_NET_TCP;
		size = offsetof(struct landlock_ruleset, scoped);
	}
	if (abi >= 5)
		rules.handled_fs |= LANDLOCK_FS_IOCTL_DEV;
	if (abi >= 6) {
		rules.scoped = LANDLOCK_SCOPES;
		size = sizeof(rules);
	}
	int fd = landlock_create(&rules, size, err);
	return fd >= 0 && landlock_enter(fd, err);
}

/* A file made beside another one, written, and moved into its place. */
static bool allow_replacing(int rules, const char *dir, struct err *err)
{
	struct landlock_beneath beneath = {
	    .allowed = LANDLOCK_FS_WRITE_FILE | LANDLOCK_FS_REMOVE_FILE | LANDLOCK_FS_MAKE_REG};
	beneath.fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* one that is not there yet cannot be written either; the driver will say so */
	if (beneath.fd < 0)
		return true;
	long rc = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_BENEATH, &beneath, 0);
	int saved = errno;
	close(beneath.fd);
	return rc == 0 || err_set(err, EX_OSERR, "landlock_add_rule: %s", strerror(saved));
}

bool sandbox_write_only(const char *dir, struct err *err)
{
	int abi = landlock_version();
	if (SANITIZED || abi < 1)
		return true;
	struct landlock_ruleset rules = {.handled_fs = LANDLOCK_FS_WRITING};
	if (abi >= 2)
		rules.handled_fs |= LANDLOCK_FS_REFER;
	if (abi >= 3)
		rules.handled_fs |= LANDLOCK_FS_TRUNCATE;
	int fd = landlock_create(&rules, sizeof(rules.handled_fs), err);
	if (fd < 0)
		return false;
	if (dir != NULL && !allow_replacing(fd, dir, err)) {
		close(fd);
		return false;
	}
	return landlock_enter(fd, err);
}

const char *sandbox_missing(void)
{
	if (SANITIZED)
		return "built with sanitizers: children run without a sandbox";
	if (!seccomp_here())
		return "this kernel has no seccomp: children run without a system call filter";
	if (landlock_version() < 1)
		return "this kernel has no Landlock: only the system call filter keeps the front "
		       "from files";
	return NULL;
}

bool sandbox_enter(enum sandbox_kind kind, struct err *err)
{
	if (SANITIZED)
		return true;
	tzset(); /* the log's local time, while files can still be read */
	if ((kind == SANDBOX_FRONT || kind == SANDBOX_FRONT_SYSLOG) && !enter_landlock(err))
		return false;
	return enter_seccomp(kind, err);
}
