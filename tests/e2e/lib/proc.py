"""Processes, ports and directories of one test run. Everything is stopped by its own pid."""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

RUN = tempfile.mkdtemp(prefix="authd-test-")
os.chmod(RUN, 0o755)
# what AddressSanitizer keeps of freed memory, allowed on top of each bound
RSS_SLACK = int(os.environ.get("AUTHD_TEST_RSS_SLACK", "0"))  # KiB
_count = 0
_used_ports = set()
_running = []  # daemons that a test was kept from stopping end with the run


def _clean_up():
    for daemon in list(_running):
        daemon.stop(timeout=3)
    if not os.environ.get("AUTHD_TEST_KEEP"):
        shutil.rmtree(RUN, ignore_errors=True)


atexit.register(_clean_up)


def new_dir(name):
    """A short path (socket names have 107 bytes) that unprivileged children can enter."""
    global _count
    _count += 1
    path = os.path.join(RUN, "%s%d" % (name, _count))
    os.mkdir(path)
    os.chmod(path, 0o755)
    return path


def free_port():
    while True:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        if port not in _used_ports:
            _used_ports.add(port)
            return port


def wait_for(what, condition, timeout=20.0):
    """Polls until condition() is true; its last value is returned."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError("waited %g s for %s" % (timeout, what))
        time.sleep(0.02)


def port_open(port, address="127.0.0.1"):
    try:
        socket.create_connection((address, port), 1).close()
        return True
    except OSError:
        return False


def alive(pid):
    """False for a zombie, too: it serves nobody."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(pid):
    """All descendants of a process: {pid: (parent, command line)}."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name) as f:
                    fields = f.read().rsplit(")", 1)[1].split()
                with open("/proc/%s/cmdline" % name, "rb") as f:
                    cmdline = f.read().replace(b"\0", b" ").decode(errors="replace").strip()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if fields[0] != "Z":
                parents[int(name)] = (int(fields[1]), cmdline)
    found = {}
    todo = [pid]
    while todo:
        parent = todo.pop()
        for child, (its_parent, cmdline) in parents.items():
            if its_parent == parent and child not in found:
                found[child] = (parent, cmdline)
                todo.append(child)
    return found


def rss_kib(pid, what="VmRSS"):
    with open("/proc/%d/status" % pid) as f:
        for line in f:
            if line.startswith(what + ":"):
                return int(line.split()[1])
    return 0


def forget_peak(pid):
    """From now on peak_kib() says how much the process has had."""
    with open("/proc/%d/clear_refs" % pid, "w") as f:
        f.write("5")


def peak_kib(pid):
    return rss_kib(pid, "VmHWM")


class Daemon:
    """A foreground process with its output in a log; stop() also ends what it left behind."""

    def __init__(self, argv, log, env=None, cwd=None):
        self.argv = argv
        self.log = log
        self._out = open(log, "ab")
        self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self._out,
                                      stderr=self._out, cwd=cwd,
                                      env=dict(os.environ, **(env or {})), start_new_session=True)
        _running.append(self)

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def stop(self, signo=signal.SIGTERM, timeout=15.0):
        """Ends the process and its descendants; returns the exit code."""
        if self in _running:
            _running.remove(self)
        family = children(self.pid) if self.running() else {}
        if self.running():
            self.popen.send_signal(signo)
            try:
                self.popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait(5)
        deadline = time.monotonic() + 3
        while any(alive(p) for p in family) and time.monotonic() < deadline:
            time.sleep(0.02)
        for pid in family:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        self._out.close()
        return self.popen.returncode


def run(argv, timeout=60, **kw):
    """Runs a command to its end; at the timeout it goes with all that it started."""
    with subprocess.Popen(argv, stdin=kw.pop("stdin", subprocess.DEVNULL), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, start_new_session=True, **kw) as p:
        try:
            out, err = p.communicate(timeout=timeout)
        except BaseException:
            for pid in [p.pid] + list(children(p.pid)):
                if alive(pid):
                    os.kill(pid, signal.SIGKILL)
            raise
        return subprocess.CompletedProcess(argv, p.returncode, out, err)
