"""The server under test: authd, or Debian's dovecot-auth to prove the tests themselves.

AUTHD_TEST_SERVER=authd|dovecot chooses; AUTHD_BUILD names authd's build directory.
Both read the same configuration text; only the header differs.
"""

import os
import signal
import socket
import time

from . import proc, users
from .authproto import AuthClient, Conn, MasterClient

KIND = os.environ.get("AUTHD_TEST_SERVER", "authd")
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BUILD = os.path.join(ROOT, os.environ.get("AUTHD_BUILD", "build"))
AUTHD = os.path.join(BUILD, "authd")
AUTHCTL = os.path.join(BUILD, "authctl")


class Listener:
    def __init__(self, path, mode=0o600, user="root", group="root", extra=""):
        self.path, self.mode, self.user, self.group, self.extra = path, mode, user, group, extra

    def text(self):
        return ("  unix_listener %s {\n    mode = 0%o\n    user = %s\n    group = %s\n%s  }\n"
                % (self.path, self.mode, self.user, self.group, self.extra))


STANDARD = [
    Listener("login/login", 0o666),
    Listener("token-login/tokenlogin", 0o666),
    Listener("auth-login", 0o600, "dovecot"),
    Listener("auth-client", 0o600, "dovecot"),
    Listener("auth-userdb", 0o666, "dovecot", "dovecot"),
    Listener("auth-master", 0o600),
    Listener("private-userdb", 0o600),
]


class AuthServer:
    """One running server. Sockets without a leading slash are in run/."""

    kind = None

    def __init__(self, text, listeners=None, inet=None, service=""):
        self.dir = proc.new_dir("a")
        self.run = os.path.join(self.dir, "run")
        self.config = os.path.join(self.dir, "auth.conf")
        self.log = os.path.join(self.dir, "auth.log")
        self.passwd = os.path.join(self.dir, "passwd")
        self.mail = os.path.join(self.dir, "mail")
        self.body = text
        self.listeners = STANDARD if listeners is None else listeners
        self.inet = inet  # (name, port)
        self.service = service
        self.daemon = None
        os.mkdir(self.run)
        os.mkdir(self.mail)

    def write_config(self, text=None):
        """Writes the file; text replaces what stands between header and listeners."""
        if text is not None:
            self.body = text
        body = self.body.replace("@passwd@", self.passwd).replace("@dir@", self.dir)
        out = [self.header(), body, "\nservice auth {\n", self.service]
        out += [l.text() for l in self.listeners]
        if self.inet:
            out.append("  inet_listener %s {\n    address = 127.0.0.1\n    port = %d\n  }\n" % self.inet)
        out.append("}\n")
        with open(self.config, "w") as f:
            f.write("".join(out))

    def path(self, name):
        return os.path.join(self.run, name)

    def client(self, name="auth-client", **kw):
        return AuthClient(self.path(name), **kw)

    def master(self, name="auth-master", **kw):
        return MasterClient(self.path(name), **kw)

    def logs(self):
        try:
            with open(self.log, errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def wait_log(self, text, timeout=10):
        proc.wait_for("log line %r in\n%s" % (text, self.logs()), lambda: text in self.logs(), timeout)

    def login_result(self, user="tim", password=None):
        """OK, FAIL, temp_fail, or closed: what a client without nologin is told."""
        if password is None:
            password = users.PASSWORDS[user]
        try:
            with self.client() as c:
                reply = c.login(user, password)
        except (ConnectionError, FileNotFoundError):
            return "closed"
        if reply is None:
            return "closed"
        return "temp_fail" if reply.get("code") == "temp_fail" else reply.cmd


class Authd(AuthServer):
    kind = "authd"
    form_24 = False  # the text is in the form of Dovecot 2.4, whose version must stand first
    options = ()

    def header(self):
        version = "dovecot_config_version = 2.4.1\n" if self.form_24 else ""
        return (version + "base_dir = %s\ndefault_internal_user = nobody\ndefault_internal_group = nogroup\n"
                "auth_failure_delay = 0\nauth_internal_failure_delay = 0\n" % self.run)

    def start(self):
        for one in self.listeners:  # where Dovecot would have made them
            os.makedirs(os.path.dirname(os.path.join(self.run, one.path)), exist_ok=True)
        self.write_config()
        notify = os.path.join(self.dir, "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(notify)
            s.settimeout(0.2)
            self.daemon = proc.Daemon([AUTHD, *self.options, "-c", self.config], self.log,
                                      env={"NOTIFY_SOCKET": notify})
            self.wait_ready(s)
        os.unlink(notify)
        return self

    def wait_ready(self, sock):
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if not self.daemon.running():
                raise RuntimeError("authd ended with %r at start:\n%s"
                                   % (self.daemon.popen.returncode, self.logs()))
            try:
                if b"READY=1" in sock.recv(4096):
                    return
            except socket.timeout:
                pass
        raise RuntimeError("authd was not READY within 20 s:\n" + self.logs())

    def pids(self, role):
        """Pids of "front", "worker", "worker passwd-file" ... by process title."""
        want = "authd: " + role
        return sorted(pid for pid, (_, title) in proc.children(self.daemon.pid).items()
                      if title == want or title.startswith(want + " "))

    def front_pid(self):
        return self.pids("front")[0]

    def processes(self):
        return [self.daemon.pid] + sorted(proc.children(self.daemon.pid))

    def reload(self):
        self.daemon.popen.send_signal(signal.SIGHUP)

    def kill_workers(self):
        for pid in self.pids("worker"):
            os.kill(pid, signal.SIGKILL)

    def break_backend(self):
        """The users' file is gone and no worker has it any more."""
        os.rename(self.passwd, self.passwd + ".gone")
        self.kill_workers()
        proc.wait_for("the outage", lambda: self.login_result() == "temp_fail")

    def heal_backend(self):
        os.rename(self.passwd + ".gone", self.passwd)
        proc.wait_for("the end of the outage", lambda: self.login_result() == "OK", 60)

    def stop(self):
        if self.daemon:
            code = self.daemon.stop()
            self.daemon = None
            return code
        return None


class DovecotAuth(AuthServer):
    """A Dovecot instance that has only service auth."""

    kind = "dovecot"

    def header(self):
        return """base_dir = %(run)s
state_dir = %(dir)s/state
instance_name = stand-in
log_path = %(log)s
protocols =
listen = 127.0.0.1
ssl = no
auth_failure_delay = 0
# an empty penalty socket: wrong passwords do not slow the next test down
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
""" % {"run": self.run, "dir": self.dir, "log": self.log}

    def start(self):
        self.write_config()
        paths = [os.path.join(self.run, l.path) for l in self.listeners]
        for path in paths:  # left by a stop
            if os.path.exists(path):
                os.unlink(path)
        self.daemon = proc.Daemon(["/usr/sbin/dovecot", "-F", "-c", self.config], self.log)
        proc.wait_for("dovecot-auth's sockets\n" + self.logs(),
                      lambda: all(os.path.exists(p) for p in paths) or not self.daemon.running())
        if not self.daemon.running():
            raise RuntimeError("dovecot did not start:\n" + self.logs())
        return self

    def front_pid(self):
        """Dovecot starts the process at the first connection."""
        Conn(os.path.join(self.run, self.listeners[0].path)).close()
        return proc.wait_for("dovecot's auth process", self._auth_pid)

    def _auth_pid(self):
        return next((pid for pid, (_, title) in proc.children(self.daemon.pid).items()
                     if title.split()[0].endswith("/auth")), None)

    def processes(self):
        return [self.daemon.pid] + sorted(proc.children(self.daemon.pid))

    def reload(self):
        self.daemon.popen.send_signal(signal.SIGHUP)

    def break_backend(self):
        # a missing file would be "unknown user" to Dovecot
        os.chmod(self.passwd, 0)
        os.utime(self.passwd, (1, 1))
        proc.wait_for("the outage", lambda: self.login_result() == "temp_fail")

    def heal_backend(self):
        os.chmod(self.passwd, 0o644)
        os.utime(self.passwd)
        proc.wait_for("the end of the outage", lambda: self.login_result() == "OK")

    def stop(self):
        if self.daemon:
            code = self.daemon.stop()
            self.daemon = None
            return code
        return None


def new(text, **kw):
    if KIND == "dovecot":
        return DovecotAuth(text, **kw)
    if KIND == "authd":
        return Authd(text, **kw)
    raise ValueError("AUTHD_TEST_SERVER is %r, neither authd nor dovecot" % KIND)


STANDARD_TEXT = """
auth_mechanisms = plain login
auth_verbose = yes
auth_master_user_separator = *
passdb {
  driver = passwd-file
  args = @passwd@.masters
  master = yes
  result_success = continue
}
passdb {
  driver = passwd-file
  args = @passwd@
}
userdb {
  driver = passwd-file
  args = @passwd@
}
"""


def standard(**kw):
    """The server that most tests share, with its users; not started."""
    server = new(kw.pop("text", STANDARD_TEXT), **kw)
    users.write(server.passwd, server.mail)
    users.write_lines(server.passwd + ".masters", ["chief:" + users.HASHES["chief"]])
    return server
