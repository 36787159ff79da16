"""The client protocol, line by line: handshake, AUTH, CONT, CANCEL, and what closes a connection."""

import os
import re
import time

import pytest

from lib import authproto, authserver, proc, users
from lib.authproto import AuthClient, b64, plain

GOOD = users.PASSWORDS["tim"]
BAD64_FIRST = "Invalid base64 data in initial response"
BAD64_NEXT = "Invalid base64 data in continued response"
GONE = "Authentication request timed out"
USERNAME, PASSWORD = b64("Username:"), b64("Password:")


def still_works(client):
    reply = client.login("tim", GOOD)
    assert reply.cmd == "OK" and reply.get("user") == "tim"


# ---- handshake ----


def test_server_speaks_first(server):
    """Exim reads up to DONE before it writes anything."""
    with server.client(hello=False) as c:
        c.read_hello()
        words = [line.split("\t")[0] for line in c.hello]
        assert words == ["VERSION"] + ["MECH"] * len(c.mechs) + ["SPID", "CUID", "COOKIE", "DONE"]
        assert c.hello[0].split("\t")[1] == "1" and c.server_minor in (2, 3, 4)
        assert c.hello[-1] == "DONE"
        assert re.fullmatch("[0-9a-f]{32}", c.cookie)
        assert c.spid > 0 and c.cuid > 0
        c.raw("VERSION\t1\t0\nCPID\t4711\n")
        still_works(c)


def test_mechanisms_in_the_configured_order_with_flags(server):
    with server.client() as c:
        assert [l for l in c.hello if l.startswith("MECH")] == [
            "MECH\tPLAIN\tplaintext", "MECH\tLOGIN\tplaintext"]


def test_each_connection_has_its_own_number_and_cookie(server):
    with server.client() as a, server.client() as b, server.client("auth-login") as c:
        assert a.cuid < b.cuid < c.cuid
        assert len({a.cookie, b.cookie, c.cookie}) == 3
        with server.master() as m:
            assert a.spid == b.spid == c.spid == m.spid


@pytest.mark.parametrize("minor", [0, 1, 2, 3, 4, 99])
def test_every_minor_version(server, minor):
    with server.client(minor=minor) as c:
        still_works(c)
        assert c.login("tim", users.WRONG).cmd == "FAIL"


def test_login_pipelined_behind_the_hello(server):
    with server.client(hello=False) as c:
        c.raw("VERSION\t1\t0\nCPID\t1\nAUTH\t1\tPLAIN\tservice=smtp\tnologin\tresp=%s\n"
              % plain("tim", GOOD))
        c.read_hello()
        assert c.reply_to(1).cmd == "OK"


def test_one_byte_at_a_time(server):
    with server.client(hello=False) as c:
        for byte in ("VERSION\t1\t2\nCPID\t1\nAUTH\t1\tPLAIN\tservice=smtp\tresp=%s\n"
                     % plain("tim", GOOD)):
            c.raw(byte)
        c.read_hello()
        assert c.reply_to(1).cmd == "OK"


@pytest.mark.parametrize("hello", [
    "VERSION\t2\t0\nCPID\t1\n",
    "VERSION\t0\t0\nCPID\t1\n",
    "VERSION\t1\nCPID\t1\n",
    "VERSION\tx\ty\nCPID\t1\n",
    "VERSION\n",
    "\n",
    "CPID\t1\nVERSION\t1\t2\n",
    "HELO\tlocalhost\n",
    "EHLO localhost\r\n",
    "VERSION\t1\t2\nCPID\t0\n",
    "VERSION\t1\t2\nCPID\tx\n",
    "VERSION\t1\t2\nCPID\n",
    "VERSION\t1\t2\nCPID\t-1\n",
    "VERSION\t1\t2\nCPID\t99999999999\n",
    "VERSION\t1\t2\nAUTH\t1\tPLAIN\tservice=smtp\n",
    "VERSION\t1\t2\nHELLO\n",
])
def test_bad_hello_closes(server, hello):
    with server.client(hello=False) as c:
        c.read_hello()
        c.raw(hello)
        assert c.closed()


# ---- the initial response ----


def test_plain_with_initial_response(server):
    with server.client() as c:
        reply = c.login("tim", GOOD, "nologin", "lip=127.0.0.1", "rip=127.0.0.1", "secured")
        assert (reply.cmd, reply.args[0]) == ("OK", "user=tim")
        assert not reply.has("password") and GOOD.encode() not in reply.line


def test_mechanism_name_in_any_case(server):
    with server.client() as c:
        assert c.auth("pLaIn", resp=plain("tim", GOOD)).cmd == "OK"


def test_plain_without_initial_response(server):
    with server.client() as c:
        id = c.start("PLAIN")
        assert c.line() == b"CONT\t%d\t" % id
        assert c.cont(id, plain("tim", GOOD)).cmd == "OK"


@pytest.mark.parametrize("minor", [0, 1])
def test_empty_resp_is_absent_for_old_clients(server, minor):
    """Exim always writes resp=."""
    with server.client(minor=minor) as c:
        id = c.start("PLAIN", resp="")
        assert c.line() == b"CONT\t%d\t" % id
        assert c.cont(id, plain("tim", GOOD)).cmd == "OK"


@pytest.mark.parametrize("minor", [2, 3, 4])
def test_empty_resp_is_an_empty_response_for_newer_clients(server, minor):
    with server.client(minor=minor) as c:
        reply = c.auth("PLAIN", resp="")
        assert reply.cmd == "FAIL" and not reply.has("user")
        still_works(c)


@pytest.mark.parametrize("minor", [0, 1, 2, 3, 4])
def test_resp_equals_sign_is_an_empty_response(server, minor):
    """Postfix, for AUTH PLAIN =."""
    with server.client(minor=minor) as c:
        assert c.auth("PLAIN", resp="=").cmd == "FAIL"
        still_works(c)


@pytest.mark.parametrize("bad", ["!!!", "AHRpbQ", "AHRpbQ===", "A", "=AAA", "AA=A"])
def test_bad_base64_fails_one_request(server, bad):
    with server.client() as c:
        reply = c.auth("PLAIN", resp=bad)
        assert reply.cmd == "FAIL"
        assert (reply.get("code"), reply.get("reason")) == ("invalid_base64", BAD64_FIRST)
        still_works(c)


def test_resp_must_be_last(server):
    with server.client() as c:
        c.start("PLAIN", "resp=" + plain("tim", GOOD), "secured")
        assert c.closed()


@pytest.mark.parametrize("response", [
    b"", b"tim", b"\0tim", b"\0\0", b"tim\0tim\0a\0b", b"\0\0\0\0", b"\0tim\0\0"])
def test_malformed_plain(server, response):
    with server.client() as c:
        assert c.auth("PLAIN", resp=b64(response) or "=").cmd == "FAIL"
        still_works(c)


# ---- LOGIN ----


def test_login_prompts(server):
    with server.client() as c:
        id = c.start("LOGIN")
        assert c.line() == b"CONT\t%d\t%s" % (id, USERNAME.encode())
        assert c.cont(id, b64("tim")).args == [PASSWORD]
        assert c.cont(id, b64(GOOD)).cmd == "OK"


def test_login_with_the_user_at_once(server):
    with server.client() as c:
        reply = c.auth("LOGIN", resp=b64("tim"))
        assert (reply.cmd, reply.args) == ("CONT", [PASSWORD])
        assert c.cont(reply.id, b64(GOOD)).get("user") == "tim"


def test_login_with_an_empty_response_prompts(server):
    with server.client() as c:
        assert c.auth("LOGIN", resp="").args == [USERNAME]


def test_login_wrong_password(server):
    with server.client() as c:
        reply = c.cont(c.auth("LOGIN", resp=b64("tim")).id, b64(users.WRONG))
        assert (reply.cmd, reply.get("user")) == ("FAIL", "tim")


def test_nul_bytes_fail_login(server):
    with server.client() as c:
        assert c.auth("LOGIN", resp=b64("tim\0tim")).cmd == "FAIL"
        still_works(c)


# ---- the answer ----


@pytest.mark.parametrize("name", ["tim", "anna@example.com", "bob", "sue"])
def test_every_scheme(server, name):
    with server.client() as c:
        assert c.login(name, users.PASSWORDS[name]).get("user") == name
        assert c.login(name, users.WRONG).cmd == "FAIL"
        assert c.login(name, "").cmd == "FAIL"
        assert c.login(name, users.PASSWORDS[name] + "x").cmd == "FAIL"


def test_unknown_user_and_wrong_password_look_alike(server):
    with server.client() as c:
        unknown, wrong = c.login("nobody-here", users.WRONG), c.login("tim", users.WRONG)
        assert [unknown.cmd] + unknown.args == ["FAIL", "user=nobody-here"]
        assert [wrong.cmd] + wrong.args == ["FAIL", "user=tim"]


def test_name_is_lowered_and_the_original_told(server):
    with server.client() as c:
        reply = c.login("Anna@Example.COM", users.PASSWORDS["anna@example.com"])
        assert (reply.cmd, reply.get("user")) == ("OK", "anna@example.com")
        assert reply.get("original_user") == "Anna@Example.COM"


@pytest.mark.parametrize("name", ["a b", "a\tb", "a\nb", "a\x01b", "tim%", "t\xefm", "*", "../tim", ":"])
def test_disallowed_names(server, name):
    """Whatever the name holds comes back escaped, as one field."""
    with server.client() as c:
        reply = c.login(name, GOOD)
        assert reply.cmd == "FAIL" and reply.get("code") is None
        still_works(c)


def test_name_is_escaped_in_the_reply(server):
    with server.client() as c:
        assert c.login("a\tb\x01", GOOD).get("user") == "a\tb\x01"


@pytest.mark.parametrize("password", [GOOD + "\t", "\x01", "a\nb", "\r"])
def test_illegal_characters_in_the_password(server, password):
    with server.client() as c:
        assert c.login("tim", password).cmd == "FAIL"
        still_works(c)


def test_empty_name(server):
    with server.client() as c:
        assert c.login("", GOOD).cmd == "FAIL"


def test_nopassword_user(server):
    with server.client() as c:
        assert c.login("free", users.WRONG).get("user") == "free"


def test_allow_nets(server):
    with server.client() as c:
        password = users.PASSWORDS["nets"]
        assert c.login("nets", password, "rip=192.0.2.77").cmd == "OK"
        assert c.login("nets", password, "rip=10.0.0.1").cmd == "OK"
        assert c.login("nets", password, "rip=10.0.0.2").cmd == "FAIL"
        assert c.login("nets", password, "rip=2001:db8::1").cmd == "FAIL"
        assert c.login("nets", password).cmd == "FAIL"
        assert c.login("nets", password, "rip=192.0.2.777").cmd == "FAIL"


def test_proxy_fields_on_a_client_socket(server):
    with server.client() as c:
        reply = c.login("prox", users.PASSWORDS["prox"])
        assert (reply.cmd, reply.get("user")) == ("OK", "prox")
        assert "proxy" in reply.args and "nologin" in reply.args
        assert (reply.get("host"), reply.get("port"), reply.get("destuser")) == (
            "192.0.2.1", "143", "other")
        assert not reply.has("pass")


def test_proxy_on_a_login_socket_gets_the_password(server):
    with server.client("auth-login") as c:
        reply = c.login("prox", users.PASSWORDS["prox"], service="imap")
        assert reply.cmd == "OK" and "proxy" in reply.args
        assert reply.get("pass") == users.PASSWORDS["prox"]


# ---- master users ----


@pytest.mark.parametrize("response", [
    plain("chief", users.PASSWORDS["chief"], "tim"), plain("tim*chief", users.PASSWORDS["chief"])])
def test_master_user(server, response):
    with server.client() as c:
        reply = c.auth("PLAIN", resp=response)
        assert (reply.cmd, reply.get("user")) == ("OK", "tim")
        assert (reply.get("original_user"), reply.get("auth_user")) == ("chief", "chief")


def test_master_user_and_a_target_that_is_not(server):
    with server.client() as c:
        reply = c.login("nobody-here*chief", users.PASSWORDS["chief"])
        assert (reply.cmd, reply.get("code")) == ("FAIL", "authz_fail")


def test_master_user_wrong_password(server):
    with server.client() as c:
        assert c.login("tim*chief", users.WRONG).cmd == "FAIL"
        assert c.login("tim*chief", GOOD).cmd == "FAIL"  # the target's own is none


def test_ordinary_user_is_no_master(server):
    with server.client() as c:
        assert c.login("bob*tim", GOOD).cmd == "FAIL"
        assert c.auth("PLAIN", resp=plain("tim", GOOD, "bob")).cmd == "FAIL"
        assert c.login("chief", users.PASSWORDS["chief"]).cmd == "FAIL"


def test_authzid_equal_to_the_user_is_no_master_login(server):
    with server.client() as c:
        assert c.auth("PLAIN", resp=plain("tim", GOOD, "tim")).get("auth_user") is None
        assert c.auth("PLAIN", resp=plain("tim", GOOD, "tim")).cmd == "OK"


# ---- ids and commands ----


@pytest.mark.parametrize("line", [
    "AUTH\t0\tPLAIN\tservice=smtp",
    "AUTH\tx\tPLAIN\tservice=smtp",
    "AUTH\t-1\tPLAIN\tservice=smtp",
    "AUTH\t4294967296\tPLAIN\tservice=smtp",
    "AUTH\t\tPLAIN\tservice=smtp",
    "AUTH\t1\tNO-SUCH-MECH\tservice=smtp",
    "AUTH\t1\tDOVECOT-TOKEN\tservice=smtp",
    "AUTH\t1\t\tservice=smtp",
    "AUTH\t1\tPLAIN",
    "AUTH\t1\tPLAIN\trip=127.0.0.1",
    "AUTH\t1",
    "AUTH",
    "NOOP",
    "auth\t1\tPLAIN\tservice=smtp",
    "USER\t1\ttim\tservice=smtp",
    "VERSION\t1\t2",
    "CPID\t12",
    "CONT",
    "CONT\tx\t",
])
def test_protocol_errors_close(server, line):
    with server.client() as c:
        c.raw(line + "\n")
        assert c.closed()


def test_duplicate_live_id_closes(server):
    with server.client() as c:
        assert c.auth("LOGIN", id=7).cmd == "CONT"
        c.start("PLAIN", id=7)
        assert c.closed()


def test_ids_may_be_used_again_and_go_to_the_end(server):
    with server.client() as c:
        for id in (1, 1, 4294967295, 1):
            assert c.login("tim", GOOD, id=id).cmd == "OK"
            assert c.login("tim", users.WRONG, id=id).cmd == "FAIL"


def test_unknown_parameters_are_ignored(server):
    with server.client() as c:
        reply = c.login("tim", GOOD, "shoe_size=43", "", "", "flag", "=", "lip=", "rip=junk",
                        "lport=x", "session=abc", "local_name=mail", "real_rip=::1", "debug")
        assert reply.cmd == "OK"


@pytest.mark.authd_only("2.3 knows only service=")
def test_protocol_instead_of_service(server):
    with server.client() as c:
        assert c.auth("PLAIN", "protocol=imap", service=None, resp=plain("tim", GOOD)).cmd == "OK"


def test_requests_side_by_side(server):
    with server.client() as c:
        a, b = c.start("LOGIN"), c.start("PLAIN")
        first, second = c.reply(), c.reply()
        assert sorted([first.id, second.id]) == sorted([str(a), str(b)])
        assert c.cont(b, plain("bob", users.PASSWORDS["bob"])).get("user") == "bob"
        assert c.cont(a, b64("tim")).cmd == "CONT"
        assert c.cont(a, b64(GOOD)).get("user") == "tim"


def test_cont_for_nothing(server):
    with server.client() as c:
        reply = c.cont(77, b64("x"))
        assert (reply.cmd, reply.get("reason")) == ("FAIL", GONE)
        still_works(c)


@pytest.mark.parametrize("bad", ["!!!", "AHRpbQ", "AAA"])
def test_cont_with_bad_base64(server, bad):
    with server.client() as c:
        reply = c.cont(c.auth("LOGIN").id, bad)
        assert (reply.get("code"), reply.get("reason")) == ("invalid_base64", BAD64_NEXT)
        still_works(c)


def test_cont_empty(server):
    """LOGIN with an empty name prompts once more or fails; it never goes on to the password."""
    with server.client() as c:
        reply = c.cont(c.auth("PLAIN").id, "")
        assert reply.cmd == "FAIL"
        still_works(c)


def test_cancel_is_silent(server):
    with server.client(minor=2) as c:
        id = c.auth("LOGIN").id
        c.send("CANCEL", id)
        c.send("CANCEL", 999)
        reply = c.cont(id, b64("tim"))
        assert (reply.cmd, reply.get("reason")) == ("FAIL", GONE)
        still_works(c)


@pytest.mark.authd_only("since minor version 4")
def test_cancel_is_not_confirmed_where_the_server_said_minor_2(server):
    with server.client(minor=4) as c:
        id = c.auth("LOGIN").id
        c.send("CANCEL", id)
        assert c.silent()
        still_works(c)


def test_cancelled_id_is_free_again(server):
    with server.client() as c:
        id = c.auth("LOGIN", id=5).id
        c.send("CANCEL", id)
        assert c.login("tim", GOOD, id=5).cmd == "OK"


def test_line_of_16384_bytes_is_too_long(server):
    with server.client() as c:
        assert c.login("tim", GOOD, "pad=" + "x" * 15000).cmd == "OK"
    with server.client() as c:
        c.start("PLAIN", "pad=" + "x" * 16400)
        assert c.closed()


def test_half_line_at_the_end(server):
    with server.client() as c:
        c.raw("AUTH\t1\tPLAIN\tservice=smtp\tresp=" + plain("tim", GOOD))
        c.sock.shutdown(1)
        assert c.closed()


# ---- login sockets ----


def test_login_socket_wants_pids_of_its_own(server):
    with server.client("auth-login", pid=4242) as first:
        with server.client("login/login", pid=4242, hello=False) as second:
            second.raw("VERSION\t1\t2\nCPID\t4242\n")
            try:
                second.read_hello()
            except ConnectionError:
                pass
            assert second.closed()
        still_works(first)
        with server.client("auth-client", pid=4242) as third:
            still_works(third)
    with server.client("auth-login", pid=4242) as again:
        still_works(again)


def test_token_socket_shares_the_pids(server):
    with server.client("auth-login", pid=4343):
        with server.client("token-login/tokenlogin", pid=4343, hello=False) as second:
            second.raw("VERSION\t1\t2\nCPID\t4343\n")
            try:
                second.read_hello()
            except ConnectionError:
                pass
            assert second.closed()


def test_same_pid_on_client_sockets(server):
    with server.client(pid=55) as a, server.client(pid=55) as b:
        still_works(a)
        still_works(b)


def test_cont_after_success_is_unexpected(server):
    """The request waits for REQUEST; the client had nothing to say any more."""
    with server.client("auth-login") as c:
        id = c.login("tim", GOOD, service="imap").id
        reply = c.cont(id, b64("x"))
        assert (reply.cmd, reply.get("reason")) == ("FAIL", "Unexpected continuation")


def test_id_of_a_waiting_success_is_taken(server):
    with server.client("auth-login") as c:
        id = c.login("tim", GOOD, service="imap").id
        c.start("PLAIN", id=id)
        assert c.closed()


def test_token_socket_offers_tokens_only(server):
    with server.client("token-login/tokenlogin") as c:
        assert list(c.mechs) == ["DOVECOT-TOKEN"]
        c.start("PLAIN", resp=plain("tim", GOOD))
        assert c.closed()


def make_token(server, pid, session="s1", service="imap", peer_pid=None):
    """A token for tim, as an IMAP session gets it."""
    import os
    with server.client("auth-login", pid=pid) as c:
        ok = c.login("tim", GOOD, "session=" + session, service=service)
        with server.master() as m:
            return m.ask("REQUEST", pid, ok.id, c.cookie, "session_pid=%d" % os.getpid(),
                         "request_auth_token").get("auth_token")


def test_token_login(server):
    import os
    token = make_token(server, 61001)
    assert re.fullmatch("[0-9a-f]{40}", token)

    def message(service="imap", pid=os.getpid(), user="tim", session="s1", its_token=token):
        return b64("\0".join([service, str(pid), user, session, its_token]))

    with server.client("token-login/tokenlogin") as c:
        assert c.auth("DOVECOT-TOKEN", resp=message(), service="imap").get("user") == "tim"
        for wrong in (message(service="pop3"), message(pid=1), message(user="bob"),
                      message(session="s2"), message(its_token="0" * 40), message(its_token=""),
                      b64("x"), b64("imap\0001\0tim")):
            assert c.auth("DOVECOT-TOKEN", resp=wrong, service="imap").cmd == "FAIL"


# ---- inet listener ----


def test_inet_listener(start_server):
    port = proc.free_port()
    server = start_server(inet=("auth-inet", port), listeners=authserver.STANDARD)
    proc.wait_for("the inet listener", lambda: proc.port_open(port))
    with AuthClient(("127.0.0.1", port)) as c:
        still_works(c)
        assert c.login("tim", users.WRONG).cmd == "FAIL"


# ---- the failure delay ----

DELAYED = authserver.STANDARD_TEXT + "auth_failure_delay = %s\n"


def test_failure_waits_and_success_does_not(start_server):
    server = start_server(text=DELAYED % "3 secs")
    with server.client() as c:
        bad = c.start("PLAIN", "no-penalty", resp=plain("tim", users.WRONG))
        good = c.start("PLAIN", "no-penalty", resp=plain("tim", GOOD))
        unknown = c.start("PLAIN", "no-penalty", resp=plain("nobody-here", users.WRONG))
        replies = [c.reply(), c.reply(), c.reply()]
        assert (replies[0].cmd, replies[0].id) == ("OK", str(good))
        assert sorted(r.id for r in replies[1:]) == sorted([str(bad), str(unknown)])
        assert {r.cmd for r in replies[1:]} == {"FAIL"}


def test_waiting_failure_is_not_live_any_more(start_server):
    """CANCEL does not stop its FAIL, its id is free, CONT finds nothing."""
    server = start_server(text=DELAYED % "3 secs")
    with server.client() as c:
        id = c.start("PLAIN", "no-penalty", resp=plain("tim", users.WRONG))
        server.wait_log("Password mismatch")
        c.send("CANCEL", id)
        reply = c.cont(id, b64("x"))
        assert (reply.cmd, reply.get("reason")) == ("FAIL", GONE)
        assert c.login("tim", GOOD, id=id).cmd == "OK"
        assert c.reply_to(id).args == ["user=tim"]


def test_malformed_input_is_refused_at_once(start_server):
    server = start_server(text=DELAYED % "60 secs")
    with server.client(timeout=30) as c:
        assert c.auth("PLAIN", resp="!").get("code") == "invalid_base64"
        assert c.cont(9, b64("x")).get("reason") == GONE


def test_shutdown_sends_waiting_failures(start_server):
    server = start_server(text=DELAYED % "600 secs")
    with server.client(timeout=120) as c:
        id = c.start("PLAIN", "no-penalty", resp=plain("tim", users.WRONG))
        server.wait_log("Password mismatch")
        server.daemon.popen.terminate()
        assert c.reply_to(id).cmd == "FAIL"


@pytest.mark.authd_only("dovecot-auth leaves sessions that begin to themselves")
def test_shutdown_waits_for_sessions_that_begin(start_server):
    server = start_server()
    with server.client("auth-login") as c, server.master() as m:
        id = c.login("tim", GOOD, service="imap").id
        server.daemon.popen.terminate()
        server.wait_log("shutting down")
        time.sleep(0.2)
        reply = m.ask("REQUEST", c.pid, id, c.cookie, "session_pid=%d" % os.getpid())
        assert reply.cmd == "USER"


@pytest.mark.authd_only("no delay goes past the client's deadline")
def test_no_failure_comes_after_the_client_gave_up(start_server):
    """Postfix waits 10 s, an auth socket's client is taken for one."""
    server = start_server(text=DELAYED % "60 secs")
    with server.client(timeout=30) as c:
        assert c.login("tim", users.WRONG, "nologin").cmd == "FAIL"


# ---- outage ----


@pytest.fixture
def broken(start_server):
    server = start_server()
    server.break_backend()
    yield server


def test_outage_is_told(broken):
    with broken.client() as c:
        for user, password in (("tim", GOOD), ("tim", users.WRONG), ("nobody-here", "x")):
            reply = c.login(user, password)
            assert (reply.cmd, reply.get("code")) == ("FAIL", "temp_fail")


@pytest.mark.authd_only("dovecot-auth answers FAIL, which an MTA takes for a wrong password")
def test_outage_closes_on_mtas(broken):
    with broken.client() as c:
        c.start("PLAIN", "nologin", resp=plain("tim", GOOD))
        assert c.closed()


@pytest.mark.authd_only("dovecot-auth answers FAIL, which an MTA takes for a wrong password")
def test_outage_closes_only_when_nothing_else_is_pending(start_server):
    server = start_server(text=DELAYED % "5 secs")
    with server.client() as c:
        bad = c.start("PLAIN", "nologin", resp=plain("tim", users.WRONG))
        server.wait_log("Password mismatch")
        server.break_backend()
        c.start("PLAIN", "nologin", resp=plain("tim", GOOD))
        assert c.reply_to(bad).args == ["user=tim"]
        assert c.closed()


@pytest.mark.authd_only("dovecot-auth answers FAIL, which an MTA takes for a wrong password")
def test_abandoned_exchange_does_not_hold_up_the_closing(broken):
    """Postfix sends no CANCEL when its client gives up."""
    with broken.client() as c:
        assert c.auth("LOGIN", "nologin").cmd == "CONT"
        c.start("PLAIN", "nologin", resp=plain("tim", GOOD))
        assert c.closed(5)
