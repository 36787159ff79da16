"""The sql driver with real servers: MariaDB, PostgreSQL, SQLite."""

import base64
import hashlib
import os
import sqlite3

import pytest

from lib import authproto, authserver, proc, sql, users

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


def test_many_at_once(pair):
    """Questions that go to the server together have each its own answer, when one of them fails, too."""
    db, server = pair
    good = [(user.encode(), password, "OK") for user, password in sql.PASSWORD.items()]
    bad = [(user, password + "x", "FAIL") for user, password, _ in good]
    odd = [(name, "x", "FAIL") for name in (b"nobody@example.com", b"\xff\xfe@example.com", b"a'b\\\"@example.com",
                                            b"x" * 1000, b"tim@example.com' OR '1'='1")]
    mix = (good + bad + odd) * 8
    asked, out = {}, []
    with server.client() as c:
        for i, (user, password, want) in enumerate(mix, 1):
            resp = base64.b64encode(b"\0%s\0%s" % (user, password.encode())).decode()
            out.append("AUTH\t%d\tPLAIN\tservice=imap\tresp=%s\n" % (i, resp))
            asked[i] = (user, want)
        c.raw("".join(out))
        for _ in mix:
            reply = c.reply()
            user, want = asked.pop(int(reply.line.split(b"\t")[1]))
            assert reply.cmd == want and not reply.has("code"), (user, reply)
            assert want == "FAIL" or reply.get("user") == user.decode(), (user, reply)
    assert not asked


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
        server.wait_log("password_query returned multiple matches")
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


# ---- what columns mean ----

def rows(db, select, kind="password_query"):
    """A server whose query is this one."""
    return start(conf_for(db).replace(kind + " =", "%s = %s\n# " % (kind, select)))


def test_null_columns_and_prefetch(sqlite):
    server = start(conf_for(sqlite).replace(
        "password_query =", "password_query = SELECT password, NULL AS allow_nets, 7 AS userdb_uid, 8 AS userdb_gid,"
        " NULL AS userdb_home, 'x' AS extra FROM users WHERE email = '%u'\n#"), TEXT.replace(
            "userdb {", "userdb {\n  driver = prefetch\n}\nuserdb {"),
        listeners=[MASTER, authserver.Listener("login/login", 0o666)])
    try:
        with server.master() as m:
            reply = m.passdb("tim@example.com")
            assert reply.cmd == "PASS" and reply.get("extra") == "x", server.logs()
            assert not reply.has("allow_nets")
        with server.master() as m, server.client("login/login") as c:
            id = c.start("PLAIN", resp=authproto.plain("tim@example.com", sql.PASSWORD["tim@example.com"]))
            assert c.reply_to(id).cmd == "OK"
            reply = m.ask("REQUEST", c.pid, id, c.cookie, "session_pid=%d" % os.getpid())
            assert reply.get("uid") == "7" and reply.get("gid") == "8", reply
            assert not reply.has("home")
    finally:
        server.stop()


@pytest.mark.parametrize("select, result, why", [
    ("SELECT email AS user FROM users WHERE email = '%u'", "temp_fail", "must return a field named 'password'"),
    ("SELECT NULL AS password", "FAIL", "No password returned"),
    ("SELECT '' AS password", "FAIL", "No password returned"),
    ("SELECT NULL AS password, 1 AS nopassword", "OK", ""),
    ("SELECT password FROM users", "temp_fail", "returned multiple matches"),
    ("SELECT '{PLAIN}right' AS password, '{PLAIN}b' AS password_noscheme", "OK", "Multiple password values"),
    ("SELECT '{PLAIN}b' AS password, '{PLAIN}right' AS password", "FAIL", "Multiple password values"),
    ("SELECT 'x' FROM nowhere WHERE a = '%w'", "temp_fail", ""),
    ("SELECT '{PLAIN}right' AS password WHERE '%w' = 'right'", "OK", ""),
])
def test_password_query(sqlite, select, result, why):
    server = rows(sqlite, select)
    try:
        assert server.login_result("tim@example.com", "right") == result, server.logs()
        server.wait_log(why)
        assert "right" not in server.logs()
    finally:
        server.stop()


def test_a_second_row_of_user_query(pair):
    """The first counts, as in Dovecot: a query over several tables may well give more. One by one and many at once."""
    db, _ = pair
    server = rows(db, "SELECT '/h' AS home, 5 AS uid, 6 AS gid FROM users", "user_query")
    try:
        with server.master() as m:
            for _ in range(2):
                assert m.user("tim@example.com").args == ["tim@example.com", "home=/h", "uid=5", "gid=6"], server.logs()
            m.raw("".join("USER\t%d\ttim@example.com\tservice=imap\n" % i for i in range(1, 101)))
            for _ in range(100):
                assert m.reply().args == ["tim@example.com", "home=/h", "uid=5", "gid=6"], server.logs()
    finally:
        server.stop()


def test_columns_change_the_name(sqlite):
    server = rows(sqlite, "SELECT '{PLAIN}right' AS password, 'other' AS username, 'example.org' AS domain")
    try:
        with server.client() as c:
            assert c.login("tim@example.com", "right").get("user") == "other@example.org"
    finally:
        server.stop()


@pytest.mark.parametrize("select, names", [
    ("SELECT email AS user, 'x' AS username FROM users", "whole"),
    ("SELECT 1 AS a, 'joe' AS username, 'example.net' AS domain", ["joe@example.net"]),
    ("SELECT 'joe' AS username, NULL AS domain", ["joe"]),
    ("SELECT 1 AS a, 'x' AS user", None),
])
def test_iterate_columns(sqlite, select, names):
    server = rows(sqlite, select, "iterate_query")
    try:
        with server.master() as m:
            got, done = m.list()
        assert done.has("fail") == (names is None), server.logs()
        assert sorted(got) == (sorted(sql.TABLE) if names == "whole" else names or [])
    finally:
        server.stop()


def test_long_values(pair):
    """A column that is longer than any buffer."""
    db, server = pair
    long = "x" * 20000
    query = ("SELECT repeat('x', 20000) AS home, 5000 AS uid, 5000 AS gid" if db.kind != "sqlite" else
             "SELECT replace(hex(zeroblob(10000)), '0', 'x') AS home, 5000 AS uid, 5000 AS gid")
    one = rows(db, query, "user_query")
    try:
        with one.master() as m:
            assert m.user("tim@example.com").get("home") == long, one.logs()
    finally:
        one.stop()


def test_types_are_those_of_literals(postgresql):
    """Parameters whose type the server cannot tell by itself are text, as a literal would be."""
    server = rows(postgresql, "SELECT concat('/home/', '%n', '/%d') AS home, 1 + '%{lport}' AS uid, 5 AS gid,"
                  " '%u' AS name, $t$it's %n$t$ AS quoted, E'a\\tb%n' AS escaped"
                  " FROM users WHERE email = '%u' AND quota > '%{lport}' AND quota > %{lport}", "user_query")
    try:
        with server.master() as m:
            reply = m.user("tim@example.com", "lport=143")
            assert reply.cmd == "USER", server.logs()
            assert reply.get("home") == "/home/tim/example.com" and reply.get("uid") == "144"
            assert reply.get("quoted") == "it's tim" and reply.get("escaped") == "a\tbtim"
    finally:
        server.stop()


# (user_query that makes an error of anna's row, its words)
ONE_ROW_FAILS = {
    "mysql": [
        ("SELECT if('%n' = 'anna', exp(1000), '/h') AS home", "1690"),
        ("SELECT (SELECT quota FROM users WHERE '%n' = 'anna') AS home", "1242"),
        ("SELECT '/h' AS home FROM users WHERE email = '%u' AND email REGEXP if('%n' = 'anna', '[', '.')", "1139"),
        ("SELECT if('%n' = 'anna', repeat('x', 20000000), '/h') AS home", "a row has more than"),
        ("SELECT if('%n' = 'anna', repeat('x', 16777000), '/h') AS home", "a row has more than"),
        ("CALL find('%n')", "gone away for good"),
    ],
    "pgsql": [
        ("SELECT 1 / (CASE '%n' WHEN 'anna' THEN 0 ELSE 1 END) AS home", "division by zero"),
        ("SELECT find('%n') AS home", "gone away for good"),
        ("SELECT CASE '%n' WHEN 'anna' THEN repeat('x', 50000000) ELSE '/h' END AS home", "a row has more than"),
    ],
    "sqlite": [
        ("SELECT CASE '%n' WHEN 'anna' THEN abs(-9223372036854775807 - 1) ELSE '/h' END AS home", "integer overflow"),
        ("SELECT CASE '%n' WHEN 'anna' THEN hex(zeroblob(150000000)) ELSE '/h' END AS home", "too big"),
        ("SELECT CASE '%n' WHEN 'anna' THEN hex(zeroblob(10000000)) ELSE '/h' END AS home", "a row has more than"),
    ],
}
FIND = {
    "mysql": "DELIMITER //\nCREATE PROCEDURE find(IN u varchar(50)) IF u = 'anna' THEN SIGNAL SQLSTATE '45000'"
             " SET MESSAGE_TEXT = 'gone away for good'; ELSE SELECT '/h' AS home; END IF//",
    "pgsql": "CREATE FUNCTION find(u text) RETURNS text LANGUAGE plpgsql AS $$BEGIN IF u = 'anna' THEN"
             " RAISE 'gone away for good'; END IF; RETURN '/h'; END$$",
}


@pytest.mark.parametrize("kind", ["mariadb", "postgresql", "sqlite"])
def test_the_error_of_one_row_is_nobody_elses(request, kind):
    """Neither does it close the way to the server for a while, nor does it count as an outage."""
    db = request.getfixturevalue(kind)
    if db.kind == "mysql":
        db.sql("SET GLOBAL max_allowed_packet = 33554432; GRANT EXECUTE ON maildb.* TO mailuser@'%', mailuser@localhost")
    db.sql(FIND.get(db.kind, ""))
    try:
        for query, why in ONE_ROW_FAILS[db.kind]:
            server = rows(db, query, "user_query")
            try:
                with server.master() as m:
                    for _ in range(5):
                        assert m.user("anna@example.com").cmd == "FAIL", (query, server.logs())
                        assert m.user("tim@example.com").cmd == "USER", (query, server.logs())
                        assert m.user("anna@example.com").cmd == "FAIL", (query, server.logs())
                        assert m.user("anna@example.com").cmd == "FAIL", (query, server.logs())
                server.wait_log(why)
                assert "is down" not in server.logs() and "not tried" not in server.logs()
            finally:
                server.stop()
    finally:
        if db.kind == "mysql":
            db.sql("SET GLOBAL max_allowed_packet = DEFAULT")


def test_columns_that_change_places(pair):
    """A table that is altered under a statement: a column is what it is called now, whoever asks first."""
    db, _ = pair
    swap = ("ALTER TABLE shape RENAME COLUMN password TO x; ALTER TABLE shape RENAME COLUMN note TO password;"
            "ALTER TABLE shape RENAME COLUMN x TO note;")
    db.sql("CREATE TABLE shape (email varchar(50), password varchar(50), note varchar(50));"
           "INSERT INTO shape VALUES ('tim@example.com', '{PLAIN}first', '{PLAIN}second');")
    if db.kind == "pgsql":
        db.sql("GRANT SELECT ON shape TO mailuser")
    server = rows(db, "SELECT * FROM shape WHERE email = '%u'")
    try:
        changes = [("first", None), ("second", swap), ("first", swap)]
        if db.kind == "mysql":  # the order of columns, with the names as they are
            changes.append(("first", "ALTER TABLE shape MODIFY password varchar(50) AFTER note"))
        for good, change in changes:
            if change:
                db.sql(change)
            with server.client() as c:  # first one, then many that may go together
                for burst in (1, 40):
                    want = {}
                    for i in range(burst):
                        for password in ("first", "second"):
                            id = c.start("PLAIN", resp=authproto.plain("tim@example.com", password))
                            want[str(id)] = "OK" if password == good else "FAIL"
                    for _ in range(2 * burst):
                        reply = c.reply()
                        assert reply.cmd == want.pop(reply.id) and not reply.has("code"), (change, reply, server.logs())
    finally:
        server.stop()
        db.sql("DROP TABLE shape")


BIG = {"mysql": "concat('user', seq, '@example.com') AS user FROM seq_1_to_300000",
       "pgsql": "concat('user', n, '@example.com') AS \"user\" FROM generate_series(1, 300000) n",
       "sqlite": "'user' || value || '@example.com' AS user FROM"
                 " (WITH RECURSIVE s(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM s LIMIT 300000) SELECT value FROM s)"}


def test_big_list(pair):
    """It is streamed: neither process grows with it."""
    db, _ = pair
    server = rows(db, "SELECT " + BIG[db.kind], "iterate_query")
    pids = server.pids("worker") + server.pids("front")
    try:
        for pid in pids:
            proc.forget_peak(pid)
        before = {pid: proc.rss_kib(pid) for pid in pids}
        with server.master(timeout=60) as m:
            names, done = m.list()
        assert len(names) == 300000 and not done.has("fail"), server.logs()
        assert max(proc.peak_kib(pid) - before[pid] for pid in pids) < 8192
        # somebody who goes away in the middle
        with server.master() as m:
            m.send("LIST", 1)
            m.reply()
        assert server.login_result("tim@example.com", sql.PASSWORD["tim@example.com"]) == "OK"
    finally:
        server.stop()


def test_sqlite_file_replaced_and_missing():
    db, other = sql.SQLite().init(), sql.SQLite().init()
    server = start(conf_for(db))
    user, password = "tim@example.com", sql.PASSWORD["tim@example.com"]
    try:
        assert server.login_result(user, password) == "OK"
        other.sql("UPDATE users SET password = '{PLAIN}fresh-Kelvin9' WHERE email = '%s'" % user)
        os.rename(other.path, db.path)
        assert server.login_result(user, "fresh-Kelvin9") == "OK", server.logs()
        assert server.login_result(user, password) == "FAIL"
        os.rename(db.path, db.path + ".away")
        assert server.login_result(user, "fresh-Kelvin9") == "temp_fail"
        os.rename(db.path + ".away", db.path)
        proc.wait_for("the file", lambda: server.login_result(user, "fresh-Kelvin9") == "OK")
    finally:
        server.stop()
        db.stop()
        other.stop()


def test_sqlite_locked():
    """Somebody writes for longer than a client waits."""
    db = sql.SQLite().init()
    server = start(conf_for(db), listeners=[MASTER, authserver.Listener(
        "auth-client", 0o600, extra="    client_deadline = 2 secs\n")])
    user, password = "tim@example.com", sql.PASSWORD["tim@example.com"]
    lock = sqlite3.connect(db.path, isolation_level=None)
    try:
        assert server.login_result(user, password) == "OK"
        lock.execute("BEGIN EXCLUSIVE")
        assert server.login_result(user, password) == "temp_fail"
        lock.execute("ROLLBACK")
        proc.wait_for("the lock's end", lambda: server.login_result(user, password) == "OK")
    finally:
        lock.close()
        server.stop()
        db.stop()


def test_missing_module(sqlite):
    with pytest.raises(RuntimeError) as failed:
        start(conf_for(sqlite), "driver_dir = /nonexistent\n" + TEXT)
    assert "needs the module sql-sqlite.so" in str(failed.value)
    assert "libsqlite3-dev" in str(failed.value)


def test_refused_when_loaded(sqlite):
    """With the place, before anything is asked."""
    with pytest.raises(RuntimeError) as failed:
        start(conf_for(sqlite).replace("FROM users WHERE", "FROM users_%d WHERE"))
    assert "dovecot-sql.conf.ext:4: password_query: %d cannot be a value at offset" in str(failed.value)


@pytest.fixture(scope="module")
def certificates():
    """A directory with a CA and a server certificate for 127.0.0.1."""
    path = proc.new_dir("c")
    for argv in (
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
             "/CN=test CA", "-keyout", "ca.key", "-out", "ca.pem"],
            ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=127.0.0.1",
             "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "csr.pem"],
            ["x509", "-req", "-in", "csr.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
             "-copy_extensions", "copy", "-out", "cert.pem"],
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
             "/CN=another CA", "-keyout", "other.key", "-out", "other.pem"]):
        done = proc.run(["openssl"] + argv, cwd=path)
        assert done.returncode == 0, done.stderr
    return path


def test_tls(certificates):
    db = sql.MariaDB(options=["--ssl-cert=%s/cert.pem" % certificates, "--ssl-key=%s/key.pem" % certificates,
                              "--ssl-ca=%s/ca.pem" % certificates]).init()
    user, password = "tim@example.com", sql.PASSWORD["tim@example.com"]
    try:
        db.sql("ALTER USER mailuser@'%' REQUIRE SSL")
        db.sql("DROP USER mailuser@localhost")
        for host, ca, verify, result, why in (
                ("127.0.0.1", "ca", "yes", "OK", ""), ("127.0.0.1", "ca", "no", "OK", ""),
                ("127.1", "ca", "no", "OK", ""), ("127.1", "ca", "yes", "temp_fail", "SSL"),
                ("127.0.0.1", "ca", None, "OK", ""), ("127.1", "ca", None, "temp_fail", "SSL"),
                ("127.0.0.1", "other", "yes", "temp_fail", "SSL"), ("127.0.0.1", None, None, "temp_fail", "denied")):
            more = {"ssl_ca": "%s/%s.pem" % (certificates, ca)} if ca else {}
            if verify:
                more["ssl_verify_server_cert"] = verify
            server = start(conf_for(db, host=host, **more))
            try:
                assert server.login_result(user, password) == result, (host, ca, verify, server.logs())
                server.wait_log(why)
            finally:
                server.stop()
    finally:
        db.stop()


def test_no_authority_no_login(mariadb, certificates):
    """Who names one is not content with a server, or somebody between, who has no TLS at all."""
    user, password = "tim@example.com", sql.PASSWORD["tim@example.com"]
    server = start(conf_for(mariadb, ssl_ca=certificates + "/ca.pem"))
    try:
        assert server.login_result(user, password) == "temp_fail"
        server.wait_log("SSL is required")
    finally:
        server.stop()


# ---- the form of Dovecot 2.4 ----

TEXT_24 = """
auth_mechanisms {
  plain = yes
}
auth_verbose = yes
auth_username_chars =
auth_username_format = %%{user}
%(settings)s
passdb sql {
  default_password_scheme = SHA512-CRYPT
  query = SELECT email AS "user", password, quota AS amount FROM users WHERE email = '%%{user}' \
    AND %%{user | domain | if('eq', 'example.com', 1, 0)} = 1
  fields {
    domain_of = %%{user | domain | upper}
    copied = %%{sql:amount + 1}
  }
}
userdb sql {
  query = SELECT concat('/home/vmail/%%{user | domain}/%%{user | username | lower}', '') AS home, 5000 AS uid, \
    5000 AS gid, '%%{user | sha1 | substr(0, 4)}' AS part FROM users WHERE email = '%%{user | safe}'
  iterate_query = SELECT email AS "user" FROM users
  fields {
    quota:default = none
    where = %%{userdb:home}/%%{sql:part}
  }
}
"""


@pytest.fixture(scope="module", params=["mariadb", "postgresql", "sqlite"])
def pair_24(request):
    db = request.getfixturevalue(request.param)
    text = TEXT_24 % {"settings": sql.settings_24(db)}
    if db.kind == "mysql":
        text = text.replace('"user"', "user")
    if db.kind == "sqlite":
        text = text.replace("concat(", "(").replace("', '') AS home", "') AS home")
    server = authserver.new(text, listeners=[MASTER, CLIENT])
    server.form_24 = True
    yield db, server.start()
    server.stop()


def test_form_24(pair_24):
    db, server = pair_24
    for user, password in sql.PASSWORD.items():
        with server.client() as c:
            reply = c.login(user, password)
        assert reply.cmd == "OK", server.logs()
        assert reply.get("domain_of") == "EXAMPLE.COM" and reply.get("copied") == str(sql.QUOTA + 1)
        assert server.login_result(user, password + "x") == "FAIL"
    assert server.login_result("nobody@example.com", "x") == "FAIL"
    assert server.login_result("tim@example.org", sql.PASSWORD["tim@example.com"]) == "FAIL"
    with server.master() as m:
        reply = m.user("tim@example.com")
        assert reply.get("home") == "/home/vmail/example.com/tim", server.logs()
        part = hashlib.sha1(b"tim@example.com").hexdigest()[:8]
        assert reply.get("where") == "/home/vmail/example.com/tim/" + part and reply.get("quota") == "none"
        assert m.user("nobody@example.com").cmd == "NOTFOUND"
        got, done = m.list()
    assert sorted(got) == sorted(sql.TABLE) and not done.has("fail")
    assert len(server.pids("worker")) == 1, "passdb and userdb share their worker"
    for secret in users.secrets() + ["mailpassword"]:
        assert secret not in server.logs()


def test_form_24_has_no_default_queries():
    """Not where that of 2.3 would do, either."""
    db = sql.SQLite().init()
    db.sql("ALTER TABLE users ADD COLUMN username text; ALTER TABLE users ADD COLUMN domain text;")
    server = authserver.new(sql.settings_24(db) + "passdb sql {\n  query = SELECT password FROM users\n}\n"
                            "userdb sql {\n  query = SELECT '/h' AS home\n}\n", listeners=[MASTER])
    server.form_24 = True
    server.start()
    try:
        with server.master() as m:
            assert m.user("tim").get("home") == "/h"
            assert m.list()[1].has("fail")
        server.wait_log("there is no query that lists the users")
    finally:
        server.stop()
        db.stop()


def test_form_24_refused_when_loaded(sqlite):
    """Where a variable cannot be a value, whatever was done to it."""
    for query, why in (("SELECT password FROM %{user | lower}", "cannot be a value"),
                       ("SELECT password FROM users WHERE %{user | safe} = 1", ""),
                       ("SELECT password FROM users WHERE a = '%{user | lowr}'", 'did you mean "lower"')):
        server = authserver.new("passdb sql {\n%s query = %s\n}\n" % (sql.settings_24(sqlite), query))
        server.form_24 = True
        server.write_config()
        done = proc.run([authserver.AUTHCTL, "config", "check", server.config])
        assert (done.returncode == 0) == (why == ""), done.stdout + done.stderr
        assert why in done.stdout + done.stderr
