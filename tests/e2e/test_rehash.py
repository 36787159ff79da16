"""Rehash on login: weak stored passwords become strong ones, in real databases and a file."""

import base64
import hashlib
import hmac
import json
import os
import shutil
import stat
import threading
import time

import pytest

from lib import authproto, authserver, proc, sql, users

pytestmark = pytest.mark.authd_only("dovecot-auth has no rehash")
LISTENERS = [authserver.Listener("auth-client", 0o600), authserver.Listener("auth-master", 0o600)]
NEW = "{SHA512-CRYPT}$6$rounds=6000$"
TEXT = """
auth_mechanisms = plain
auth_username_format = %%u
auth_username_chars =
auth_allow_weak_schemes = yes
auth_rehash_scheme = SHA512-CRYPT
auth_rehash_rounds = 6000
passdb {
  driver = %s
  args = %s
  rehash = yes
}
"""


def authctl_pw(scheme, password="pencil", *more):
    done = proc.run([authserver.AUTHCTL, "pw", "-s", scheme, "-p", password, *more])
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def hashes():
    """Users with the password "pencil"."""
    return {"plain@x": "{PLAIN}pencil", "md5@x": authctl_pw("PLAIN-MD5"), "ssha@x": authctl_pw("SSHA"),
            "few@x": authctl_pw("SHA512-CRYPT", "pencil", "-r", "1000"), "cram@x": authctl_pw("CRAM-MD5"),
            "strong@x": authctl_pw("BLF-CRYPT")}


UPGRADED = ["plain@x", "md5@x", "ssha@x", "few@x"]
LEFT_ALONE = ["cram@x", "strong@x"]


class File:
    """Users in a passwd-file, in a directory that the workers' user may write in."""

    def __init__(self):
        self.dir = proc.new_dir("r")
        self.path = os.path.join(self.dir, "users")
        shutil.chown(self.dir, "nobody", "nogroup")
        self.server = None

    def fill(self, table):
        users.write_lines(self.path, ["# first"] + ["%s:%s:1:1::/h::a=b" % u for u in table.items()] + ["# last"])
        shutil.chown(self.path, "nobody", "nogroup")
        os.chmod(self.path, 0o640)
        old = time.time() - 10
        os.utime(self.path, (old, old))

    def table(self):
        with open(self.path) as f:
            lines = f.read().splitlines()
        assert lines[0] == "# first" and lines[-1] == "# last", lines
        assert all(line.endswith(":1:1::/h::a=b") for line in lines[1:-1]), lines
        return dict(line.split(":")[:2] for line in lines[1:-1])

    def set(self, user, password):
        table = self.table()
        table[user] = password
        self.fill(table)

    def start(self, text=TEXT):
        self.server = authserver.new(text % ("passwd-file", self.path), listeners=LISTENERS).start()
        return self.server

    def stop(self):
        shutil.rmtree(self.dir, ignore_errors=True)


class Database:
    """Users in a table of their own."""

    def __init__(self, db):
        self.db = db
        db.sql("CREATE TABLE people (name varchar(190) PRIMARY KEY, password varchar(250));")
        if db.kind == "mysql":
            db.sql("GRANT SELECT, UPDATE ON maildb.people TO mailuser@'%', mailuser@localhost;")
        elif db.kind == "pgsql":
            db.sql("GRANT SELECT, UPDATE ON people TO mailuser;")
        else:
            for path in (db.dir, db.path):
                shutil.chown(path, "nobody", "nogroup")

    def fill(self, table):
        self.db.sql("DELETE FROM people;" + "".join("INSERT INTO people VALUES ('%s', '%s');" % u for u in table.items()))

    def rows(self):
        out = self.db.sql("SELECT name, password FROM people;")
        if isinstance(out, str):
            return [line.replace("|", "\t").split("\t") for line in out.splitlines()]
        return out

    def table(self):
        return dict(self.rows())

    def set(self, user, password):
        self.db.sql("UPDATE people SET password = '%s' WHERE name = '%s';" % (password, user))

    def start(self, text=TEXT):
        server = authserver.new("", listeners=LISTENERS)
        conf = os.path.join(server.dir, "sql.conf.ext")
        with open(conf, "w") as f:
            f.write("driver = %s\nconnect = %s\n"
                    "password_query = SELECT password FROM people WHERE name = '%%u'\n"
                    "iterate_query = SELECT name AS username FROM people\n"
                    "update_query = UPDATE people SET password = '%%w' WHERE name = '%%u' "
                    "AND password = '%%{old:password}'\n" % (self.db.kind, self.db.connect()))
        server.body = text % ("sql", conf)
        return server.start()

    def stop(self):
        self.db.stop()


@pytest.fixture(scope="module", params=["passwd-file", "mariadb", "postgresql", "sqlite"])
def store(request):
    if request.param == "passwd-file":
        one = File()
    else:
        kind = {"mariadb": sql.MariaDB, "postgresql": sql.PostgreSQL, "sqlite": sql.SQLite}[request.param]
        one = Database(kind().init())
    yield one
    one.stop()


@pytest.fixture(scope="module")
def server(store):
    store.fill(hashes())
    one = store.start()
    yield one
    one.stop()


@pytest.fixture
def filled(store, server):
    table = hashes()
    store.fill(table)
    if isinstance(store, File):
        time.sleep(2.2)  # a passwd-file is looked at once a second
    return table


def upgraded(store, user):
    return lambda: store.table()[user].startswith(NEW)


def test_upgrade(store, server, filled):
    for user in filled:
        assert server.login_result(user, "pen") == "FAIL"
    assert store.table() == filled
    for user in filled:
        assert server.login_result(user, "pencil") == "OK", server.logs()
    for user in UPGRADED:
        proc.wait_for("the new hash of " + user + server.logs(), upgraded(store, user))
        assert server.login_result(user, "pencil") == "OK", server.logs()
        assert server.login_result(user, "pen") == "FAIL"
    after = store.table()
    assert {u: after[u] for u in LEFT_ALONE} == {u: filled[u] for u in LEFT_ALONE}
    assert "the stored password is SHA512-CRYPT now, it was PLAIN-MD5" in server.logs()
    for secret in [*after.values(), "pencil"]:
        assert secret not in server.logs()


def status(server, *more):
    """{(what, scheme): count} as authctl tells it."""
    done = proc.run([authserver.AUTHCTL, "-o", "json", "pw", "upgrade-status", "-a", server.path("auth-master"), *more])
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()] if done.stdout.startswith("{") else json.loads(done.stdout)
    assert {row["passdb"] for row in rows} <= {"1"}
    return {(row["what"], row["scheme"]): int(row["count"]) for row in rows}


def test_upgrade_status(store, server, filled):
    time.sleep(1.5)  # workers tell what they have counted once a second
    before = status(server)
    stored = status(server, "-s")
    assert stored[("stored", "PLAIN")] == 1 and stored[("stored", "SSHA")] == 1
    assert stored[("stored", "SHA512-CRYPT")] == 1 and stored[("stored", "CRAM-MD5")] == 1
    assert ("stored", "(incomplete)") not in stored
    assert server.login_result("ssha@x", "pencil") == "OK"
    assert server.login_result("ssha@x", "pen") == "FAIL"
    proc.wait_for("the new hash", upgraded(store, "ssha@x"))
    proc.wait_for("the counts", lambda: status(server).get(("upgraded", "-"), 0) == before.get(("upgraded", "-"), 0) + 1)
    after = status(server, "-s")
    assert after[("logins", "SSHA")] == before.get(("logins", "SSHA"), 0) + 1
    assert after[("stored", "SHA512-CRYPT")] == 2 and ("stored", "SSHA") not in after
    server.kill_workers()
    proc.wait_for("a new worker", lambda: server.login_result("strong@x", "pencil") == "OK")
    assert status(server)[("upgraded", "-")] == after[("upgraded", "-")]


def test_many_logins_at_once(store, server, filled):
    answers = []

    def log_in():
        with server.client() as c:
            for _ in range(5):
                answers.append(c.login("ssha@x", "pencil").cmd)
    threads = [threading.Thread(target=log_in) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert answers == ["OK"] * 30
    proc.wait_for("the new hash", upgraded(store, "ssha@x"))
    first = store.table()["ssha@x"]
    assert server.login_result("ssha@x", "pencil") == "OK"
    assert store.table()["ssha@x"] == first


def test_changed_meanwhile(store, server, filled):
    """Whatever the order of the two: the password that somebody has set is the one that stays."""
    for i in range(3):
        store.set("ssha@x", filled["ssha@x"])
        if isinstance(store, File):
            time.sleep(1.3)
        assert server.login_result("ssha@x", "pencil") == "OK", server.logs()
        store.set("ssha@x", "{PLAIN}changed%d" % i)
        time.sleep(0.3)
        assert store.table()["ssha@x"] == "{PLAIN}changed%d" % i


def test_cannot_be_written(store):
    """The login is good, and the log says once why the hash stays."""
    store.fill(hashes())
    if isinstance(store, File):
        shutil.chown(store.dir, "root", "root")
        why = "this process may not write in its directory"
    elif store.db.kind == "mysql":
        store.db.sql("REVOKE UPDATE ON maildb.people FROM mailuser@'%', mailuser@localhost;")
        why = "the server refused the query"
    elif store.db.kind == "pgsql":
        store.db.sql("REVOKE UPDATE ON people FROM mailuser;")
        why = "the server refused the query"
    else:
        store.db.sql("CREATE TRIGGER no BEFORE UPDATE ON people BEGIN SELECT RAISE(ABORT, 'no'); END;")
        why = "the server refused the query"
    server = store.start()
    try:
        before = store.table()
        for user in UPGRADED:
            assert server.login_result(user, "pencil") == "OK", server.logs()
        server.wait_log(why)
        assert server.logs().count(why) == 1
        assert store.table() == before
    finally:
        server.stop()
        if isinstance(store, File):
            shutil.chown(store.dir, "nobody", "nogroup")


# ---- the file alone ----

@pytest.fixture
def file():
    one = File()
    yield one
    if one.server:
        one.server.stop()
    one.stop()


def test_file_survives_kills(file):
    """The worker is killed again and again while it writes: the file is always whole."""
    table = {"u%d@x" % i: "{PLAIN}pencil" for i in range(400)}
    file.fill(table)
    before = os.stat(file.path)
    server = file.start()
    names = iter(list(table) * 2)
    for _ in range(4):
        with server.client() as c:
            for _ in range(20):
                user = next(names)
                reply = c.login(user, "pencil")
                assert reply.cmd == "OK" or reply.get("code") == "temp_fail", reply
        server.kill_workers()
        now = file.table()
        assert set(now) == set(table)
        assert all(p == "{PLAIN}pencil" or p.startswith(NEW) for p in now.values())
        proc.wait_for("a new worker", lambda: server.login_result("u399@x", "pencil") == "OK")
    assert server.login_result("u398@x", "pencil") == "OK"
    proc.wait_for("a new hash", lambda: file.table()["u398@x"].startswith(NEW))
    after = os.stat(file.path)
    assert (stat.S_IMODE(after.st_mode), after.st_uid, after.st_gid) == (0o640, before.st_uid, before.st_gid)


def test_file_worker_writes_nowhere_else(file):
    """Without rehash the worker may write nowhere at all, as its own directory's owner."""
    file.fill(hashes())
    server = file.start(TEXT.replace("rehash = yes", ""))
    assert server.login_result("plain@x", "pencil") == "OK"
    time.sleep(0.3)
    assert file.table()["plain@x"] == "{PLAIN}pencil"
    assert os.listdir(file.dir) == ["users"]


def test_driver_that_stores_nothing():
    server = authserver.new(TEXT % ("static", "password={PLAIN}pencil"), listeners=LISTENERS).start()
    try:
        server.wait_log("rehash = yes has no effect: driver static stores nothing")
        assert server.login_result("anybody@x", "pencil") == "OK"
    finally:
        server.stop()


# ---- SCRAM-SHA-256 for those whose password was hashed ----

def scram(server, user, password):
    """OK or FAIL, as a client of RFC 7677 sees it; "forged" when the server cannot prove itself."""
    with server.client() as c:
        first = "n=%s,r=rOprNGfwEbeRWgbNEkqO" % user
        id = c.start("SCRAM-SHA-256", resp=authproto.b64("n,," + first))
        reply = c.reply_to(id)
        if reply.cmd != "CONT":
            return reply.cmd
        challenge = base64.b64decode(reply.args[0]).decode()
        nonce, salt, rounds = (part[2:] for part in challenge.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(rounds))

        def hmac_of(key, text):
            return hmac.new(key, text.encode(), "sha256").digest()
        key = hmac_of(salted, "Client Key")
        bare = "c=biws,r=" + nonce
        message = ",".join((first, challenge, bare))
        proof = bytes(a ^ b for a, b in zip(key, hmac_of(hashlib.sha256(key).digest(), message)))
        reply = c.cont(id, authproto.b64(bare + ",p=" + authproto.b64(proof)))
        if reply.cmd != "CONT":
            return reply.cmd
        want = "v=" + authproto.b64(hmac_of(hmac_of(salted, "Server Key"), message))
        if base64.b64decode(reply.args[0]).decode() != want:
            return "forged"
        return c.cont(id, "").cmd


def with_scram(text):
    return text.replace("auth_mechanisms = plain", "auth_mechanisms = plain scram-sha-256")


def check_scram(server, new_password_by_another_tool):
    assert scram(server, "ssha@x", "pencil") == "FAIL"
    assert server.login_result("ssha@x", "pencil") == "OK"
    proc.wait_for("the verifier", lambda: scram(server, "ssha@x", "pencil") == "OK")
    assert scram(server, "ssha@x", "pen") == "FAIL"
    assert scram(server, "cram@x", "pencil") == "FAIL"
    new_password_by_another_tool()
    proc.wait_for("the new password", lambda: server.login_result("ssha@x", "changed") == "OK")
    assert scram(server, "ssha@x", "pencil") == "FAIL", "the old password is over"
    proc.wait_for("its verifier", lambda: scram(server, "ssha@x", "changed") == "OK")
    assert "password_scram" not in server.logs()


def test_scram_after_plain_in_a_file(file):
    file.fill(hashes())
    server = file.start(with_scram(TEXT))

    def change():
        with open(file.path) as f:
            lines = f.read().splitlines()
        assert sum("password_scram_sha_256=4096," in line for line in lines) == 1
        changed = authctl_pw("SSHA", "changed")
        users.write_lines(file.path, ["ssha@x:" + changed + ":" + line.split(":", 2)[2]
                                      if line.startswith("ssha@x:") else line for line in lines])
        shutil.chown(file.path, "nobody", "nogroup")
        old = time.time() - 10
        os.utime(file.path, (old, old))
    check_scram(server, change)


def test_scram_after_plain_in_a_database():
    db = sql.SQLite().init()
    try:
        table = hashes()
        db.sql("CREATE TABLE people (name text PRIMARY KEY, password text, scram text);"
               + "".join("INSERT INTO people VALUES ('%s', '%s', NULL);" % one for one in table.items()))
        for path in (db.dir, db.path):
            shutil.chown(path, "nobody", "nogroup")
        server = authserver.new("", listeners=LISTENERS)
        conf = os.path.join(server.dir, "sql.conf.ext")
        with open(conf, "w") as f:
            f.write("driver = sqlite\nconnect = %s\n"
                    "password_query = SELECT password, scram AS password_scram_sha_256 FROM people WHERE name = '%%u'\n"
                    "update_query = UPDATE people SET password = '%%{new:password}', scram = '%%{new:scram_sha_256}' "
                    "WHERE name = '%%u' AND password = '%%{old:password}'\n" % db.connect())
        server.body = with_scram(TEXT) % ("sql", conf)
        server.start()
        try:
            check_scram(server, lambda: db.sql("UPDATE people SET password = '%s' WHERE name = 'ssha@x';"
                                               % authctl_pw("SSHA", "changed")))
        finally:
            server.stop()
    finally:
        db.stop()
