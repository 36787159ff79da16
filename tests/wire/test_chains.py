"""What chains of passdbs and userdbs, extra fields and parameters make of a login."""

import os

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


def test_deny(start_server):
    server = start_server(text=conf(passdb("deny = yes", args="@passwd@.masters"), passdb()))
    with server.client() as c:
        assert c.login("tim", users.PASSWORDS["tim"]).cmd == "OK"
        reply = c.login("chief", users.PASSWORDS["chief"])
        assert (reply.cmd, reply.get("code")) == ("FAIL", "user_disabled")


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
