"""A million users in MariaDB and in slapd: one is found by an index, and a list of all of them streams,
while logins go on. In slapd there are fewer, as paging through it takes longer than "make check" should;
AUTHD_TEST_USERS=1000000 pytest tests/e2e/test_million.py has as many in both."""

import os
import re
import subprocess
import threading
import time

import pytest

from lib import authserver, ldap, proc, sql

pytestmark = pytest.mark.authd_only("the list and its bounds are authd's")
USERS = os.environ.get("AUTHD_TEST_USERS")
GROWTH = 8 << 10  # KiB that a process may grow by, whatever the list's length; names alone are 20 bytes each
NAME = "user%07d@example.com"
TEXT = """auth_mechanisms = plain
auth_cache_size = 0
passdb {
  driver = %(driver)s
  args = %(conf)s
}
userdb {
  driver = %(driver)s
  args = %(conf)s
}
"""


class InMariaDB:
    driver = "sql"
    count = int(USERS or 1000000)

    def __init__(self):
        self.db = sql.MariaDB(options=["--innodb-buffer-pool-size=64M", "--innodb-doublewrite=0",
                                       "--innodb-flush-log-at-trx-commit=0", "--innodb-log-file-size=64M"]).init()
        table = os.path.join(self.db.dir, "table")
        with open(table, "w") as f:
            f.writelines((NAME + "\t{PLAIN}pw-%07d\t%d\t/srv/%d\n") % (i, i, 5000 + i, i) for i in range(self.count))
        self.db.sql("CREATE TABLE people (name varchar(190) PRIMARY KEY, password varchar(100), uid int,"
                    " home varchar(100)); SET unique_checks = 0; LOAD DATA INFILE '%s' INTO TABLE people" % table)
        os.unlink(table)
        self.db.sql("GRANT SELECT ON maildb.* TO mailuser@'%'")
        self.query = "SELECT uid, 5000 AS gid, home FROM people WHERE name = '%u'"

    def conf(self):
        return ("driver = mysql\nconnect = %s\npassword_query = SELECT name AS username, password FROM people"
                " WHERE name = '%%u'\nuser_query = %s\niterate_query = SELECT name AS username FROM people\n" % (
                    self.db.connect(), self.query))

    def counters(self):
        """How many rows were read by a key, and how many one after the other."""
        rows = [line.split() for line in self.db.sql("SHOW GLOBAL STATUS LIKE 'Handler_read%'").splitlines()]
        count = {name: int(value) for name, value in rows}
        return count["Handler_read_key"], count["Handler_read_rnd_next"] + count["Handler_read_next"]

    def check_index(self, ask):
        before = self.counters()
        asked = ask()
        after = self.counters()
        assert after[0] - before[0] >= asked
        assert after[1] - before[1] < 1000  # SHOW STATUS itself reads its table
        plan = self.db.sql("EXPLAIN " + self.query.replace("%u", NAME % 7)).split("\t")
        assert plan[3:6] == ["const", "PRIMARY", "PRIMARY"], plan

    def stop(self):
        self.db.stop()


class InSlapd:
    driver = "ldap"
    count = int(USERS or 200000)

    def __init__(self):
        entry = ("dn: uid=%s,ou=people,%s\nobjectClass: account\nobjectClass: posixAccount\nuid: %s\ncn: x\n"
                 "uidNumber: %d\ngidNumber: 5000\nhomeDirectory: /srv/%d\nuserPassword: {CLEARTEXT}pw-%07d\n\n")
        people = (entry % (NAME % i, ldap.BASE, NAME % i, 5000 + i, i, i) for i in range(self.count))
        self.slapd = ldap.Slapd(ldif=self.all(people), maxsize=4 << 30,
                                limits="limits * size.soft=500 size.hard=500 size.prtotal=unlimited")
        os.unlink(os.path.join(self.slapd.dir, "ldif"))
        self.slapd.start()

    @staticmethod
    def all(people):
        yield ldap.base()
        yield from people

    def conf(self):
        return ldap.settings(uris=self.slapd.uri, dn=ldap.SERVICE_DN, dnpass=ldap.SERVICE_PW, base=ldap.BASE)

    def restart(self, debug):
        self.slapd.stop()
        self.slapd.debug = debug
        self.slapd.start()

    def log(self):
        with open(self.slapd.log) as f:
            return f.read()

    def check_index(self, ask):
        self.restart(32)  # slapd says how it makes use of filters
        assert ask() > 0
        # entries that are looked at, for each search
        candidates = [int(n) for n in re.findall(r"mdb_list_candidates: id=(-?\d+)", self.log())]
        assert len(candidates) > 100 and set(candidates) <= {0, 1}, candidates[:50]
        assert "not indexed" not in self.log()
        # that is how it would look: the second of all entries is one too many
        subprocess.run(["ldapsearch", "-x", "-z", "1", "-H", self.slapd.uri, "-D", ldap.SERVICE_DN, "-w",
                        ldap.SERVICE_PW, "-b", ldap.BASE, "(cn=x)", "dn"], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=60)
        assert "(cn) not indexed" in self.log()
        self.restart(0)

    def stop(self):
        self.slapd.stop()


@pytest.fixture(scope="module", params=[InMariaDB, InSlapd], ids=["mariadb", "slapd"])
def big(request):
    """A server on a million users; .backend has them."""
    backend = request.param()
    try:
        conf = os.path.join(proc.new_dir("q"), "conf.ext")
        with open(conf, "w") as f:
            f.write(backend.conf())
        os.chmod(conf, 0o644)
        server = authserver.Authd(TEXT % {"driver": backend.driver, "conf": conf}, listeners=[
            authserver.Listener("auth-client"), authserver.Listener("auth-master")]).start()
        server.backend = backend
        yield server
        server.stop()
    finally:
        backend.stop()


def login(c, number, good=True):
    return c.login(NAME % number, "pw-%07d" % (number if good else number + 1)).cmd


def numbers(count):
    """Some of the users, all over the place."""
    return [count * i // 97 for i in range(97)] + [count - 1]


def test_one_of_them_is_found_by_the_index(big):
    def ask():
        proc.wait_for("the server", lambda: big.login_result(NAME % 0, "pw-0000000") == "OK")
        with big.client() as c, big.master() as m:
            for i in numbers(big.backend.count):
                assert login(c, i) == "OK"
                assert login(c, i, good=False) == "FAIL"
                assert m.user(NAME % i).get("home") == "/srv/%d" % i
            for i in range(20):
                assert c.login("nobody%d@example.com" % i, "x").cmd == "FAIL"
                assert m.user("nobody%d@example.com" % i).cmd == "NOTFOUND"
        return 3 * len(numbers(big.backend.count)) + 40

    big.backend.check_index(ask)


class Watch:
    """Logs in all the time; .grown says then by how much front and workers grew at most, in KiB."""

    def __init__(self, server):
        self.server = server
        self.pids = server.pids("worker") + server.pids("front")
        for pid in self.pids:
            proc.forget_peak(pid)
        self.before = {pid: proc.rss_kib(pid) for pid in self.pids}
        self.grown, self.answers, self.ending = 0, [], False
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.ending = True
        self.thread.join()
        self.grown = max(proc.peak_kib(pid) - self.before[pid] for pid in self.pids)

    def run(self):
        with self.server.client() as c:
            while not self.ending:
                i = len(self.answers)
                self.answers.append(login(c, i * 7919 % self.server.backend.count, good=i % 2 == 0) == ("OK" if i % 2 == 0 else "FAIL"))
                time.sleep(0.005)


def read_list(m, count, pause):
    """The numbers of all users listed, as a bytearray of how often each came."""
    seen, rest, last = bytearray(count), b"", b""
    m.send("LIST", 1)
    m.sock.settimeout(60)
    while not last.startswith(b"DONE"):
        data = m.sock.recv(1 << 20)
        assert data, "closed"
        lines = (rest + data).split(b"\n")
        rest = lines.pop()
        for number in re.findall(rb"user(\d{7})@", b"\n".join(lines)):
            seen[int(number)] += 1
        last = lines[-1] if lines else last
        time.sleep(pause)
        pause = 0
    assert last == b"DONE\t1\t", last
    return seen


def test_the_list_streams(big):
    """Complete, each name once; no process holds it; logins are answered meanwhile, when the reader rests, too."""
    with big.client() as c:  # so that the lanes have their memory
        for i in numbers(big.backend.count):
            login(c, i)
    with Watch(big) as watch:
        with big.master(timeout=60) as m:
            seen = read_list(m, big.backend.count, pause=0.5)
        # one that goes away in the middle, and one more to the end
        with big.master() as m:
            m.send("LIST", 1)
            m.reply()
    assert seen == b"\1" * big.backend.count
    assert len(watch.answers) > 20 and all(watch.answers)
    assert watch.grown < GROWTH, "%d KiB more" % watch.grown


def test_readers_that_rest_hold_nobody_up(big):
    resting = [big.master() for _ in range(8)]
    try:
        for m in resting:
            m.send("LIST", 1)
        resting[0].reply()
        with big.client() as c:
            assert [login(c, i) for i in numbers(big.backend.count)] == ["OK"] * 98
    finally:
        for m in resting:
            m.close()
    with big.master(timeout=60) as m:
        assert read_list(m, big.backend.count, pause=0) == b"\1" * big.backend.count


def test_authctl_streams_too(big):
    out = os.path.join(big.dir, "listed")
    with Watch(big) as watch:
        ctl = proc.Daemon([authserver.AUTHCTL, "user", "-a", big.path("auth-master"), "*"], out)
        peak = 0
        while ctl.running():
            peak = max(peak, proc.peak_kib(ctl.pid))
            time.sleep(0.01)
        assert ctl.stop() == 0
    assert 0 < peak < 2 * GROWTH, "%d KiB" % peak
    with open(out, "rb") as f:
        names = f.read().split()
    os.unlink(out)
    assert len(names) == big.backend.count == len(set(names))
    assert all(watch.answers) and watch.grown < GROWTH
    assert "killed by" not in big.logs() and "channel to a" not in big.logs()
