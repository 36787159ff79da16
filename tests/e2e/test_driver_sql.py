"""The sql driver with real servers: MariaDB, PostgreSQL, SQLite."""

import os

import pytest

from lib import authserver, proc, sql, users

FIXTURE = os.path.join(authserver.ROOT, "tests/unit/fixtures/mysql-stack/dovecot-sql.conf.ext")
pytestmark = pytest.mark.authd_only("the driver's own tests")

CONF = """driver = %s
connect = %s
default_pass_scheme = SHA512-CRYPT
password_query = SELECT email as "user", password FROM users WHERE email = '%%u'
user_query = SELECT '/home/vmail/%%d/%%n' as home, 'Maildir' as mail, 5000 as uid, 5000 as gid, \
 %s as quota_rule FROM users WHERE email = '%%u'
iterate_query = SELECT email AS "user" FROM users
"""
CONCAT = {"mysql": "concat('dirsize:storage=', quota)", "pgsql": "concat('dirsize:storage=', quota)",
          "sqlite": "'dirsize:storage=' || quota"}
TEXT = """
auth_mechanisms = plain
auth_verbose = yes
auth_username_chars =
auth_username_format = %%u
passdb {
  driver = sql
  args = %(conf)s
}
userdb {
  driver = sql
  args = %(conf)s
}
"""
MASTER = authserver.Listener("auth-master", 0o600, extra="")
CLIENT = authserver.Listener("auth-client", 0o600)


def start(conf_text, text=TEXT, **kw):
    """A server whose dovecot-sql.conf.ext has this text."""
    server = authserver.new("", listeners=[MASTER, CLIENT], **kw)
    conf = os.path.join(server.dir, "dovecot-sql.conf.ext")
    with open(conf, "w") as f:
        f.write(conf_text)
    server.body = text % {"conf": conf}
    server.sql_conf = conf
    return server.start()


def conf_for(db, **more):
    text = CONF % (db.kind, db.connect(**more), CONCAT[db.kind])
    if db.kind == "mysql":
        text = text.replace('"user"', "user")
    return text


@pytest.fixture(scope="module")
def mariadb():
    db = sql.MariaDB().init()
    yield db
    db.stop()


@pytest.fixture(scope="module")
def postgresql():
    db = sql.PostgreSQL().init()
    yield db
    db.stop()


@pytest.fixture(scope="module")
def sqlite():
    db = sql.SQLite().init()
    yield db
    db.stop()


@pytest.fixture(scope="module", params=["mariadb", "postgresql", "sqlite"])
def pair(request):
    db = request.getfixturevalue(request.param)
    server = start(conf_for(db))
    yield db, server
    server.stop()


def test_logins(pair):
    db, server = pair
    for user, password in sql.PASSWORD.items():
        assert server.login_result(user, password) == "OK", server.logs()
        assert server.login_result(user, password + "x") == "FAIL"
    assert server.login_result("nobody@example.com", "x") == "FAIL"
    assert "unknown user" in server.logs()


def test_user_lookup(pair):
    db, server = pair
    with server.master() as m:
        reply = m.user("tim@example.com")
        assert reply.cmd == "USER", server.logs()
        assert reply.get("home") == "/home/vmail/example.com/tim"
        assert reply.get("uid") == "5000" and reply.get("gid") == "5000"
        assert reply.get("mail") == "Maildir"
        assert reply.get("quota_rule") == "dirsize:storage=%d" % sql.QUOTA
        assert m.user("nobody@example.com").cmd == "NOTFOUND"


def test_list(pair):
    db, server = pair
    with server.master() as m:
        names, done = m.list()
        assert done.cmd == "DONE" and not done.has("fail"), (done, server.logs())
        assert sorted(names) == sorted(sql.TABLE)


def test_multiple_passwords(sqlite):
    text = conf_for(sqlite).replace(
        "password_query = ", "password_query = SELECT email AS \"user\", password, label AS password_name"
        " FROM apps WHERE email = '%u'\n#").replace("default_pass", "multiple_passwords = yes\ndefault_pass")
    server = start(text)
    try:
        for user, label in (("prox", "phone"), ("bob", "laptop"), ("sue", "old")):
            assert server.login_result("tim@example.com", users.PASSWORDS[user]) == "OK", server.logs()
            server.wait_log('the password is "%s"' % label)
        assert server.login_result("tim@example.com", users.WRONG) == "FAIL"
        sqlite.sql("INSERT INTO apps VALUES ('tim@example.com', '{NOSUCH}x', 'odd');"
                   "INSERT INTO apps VALUES ('tim@example.com', NULL, 'none');"
                   "INSERT INTO apps VALUES ('tim@example.com', '', 'empty');")
        assert server.login_result("tim@example.com", users.PASSWORDS["sue"]) == "OK"
        assert server.login_result("tim@example.com", "") == "temp_fail"
        # it might have been the one that cannot be read
        assert server.login_result("tim@example.com", users.WRONG) == "temp_fail"
        for secret in users.secrets():
            assert secret not in server.logs()
    finally:
        sqlite.sql("DELETE FROM apps WHERE label IN ('odd', 'none', 'empty')")
        server.stop()
    server = start(text.replace("multiple_passwords = yes", ""))
    try:
        assert server.login_result("tim@example.com", users.PASSWORDS["prox"]) == "temp_fail"
        assert "password_query returned multiple matches" in server.logs()
    finally:
        server.stop()


def test_the_tutorial_file(mariadb):
    """The administrator's own file; only the port is added, as the server here has another one."""
    with open(FIXTURE) as f:
        text = f.read()
    server = start(text.replace("connect = host=127.0.0.1", "connect = host=127.0.0.1 port=%d" % mariadb.port))
    try:
        user, password = next(iter(sql.PASSWORD.items()))
        assert server.login_result(user, password) == "OK", server.logs()
        assert server.login_result(user, "x") == "FAIL"
        with server.master() as m:
            reply = m.user(user)
        assert reply.get("home") == "/home/vmail/example.com/tim"
        assert reply.get("quota_rule") == "dirsize:storage=%d" % sql.QUOTA
    finally:
        server.stop()
