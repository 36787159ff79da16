"""Parent, front and workers: what they may do, and what happens when they die or change."""

import os
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest

from lib import authproto, authserver, proc, users

pytestmark = pytest.mark.authd_only("dovecot-auth has other processes")

NOBODY = 65534
TWO_WORKERS = authserver.STANDARD_TEXT.replace(
    "passdb {\n  driver = passwd-file\n  args = @passwd@\n}",
    "passdb {\n  driver = passwd-file\n  args = @passwd@\n  worker_count = 2\n}")


def status(pid):
    with open("/proc/%d/status" % pid) as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def descriptors(pid):
    """{number: what it is}"""
    base = "/proc/%d/fd" % pid
    return {int(n): os.readlink(os.path.join(base, n)) for n in os.listdir(base)}


def socket_files(server):
    found = []
    for where, _, names in os.walk(server.run):
        found += [os.path.join(where, n) for n in names
                  if not os.path.isfile(os.path.join(where, n))]
    return found


def read_status(server):
    with open(server.path("authd.status")) as f:
        return dict(line.rstrip("\n").split("=", 1) for line in f)


def reload_and_wait(server):
    before = read_status(server)["changes"]
    server.reload()
    proc.wait_for("the reload\n" + server.logs(),
                  lambda: read_status(server)["changes"] != before)
    return read_status(server)


class Load:
    """Clients that log in all the time, over connections that stay and over new ones."""

    def __init__(self, server, keep, lost_ok=False):
        self.server, self.keep, self.lost_ok = server, keep, lost_ok
        self.done = {"OK": 0, "FAIL": 0}
        self.wrong, self.lost = [], 0
        self.stopping = False
        self.threads = [threading.Thread(target=self._run, args=(i,)) for i in range(3)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *exc):
        self.stopping = True
        for t in self.threads:
            t.join()

    def _run(self, number):
        client = None
        good = number != 0
        while not self.stopping:
            try:
                client = client or self.server.client()
                reply = client.login("prox", users.PASSWORDS["prox"] if good else users.WRONG)
            except (OSError, TimeoutError) as e:
                reply = None
                if not self.lost_ok:
                    self.wrong.append(repr(e))
            if reply is None:
                self._lost()
                client = None
                continue
            self._count(reply, good)
            if not self.keep:
                client.close()
                client = None
        if client:
            client.close()

    def _lost(self):
        self.lost += 1
        if not self.lost_ok:
            self.wrong.append("connection lost")
        time.sleep(0.01)

    def _count(self, reply, good):
        outage = reply.get("code") == "temp_fail"
        if reply.cmd == ("OK" if good else "FAIL") and not outage:
            self.done[reply.cmd] += 1
        elif not (outage and self.lost_ok):
            self.wrong.append(repr(reply))

    def more(self):
        """Waits until both kinds of login have gone through again."""
        before = dict(self.done)
        proc.wait_for("logins; so far %r, wrong %r\n%s" % (
            self.done, self.wrong[:3], self.server.logs()[-3000:]),
            lambda: all(self.done[k] > before[k] + 3 for k in before))


# ---- what they are ----

def test_titles_and_users(server):
    assert len(server.pids("front")) == 1
    assert server.pids("worker passwd-file")
    for pid in server.pids("front") + server.pids("worker passwd-file"):
        st = status(pid)
        assert st["Uid"].split() == [str(NOBODY)] * 4
        assert st["Gid"].split() == [str(NOBODY)] * 4
        assert st["Groups"].split() == [str(NOBODY)]
        for caps in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(st[caps], 16) == 0
        assert st["NoNewPrivs"] == "1"


def test_sandbox_is_closed(server):
    if "built with sanitizers" in server.logs():
        pytest.skip("built with sanitizers")
    for pid in server.pids("front") + server.pids("worker"):
        assert status(pid)["Seccomp"] == "2"


def test_descriptors_of_a_worker(server):
    for pid in server.pids("worker passwd-file"):
        fds = descriptors(pid)
        assert fds.pop(0) == "/dev/null"
        assert fds.pop(1) == "/dev/null"
        assert fds.pop(2).startswith("pipe:")  # to the parent, who says whose lines these are
        assert fds.pop(3).startswith("socket:")
        assert fds.pop(4).startswith("socket:")
        assert fds.pop(5) == server.log
        # what is left is the worker's own doing: its event loop, its files
        for what in fds.values():
            assert what.startswith("anon_inode:") or what.startswith(server.dir), fds


def test_descriptors_of_the_front(server):
    fds = descriptors(server.front_pid())
    assert [fds.pop(n) for n in (0, 1, 2)] == ["/dev/null", "/dev/null", server.log]
    for what in fds.values():
        assert what.startswith(("socket:", "anon_inode:", "pipe:")), fds


def test_environment_is_empty_but_for_ours(start_server, monkeypatch):
    monkeypatch.setenv("SOME_SECRET", "x")
    server = start_server()
    for pid in server.pids("front") + server.pids("worker"):
        with open("/proc/%d/environ" % pid, "rb") as f:
            names = {v.split(b"=")[0].decode() for v in f.read().split(b"\0") if v}
        assert {n for n in names if not n.startswith("AUTHD_")} <= {
            "TZ", "LANG", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"}


def test_front_holds_no_database_library(server):
    with open("/proc/%d/maps" % server.front_pid()) as f:
        libraries = set(re.findall(r"/(lib[a-z_+-]+)[^/\n]*\.so", f.read()))
    assert "libevent_core-" in libraries or any(n.startswith("libevent") for n in libraries)
    assert not libraries & {"libmariadb", "libmysqlclient", "libpq", "libsqlite", "libldap",
                            "libpam", "libkrb", "libgssapi_krb", "libcurl", "liblua", "libhiredis"}


def test_files_in_base_dir(server):
    with open(server.path("authd.pid")) as f:
        assert int(f.read()) == server.daemon.pid
    secret = os.stat(server.path("auth-token-secret.dat"))
    assert (secret.st_mode & 0o7777, secret.st_size, secret.st_uid) == (0o600, 32, 0)
    for listener in server.listeners:
        st = os.stat(server.path(listener.path))
        assert st.st_mode & 0o7777 == listener.mode, listener.path


# ---- deaths ----

def test_worker_killed_under_load(start_server):
    """The other worker of the pool answers: no login fails, no verdict is wrong."""
    server = start_server(text=TWO_WORKERS)
    front = server.front_pid()
    with Load(server, keep=True) as load:
        for _ in range(5):
            load.more()
            victim = server.pids("worker passwd-file")[-1]
            count = len(server.pids("worker"))
            os.kill(victim, signal.SIGKILL)
            proc.wait_for("a new worker", lambda: victim not in server.pids("worker")
                          and len(server.pids("worker")) == count)
            load.more()
    assert load.wrong == []
    assert server.front_pid() == front
    assert "was killed by signal 9" in server.logs()


def test_only_worker_killed_is_never_a_wrong_password(start_server):
    server = start_server()
    with Load(server, keep=True, lost_ok=True) as load:
        for _ in range(4):
            load.more()
            for pid in server.pids("worker"):
                os.kill(pid, signal.SIGKILL)
            load.more()
    assert load.wrong == []


def test_front_killed_clients_come_back(start_server):
    server = start_server()
    with Load(server, keep=True, lost_ok=True) as load:
        for _ in range(3):
            load.more()
            front, workers = server.front_pid(), server.pids("worker")
            os.kill(front, signal.SIGKILL)
            proc.wait_for("another front", lambda: server.pids("front") not in ([], [front]))
            load.more()
            proc.wait_for("the old workers' end",
                          lambda: not set(workers) & set(server.pids("worker")))
    assert load.wrong == []
    assert load.lost > 0
    assert server.stop() == 0


def test_parent_killed_nothing_stays(start_server):
    server = start_server()
    family = server.processes()
    os.kill(server.daemon.pid, signal.SIGKILL)
    proc.wait_for("the children's end", lambda: not any(proc.alive(p) for p in family), 5)
    server.stop()
    server.start()  # over the files that were left behind
    assert server.login_result() == "OK"


def test_program_replaced_on_disk(start_server, monkeypatch):
    """A worker that dies after an upgrade comes back as what the front knows."""
    own = proc.new_dir("bin")
    shutil.copy(authserver.AUTHD, os.path.join(own, "authd"))
    monkeypatch.setattr(authserver, "AUTHD", os.path.join(own, "authd"))
    server = start_server()
    os.unlink(os.path.join(own, "authd"))
    victims = server.pids("worker")
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    proc.wait_for("new workers", lambda: not set(victims) & set(server.pids("worker"))
                  and server.login_result() == "OK")


# ---- the end ----

def test_sigterm_ends_everything(start_server):
    server = start_server()
    family = server.processes()
    assert socket_files(server)
    assert server.login_result() == "OK"
    daemon = server.daemon
    daemon.popen.send_signal(signal.SIGTERM)
    assert daemon.popen.wait(15) == 0
    assert not any(proc.alive(p) for p in family)
    assert socket_files(server) == []
    assert not os.path.exists(server.path("authd.pid"))
    assert not os.path.exists(server.path("authd.status"))
    assert os.path.exists(server.path("auth-token-secret.dat"))


def test_sigterm_answers_what_runs(start_server):
    """A failure that is being delayed is still told."""
    server = start_server(text=authserver.STANDARD_TEXT + "auth_failure_delay = 20 secs\n")
    with server.client() as c:
        id = c.start("PLAIN", resp=authproto.plain("tim", users.WRONG))
        server.wait_log("Password mismatch")
        server.daemon.popen.send_signal(signal.SIGTERM)
        assert c.reply_to(id).cmd == "FAIL"
        assert c.closed()
    assert server.daemon.popen.wait(15) == 0


# ---- reload ----

def test_reload_under_load(start_server):
    """No connection is dropped and no login fails."""
    server = start_server()
    with Load(server, keep=True) as kept, Load(server, keep=False) as fresh:
        front = server.front_pid()
        for _ in range(5):
            kept.more()
            old = server.pids("worker")
            assert reload_and_wait(server)["reload"] == "ok"
            fresh.more()
            proc.wait_for("the old workers' end",
                          lambda: not set(old) & set(server.pids("worker")))
    assert kept.wrong == [] and fresh.wrong == []
    assert server.front_pid() == front
    assert read_status(server)["generation"] == "6"


def test_reload_takes_the_new_settings(start_server):
    server = start_server()
    other = os.path.join(server.dir, "other")
    users.write_lines(other, ["late:{PLAIN}late-Tourmaline3:65534:65534::/::"])
    assert server.login_result("late", "late-Tourmaline3") == "FAIL"
    with server.client() as c:
        server.listeners = server.listeners + [authserver.Listener("new-client", 0o640)]
        server.write_config(server.body.replace("passdb {\n  driver = passwd-file\n  args = @passwd@\n",
                                                "passdb {\n  driver = passwd-file\n  args = @dir@/other\n"))
        assert reload_and_wait(server)["reload"] == "ok"
        assert c.login("late", "late-Tourmaline3").cmd == "OK"
    assert os.stat(server.path("new-client")).st_mode & 0o777 == 0o640
    with server.client("new-client") as c:
        assert c.login("late", "late-Tourmaline3").cmd == "OK"
    server.listeners = server.listeners[:-1]
    server.write_config()
    assert reload_and_wait(server)["reload"] == "ok"
    assert not os.path.exists(server.path("new-client"))


def test_reload_changes_a_sockets_mode(start_server):
    server = start_server()
    server.listeners = [authserver.Listener(l.path, 0o622 if l.path == "auth-client" else l.mode,
                                            l.user, l.group) for l in server.listeners]
    inode = os.stat(server.path("auth-client")).st_ino
    server.write_config()
    reload_and_wait(server)
    st = os.stat(server.path("auth-client"))
    assert (st.st_mode & 0o777, st.st_ino) == (0o622, inode)


def test_reload_makes_a_removed_socket_again(start_server):
    server = start_server()
    os.unlink(server.path("auth-client"))
    assert server.login_result() == "closed"
    assert reload_and_wait(server)["reload"] == "ok"
    assert server.login_result() == "OK"


def test_bad_reload_changes_nothing(start_server):
    server = start_server()
    with Load(server, keep=False) as load:
        processes = server.processes()
        good = server.body
        server.write_config(good + "auth_mechanism = plain\nauth_failure_dealy = 3\n")
        st = reload_and_wait(server)
        load.more()
        assert st["reload"] == "failed" and st["generation"] == "1"
        assert "auth_mechanism" in st["message"]
        for text in ("auth_mechanism", "auth_failure_dealy", "stays in use"):
            assert text in server.logs()
        assert server.processes() == processes
        server.write_config(good)
        assert reload_and_wait(server)["reload"] == "ok"
        load.more()
    assert load.wrong == []


def test_reload_with_a_socket_that_cannot_be(start_server):
    server = start_server()
    with open(server.path("in-the-way"), "w") as f:
        f.write("precious")
    server.listeners = server.listeners + [authserver.Listener("before"),
                                           authserver.Listener("in-the-way")]
    server.write_config()
    st = reload_and_wait(server)
    assert st["reload"] == "failed" and "no socket" in st["message"]
    assert not os.path.exists(server.path("before"))
    with open(server.path("in-the-way")) as f:
        assert f.read() == "precious"
    assert server.login_result() == "OK"


def test_two_reloads_at_once(start_server):
    server = start_server()
    for _ in range(10):
        server.reload()
    proc.wait_for("the reloads", lambda: int(read_status(server)["generation"]) >= 2)
    assert reload_and_wait(server)["reload"] == "ok"
    assert server.login_result() == "OK"


# ---- start ----

def start_and_fail(config, *options, user=None):
    argv = [authserver.AUTHD, "-c", config, *options]
    done = proc.run(argv, timeout=20)
    return done.returncode, done.stderr


def unstarted(**kw):
    server = authserver.standard(**kw)
    server.write_config()
    return server


def test_bad_configuration_says_everything():
    server = unstarted(text=authserver.STANDARD_TEXT + "auth_mechanism = plain\nno_such = 1\n")
    code, text = start_and_fail(server.config)
    assert code == 78
    for what in ("auth_mechanism", "no_such"):
        assert re.search(r"^\S+/auth\.conf:\d+: .*%s" % what, text, re.M), text
    assert socket_files(server) == []


def test_missing_user_is_said_before_anything_starts():
    server = unstarted(text=authserver.STANDARD_TEXT + "default_internal_user = authd-nobody-has\n")
    code, text = start_and_fail(server.config)
    assert code == 78
    assert "adduser --system" in text
    assert socket_files(server) == []


def test_second_one_is_refused(server):
    code, text = start_and_fail(server.config)
    assert code == 73
    assert "another authd (pid %d)" % server.daemon.pid in text
    assert server.login_result() == "OK"


def test_socket_of_another_is_not_taken(server):
    other = unstarted(listeners=[authserver.Listener(server.path("auth-client"))])
    code, text = start_and_fail(other.config)
    assert code == 73 and "is listening" in text
    assert server.login_result() == "OK"


def test_usage():
    assert proc.run([authserver.AUTHD, "--no-such-option"]).returncode == 64
    assert proc.run([authserver.AUTHD, "surplus"]).returncode == 64
    assert proc.run([authserver.AUTHD, "-c", "/no/such/file"]).returncode == 78
    assert re.match(r"authd \d", proc.run([authserver.AUTHD, "--version"]).stdout)
    assert "usage" in proc.run([authserver.AUTHD, "--help"]).stdout
    by_hand = proc.run([authserver.AUTHD], env=dict(os.environ, AUTHD_ROLE="front"))
    assert by_hand.returncode == 64 and "no parent" in by_hand.stderr


def test_without_root():
    """As an ordinary user: it says what cannot be and works for that user."""
    server = unstarted(listeners=[authserver.Listener("auth-client", 0o600, "root")])
    os.chown(server.run, NOBODY, NOBODY)
    daemon = proc.Daemon(["setpriv", "--reuid=%d" % NOBODY, "--regid=%d" % NOBODY, "--clear-groups",
                          authserver.AUTHD, "-c", server.config], server.log)
    try:
        server.wait_log("ready (")
        assert "started without root" in server.logs()
        assert "cannot be given to root" in server.logs()
        assert server.login_result() == "OK"
    finally:
        assert daemon.stop() == 0
    assert not os.path.exists(server.path("auth-client"))


# ---- the log ----

def test_log_file_is_opened_anew(start_server):
    server = unstarted()
    file = os.path.join(server.dir, "real.log")
    server.body += "log_path = %s\nauth_verbose = yes\n" % file
    server.start()
    try:
        server.login_result("tim", users.WRONG)
        proc.wait_for("the log", lambda: "Password mismatch" in open(file).read())
        os.rename(file, file + ".1")
        server.daemon.popen.send_signal(signal.SIGUSR1)
        proc.wait_for("the new log", lambda: os.path.exists(file))
        for _ in range(2):
            server.login_result("bob", users.WRONG)
        proc.wait_for("the front's lines", lambda: "passwd-file(bob" in open(file).read())
        server.reload()
        proc.wait_for("the reload", lambda: "reloaded" in open(file).read())
        assert server.stop() == 0
        assert "authd has ended" in open(file).read()
    finally:
        server.stop()


# ---- clients that are gone before they are greeted ----

def test_clients_gone_at_once(start_server):
    server = start_server()
    front = server.front_pid()
    for name in ("auth-client", "login/login", "auth-master"):
        for _ in range(200):
            authproto.Conn(server.path(name)).close()
    assert server.login_result() == "OK"
    assert server.front_pid() == front
