"""fail2ban's stock dovecot filter on what the server really logs."""

import base64
import collections
import os

import pytest

from lib import authproto, authserver, proc, users
from lib.sasl import Scram, cram_md5

FILTER = "/etc/fail2ban/filter.d/dovecot.conf"
GOOD = users.PASSWORDS["tim"]
LOGGED = authserver.STANDARD_TEXT + "auth_failure_delay = 0\n"


def banned(log):
    """How often fail2ban counts each address."""
    made = proc.run(["fail2ban-regex", "-o", "ip", log, FILTER])
    assert made.returncode in (0, 1), made.stdout + made.stderr  # 1: nothing matched
    return collections.Counter(made.stdout.split())


def test_every_failure_is_counted_once(start_server):
    server = start_server(text=LOGGED)
    with server.client() as c:
        assert c.login("tim", users.WRONG, "rip=192.0.2.1").cmd == "FAIL"
        assert c.login("nobody-here", users.WRONG, "rip=192.0.2.2").cmd == "FAIL"
        assert c.login("anna@example.com", users.WRONG, "rip=192.0.2.3", "session=abc").cmd == "FAIL"
        assert c.login("nobody@example.org", "x", "rip=192.0.2.4", "session=a+b/c").cmd == "FAIL"
        assert c.login("tim", users.WRONG, "rip=2001:db8::5").cmd == "FAIL"
        id = c.auth("LOGIN", "rip=192.0.2.6", "nologin", resp=authproto.b64("tim")).id
        assert c.cont(id, authproto.b64(users.WRONG)).cmd == "FAIL"
        assert c.login("tim", GOOD, "rip=192.0.2.7").cmd == "OK"
        for _ in range(3):
            assert c.login("tim", users.WRONG, "rip=192.0.2.8").cmd == "FAIL"
    server.wait_log("2001:db8::5")
    assert banned(server.log) == {"192.0.2.1": 1, "192.0.2.2": 1, "192.0.2.3": 1, "192.0.2.4": 1,
                                  "2001:db8::5": 1, "192.0.2.6": 1, "192.0.2.8": 3}


def test_failures_of_mechanisms_that_compute(start_server):
    text = LOGGED.replace("plain login", "cram-md5 scram-sha-256")
    server = start_server(text=text)

    def last(c, mech, ip, first, second):
        id = c.start(mech, "rip=" + ip, resp=first)
        return c.cont(id, authproto.b64(second(base64.b64decode(c.reply_to(id).args[0])))).cmd

    with server.client() as c:
        for ip, user, password, wanted in (
                ("192.0.2.1", "nets", users.WRONG, "FAIL"), ("192.0.2.2", "nobody-here", "x", "FAIL"),
                ("192.0.2.3", "prox", users.PASSWORDS["prox"], "OK")):
            one = Scram("SHA-256", user, password)
            reply = last(c, "SCRAM-SHA-256", ip, authproto.b64(one.first()), one.final)
            assert reply == ("CONT" if wanted == "OK" else "FAIL")
            assert last(c, "CRAM-MD5", ip, None,
                        lambda challenge: cram_md5(challenge, user, password)) == wanted
    server.wait_log("192.0.2.3")
    assert banned(server.log) == {"192.0.2.1": 2, "192.0.2.2": 2}


@pytest.mark.authd_only("dovecot-auth has other words for an account without a password")
def test_guesses_at_locked_accounts_are_counted(start_server):
    """They fail as any wrong password does: whoever guesses is not told, and is counted."""
    path = os.path.join(proc.new_dir("locked"), "users")
    with open(path, "w") as f:
        f.write("bang:!\nstar:*\nx:x\nlock:!$6$rounds=1000$a$b\nbare\ncrypt:{CRYPT}!\n")
    server = start_server(text="auth_verbose = yes\nauth_failure_delay = 0\npassdb {\n  driver = passwd-file\n"
                               "  args = %s\n}\n" % path)
    with server.client() as c:
        for user in ("bang", "star", "x", "lock", "bare", "crypt"):
            reply = c.login(user, users.WRONG, "rip=192.0.2.1")
            assert reply.cmd == "FAIL" and not reply.get("code"), user
    assert banned(server.log) == {"192.0.2.1": 6}


def test_lookups_and_outages_ban_nobody(start_server):
    server = start_server(text=LOGGED)
    with server.master() as m:
        if server.kind == "authd":  # dovecot-auth logs a lookup as it does a login
            assert m.user("nobody-here", "rip=192.0.2.1").cmd == "NOTFOUND"
        assert m.user("tim", "rip=192.0.2.1").cmd == "USER"
    server.break_backend()
    with server.client() as c:
        assert c.login("tim", users.WRONG, "rip=192.0.2.2").get("code") == "temp_fail"
    if server.kind == "authd":
        with server.client() as c:
            c.start("PLAIN", "nologin", "rip=192.0.2.2", resp=authproto.plain("tim", GOOD))
            assert c.closed()
    assert banned(server.log) == {}


@pytest.mark.authd_only("dovecot-auth logs sessions as they come")
def test_nobody_can_have_others_banned(start_server):
    """Names and sessions that look like a log line count against nobody but their sender."""
    server = start_server(text=LOGGED)
    forged = "passwd-file(tim,198.51.100.1): Password mismatch"
    names = [forged, "x\n" + forged, "x\r\nNov 22 10:00:00 auth: Info: " + forged,
             "tim,198.51.100.1", "tim,198.51.100.1):", "x\0" + forged]
    with server.client() as c:
        for name in names:
            for text in (name, name.replace(" ", "_")):
                assert c.login(text, users.WRONG, "rip=192.0.2.1").cmd == "FAIL"
                assert c.login("tim", users.WRONG, "rip=192.0.2.2",
                               "session=" + text.replace("\0", "")).cmd == "FAIL"
                assert c.login("tim", users.WRONG, "rip=192.0.2.2",
                               "local_name=" + text.replace("\0", "")).cmd == "FAIL"
    server.wait_log("192.0.2.2")
    assert "198.51.100.1" not in banned(server.log)
