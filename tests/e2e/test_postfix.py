"""Postfix's smtpd asks the server under test over its private socket."""

import os
import time

import pytest

from lib import authproto, proc, users

USER = "tim"
GOOD = users.PASSWORDS[USER]
PAIRS = [("tim", GOOD), ("anna@example.com", users.PASSWORDS["anna@example.com"])]


def plain_in_one(smtp, user, password):
    return smtp.docmd("AUTH PLAIN " + authproto.plain(user, password))


def plain_in_two(smtp, user, password):
    code, text = smtp.docmd("AUTH PLAIN")
    if code != 334:
        return code, text
    return smtp.docmd(authproto.plain(user, password))


def login_in_two(smtp, user, password):
    code, text = smtp.docmd("AUTH LOGIN " + authproto.b64(user))
    if code != 334:
        return code, text
    return smtp.docmd(authproto.b64(password))


def login_in_three(smtp, user, password):
    code, text = smtp.docmd("AUTH LOGIN")
    if code != 334:
        return code, text
    assert text == b"VXNlcm5hbWU6"
    code, text = smtp.docmd(authproto.b64(user))
    if code != 334:
        return code, text
    assert text == b"UGFzc3dvcmQ6"
    return smtp.docmd(authproto.b64(password))


WAYS = [plain_in_one, plain_in_two, login_in_two, login_in_three]


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("user,password", PAIRS)
def test_right_password(postfix_pair, way, tls, user, password):
    with postfix_pair[0].smtp(tls) as smtp:
        assert way(smtp, user, password)[0] == 235


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
@pytest.mark.parametrize("way", WAYS)
def test_wrong_password(postfix_pair, way, tls):
    with postfix_pair[0].smtp(tls) as smtp:
        assert way(smtp, USER, users.WRONG)[0] == 535


def test_unknown_user(postfix_pair):
    with postfix_pair[0].smtp() as smtp:
        assert plain_in_one(smtp, "nobody-here", users.WRONG)[0] == 535


def test_second_try_on_the_same_session(postfix_pair):
    with postfix_pair[0].smtp() as smtp:
        assert plain_in_one(smtp, USER, users.WRONG)[0] == 535
        assert login_in_three(smtp, USER, users.WRONG)[0] == 535
        assert plain_in_one(smtp, USER, GOOD)[0] == 235


def test_advertises_what_the_server_has(postfix_pair):
    with postfix_pair[0].smtp() as smtp:
        assert sorted(smtp.esmtp_features["auth"].split()) == ["LOGIN", "PLAIN"]


def test_aborted_exchange_leaves_the_session_usable(postfix_pair):
    with postfix_pair[0].smtp() as smtp:
        assert smtp.docmd("AUTH PLAIN")[0] == 334
        assert smtp.docmd("*")[0] == 501
        assert plain_in_one(smtp, USER, GOOD)[0] == 235


def test_mail_goes_through_after_login(postfix_pair):
    with postfix_pair[0].smtp() as smtp:
        assert smtp.docmd("MAIL FROM:<a@example.com>")[0] == 250
        assert smtp.docmd("RCPT TO:<b@example.com>")[0] == 554
        smtp.docmd("RSET")
        assert plain_in_one(smtp, USER, GOOD)[0] == 235
        refused = smtp.sendmail("a@example.com", ["b@example.com"], "Subject: x\r\n\r\nx\r\n")
        assert refused == {}


@pytest.mark.parametrize("mech", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_swaks(postfix_pair, mech, tls):
    mail = postfix_pair[0]
    base = ["swaks", "--server", "127.0.0.1", "--port", str(mail.port), "--auth", mech,
            "--auth-user", USER, "--from", "a@example.com", "--to", "b@example.com", "--silent", "2",
            "--timeout", "20"] + (["--tls"] if tls else [])
    good = proc.run(base + ["--auth-password", GOOD])
    assert good.returncode == 0, good.stdout + good.stderr
    bad = proc.run(base + ["--auth-password", users.WRONG])
    assert bad.returncode == 28, bad.stdout + bad.stderr  # 28: authentication failed
    assert "535 " in bad.stdout + bad.stderr


@pytest.fixture
def outage(postfix_pair):
    server = postfix_pair[1]
    server.break_backend()
    yield postfix_pair[0]
    server.heal_backend()


@pytest.mark.authd_only("dovecot-auth's FAIL code=temp_fail makes Postfix say 535")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("password", [GOOD, users.WRONG], ids=["right", "wrong"])
def test_outage_is_454(outage, way, password):
    for _ in range(3):
        with outage.smtp() as smtp:
            assert way(smtp, USER, password)[0] == 454


@pytest.mark.authd_only("dovecot-auth's FAIL code=temp_fail makes Postfix say 535")
def test_unreadable_file_is_454(postfix_pair):
    mail, server = postfix_pair
    os.chmod(server.passwd, 0)
    try:
        server.kill_workers()
        with mail.smtp() as smtp:
            for password in (GOOD, users.WRONG):
                assert plain_in_one(smtp, USER, password)[0] == 454
    finally:
        os.chmod(server.passwd, 0o644)
    proc.wait_for("the end of the outage", lambda: server.login_result() == "OK", 60)


@pytest.mark.authd_only("to dovecot-auth a missing file means unknown user")
def test_file_that_goes_away_is_never_535(postfix_pair):
    """A worker that has read it may go on with what it has, or say that it cannot tell."""
    mail, server = postfix_pair
    os.rename(server.passwd, server.passwd + ".gone")
    try:
        for _ in range(20):
            with mail.smtp() as smtp:
                assert plain_in_one(smtp, USER, GOOD)[0] in (235, 454)
            time.sleep(0.1)
    finally:
        os.rename(server.passwd + ".gone", server.passwd)
    proc.wait_for("the end of the outage", lambda: server.login_result() == "OK", 60)


@pytest.mark.authd_only("dovecot-auth's FAIL code=temp_fail makes Postfix say 535")
def test_after_the_outage_the_same_session_logs_in(postfix_pair):
    mail, server = postfix_pair
    with mail.smtp() as smtp:
        server.break_backend()
        try:
            assert plain_in_one(smtp, USER, GOOD)[0] == 454
            assert plain_in_one(smtp, USER, users.WRONG)[0] == 454
        finally:
            server.heal_backend()
        assert plain_in_one(smtp, USER, users.WRONG)[0] == 535
        assert plain_in_one(smtp, USER, GOOD)[0] == 235


def test_server_stopped_is_454_and_comes_back(postfix_pair):
    mail, server = postfix_pair
    with mail.smtp() as smtp:
        assert plain_in_one(smtp, USER, users.WRONG)[0] == 535
        server.stop()
        try:
            assert plain_in_one(smtp, USER, GOOD)[0] == 454
        finally:
            server.start()
    with mail.smtp() as smtp:
        assert plain_in_one(smtp, USER, GOOD)[0] == 235
