"""What an outage of the database does: logins are put off, never refused, and go on by themselves."""

import os
import signal
import socket
import threading
import time

import pytest

from lib import authserver, proc, sql, users
from test_driver_sql import conf_for, start

pytestmark = pytest.mark.authd_only("the driver's own tests")
USER = "tim@example.com"
GOOD = sql.PASSWORD[USER]
DEADLINE = 3
POSTFIX = authserver.Listener("postfix", 0o600, extra="    type = auth\n    client_deadline = %d secs\n" % DEADLINE)
LISTENERS = [authserver.Listener("auth-master"), POSTFIX]


def launch(conf_text):
    return start(conf_text, listeners=LISTENERS)


def login(server, password=GOOD, user=USER):
    """(result, seconds)"""
    begin = time.monotonic()
    try:
        with server.client("postfix") as c:
            reply = c.login(user, password)
    except (ConnectionError, FileNotFoundError):
        reply = None
    result = "closed" if reply is None else "temp_fail" if reply.get("code") == "temp_fail" else reply.cmd
    return result, time.monotonic() - begin


class Load:
    """Logs in with the right password all the time and remembers every answer."""

    def __init__(self, server, lanes=4):
        self.server = server
        self.answers = []
        self.end = False
        self.threads = [threading.Thread(target=self.run) for _ in range(lanes)]
        for t in self.threads:
            t.start()

    def run(self):
        while not self.end:
            self.answers.append((time.monotonic(),) + login(self.server))
            time.sleep(0.02)

    def stop(self):
        self.end = True
        for t in self.threads:
            t.join()
        wrong = [a for a in self.answers if a[1] not in ("OK", "temp_fail")]
        assert not wrong, (wrong[:3], self.server.logs()[-3000:])
        late = [a for a in self.answers if a[2] > DEADLINE + 1]
        assert not late, late[:3]
        return [a[1] for a in self.answers]

    def wait(self, result, timeout=20):
        begin = time.monotonic()
        proc.wait_for("an answer " + result + "\n" + self.server.logs()[-2000:],
                      lambda: any(a[0] > begin and a[1] == result for a in list(self.answers)), timeout)
        return time.monotonic() - begin


@pytest.fixture(scope="module", params=["mariadb", "postgresql"])
def db(request):
    one = (sql.MariaDB() if request.param == "mariadb" else sql.PostgreSQL()).init()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def server(db):
    one = launch(conf_for(db))
    yield one
    one.stop()


def descriptors(server):
    return sum(len(os.listdir("/proc/%d/fd" % pid)) for pid in server.pids("worker"))


@pytest.fixture
def load(db, server):
    assert login(server)[0] == "OK", server.logs()
    one = Load(server)
    yield one
    one.stop()


def test_killed_and_restarted(db, server, load):
    db.kill()
    load.wait("temp_fail")
    assert login(server, "x")[0] == "temp_fail"
    assert login(server, "x", "nobody@example.com")[0] == "temp_fail"
    db.start()
    assert load.wait("OK") < 10
    assert login(server, "x")[0] == "FAIL"


def test_hanging(db, server, load):
    pids = [db.pid()] + list(proc.children(db.pid()))
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        load.wait("temp_fail")
        time.sleep(1)
        # the breaker is open: nobody waits for the deadline any more
        assert min(login(server)[1] for _ in range(5)) < 0.5
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    assert load.wait("OK") < 10


def test_table_dropped(db, server, load):
    db.sql("ALTER TABLE users RENAME TO away")
    load.wait("temp_fail")
    assert login(server, "x", "nobody@example.com")[0] == "temp_fail"
    db.sql("ALTER TABLE away RENAME TO users")
    assert load.wait("OK") < 5


def test_table_changed(db, server, load):
    """Prepared statements survive it: SELECT's columns have other types now."""
    db.sql("ALTER TABLE users ADD COLUMN more int")
    if db.kind == "mysql":
        db.sql("ALTER TABLE users MODIFY password varchar(240)")
    else:
        db.sql("ALTER TABLE users ALTER password TYPE varchar(240)")
    assert load.wait("OK") < 5
    assert [login(server)[0] for _ in range(10)] == ["OK"] * 10


def test_service_password_wrong(db, server, load):
    change = ("ALTER USER mailuser@'%%' IDENTIFIED BY '%s'" if db.kind == "mysql"
              else "ALTER ROLE mailuser PASSWORD '%s'")
    db.sql(change % "service-Other4")
    kick(db)
    load.wait("temp_fail")
    assert login(server, "x", "nobody@example.com")[0] == "temp_fail"
    db.sql(change % "mailpassword")
    assert load.wait("OK") < 10
    assert "mailpassword" not in server.logs()


def kick(db):
    """Ends the connections that authd has."""
    if db.kind == "mysql":
        for line in db.sql("SELECT id FROM information_schema.processlist WHERE user = 'mailuser'").split():
            db.client("KILL " + line)
    else:
        db.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mailuser'")


def test_connections_cut(db, server, load):
    """The server ends them while nobody waits: they are made anew, and no login notices."""
    load.stop()
    for _ in range(3):
        kick(db)
        assert [login(server)[0] for _ in range(3)] == ["OK"] * 3, server.logs()[-2000:]


def test_connection_limit(db, server, load):
    if db.kind == "mysql":
        limit = "GRANT USAGE ON *.* TO mailuser@'%%' WITH MAX_USER_CONNECTIONS %d"
        db.sql(limit % 1)
        kick(db)
        held = proc.Daemon(["mariadb", "--no-defaults", "-h", "127.0.0.1", "-P", str(db.port), "-u", "mailuser",
                            "-pmailpassword", "maildb", "-e", "SELECT sleep(60)"], os.path.join(db.dir, "held"))
        unlimited = limit % 0
    else:
        db.sql("ALTER ROLE mailuser CONNECTION LIMIT 0")
        held = None
        kick(db)
        unlimited = "ALTER ROLE mailuser CONNECTION LIMIT -1"
    try:
        load.wait("temp_fail")
    finally:
        if held:
            held.stop(signal.SIGKILL)
        db.sql(unlimited)
    assert load.wait("OK") < 10


def test_nothing_is_left_behind(db, server):
    for _ in range(20):
        assert login(server)[0] == "OK"
    before = descriptors(server)
    for _ in range(5):
        kick(db)
        load = Load(server, 8)
        time.sleep(0.3)
        load.stop()
    assert descriptors(server) <= before + 10


# ---- two servers ----

@pytest.fixture(scope="module")
def two():
    one, other = sql.MariaDB().init(), sql.MariaDB().init()
    yield one, other
    one.stop()
    other.stop()


def for_two(one, other, more=""):
    # both are on the same address, and a port counts for all hosts: so the sockets
    return conf_for(one).replace("host=127.0.0.1 port=%d" % one.port,
                                 "host=%s host=%s%s" % (one.socket, other.socket, more))


def freeze(db, signo):
    os.kill(db.pid(), signo)


def test_failover(two):
    one, other = two
    server = launch(for_two(one, other))
    load = Load(server)
    try:
        load.wait("OK")
        for away in two:
            away.kill()
            assert [login(server)[0] for _ in range(20)] == ["OK"] * 20, server.logs()[-2000:]
            away.start()
            assert login(server)[0] == "OK"
            time.sleep(1)
        for away in two:
            freeze(away, signal.SIGSTOP)
            try:
                # half of the deadline is the other server's
                results = [login(server)[0] for _ in range(20)]
            finally:
                freeze(away, signal.SIGCONT)
            assert results == ["OK"] * 20, server.logs()[-2000:]
            time.sleep(1)
        assert "temp_fail" not in load.stop()
    finally:
        load.stop()
        server.stop()


def test_hosts_share_the_work(two):
    one, other = two
    server = launch(for_two(one, other, " maxconns=2"))
    load = Load(server, 8)
    try:
        load.wait("OK")
        time.sleep(1)
        count = "SELECT count(*) FROM information_schema.processlist WHERE user = 'mailuser'"
        assert 1 <= int(one.sql(count)) <= 2
        assert 1 <= int(other.sql(count)) <= 2
        assert set(load.stop()) == {"OK"}
    finally:
        load.stop()
        server.stop()


def test_name_of_no_host():
    server = launch("driver = mysql\nconnect = host=/nonexistent/socket user=a password=hush-Word7 dbname=b\n")
    try:
        assert login(server)[0] == "temp_fail"
        assert "hush-Word7" not in server.logs()
        assert "/nonexistent/socket" in server.logs()
    finally:
        server.stop()
