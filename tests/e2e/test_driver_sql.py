"""The sql driver with real servers: MariaDB, PostgreSQL, SQLite."""

import base64
import os

import pytest

from lib import authserver, injections, proc, sql, users

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
    server = authserver.new("", listeners=kw.pop("listeners", [MASTER, CLIENT]), **kw)
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


# ---- names that try to be more than a value ----

def inject(server):
    """Looks all of them up and logs in with all of them; returns what was not refused."""
    names = injections.all()
    assert len(names) > 500
    wrong = []
    with server.master(timeout=60) as m:
        for i, name in enumerate(names):
            m.send("USER", i, name, "service=imap")
        for name in names:
            reply = m.reply()
            if reply.cmd != "NOTFOUND":
                wrong.append((names[int(reply.id)], reply))
    logins = [n for n in names if b"\0" not in n]
    with server.client(timeout=60) as c:
        for i, name in enumerate(logins):
            resp = base64.b64encode(b"\0" + name + b"\0" + name).decode()
            c.start("PLAIN", "no-penalty", resp=resp, id=i + 1, service="imap")
        for name in logins:
            reply = c.reply()
            if reply.cmd != "FAIL" or reply.get("code") == "temp_fail":
                wrong.append((logins[int(reply.id) - 1], reply))
    return wrong


def untouched(db):
    count = db.sql("SELECT count(*) FROM users WHERE password <> ''").strip()
    return count == str(len(sql.TABLE)) and not os.path.exists("/tmp/authd-test-x")


def test_injections(pair):
    db, server = pair
    assert inject(server) == []
    assert untouched(db)
    assert server.login_result("o'brien@example.com", sql.PASSWORD["o'brien@example.com"]) == "OK"


MODES = {
    "double quotes": ("", "", '"%u"'),
    "bare": ("", "", "%u"),
    "no escapes, ANSI quotes": ("NO_BACKSLASH_ESCAPES,ANSI_QUOTES", "", '"%u"'),
    "gbk": ("", "SET NAMES gbk", "'%u'"),
    "sjis": ("NO_BACKSLASH_ESCAPES", "SET NAMES sjis", "'%u'"),
}


@pytest.mark.parametrize("mode", MODES)
def test_injections_mariadb_modes(mariadb, mode):
    sql_mode, names, value = MODES[mode]
    default = mariadb.sql("SELECT @@GLOBAL.sql_mode").strip()
    mariadb.sql("SET GLOBAL sql_mode='%s', GLOBAL init_connect='%s'" % (sql_mode, names))
    server = start(conf_for(mariadb).replace("'%u'", value))
    try:
        assert inject(server) == []
        assert untouched(mariadb)
        for user in ("tim@example.com", "o'brien@example.com", "back\\slash@example.com"):
            assert server.login_result(user, sql.PASSWORD[user]) == "OK", server.logs()
    finally:
        mariadb.sql("SET GLOBAL sql_mode='%s', GLOBAL init_connect=''" % default)
        server.stop()
