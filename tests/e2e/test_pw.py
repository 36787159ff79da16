"""authctl pw: hashes go back and forth between it and doveadm pw; prompts, statuses, limits."""

import json
import os
import pty
import select
import subprocess

import pytest

from lib import authserver, proc

OK, USAGE, NOINPUT, DATAERR, TEMPFAIL = 0, 64, 66, 65, 75
PASSWORD = "Grüße {x} 08/15"
USER = "joe@example.com"
ALL = ("PLAIN CLEAR CLEARTEXT PLAIN-TRUNC CRYPT BLF-CRYPT SHA512-CRYPT SHA256-CRYPT MD5-CRYPT MD5 "
       "DES-CRYPT ARGON2 ARGON2ID ARGON2I SHA SHA1 SHA256 SHA512 SSHA SSHA256 SSHA512 SMD5 "
       "PLAIN-MD4 PLAIN-MD5 LDAP-MD5 PBKDF2 CRAM-MD5 HMAC-MD5 DIGEST-MD5 SCRAM-SHA-1 "
       "SCRAM-SHA-256 SCRAM-SHA-512 OTP NT NTLM").split()
DOVECOTS = [name for name in ALL if name not in ("SCRAM-SHA-512", "NT", "NTLM")]


def pw(*args, stdin="", options=()):
    return subprocess.run([authserver.AUTHCTL] + list(options) + ["pw"] + list(args), input=stdin,
                          timeout=90, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def doveadm(*args):
    return subprocess.run(["doveadm", "-c", "/dev/null", "pw"] + list(args), timeout=90,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)


def said(result, status, text):
    assert (result.returncode, result.stdout) == (status, "")
    assert result.stderr.startswith("authctl: " + text)


def typed(args, answers):
    """Runs it on a terminal, with an answer for each prompt."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(authserver.AUTHCTL, ["authctl", "pw"] + args)
    seen = b""
    answers = list(answers)
    while select.select([fd], [], [], 30)[0]:
        try:
            got = os.read(fd, 1000)
        except OSError:  # how Linux says that the other side is closed
            break
        if not got:
            break
        seen += got
        if seen.endswith((b"password: ", b"verify: ")) and answers:
            os.write(fd, answers.pop(0).encode() + b"\n")
    os.close(fd)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status, seen.decode().replace("\r\n", "\n")


def test_list():
    result = pw("-l")
    assert (result.returncode, result.stderr) == (OK, "")
    assert result.stdout == " ".join(ALL) + "\n"
    rows = json.loads(pw("-l", options=["-o", "json"]).stdout)
    assert [row["scheme"] for row in rows] == ALL
    assert {row["scheme"] for row in rows if row["weak"] == "yes"} == {
        "DES-CRYPT", "MD5-CRYPT", "MD5", "SMD5", "PLAIN-MD4", "PLAIN-MD5", "LDAP-MD5", "HMAC-MD5"}


@pytest.mark.parametrize("scheme", DOVECOTS)
def test_doveadm_takes_ours(scheme):
    made = pw("-s", scheme, "-p", PASSWORD, "-u", USER, "-V")
    assert (made.returncode, made.stderr) == (OK, "")
    assert made.stdout.startswith("{%s}" % scheme)
    assert made.stdout.endswith(" (verified)\n")
    stored = made.stdout[:-len(" (verified)\n")]
    if scheme == "ARGON2":  # has no such name in 2.3
        stored = stored.replace("{ARGON2}", "{ARGON2ID}")
    assert doveadm("-t", stored, "-p", PASSWORD, "-u", USER).stdout == stored + " (verified)\n"
    assert doveadm("-t", stored, "-p", "x" + PASSWORD, "-u", USER).returncode == TEMPFAIL


@pytest.mark.parametrize("scheme", sorted(set(DOVECOTS) - {"ARGON2", "PLAIN-TRUNC"}) +
                         ["SHA256.hex", "SSHA.HEX", "PLAIN.b64", "CRYPT.HEX"])
def test_we_take_doveadms(scheme):
    stored = doveadm("-s", scheme, "-p", PASSWORD, "-u", USER).stdout.rstrip("\n")
    assert stored.startswith("{%s}" % scheme.upper())
    right = pw("-t", stored, "-p", PASSWORD, "-u", USER)
    assert (right.returncode, right.stdout) == (OK, stored + " (verified)\n")
    said(pw("-t", stored, "-p", "x" + PASSWORD, "-u", USER), TEMPFAIL,
         "reverse password verification check failed: Password mismatch\n")


def test_defaults_and_rounds():
    assert pw("-p", "x").stdout.startswith("{CRYPT}$2y$05$")
    assert pw("-p", "x", "-r", "4").stdout.startswith("{CRYPT}$2y$04$")
    assert pw("-p", "x", "-s", "sha512-crypt", "-r", "1000").stdout.startswith(
        "{SHA512-CRYPT}$6$rounds=1000$")


def test_rounds_are_limited():
    result = pw("-s", "SHA256-CRYPT", "-r", "1", "-p", "x")
    assert result.stdout.startswith("{SHA256-CRYPT}$5$rounds=1000$")
    assert result.stderr == (
        "authctl: -r 1: for SHA256-CRYPT it is 1000 to 20000000 here; taking 1000\n")
    result = pw("-s", "SHA1", "-r", "5", "-p", "x")
    assert result.stdout == "{SHA1}EfatjsUqKYSrqv18O1FlA3hcIHI=\n"
    assert result.stderr == "authctl: -r has no effect: SHA1 has no rounds\n"
    # 31 would run for a day: nothing is made on the way to this answer
    stored = "{CRYPT}$2y$31$11ipvo5dR6CwkzwmhwM26OXgzXwhV2PyPuLV.Qi31ILcRcThQpEiW"
    said(pw("-t", stored, "-p", "x"), TEMPFAIL,
         "reverse password verification check failed: the CRYPT hash would take too long\n")


def test_errors():
    said(pw("-s", "FOO", "-p", "x"), TEMPFAIL, "Unknown scheme: FOO\n")
    said(pw("-s", "SHA.FOO", "-p", "x"), TEMPFAIL, "Unknown scheme: SHA.FOO\n")
    said(pw("-s", "DIGEST-MD5", "-p", "x"), TEMPFAIL, "DIGEST-MD5 needs a user name")
    said(pw("-t", "bare", "-p", "x"), TEMPFAIL, "Missing {scheme} prefix from hash\n")
    said(pw("-t", "", "-p", "x"), TEMPFAIL, "Missing {scheme} prefix from hash\n")
    said(pw("-t", "{FOO}x", "-p", "x"), TEMPFAIL, "reverse decode check failed: Unknown scheme\n")
    said(pw("-t", "{SHA1}qUqP", "-p", "x"), TEMPFAIL, "reverse decode check failed: ")
    said(pw("-r", "-1", "-p", "x"), USAGE, "-r -1: not a number\n")
    assert pw("-p", "x", "extra").returncode == USAGE
    assert pw("-y").returncode == USAGE


def test_standard_input():
    assert pw("-s", "PLAIN", stdin="first line\nsecond\n").stdout == "{PLAIN}first line\n"
    assert pw("-s", "PLAIN", stdin="no line feed").stdout == "{PLAIN}no line feed\n"
    assert pw("-s", "PLAIN", stdin="\n").stdout == "{PLAIN}\n"
    assert pw("-t", "{PLAIN}test", stdin="test\n").stdout == "{PLAIN}test (verified)\n"
    said(pw("-s", "PLAIN", stdin=""), NOINPUT, "no password: ")


def test_json():
    result = pw("-s", "SHA1", "-p", "test", options=["-o", "json"])
    assert json.loads(result.stdout) == [
        {"hash": "{SHA1}qUqP5cyxm6YcTAhz05Hph5gvu9M=", "verified": "no"}]
    result = pw("-t", "{SHA1}qUqP5cyxm6YcTAhz05Hph5gvu9M=", "-p", "test", options=["-o", "json"])
    assert json.loads(result.stdout)[0]["verified"] == "yes"


def test_terminal():
    assert typed(["-s", "PLAIN"], ["secret", "other", "secret", "secret"]) == (OK, (
        "Enter new password: \nRetype new password: \nauthctl: Passwords don't match!\n"
        "Enter new password: \nRetype new password: \n{PLAIN}secret\n"))
    status, text = typed(["-s", "PLAIN"], ["a", "b"] * 3)
    assert (status, text.count("Passwords don't match!")) == (DATAERR, 3)
    assert typed(["-t", "{PLAIN}secret"], ["secret"]) == (
        OK, "Enter password to verify: \n{PLAIN}secret (verified)\n")


def test_hash_is_not_left_in_ps():
    """It waits for the password on standard input, so it stays as it is until that is closed."""
    with subprocess.Popen([authserver.AUTHCTL, "pw", "-t", "{PLAIN}seen-by-all"],
                          stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        def shown():
            with open("/proc/%d/cmdline" % process.pid, "rb") as f:
                return f.read()
        proc.wait_for("the argument to be covered", lambda: b"\0-t\0****" in shown())
        assert b"seen-by-all" not in shown()
        process.stdin.close()
        assert process.wait(30) == NOINPUT
