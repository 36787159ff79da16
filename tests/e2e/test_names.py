"""Names in a user's fields that leave the worker as numbers: a proxy's host, uid and gid."""

import grp
import os
import pwd
import sqlite3

import pytest
from lib import authserver, proc

pytestmark = pytest.mark.skipif(authserver.KIND != "authd", reason="authd only")

USERS = """prox:{PLAIN}secret::::::proxy=y host=localhost
slow:%s::::::proxy=y host=localhost
ip:{PLAIN}secret::::::proxy=y host=192.0.2.1
given:{PLAIN}secret::::::proxy=y host=localhost hostip=192.0.2.9
lost:{PLAIN}secret::::::proxy=y host=no-such-host.invalid
plain:{PLAIN}secret::::::host=localhost
"""
SHA512 = "{SHA512-CRYPT}$6$rounds=1000$0123456789abcdef$ZIAd5WqfyLkpvsVCVUU1GrvqaZTqvhJoouxdSqJO71l9Ld3tVrfOatEjarhghvEYADkq//LpDnTeO90tcbtHR1"


@pytest.fixture(scope="module")
def server():
    work = proc.new_dir("names")
    users = os.path.join(work, "users")
    with open(users, "w") as f:
        f.write(USERS % SHA512)
    db = os.path.join(work, "users.sqlite")
    with sqlite3.connect(db) as c:
        c.execute("CREATE TABLE users (name, uid, gid)")
        c.executemany("INSERT INTO users VALUES (?, ?, ?)", [
            ("tim", "nobody", "nogroup"), ("num", "1234", "1235"), ("odd", "no-such-user-here", "nogroup")])
    sql = os.path.join(work, "sql.conf.ext")
    with open(sql, "w") as f:
        f.write("driver = sqlite\nconnect = %s\n"
                "user_query = SELECT uid, gid, '/home/%%n' AS home FROM users WHERE name = '%%u'\n" % db)
    for one, mode in ((work, 0o755), (users, 0o644), (db, 0o644)):
        os.chmod(one, mode)
    server = authserver.Authd("""
passdb {
  driver = passwd-file
  args = %s
}
userdb {
  driver = sql
  args = %s
}
""" % (users, sql)).start()
    yield server
    server.stop()


@pytest.mark.parametrize("user, password", [("prox", "secret"), ("slow", "08/15!test~4711")])
def test_a_login_process_gets_the_address_of_a_proxy(server, user, password):
    with server.client("auth-login") as c:
        reply = c.login(user, password, service="imap")
        assert (reply.cmd, reply.get("host")) == ("OK", "localhost")
        assert reply.get("hostip") in ("127.0.0.1", "::1")


def test_what_needs_no_resolver(server):
    with server.client("auth-login") as c:
        assert c.login("ip", "secret", service="imap").get("hostip") is None
        assert c.login("given", "secret", service="imap").get("hostip") == "192.0.2.9"
        assert c.login("plain", "secret", service="imap").get("hostip") is None
        assert c.login("prox", "wrong", service="imap").cmd == "FAIL"


def test_a_host_that_is_not_there_is_an_outage(server):
    with server.client("auth-login") as c:
        reply = c.login("lost", "secret", service="imap")
        assert (reply.cmd, reply.get("code")) == ("FAIL", "temp_fail")
    server.wait_log("host=no-such-host.invalid: ")


def test_others_get_the_name_alone(server):
    with server.client() as c:
        reply = c.login("prox", "secret")
        assert (reply.get("host"), reply.get("hostip")) == ("localhost", None)


def test_passdb_lookups_resolve_too(server):
    with server.master() as m:
        assert m.ask("PASS", "prox", "service=imap").get("hostip") in ("127.0.0.1", "::1")


def test_names_of_users_and_groups(server):
    with server.master() as m:
        reply = m.user("tim")
        assert reply.get("uid") == str(pwd.getpwnam("nobody").pw_uid)
        assert reply.get("gid") == str(grp.getgrnam("nogroup").gr_gid)
        reply = m.user("num")
        assert (reply.get("uid"), reply.get("gid")) == ("1234", "1235")
        assert m.user("odd").cmd == "FAIL"
    server.wait_log("uid=no-such-user-here: no such name")
