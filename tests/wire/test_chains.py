"""What chains of passdbs and userdbs, extra fields and parameters make of a login."""

import os
import signal

import pytest

from lib import authserver, users
from lib.authproto import b64, plain

HEAD = """
auth_mechanisms = plain login
auth_verbose = %s
auth_master_user_separator = *
"""
USERDB = """
userdb {
  driver = passwd-file
  args = @passwd@
}
"""


def passdb(*settings, args="@passwd@", driver="passwd-file"):
    lines = ["  %s\n" % s for s in settings]
    return "passdb {\n  driver = %s\n  args = %s\n%s}\n" % (driver, args, "".join(lines))


def static(fields, *settings):
    return passdb(*settings, args=fields, driver="static")


def conf(*parts, verbose="no"):
    return HEAD % verbose + "".join(parts) + USERDB


# ---- chains ----


@pytest.mark.parametrize("rule, wanted", [
    ("return-ok", "OK"), ("continue", "FAIL"), ("continue-ok", "OK"), ("return-fail", "FAIL")])
def test_rule_of_the_master_passdb(start_server, rule, wanted):
    """The target is unknown to the ordinary passdb."""
    master = passdb("master = yes", "result_success = " + rule, args="@passwd@.masters")
    server = start_server(text=conf(master, passdb()))
    with server.client() as c:
        assert c.login("nobody-here*chief", users.PASSWORDS["chief"]).cmd == wanted


def test_second_master_passdb_is_not_asked_after_the_first_said_yes(start_server):
    one = passdb("master = yes", "result_success = continue", args="@passwd@.masters")
    two = passdb("master = yes", "result_success = continue", args="/nonexistent/file")
    server = start_server(text=conf(one, two, passdb()))
    with server.client() as c:
        reply = c.login("tim*chief", users.PASSWORDS["chief"])
        assert (reply.cmd, reply.get("user")) == ("OK", "tim")


def test_healthy_passdb_behind_a_broken_one(start_server):
    server = start_server(text=conf(passdb(args="/proc/1/mem"), passdb()))
    with server.client() as c:
        assert c.login("tim", users.PASSWORDS["tim"]).cmd == "OK"


@pytest.mark.authd_only("dovecot-auth waits for a stuck worker longer than its clients wait")
def test_healthy_passdb_behind_a_stuck_one(start_server):
    server = start_server(text=conf(passdb(args="@passwd@.masters"), static("password=secret")))
    stuck = server.pids("worker passwd-file")[0]
    os.kill(stuck, signal.SIGSTOP)
    try:
        with server.client() as c:
            assert c.login("tim", "secret", "nologin").cmd == "OK"
    finally:
        os.kill(stuck, signal.SIGCONT)


def test_deny(start_server):
    server = start_server(text=conf(passdb("deny = yes", args="@passwd@.masters"), passdb()))
    with server.client() as c:
        assert c.login("tim", users.PASSWORDS["tim"]).cmd == "OK"
        reply = c.login("chief", users.PASSWORDS["chief"])
        assert (reply.cmd, reply.get("code")) == ("FAIL", "user_disabled")


# ---- fields ----


def test_real_addresses_default_to_the_others(start_server):
    server = start_server(text=conf(static(
        "password=secret a=%{real_rip} b=%{real_lip} c=%{real_rport} d=%{real_lport}")))
    with server.client() as c:
        reply = c.login("tim", "secret", "lip=192.0.2.1", "rip=192.0.2.2", "lport=143", "rport=999")
        assert [reply.get(k) for k in "abcd"] == ["192.0.2.2", "192.0.2.1", "999", "143"]
        reply = c.login("tim", "secret", "lip=192.0.2.1", "rip=192.0.2.2", "real_rip=192.0.2.3")
        assert [reply.get(k) for k in "ab"] == ["192.0.2.3", "192.0.2.1"]


def test_forward_fields(start_server):
    """They are told back, serve templates, and outlive passdbs that fail."""
    server = start_server(text=conf(
        passdb(args="@passwd@.masters"), static("password=secret seen=%{passdb:forward_one}")))
    with server.client() as c:
        reply = c.login("tim", "secret", "forward_fields=one=1\ttwo=a\x01tb")
        assert (reply.get("forward_one"), reply.get("forward_two")) == ("1", "a\tb")
        assert reply.get("seen") == "1"


@pytest.mark.authd_only("dovecot-auth takes them for the passdb's own fields")
@pytest.mark.parametrize("field", ["nopassword", "proxy", "userdb_uid", "nodelay"])
def test_forward_fields_without_value_are_no_passdb_fields(start_server, field):
    server = start_server(text=conf(passdb()))
    with server.client() as c:
        reply = c.login("sue", users.WRONG, "forward_fields=" + field)
        assert reply.cmd == "FAIL" and not reply.has(field)
        reply = c.login("sue", users.PASSWORDS["sue"], "forward_fields=" + field)
        assert reply.cmd == "OK" and not reply.has(field) and reply.has("forward_" + field)


# ---- certificates ----

CERT = "valid-client-cert", "cert_username=anna@example.com"


def test_name_from_the_certificate(start_server):
    server = start_server(text="auth_ssl_username_from_cert = yes\n" + conf(passdb()))
    password = users.PASSWORDS["anna@example.com"]
    with server.client() as c:
        reply = c.login("tim", password, *CERT)
        assert (reply.cmd, reply.get("user")) == ("OK", "anna@example.com")
        assert reply.get("original_user") == "tim"
        assert c.login("tim", users.PASSWORDS["tim"], *CERT).cmd == "FAIL"


def test_name_from_the_certificate_only_when_wanted(start_server):
    server = start_server(text=conf(passdb()))
    with server.client() as c:
        assert c.login("tim", users.PASSWORDS["tim"], *CERT).get("user") == "tim"


def test_certificate_required(start_server):
    server = start_server(text="auth_ssl_require_client_cert = yes\n" + conf(passdb()))
    with server.client() as c:
        reply = c.login("tim", users.PASSWORDS["tim"])
        assert (reply.cmd, reply.args) == \
            ("FAIL", ["reason=Client didn't present valid SSL certificate"])
        assert c.login("tim", users.PASSWORDS["tim"], "valid-client-cert").cmd == "OK"


@pytest.mark.parametrize("require, reply", [
    ("yes", b"FAIL\t1\treason=SSL certificate didn't contain username"), ("no", None)])
def test_certificate_without_a_name(start_server, require, reply):
    server = start_server(text="auth_ssl_username_from_cert = yes\n"
                          "auth_ssl_require_client_cert = %s\n" % require + conf(passdb()))
    with server.client() as c:
        got = c.login("tim", users.PASSWORDS["tim"], "valid-client-cert")
        assert (got.line == reply if reply else got.cmd == "OK"), got


@pytest.mark.parametrize("authzid", [
    "tim", pytest.param("Tim", marks=pytest.mark.authd_only("dovecot-auth takes him for another"))])
def test_authzid_of_the_same_user(start_server, authzid):
    server = start_server(text=conf(passdb()))
    with server.client() as c:
        assert c.auth("PLAIN", resp=plain("tim", users.PASSWORDS["tim"], authzid)).cmd == "OK"


# ---- userdbs ----


def test_without_a_userdb_the_passdb_knows_who_exists(start_server):
    server = start_server(text=HEAD % "no" + passdb())
    with server.master() as m:
        assert m.user("tim").cmd == "USER"
        assert m.user("nobody-here").cmd == "NOTFOUND"


def test_override_fields_of_prefetch(start_server):
    text = HEAD % "no" + static("password=secret userdb_uid=1000 userdb_gid=1000 userdb_home=/h")
    server = start_server(text=text + """
userdb {
  driver = prefetch
  override_fields = quota_rule=*:storage=1G
}
userdb {
  driver = passwd-file
  args = @passwd@
}
""")
    with server.client("auth-login") as c, server.master() as m:
        id = c.login("tim", "secret", service="imap").id
        reply = m.ask("REQUEST", c.pid, id, c.cookie, "session_pid=%d" % os.getpid())
        assert (reply.cmd, reply.get("home")) == ("USER", "/h")
        assert reply.get("quota_rule") == "*:storage=1G"


def test_names_of_users_and_groups(start_server):
    """uid=nobody in fields becomes a number; a name that is none makes the lookup fail."""
    server = start_server(text=HEAD % "no" + static("password=secret") + """
userdb {
  driver = static
  args = home=/h
  default_fields = uid=nobody gid=nogroup
}
""")
    with server.master() as m:
        reply = m.user("tim")
        assert (reply.cmd, reply.get("uid"), reply.get("gid")) == ("USER", "65534", "65534")


@pytest.mark.authd_only("dovecot-auth ends")
def test_unknown_name_of_a_user(start_server):
    server = start_server(text=HEAD % "no" + static("password=secret") + """
userdb {
  driver = static
  args = home=/h
  override_fields = uid=no-such-user-here gid=nogroup
}
""")
    with server.master() as m:
        assert m.user("tim").cmd == "FAIL"


def test_token_login_tells_the_service(start_server):
    server = start_server()
    with server.client("auth-login") as c, server.master() as m:
        id = c.login("tim", users.PASSWORDS["tim"], "session=s1", service="imap").id
        token = m.ask("REQUEST", c.pid, id, c.cookie, "session_pid=%d" % os.getpid(),
                      "request_auth_token").get("auth_token")
        with server.client("token-login/tokenlogin") as t:
            message = "\0".join(["imap", str(os.getpid()), "tim", "s1", token])
            ok = t.auth("DOVECOT-TOKEN", resp=b64(message), service="imap")
            assert ok.cmd == "OK" and not ok.has("userdb_client_service")
            reply = m.ask("REQUEST", t.pid, ok.id, t.cookie, "session_pid=%d" % os.getpid())
            assert reply.get("client_service") == "imap"


# ---- log lines ----


def failures(server):
    return [l for l in server.logs().splitlines() if "mismatch" in l or "unknown user" in l]


@pytest.mark.authd_only("dovecot-auth logs failures with auth_verbose=yes only")
def test_success_behind_another_passdb_is_no_failure(start_server):
    """Or fail2ban would ban a user who is in the second passdb."""
    server = start_server(text=conf(passdb(args="@passwd@.masters"),
                                    passdb("deny = yes", args="@passwd@.masters"), passdb()))
    with server.client() as c:
        assert c.login("tim", users.PASSWORDS["tim"], "rip=192.0.2.7").cmd == "OK"
        assert c.login("tim", users.WRONG, "rip=192.0.2.8").cmd == "FAIL"
    server.wait_log("Password mismatch")
    lines = [l for l in server.logs().splitlines() if "): unknown user" in l or "): Password" in l]
    assert len(lines) == 1 and "passwd-file(tim,192.0.2.8): Password mismatch" in lines[0]


@pytest.mark.authd_only("dovecot-auth has other words")
def test_outage_is_an_error_in_the_log(start_server):
    server = start_server(text=conf(passdb()))
    server.break_backend()
    line = next(l for l in server.logs().splitlines() if "passwd-file(tim)" in l)
    assert "auth: Error: passwd-file(tim): " in line
