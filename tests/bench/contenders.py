"""The servers that are compared, the floors under them, and the tools that measure them."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("AUTHD_BUILD", "build")
sys.path.insert(0, str(ROOT / "tests/e2e"))

from lib import authserver, proc  # noqa: E402

TOOLS = BUILD / "bench"
CORES = os.cpu_count()
PASSWORD = "a rather ordinary passphrase"
KINDS = {"authd": authserver.Authd, "dovecot-auth": authserver.DovecotAuth}

CONFIG = """
auth_mechanisms = plain
passdb {
  driver = passwd-file
  args = @passwd@
}
userdb {
  driver = passwd-file
  args = @passwd@
}
"""
CACHE = """
auth_cache_size = 64M
auth_cache_ttl = 1 hour
auth_cache_negative_ttl = 1 hour
"""
# Dovecot's defaults would end it at 1000 connections and 256 MB; authd has no such limits
SERVICE = "  client_limit = 12000\n  vsz_limit = 8G\n"
LISTENERS = [authserver.Listener("auth-client", 0o600), authserver.Listener("private-userdb", 0o600)]


class WrongAnswer(Exception):
    pass


class Helpers:
    """Every process started beside the servers; none outlives the run."""

    running = []

    @classmethod
    def start(cls, argv, **kw):
        popen = subprocess.Popen([str(a) for a in argv], **kw)
        cls.running.append(popen)
        return popen

    @classmethod
    def end(cls, popen):
        if popen.poll() is None:
            popen.kill()
        popen.wait()
        cls.running.remove(popen)

    @classmethod
    def end_all(cls):
        for popen in list(cls.running):
            cls.end(popen)


def user_line(user, value):
    return "%s:%s:5000:5000::/home/%s::\n" % (user, value, user)


class Server:
    """authd or dovecot-auth on a passwd-file."""

    all = []

    def __init__(self, kind, users=None, config=CONFIG):
        self.kind = kind
        self.inner = KINDS[kind](config, listeners=LISTENERS, service=SERVICE)
        os.chmod(self.inner.dir, 0o755)
        self.passwd = self.inner.passwd
        if users is not None:
            with open(self.passwd, "w") as f:
                f.writelines(user_line(user, value) for user, value in users.items())
            os.chmod(self.passwd, 0o644)
        self.client = self.inner.path("auth-client")
        self.userdb = self.inner.path("private-userdb")

    def start(self):
        Server.all.append(self)
        self.inner.start()
        return self

    def stop(self):
        self.inner.stop()
        Server.all.remove(self)

    @classmethod
    def stop_all(cls):
        for one in list(cls.all):
            one.stop()

    def empty_logs(self):
        """authd writes a line for each login; a run would fill the disk."""
        if os.path.exists(self.inner.log):
            os.truncate(self.inner.log, 0)

    def pss_kib(self):
        """Of all its processes together; shared pages count once."""
        return sum(memory_kib(pid, "Pss:") for pid in self.inner.processes())

    def anonymous_kib(self):
        """What the processes have written: a library that somebody else begins to use changes nothing."""
        return sum(memory_kib(pid, "Anonymous:") for pid in self.inner.processes())

    def front_pid(self):
        return self.inner.front_pid()

    def cpu_ns(self):
        return sum(cpu_ns(pid) for pid in self.inner.processes())


class Floor:
    """The server that decides nothing."""

    def __init__(self, mode):
        self.client = self.userdb = os.path.join(proc.new_dir("f"), "floor")
        self.popen = Helpers.start([TOOLS / "floor", self.client, mode])
        proc.wait_for("the floor server", lambda: os.path.exists(self.client))

    def cpu_ns(self):
        return sum(cpu_ns(pid) for pid in [self.popen.pid, *proc.children(self.popen.pid)])

    def stop(self):
        Helpers.end(self.popen)


def memory_kib(pid, kind):
    try:
        with open("/proc/%d/smaps_rollup" % pid) as f:
            for line in f:
                if line.startswith(kind):
                    return int(line.split()[1])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


def cpu_ns(pid):
    """Time on a core of all threads that live."""
    total = 0
    try:
        for tid in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/schedstat" % (pid, tid)) as f:
                total += int(f.read().split()[0])
    except (FileNotFoundError, ProcessLookupError):
        pass
    return total


def load_argv(socket, *args):
    return [TOOLS / "load", "-s", socket, "-p", PASSWORD, *args]


def start_load(socket, *args):
    return Helpers.start(load_argv(socket, *args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end_load(popen):
    out, err = popen.communicate()
    Helpers.running.remove(popen)
    if popen.returncode != 0:
        raise WrongAnswer("the load client failed: %s\n%s%s" % (" ".join(popen.args), out, err))
    return json.loads(out)


def load(socket, *args):
    return end_load(start_load(socket, *args))


class Idle:
    """Connections that have shaken hands and say nothing."""

    def __init__(self, socket, count):
        self.popen = Helpers.start(load_argv(socket, "-H", "-c", count), stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        if self.popen.stdout.readline() != "ready\n":
            raise WrongAnswer("%d idle connections could not be opened at %s" % (count, socket))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.popen.stdin.close()
        self.popen.wait()
        self.popen.stdout.close()
        Helpers.running.remove(self.popen)
        time.sleep(0.3)  # the server closes its ends


def make_hash(args):
    out = subprocess.run([BUILD / "authctl", "pw", "-p", PASSWORD, *args], check=True,
                         capture_output=True, text=True)
    return out.stdout.strip()


def hash_rate(value, seconds, threads=CORES):
    """The bare hash function on the very string that the servers compare with."""
    value = value[value.index("}") + 1:]
    out = subprocess.run([TOOLS / "hash", str(threads), str(seconds), value, PASSWORD], check=True,
                         capture_output=True, text=True)
    return json.loads(out.stdout)["per_second"]
