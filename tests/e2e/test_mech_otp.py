"""OTP (RFC 2444): one-time passwords, used up in a passwd-file and in a database."""

import base64
import hashlib
import os
import shutil
import threading

import pytest

from lib import authserver, proc, sql, users

pytestmark = pytest.mark.authd_only("dovecot-auth stores them in SQL only, after the answer")
LISTENERS = [authserver.Listener("auth-client", 0o600)]
SECRET = "This is a test."
TEXT = """
auth_mechanisms = plain otp
auth_username_format = %%u
passdb {
  driver = %s
  args = %s
}
"""


def link(count, seed, secret=SECRET, name="md5"):
    """RFC 2289: the hash, folded to 64 bits; for sha1 its words go out little-endian."""
    def fold(data):
        digest = hashlib.new(name, data).digest()
        if name == "md5":
            return bytes(a ^ b for a, b in zip(digest[:8], digest[8:]))
        w = [digest[i:i + 4] for i in range(0, 20, 4)]
        one = bytes(a ^ b ^ c for a, b, c in zip(w[0], w[2], w[4]))
        two = bytes(a ^ b for a, b in zip(w[1], w[3]))
        return one[::-1] + two[::-1]
    value = fold(seed.lower().encode() + secret.encode())
    for _ in range(count):
        value = fold(value)
    return value.hex()


def stored(count, seed, **kw):
    return "{OTP}%s %d %s %s" % (kw.get("name", "md5"), count, seed, link(count, seed, **kw))


class File:
    def __init__(self):
        self.dir = proc.new_dir("o")
        self.path = os.path.join(self.dir, "users")
        shutil.chown(self.dir, "nobody", "nogroup")
        users.write_lines(self.path, ["tim:" + stored(100, "ke1234") + ":1:1::/h::a=b",
                                      "sue:" + stored(50, "ke99", name="sha1"),
                                      "end:" + stored(1, "ke7"), "plain:{PLAIN}" + SECRET])
        shutil.chown(self.path, "nobody", "nogroup")

    def start(self):
        return authserver.new(TEXT % ("passwd-file", self.path), listeners=LISTENERS).start()

    def stop(self):
        shutil.rmtree(self.dir, ignore_errors=True)


class Database:
    def __init__(self, db):
        self.db = db
        db.sql("CREATE TABLE otp (name varchar(190) PRIMARY KEY, password varchar(250));"
               + "".join("INSERT INTO otp VALUES ('%s', '%s');" % one for one in [
                   ("tim", stored(100, "ke1234")), ("sue", stored(50, "ke99", name="sha1")),
                   ("end", stored(1, "ke7")), ("plain", "{PLAIN}" + SECRET)]))
        if db.kind == "mysql":
            db.sql("GRANT SELECT, UPDATE ON maildb.otp TO mailuser@'%', mailuser@localhost;")

    def start(self):
        server = authserver.new("", listeners=LISTENERS)
        conf = os.path.join(server.dir, "sql.conf.ext")
        with open(conf, "w") as f:
            f.write("driver = %s\nconnect = %s\npassword_query = SELECT password FROM otp WHERE name = '%%u'\n"
                    "update_query = UPDATE otp SET password = '%%w' WHERE name = '%%u' AND "
                    "password = '%%{old:password}'\n" % (self.db.kind, self.db.connect()))
        server.body = TEXT % ("sql", conf)
        return server.start()

    def stop(self):
        self.db.stop()


@pytest.fixture(scope="module", params=["passwd-file", "mariadb"])
def server(request):
    one = File() if request.param == "passwd-file" else Database(sql.MariaDB().init())
    running = one.start()
    running.store = one
    yield running
    running.stop()
    one.stop()


def begin(client, user, authzid=""):
    """The challenge's words, and the request's id."""
    id = client.start("OTP", resp=base64.b64encode(("%s\0%s" % (authzid, user)).encode()).decode())
    reply = client.reply_to(id)
    if reply.cmd != "CONT":
        return None, reply
    return base64.b64decode(reply.args[0]).decode().split(), id


def finish(client, id, text):
    return client.cont(id, base64.b64encode(text.encode()).decode())


def login(server, user, secret=SECRET, kind="hex:", **kw):
    with server.client() as c:
        words, id = begin(c, user)
        assert words and words[3] == "ext", (words, id, server.logs())
        name = words[0].replace("otp-", "")
        return words, finish(c, id, kind + link(int(words[1]), words[2], secret, name))


def test_sequence(server):
    for user, name, first in (("tim", "otp-md5", 99), ("sue", "otp-sha1", 49)):
        for count in range(first, first - 5, -1):
            words, reply = login(server, user)
            assert words[:2] == [name, str(count)], server.logs()
            assert reply.cmd == "OK", server.logs()
        words, reply = login(server, user, secret="wrong")
        assert reply.cmd == "FAIL"
        again, reply = login(server, user, secret="wrong")
        assert again == words, "a wrong one uses nothing up"
    assert login(server, "tim", kind="HEX:")[1].cmd == "OK"
    for word in (SECRET, link(99, "ke1234"), link(98, "ke1234")):
        assert word not in server.logs()


def test_replay(server):
    with server.client() as c:
        words, id = begin(c, "tim")
        good = "hex:" + link(int(words[1]), words[2])
        assert finish(c, id, good).cmd == "OK", server.logs()
        for _ in range(3):
            next_words, id = begin(c, "tim")
            assert int(next_words[1]) == int(words[1]) - 1
            assert finish(c, id, good).cmd == "FAIL"


def test_new_chain(server):
    with server.client() as c:
        words, id = begin(c, "sue")
        text = "init-hex:%s:md5 500 fresh1:%s" % (link(int(words[1]), words[2], name="sha1"),
                                                  link(500, "fresh1", "another secret"))
        assert finish(c, id, text).cmd == "OK", server.logs()
    words, reply = login(server, "sue", "another secret")
    assert words == ["otp-md5", "499", "fresh1", "ext"] and reply.cmd == "OK"


def test_used_up(server):
    assert login(server, "end")[1].cmd == "OK"
    with server.client() as c:
        words, reply = begin(c, "end")
        assert words is None and reply.cmd == "FAIL"
    server.wait_log("all one-time passwords are used up")


def test_unknown_user(server):
    """He is challenged like anybody, always the same way; so is one whose password is no OTP."""
    for user in ("nobody", "plain"):
        words, reply = login(server, user)
        assert words[0] == "otp-sha1" and reply.cmd == "FAIL" and not reply.has("code")
        assert login(server, user)[0] == words
    assert login(server, "nobody2")[0] != login(server, "nobody")[0]


def test_one_at_a_time(server):
    """A second one is told to try later, and the first one goes on."""
    with server.client() as a, server.client() as b:
        for user in ("tim", "nobody"):
            words, id = begin(a, user)
            second, reply = begin(b, user)
            assert second is None and reply.cmd == "FAIL" and reply.get("code") == "temp_fail"
            reply = finish(a, id, "hex:" + link(int(words[1]), words[2]))
            assert reply.cmd == ("OK" if user == "tim" else "FAIL")
            words, id = begin(b, user)
            assert words, server.logs()
            finish(b, id, "hex:00")
    # who hangs up holds nobody's name
    with server.client() as a:
        begin(a, "tim")

    def is_free():
        with server.client() as c:
            return begin(c, "tim")[0] is not None
    proc.wait_for("the name to be free", is_free)
    proc.wait_for("the name to be free", is_free)


def test_same_password_at_once(server):
    """Two servers' worth of clients with one and the same password: it is good once."""
    good, answers = None, []
    with server.client() as c:
        words, id = begin(c, "tim")
        good = "hex:" + link(int(words[1]), words[2])

    def use():
        with server.client() as c:
            words, id = begin(c, "tim")
            if words:
                answers.append(finish(c, id, good).cmd)
    threads = [threading.Thread(target=use) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if not answers:
        use()
    assert answers.count("OK") == 1, answers


def test_plain_password_still_works(server):
    """The pass phrase itself, where PLAIN is offered."""
    with server.client() as c:
        assert c.login("tim", SECRET).cmd == "OK"
        assert c.login("tim", "wrong").cmd == "FAIL"


def test_cannot_be_stored(server):
    """Then nobody is let in: it would be good again."""
    store = server.store
    if isinstance(store, File):
        shutil.chown(store.dir, "root", "root")
    else:
        store.db.sql("REVOKE UPDATE ON maildb.otp FROM mailuser@'%', mailuser@localhost;")
    try:
        words, reply = login(server, "tim")
        assert reply.cmd == "FAIL" and reply.get("code") == "temp_fail", server.logs()
        assert login(server, "tim")[0] == words
    finally:
        if isinstance(store, File):
            shutil.chown(store.dir, "nobody", "nogroup")
        else:
            store.db.sql("GRANT UPDATE ON maildb.otp TO mailuser@'%', mailuser@localhost;")
    assert login(server, "tim")[1].cmd == "OK", server.logs()
