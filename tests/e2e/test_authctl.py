"""authctl: the same answers as doveadm, and what it says when something is wrong."""

import json
import os
import pty
import shutil
import socket
import subprocess
import threading

import pytest

from lib import authserver, proc, users

OK, USAGE, NOINPUT, NOUSER, TEMPFAIL, NOPERM, CONFIG = 0, 64, 66, 67, 75, 77, 78


def ctl(*args, password=None, user=None):
    """Runs authctl; password goes to its standard input."""
    kw = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    return subprocess.run([authserver.AUTHCTL] + list(args), input=password or "", timeout=90,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kw)


@pytest.fixture
def config(server):
    """A configuration that says where the server's sockets are."""
    if server.kind == "authd":
        return server.config
    path = os.path.join(server.dir, "authctl.conf")
    with open(path, "w") as f:
        f.write("base_dir = %s\npassdb {\n  driver = static\n  args = password=x\n}\n"
                "service auth {\n  unix_listener auth-client {\n    mode = 0600\n  }\n}\n"
                % server.run)
    return path


@pytest.fixture
def doveadm(server):
    path = os.path.join(proc.new_dir("d"), "dovecot.conf")
    with open(path, "w") as f:
        f.write("base_dir = %s\nlog_path = /dev/stderr\nmail_location = \nssl = no\nprotocols =\n"
                % server.run)

    def run(*args):
        return proc.run(["doveadm", "-c", path] + list(args))
    return run


def lines(text):
    """Without the empty fields that Dovecot 2.3 shows, and with its pid left out."""
    return [line for line in text.split("\n") if line.strip()]


# ---- the same as doveadm ----

@pytest.mark.parametrize("args", [
    ["auth", "test", "tim", users.PASSWORDS["tim"]],
    ["auth", "test", "tim", users.WRONG],
    ["auth", "test", "-x", "service=imap", "-x", "rip=192.0.2.9", "-x", "bogus=1", "-x", "flag",
     "nets", users.PASSWORDS["nets"]],
    ["auth", "test", "-x", "rip=198.51.100.9", "nets", users.PASSWORDS["nets"]],
    ["auth", "test", "-M", "chief", "tim", users.PASSWORDS["chief"]],
    ["auth", "test", "-M", "chief", "tim", users.WRONG],
    ["auth", "test", "-M", "chief", "nobody-here", users.PASSWORDS["chief"]],
    ["auth", "test", "prox", users.PASSWORDS["prox"]],
    ["auth", "test", "nobody-here", "x"],
    ["auth", "login", "sue", users.PASSWORDS["sue"]],
    ["auth", "login", "tim", users.WRONG],
    ["auth", "login", "prox", users.PASSWORDS["prox"]],
    ["auth", "login", "-M", "chief", "sue", users.PASSWORDS["chief"]],
    ["auth", "lookup", "tim"],
    ["auth", "lookup", "prox", "tim"],
    ["auth", "lookup", "-f", "host", "prox"],
    ["auth", "lookup", "-f", "nothing", "prox"],
    ["auth", "lookup", "nobody-here", "tim"],
    ["auth", "cache", "flush"],
    ["auth", "cache", "flush", "tim"],
    ["user", "-u", "sue"],
    ["user", "-u", "nobody-here"],
    ["user", "-u", "-f", "uid", "tim"],
    ["user", "*"],
    ["user", "T?m"],
    ["user", "t*", "sue"],
    ["user", "zzz*"],
    ["user"],
    ["auth", "test"],
    ["auth", "lookup"],
])
def test_same_as_doveadm(server, config, doveadm, args):
    theirs = doveadm(*args)
    ours = ctl("-c", config, *args)
    assert lines(ours.stdout) == lines(theirs.stdout), ours.stderr + theirs.stderr
    assert ours.returncode == theirs.returncode


@pytest.mark.parametrize("form", [None, "tab", "table", "flow"])
def test_user_formats(server, config, doveadm, form):
    """sue has all the fields that doveadm would otherwise add by itself."""
    theirs = doveadm(*(["-f", form] if form else []), "user", "sue")
    ours = ctl("-c", config, *(["-o", form] if form else []), "user", "sue")
    assert ours.returncode == theirs.returncode == OK
    trimmed = [[line.rstrip() for line in lines(one.stdout)] for one in (ours, theirs)]
    assert sorted(trimmed[0]) == sorted(trimmed[1])


# ---- JSON ----

def test_json(server, config):
    def ask(*args, code=OK):
        done = ctl("-c", config, "-o", "json", *args)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)

    home = os.path.join(server.mail, "tim")
    assert ask("auth", "test", "tim", users.PASSWORDS["tim"]) == {
        "user": "tim", "result": "ok", "passdb": {"user": "tim"}}
    assert ask("auth", "test", "tim", users.WRONG, code=NOPERM)["result"] == "refused"
    login = ask("auth", "login", "tim", users.PASSWORDS["tim"])
    assert login["userdb_user"] == "tim"
    assert login["userdb"]["home"] == home
    found = ask("auth", "lookup", "prox", "nobody-here", "tim", code=NOUSER)
    assert [one["user"] for one in found] == ["prox", "tim"]
    assert found[0]["passdb"]["host"] == "192.0.2.1"
    rows = ask("user", "tim", "bob")
    assert {"field": "home", "value": home, "user": "tim"} in rows
    assert {row["user"] for row in rows} == {"tim", "bob"}
    assert {"user": "anna@example.com"} in ask("user", "*@example.com")
    assert ask("user", "nobody-here", code=NOUSER) == []


# ---- user ----

def test_user_fields(server, config):
    home = os.path.join(server.mail, "tim")
    assert ctl("-c", config, "user", "-f", "home", "tim").stdout == home + "\n"
    done = ctl("-c", config, "user", "-f", "home", "nobody-here", "tim")
    assert (done.stdout, done.returncode) == (home + "\n", NOUSER)
    assert "user nobody-here doesn't exist" in done.stderr
    done = ctl("-c", config, "user", "-e", "%u %n %d %{home} %h %{userdb:uid}", "tim")
    assert done.stdout == "tim tim  %s %s %d\n" % (home, home, users.UID)
    done = ctl("-c", config, "user", "-e", "%{nonsense}", "tim")
    assert (done.returncode, done.stdout) == (USAGE, "")
    assert "nonsense" in done.stderr


# ---- passwords ----

@pytest.mark.parametrize("mech", ["PLAIN", "LOGIN", "login"])
def test_password_from_stdin(server, config, mech):
    good, bad = users.PASSWORDS["tim"], users.WRONG
    assert ctl("-c", config, "auth", "test", "-A", mech, "tim", password=good).returncode == OK
    assert ctl("-c", config, "auth", "test", "-A", mech, "tim",
               password=bad + "\n" + good).returncode == NOPERM
    assert ctl("-c", config, "auth", "test", "-A", mech, "tim").returncode == NOINPUT


@pytest.mark.authd_only("authctl with each mechanism; one server is enough")
def test_mechanisms(start_server):
    text = """
auth_mechanisms = plain cram-md5 scram-sha-1 scram-sha-256 scram-sha-512 external anonymous
auth_ssl_username_from_cert = yes
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
"""
    server = start_server(text=text)
    c, user, good, chief = server.config, "nets", users.PASSWORDS["nets"], users.PASSWORDS["chief"]
    test = ["-c", c, "auth", "test", "-x", "rip=10.0.0.1", "-A"]
    for mech in ("CRAM-MD5", "SCRAM-SHA-1", "scram-sha-256", "SCRAM-SHA-512"):
        assert ctl(*test, mech, user, good).returncode == OK, mech
        assert ctl(*test, mech, user, users.WRONG).returncode == NOPERM
        assert ctl(*test, mech, "nobody,=here", good).returncode == NOPERM
    for mech in ("SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"):
        done = ctl(*test, mech, "-M", "chief", user, chief)
        assert done.returncode == OK and "auth_user=chief" in done.stdout
    assert ctl(*test, "CRAM-MD5", "-M", "chief", user, chief).returncode == USAGE
    done = ctl(*test, "ANONYMOUS", "trace@example.com")
    assert done.returncode == OK and "user=anonymous" in done.stdout
    cert = ["-x", "secured=tls", "-x", "valid-client-cert", "-x", "cert_username=free"]
    assert ctl(*test, "EXTERNAL", *cert, "free").returncode == OK
    assert ctl(*test, "EXTERNAL", *cert, "tim").returncode == NOPERM
    assert ctl(*test, "EXTERNAL", "free").returncode == NOPERM
    assert ctl(*test, "EXTERNAL", "free", "password").returncode == USAGE


def test_password_from_terminal(server, config):
    """Prompted for, and not echoed."""
    password = users.PASSWORDS["tim"]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(authserver.AUTHCTL, ["authctl", "-c", config, "auth", "test", "tim"])
    seen = b""
    while b"Password: " not in seen:
        seen += os.read(terminal, 1024)
    os.write(terminal, password.encode() + b"\n")
    try:
        while True:
            seen += os.read(terminal, 1024)
    except OSError:  # the terminal's other end is closed
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == OK
    os.close(terminal)
    assert b"auth succeeded" in seen
    assert password.encode() not in seen


# ---- refused is not "nobody knows" ----

def test_outage(start_server):
    server = start_server()
    name = "auth-client"
    server.break_backend()
    done = ctl("auth", "test", "-a", server.path(name), "tim", users.PASSWORDS["tim"])
    assert done.returncode == TEMPFAIL, done.stdout + done.stderr
    assert "auth temporarily failed" in done.stdout
    done = ctl("-o", "json", "auth", "test", "-a", server.path(name), "tim", users.WRONG)
    assert done.returncode == TEMPFAIL
    assert json.loads(done.stdout)["result"] == "temporary"
    done = ctl("user", "-a", server.path("auth-master"), "tim")
    assert done.returncode == TEMPFAIL
    assert "exist" not in done.stdout + done.stderr


def play(path, data):
    """A server that says data to one client and closes when the client said something."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(1)

    def serve():
        with listener, listener.accept()[0] as conn:
            conn.sendall(data)
            got = chunk = b"?"
            while chunk and b"AUTH\t" not in got:  # behind the client's hello, or with it
                chunk = conn.recv(65536)
                got += chunk

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def test_closed_before_answer():
    path = os.path.join(proc.new_dir("c"), "socket")
    thread = play(path, b"VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\n"
                        b"COOKIE\ta6bc002fa8085f6a9672d35651227192\nDONE\n")
    done = ctl("auth", "test", "-a", path, "tim", "x")
    thread.join()
    assert done.returncode == TEMPFAIL
    assert "the server closed the connection" in done.stderr


# ---- helpful errors ----

def test_wrong_kind_of_socket(server):
    done = ctl("auth", "test", "-a", server.path("auth-master"), "tim", "x")
    assert done.returncode == TEMPFAIL
    assert "this is a master socket, not a client socket" in done.stderr
    assert done.stderr.count(server.path("auth-master")) == 1
    for args in (["auth", "lookup"], ["user"]):
        done = ctl(*args, "-a", server.path("auth-client"), "tim")
        assert done.returncode == TEMPFAIL
        assert "this is a client socket, not a master socket" in done.stderr


def test_no_socket(server, config):
    where = proc.new_dir("n")
    path = os.path.join(where, "auth-client")
    done = ctl("auth", "test", "-a", path, "tim", "x")
    assert done.returncode == TEMPFAIL
    assert path in done.stderr and "no such socket" in done.stderr
    done = ctl("-c", write("base_dir = %s\n" % where + GOOD), "auth", "cache", "flush")
    assert done.returncode == TEMPFAIL and "a unix_listener of this name" in done.stderr
    with socket.socket(socket.AF_UNIX) as s:  # its server died
        s.bind(path)
    done = ctl("auth", "test", "-a", path, "tim", "x")
    assert done.returncode == TEMPFAIL and "nobody listens" in done.stderr
    done = ctl("user", "-a", config, "tim")
    assert done.returncode == TEMPFAIL and "not a socket" in done.stderr
    done = ctl("auth", "test", "-a", "127.0.0.1:%d" % proc.free_port(), "tim", "x")
    assert done.returncode == TEMPFAIL and "nobody listens" in done.stderr


def test_permission(server):
    """A user who may not use the socket learns who may. The program is copied to where he can."""
    program = os.path.join(proc.new_dir("p"), "authctl")
    shutil.copy(authserver.AUTHCTL, program)
    path = server.path("auth-master")
    done = subprocess.run([program, "user", "-a", path, "tim"], user="nobody", group="nogroup",
                          extra_groups=[], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=60, cwd="/")
    assert done.returncode == TEMPFAIL
    assert "permission denied" in done.stderr and "you are nobody" in done.stderr
    assert "its mode is 0600, its owner root" in done.stderr


# ---- usage ----

def test_usage():
    assert ctl().returncode == USAGE
    assert ctl("nonsense").returncode == USAGE
    assert ctl("auth").returncode == USAGE
    assert ctl("-o", "xml", "user", "x").returncode == USAGE
    assert ctl("auth", "test", "-A", "GSSAPI", "tim", "x").returncode == USAGE
    assert ctl("auth", "test", "-A", "LOGIN", "-M", "chief", "tim", "x").returncode == USAGE
    assert ctl("version").stdout.startswith("authctl ")
    everything = ctl("--help")
    assert everything.returncode == OK
    for command in ("auth test", "auth login", "auth lookup", "auth cache flush", "auth cache status", "user", "pw",
                    "config", "config check", "reload", "version"):
        assert command in everything.stdout
        done = ctl(*command.split(), "--help")
        assert done.returncode == OK and "usage: " in done.stdout, command
        done = ctl(*command.split(), "-Z")
        assert done.returncode == USAGE, command
    for args in (("auth", "--help"), ("auth", "cache", "--help"), ("help", "auth")):  # the commands of a group
        done = ctl(*args)
        assert done.returncode == OK and "  auth cache flush " in done.stdout and "  user " not in done.stdout, args
    done = ctl("auth", "tset")
    assert done.returncode == USAGE and "  auth test " in done.stderr and "  user " not in done.stderr


# ---- the cache ----

CACHED = authserver.STANDARD_TEXT + "auth_cache_size = 1M\n"


@pytest.mark.authd_only("Dovecot does not cache passwd-files")
def test_cache_flush(start_server):
    server = start_server(text=CACHED)
    names = ["tim", "bob", "sue"]

    def flush(command, masks):
        for name in names:
            assert server.login_result(name) == "OK"
        done = ctl(*command, "-a", server.path("auth-master"), *masks)
        assert done.returncode == OK, done.stderr
        return done.stdout

    what = ["auth", "cache", "flush"]
    assert flush(what, ["tim"]) == "1 cache entries flushed\n"
    assert flush(what, ["nobody", "?OB", "s*"]) == "2 cache entries flushed\n"
    assert json.loads(flush(["-o", "json"] + what, ["tim"])) == [{"entries": "1"}]
    assert flush(["-o", "tab"] + what, []) == "entries\n3\n"


@pytest.mark.authd_only("Dovecot 2.3 has no CACHE-STATUS")
def test_cache_status(start_server):
    server = start_server(text=CACHED)
    where = ["-a", server.path("auth-master")]
    for name in ("tim", "tim", "tim", "bob"):
        assert server.login_result(name) == "OK"
    done = ctl("auth", "cache", "status", *where)
    assert done.returncode == OK
    shown = dict(word.split("=") for word in done.stdout.split())
    assert list(shown) == ["hits", "misses", "hit_ratio_percent", "pos_entries", "neg_entries", "pos_size",
                           "neg_size", "used_size", "max_size"]
    assert (shown["hits"], shown["misses"], shown["hit_ratio_percent"]) == ("2", "2", "50.00")
    assert (shown["pos_entries"], shown["max_size"]) == ("2", "1048576")
    as_json = ctl("-o", "json", "auth", "cache", "status", *where, "reset")
    assert json.loads(as_json.stdout) == [shown]
    after = json.loads(ctl("-o", "json", "auth", "cache", "status", *where).stdout)[0]
    assert (after["hits"], after["misses"], after["hit_ratio_percent"]) == ("0", "0", "0.00")
    assert after["pos_entries"] == "2"
    assert ctl("auth", "cache", "status", *where, "rest").returncode == USAGE
    assert ctl("auth", "cache", "status", *where, "reset", "more").returncode == USAGE


@pytest.mark.authd_only("Dovecot 2.3 has no CACHE-STATUS")
def test_cache_status_without_a_cache(server, config):
    done = ctl("-c", config, "auth", "cache", "status")
    assert (done.returncode, done.stdout) == (OK, "")
    assert "auth_cache_size" in done.stderr
    done = ctl("auth", "cache", "status", "-a", server.path("auth-userdb"))
    assert done.returncode == TEMPFAIL and done.stderr


# ---- the configuration ----

GOOD = """passdb {
  driver = passwd-file
  args = /etc/authd/users
}
service auth {
  unix_listener auth-client {
    mode = 0660
  }
}
"""


def write(text):
    path = os.path.join(proc.new_dir("c"), "authd.conf")
    with open(path, "w") as f:
        f.write(text)
    return path


def test_config_check():
    good = write(GOOD)
    assert ctl("config", "check", good).returncode == OK
    assert ctl("-c", good, "config", "check").returncode == OK
    policy = "auth_policy_server_url = http://127.0.0.1:1/\nauth_policy_hash_nonce = x\n"
    for more, said in ((policy, "no policy server is asked"), ("auth_use_winbind = yes\n", "Samba"), ("", "")):
        done = ctl("config", "check", write(GOOD + more))  # what has no effect yet must be known
        assert done.returncode == OK and said in done.stdout and done.stdout.count("Warning: ") == (more != ""), more
    bad = write(GOOD + "auth_mechanism = plain\nauth_verbose = perhaps\n")
    done = ctl("config", "check", bad)
    assert done.returncode == CONFIG
    assert "%s:10: " % bad in done.stderr and "auth_mechanisms" in done.stderr
    assert "%s:11: " % bad in done.stderr
    assert ctl("config", "check", bad + ".missing").returncode == CONFIG
    assert ctl("-c", bad, "config").returncode == CONFIG
    assert ctl("-c", bad, "reload").returncode == CONFIG


def test_a_running_server_is_asked_while_its_file_is_edited(server, config):
    with open(config) as f:
        bad = write(f.read() + "\nauth_mechanism = plain\n")
    done = ctl("-c", bad, "auth", "test", "tim", users.PASSWORDS["tim"])
    assert done.returncode == OK and "%s has errors" % bad in done.stderr
    assert server.run in done.stderr
    assert ctl("-c", bad + ".missing", "auth", "test", "tim", "x").returncode == CONFIG
    bad = write("base_dir = relative\nbase_dir = \n{\n")
    assert "looking in /run/authd" in ctl("-c", bad, "user", "tim").stderr


def test_config_check_dovecot():
    path = write(GOOD + "mail_location = maildir:~/Maildir\n")
    assert ctl("config", "check", path).returncode == CONFIG
    done = ctl("config", "check", "--dovecot", path)
    assert done.returncode == OK
    assert "%s:10: mail_location" % path in done.stdout


def test_dovecot_has_its_own_default():
    """What authd --dovecot reads without -c is what authctl --dovecot reads: here Debian's own file."""
    done = ctl("config", "check", "--dovecot")
    assert done.returncode == OK and done.stdout.endswith("/etc/dovecot/dovecot.conf: good\n"), done.stderr
    assert "driver = pam" in ctl("--dovecot", "config", "-n").stdout


def test_config_print():
    """What is printed is a configuration, and prints as itself."""
    path = write("auth_verbose = yes\n" + GOOD)
    short = ctl("config", "-n", "-c", path).stdout
    assert "auth_verbose = yes" in short and "auth_failure_delay" not in short
    whole = ctl("config", "-c", path).stdout
    assert "auth_failure_delay" in whole
    for text in (short, whole):
        again = write(text)
        done = ctl("config", "-n", "-c", again)
        assert (done.returncode, done.stdout) == (OK, short), done.stderr


# ---- reload ----

def test_reload_without_daemon():
    run = proc.new_dir("r")
    path = write("base_dir = %s\n" % run + GOOD)
    done = ctl("-c", path, "reload")
    assert done.returncode == TEMPFAIL and "authd.pid" in done.stderr
    with subprocess.Popen(["sleep", "60"]) as other:  # a pid file that outlived its authd
        try:
            with open(os.path.join(run, "authd.pid"), "w") as f:
                f.write("%d\n" % other.pid)
            done = ctl("-c", path, "reload")
            assert done.returncode == TEMPFAIL and "not running" in done.stderr
            assert other.poll() is None  # no SIGHUP for a stranger
        finally:
            other.kill()


@pytest.mark.authd_only("dovecot-auth has its own way to reload")
def test_reload(start_server):
    server = start_server()
    assert ctl("-c", server.config, "auth", "test", "tim", users.WRONG).returncode == NOPERM
    server.write_config("passdb {\n  driver = static\n  args = password=%s\n}\n" % users.STATIC)
    done = ctl("-c", server.config, "reload")
    assert done.returncode == OK, done.stderr + server.logs()
    assert "reloaded" in done.stdout
    assert ctl("-c", server.config, "auth", "test", "new", users.STATIC).returncode == OK
    with open(server.config, "a") as f:
        f.write("nonsense = yes\n")
    done = ctl("-c", server.config, "reload")
    assert done.returncode == CONFIG and "nonsense" in done.stderr
    assert ctl("auth", "test", "-a", server.path("auth-client"), "new",
               users.STATIC).returncode == OK
