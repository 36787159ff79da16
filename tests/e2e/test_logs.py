"""What is logged: one line for each end, one at once for each failure, and never a secret."""

import base64
import json
import os
import re

import pytest

from lib import authproto, authserver, proc, users

GOOD = users.PASSWORDS["tim"]


def log_lines(server, text):
    return [line for line in server.logs().splitlines() if text in line]


def test_failure_lines(start_server):
    server = start_server()
    with server.client() as c:
        c.login("tim", users.WRONG, "rip=192.0.2.7", "session=s1")
        c.login("nobody-here", users.WRONG, "rip=192.0.2.8", "session=s2")
    server.wait_log("192.0.2.8")
    assert len(log_lines(server, "passwd-file(tim,192.0.2.7,<s1>): Password mismatch")) == 1
    found = log_lines(server, "passwd-file(nobody-here,192.0.2.8,<s2>): ")
    assert len(found) == 1 and re.search(r"\): [Uu]nknown user", found[0])
    assert re.search(r" auth: Info: passwd-file\(tim,", server.logs())


@pytest.mark.authd_only("its own line")
def test_one_line_ends_each_request(start_server):
    server = start_server()
    with server.client() as c:
        c.login("tim", GOOD, "rip=192.0.2.7", "session=s1", service="imap")
        c.login("tim", users.WRONG, "rip=192.0.2.8", "session=s2", service="imap")
        c.login("nobody-here", "x", "rip=192.0.2.9", "session=s3")
    server.wait_log("session=<s3>")
    for session, verdict in (("s1", "ok"), ("s2", "mismatch"), ("s3", "unknown-user")):
        found = log_lines(server, "session=<%s>" % session)
        assert len(found) == 1, found
        assert "verdict=%s," % verdict in found[0] and "method=PLAIN" in found[0]
        assert re.search(r"serial=[0-9.]+, \d+ us$", found[0])


@pytest.mark.authd_only("JSON is authd's own")
def test_json_lines(start_server):
    server = start_server(text="log_format = json\n" + authserver.STANDARD_TEXT)
    with server.client() as c:
        assert c.login("tim", GOOD, "session=s1").cmd == "OK"
        assert c.login('a"b\\c\n\x01\xff', users.WRONG, 'session="s2\\').cmd == "FAIL"
        assert c.login("tim", users.WRONG, "rip=192.0.2.7", "session=s3").cmd == "FAIL"
    server.wait_log("Password mismatch")
    lines = [json.loads(line) for line in server.logs().splitlines()]
    assert len(lines) >= 3
    assert any("Password mismatch" in json.dumps(line) for line in lines)


@pytest.mark.authd_only("auth_debug_passwords logs passwords in Dovecot")
def test_no_setting_logs_passwords(start_server):
    """All that can be switched on is; the search over all logs comes last."""
    server = start_server(text=authserver.STANDARD_TEXT + "auth_debug = yes\n"
                          "auth_debug_passwords = yes\nauth_verbose_passwords = plain\n")
    with server.client() as c:
        for name in ("tim", "sue", "prox", "free"):
            assert c.login(name, users.PASSWORDS[name]).cmd == "OK"
        assert c.login("tim", users.WRONG).cmd == "FAIL"
        assert c.login("tim*chief", users.PASSWORDS["chief"]).cmd == "OK"
        id = c.auth("LOGIN", resp=authproto.b64("tim")).id
        assert c.cont(id, authproto.b64(GOOD)).cmd == "OK"
        # a password where the name belongs, and mangled ones
        c.auth("PLAIN", resp=authproto.b64("tim\0" + GOOD))
        c.auth("PLAIN", resp=authproto.plain("tim", GOOD)[:-3])
        c.auth("PLAIN", "password=" + GOOD, resp=authproto.plain("tim", GOOD))
    with server.client("auth-login") as c, server.master() as m:
        id = c.login("tim", GOOD, service="imap").id
        m.ask("REQUEST", c.pid, id, c.cookie, "session_pid=%d" % os.getpid(), "request_auth_token")
        c.login("prox", users.PASSWORDS["prox"], service="imap")
    with server.master() as m:
        m.passdb("sue")
    assert "Debug" in server.logs()
    assert leaks(server.log) == []


def forms(secret):
    """A secret as it is, in base64 at each of the three places of a group, in hex."""
    raw = secret.encode()
    yield raw
    for skip in range(3):
        text = base64.b64encode(b"\0" * skip + raw)
        first = -(-skip * 8 // 6)
        last = (skip + len(raw)) * 8 // 6
        yield text[first:last]
    yield raw.hex().encode()


def leaks(path):
    with open(path, "rb") as f:
        text = f.read()
    return [(path, form) for secret in users.secrets() for form in forms(secret) if form in text]


def test_the_search_finds_what_it_should(tmp_path):
    for text in (b"x " + GOOD.encode(), base64.b64encode(b"\0tim\0" + GOOD.encode()),
                 base64.b64encode(b"ab" + GOOD.encode() + b"c"),
                 users.HASHES["bob"].encode()):
        (tmp_path / "log").write_bytes(b"a line\n" + text + b"\n")
        assert leaks(str(tmp_path / "log"))


@pytest.mark.last
def test_no_log_of_the_whole_run_has_a_secret():
    logs = []
    for where, _, names in os.walk(proc.RUN):
        logs += [os.path.join(where, n) for n in names if n.endswith(".log")]
    assert logs, "no logs were written: this test must run after the others"
    assert [leak for path in logs for leak in leaks(path)] == []
