"""The drivers shadow, passwd and checkpassword: real users of this machine, real programs."""

import base64
import os
import pwd
import time

import pytest

from lib import authproto, authserver, pam, proc, sasl

pytestmark = pytest.mark.authd_only("the tests' files and messages are authd's")

PASSWORD = "right-Corundum3"
WRONG = "wrong-Zeppelin2"


@pytest.fixture(scope="module")
def users():
    u = pam.SystemUsers()
    hashed = pam.crypt_hash(PASSWORD)
    try:
        u.add("s", hashed)
        u.add("l", "!" + hashed)
        u.add("le", "!" + hashed, "-e", "2001-01-01")
        u.add("e", hashed, "-e", "2001-01-01")
        u.add("o", hashed)
        aged = proc.run(["chage", "-d", "2001-01-01", "-M", "30", pam.NAME + "o"])
        assert aged.returncode == 0, aged.stderr
        yield u
    finally:
        u.close()


@pytest.fixture(scope="module")
def shadow_server(users):
    server = authserver.standard(text="""
auth_verbose = yes
passdb {
  driver = shadow
}
userdb {
  driver = passwd
  args = blocking=no home=/var/mail/%u
}
first_valid_uid = 500
last_valid_uid = 65000
""").start()
    yield server
    server.stop()


def result(server, user, password):
    with server.client() as c:
        reply = c.login(user, password, "rip=192.0.2.1")
    return reply.get("code") or reply.cmd


def test_shadow(shadow_server):
    name = pam.NAME
    assert result(shadow_server, name + "s", PASSWORD) == "OK"
    assert result(shadow_server, name + "s", WRONG) == "FAIL"
    assert result(shadow_server, name + "s", "") == "FAIL"
    assert result(shadow_server, name + "l", PASSWORD) == "FAIL"
    assert result(shadow_server, name + "l", "!") == "FAIL"
    # without a password nobody is told that it is locked, and fail2ban counts who tries
    assert result(shadow_server, name + "le", PASSWORD) == "FAIL"
    assert "shadow(%sl,192.0.2.1): Password mismatch" % name in shadow_server.logs()
    assert result(shadow_server, name + "e", PASSWORD) == "user_disabled"
    assert result(shadow_server, name + "o", PASSWORD) == "pass_expired"
    # only the user himself hears why
    assert result(shadow_server, name + "e", WRONG) == "FAIL"
    assert result(shadow_server, name + "o", WRONG) == "FAIL"
    assert result(shadow_server, "nobody", "*") == "FAIL"
    assert result(shadow_server, "no-such-user", "x") == "FAIL"
    assert "shadow(no-such-user,192.0.2.1): unknown user" in shadow_server.logs()
    assert PASSWORD not in shadow_server.logs()


def test_passwd_fields_and_list(shadow_server):
    name = pam.NAME + "s"
    entry = pwd.getpwnam(name)
    with shadow_server.master() as m:
        reply = m.user(name)
        assert [reply.get(k) for k in ("system_groups_user", "uid", "gid", "home", "blocking")] == [
            name, str(entry.pw_uid), str(entry.pw_gid), "/var/mail/" + name, None]
        assert m.user("no-such-user").cmd == "NOTFOUND"
        assert m.user("").cmd in ("NOTFOUND", "FAIL")
        names, done = m.list()
    want = sorted(p.pw_name for p in pwd.getpwall() if 500 <= p.pw_uid <= 65000)
    assert sorted(names) == want and name in names and "root" not in names
    assert not done.has("fail")


# ---- checkpassword ----

PROGRAM = """#!/bin/sh
# one user: tim, password "good"; the reply helper is the last argument
{ read -r name; read -r password; } <<END
$(tr '\\0' '\\n' <&3)
END
echo "ran $name $AUTHORIZED $REMOTE_IP $SERVICE $AUTH_MECH${CREDENTIALS_LOOKUP+ for <$SCHEME>}" >>@notes@
case $name in
hang) sleep 1000 ;;
broken) exit 111 ;;
killed) kill -9 $$ ;;
silent) exit 0 ;;
long) quota_rule=$(head -c 20000 /dev/zero | tr '\\0' x) name=tim ;;
esac
[ "$name" = tim ] || exit 3
if [ "$AUTHORIZED" = 1 ]; then
	AUTHORIZED=2
	export AUTHORIZED
elif [ "$password" != good ]; then
	exit 1
fi
USER=Tim HOME="/home/t	im" SHELL=/bin/sh quota_rule=${quota_rule:-*:storage=1G} userdb_uid=5000
password='{PLAIN}good'
EXTRA="userdb_uid quota_rule nothing"
[ -z "$CREDENTIALS_LOOKUP" ] || EXTRA="$EXTRA password"
export USER HOME SHELL EXTRA quota_rule userdb_uid password
exec "$@"
"""


@pytest.fixture(scope="module")
def check():
    """A server on PROGRAM; .notes is what the program wrote."""
    where = proc.new_dir("c")
    notes = os.path.join(where, "notes")
    path = os.path.join(where, "program")
    with open(path, "w") as f:
        f.write(PROGRAM.replace("@notes@", notes))
    os.chmod(path, 0o755)
    open(notes, "w").close()
    os.chmod(notes, 0o666)
    quick = authserver.Listener("quick", 0o600, extra="    client_deadline = 2 s\n")
    server = authserver.standard(listeners=authserver.STANDARD + [quick], text="""
auth_verbose = yes
auth_mechanisms = plain cram-md5
passdb {
  driver = checkpassword
  args = %s
}
userdb {
  driver = checkpassword
  args = %s
}
""" % (path, path)).start()
    server.notes = notes
    yield server
    server.stop()


def test_checkpassword_verify(check):
    with check.client() as c:
        reply = c.login("tim", "good", "rip=192.0.2.1")
        assert reply.cmd == "OK" and reply.get("user") == "Tim"
        assert reply.get("quota_rule") == "*:storage=1G"
        assert c.login("tim", WRONG).cmd == "FAIL"
        assert c.login("tim", "").cmd == "FAIL"
        assert c.login("other", "good").cmd == "FAIL"
        assert c.login("broken", "good").get("code") == "temp_fail"
        assert c.login("killed", "good").get("code") == "temp_fail"
        assert c.login("silent", "good").get("code") == "temp_fail"
        assert c.login("long", "good").get("code") == "temp_fail"
        assert c.login("tim", "good" * 500).cmd == "FAIL"
    with open(check.notes) as f:
        assert "ran tim  192.0.2.1 smtp PLAIN" in f.read()
    assert "without running the reply helper" in check.logs()


def test_checkpassword_userdb(check):
    with check.master() as m:
        reply = m.user("tim")
        assert reply.cmd == "USER"
        assert [reply.get(k) for k in ("uid", "gid", "home", "shell")] == [
            "5000", str(pwd.getpwnam("nobody").pw_gid), "/home/t\tim", "/bin/sh"]
        assert m.user("other").cmd == "NOTFOUND"
        assert m.user("broken").cmd == "FAIL"
        assert m.user("silent").cmd == "FAIL"
        reply = m.passdb("tim")
        assert reply.cmd == "PASS"
    with open(check.notes) as f:
        assert f.read().endswith("for <>\n")


def test_checkpassword_shows_a_credential(check):
    """For mechanisms that compute, from a program that answers CREDENTIALS_LOOKUP."""
    for user, password, want in (("tim", "good", "OK"), ("tim", WRONG, "FAIL"), ("other", "good", "FAIL")):
        with check.client() as c:
            challenge = base64.b64decode(c.auth("CRAM-MD5").args[0])
            assert c.cont(1, authproto.b64(sasl.cram_md5(challenge, user, password))).cmd == want
    with open(check.notes) as f:
        assert "ran tim 1  smtp CRAM-MD5 for <CRAM-MD5>" in f.read()


def test_checkpassword_hangs(check):
    """Killed at the deadline; the others do not wait."""
    with check.client("quick") as c:
        ids = [c.start("PLAIN", resp=authproto.plain("hang", "x")) for _ in range(3)]
        started = time.monotonic()
        assert result(check, "tim", "good") == "OK"
        assert time.monotonic() - started < 2
        assert {c.reply().get("code") for _ in ids} == {"temp_fail"}

    def sleeping():
        return [t for _, t in proc.children(check.daemon.pid).values() if t.startswith("sleep 1000")]
    proc.wait_for("the end of the programs", lambda: not sleeping(), 10)
    assert result(check, "tim", "good") == "OK"


def test_checkpassword_that_becomes_the_user():
    """Other processes of that user could write the reply: refused, unless the program says that it is meant."""
    path = os.path.join(proc.new_dir("c"), "program")
    with open(path, "w") as f:
        f.write("#!/usr/bin/python3\nimport os, sys\n"
                "name = os.read(3, 512).split(b'\\0')[0]\n"
                "os.environ.update({'INSECURE_SETUID': '1'} if name == b'meant' else {}, USER=name.decode())\n"
                "if name != b'same':\n    os.setuid(65534)\n"
                "os.execv(sys.argv[1], sys.argv[1:])\n")
    os.chmod(path, 0o755)
    server = authserver.Authd("passdb {\n  driver = checkpassword\n  args = %s\n  worker_user = root\n}\n" % path)
    server.start()
    try:
        with server.client() as c:
            assert [c.login(name, "x").get("code") for name in ("same", "meant", "other")] == [None, None, "temp_fail"]
            assert c.login("meant", "x").cmd == "OK"
        assert "INSECURE_SETUID" in server.logs()
    finally:
        server.stop()


def test_checkpassword_args(tmp_path):
    path = tmp_path / "bad.conf"
    for args, want in (("", "program is missing"), ("bin/check", "no full path")):
        path.write_text("passdb {\n  driver = checkpassword\n  args = %s\n}\n" % args)
        made = proc.run([authserver.AUTHCTL, "config", "check", str(path)])
        assert made.returncode != 0 and want in made.stdout + made.stderr, made.stderr


@pytest.mark.parametrize("driver,word", [("bsdauth", "pam"), ("vpopmail", "sql"), ("sia", "pam")])
def test_refused_drivers_say_what_to_use(tmp_path, driver, word):
    path = tmp_path / "bad.conf"
    path.write_text("passdb {\n  driver = %s\n}\n" % driver)
    made = proc.run([authserver.AUTHCTL, "config", "check", str(path)])
    assert made.returncode != 0
    assert "use driver = " + word in made.stdout + made.stderr
