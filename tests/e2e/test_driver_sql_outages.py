"""What happens to connections and statements of the sql driver; test_outages.py has the outages."""

import socket
import threading
import time

import pytest

from lib import authserver, outages, proc, sql, users
from test_driver_sql import conf_for, start

pytestmark = pytest.mark.authd_only("the driver's own tests")
USER, GOOD = "sue@example.com", users.PASSWORDS["sue"]
LISTENERS = [authserver.Listener("load", extra=outages.CLIENT)]


def launch(conf_text):
    return start(conf_text, listeners=LISTENERS)


def login(server, password=GOOD, user=USER):
    """OK, FAIL or temp_fail"""
    with server.client("load") as c:
        reply = c.login(user, password)
    return reply.get("code") or reply.cmd


class Load(outages.Load):
    """Ends with a look at all answers."""

    def __init__(self, server, lanes=3):
        super().__init__(server, "example.com", GOOD, ["right"] * lanes + ["wrong", "unknown"])

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()
        assert outages.judge(self) == ([], [])

    def results(self):
        return {result for _, _, kind, result in self.answers if kind == "right"}


def filled(db):
    db.init().sql("INSERT INTO users VALUES ('%s', '%s', 1)" % (USER, users.HASHES["sue"]))
    return db


@pytest.fixture(scope="module", params=[sql.MariaDB, sql.PostgreSQL])
def db(request):
    one = filled(request.param())
    yield one
    one.stop()


@pytest.fixture(scope="module")
def server(db):
    one = launch(conf_for(db))
    yield one
    one.stop()


def kick(db):
    """Ends the connections that authd has."""
    if db.kind == "mysql":
        db.sql("KILL USER mailuser")
    else:
        db.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mailuser'")


def test_table_changed(db, server):
    """Prepared statements survive it: SELECT's columns have other types now."""
    assert login(server) == "OK", server.logs()
    with Load(server) as load:
        db.sql("ALTER TABLE users ADD COLUMN more int")
        if db.kind == "mysql":
            db.sql("ALTER TABLE users MODIFY password varchar(240)")
        else:
            db.sql("ALTER TABLE users ALTER password TYPE varchar(240)")
        load.wait("right", "OK", time.monotonic())
        assert [login(server) for _ in range(10)] == ["OK"] * 10


def test_connections_cut(db, server):
    """The server ends them while nobody waits: they are made anew, and no login notices."""
    for _ in range(3):
        kick(db)
        assert [login(server) for _ in range(3)] == ["OK"] * 3, server.logs()[-2000:]


class Cutter:
    """Between driver and server: of an answer it cuts, the half is passed on and then the connection ends."""

    def __init__(self, port):
        self.server, self.cuts = port, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.server))
            for pair in ((client, server, False), (server, client, True)):
                threading.Thread(target=self.pump, args=pair, daemon=True).start()

    def pump(self, source, sink, answers):
        try:
            while data := source.recv(65536):
                cut = answers and self.cuts > 0
                self.cuts -= cut
                sink.sendall(data[:len(data) // 2] if cut else data)
                if cut:
                    break
        except OSError:
            pass
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def test_an_answer_that_breaks_off_is_asked_for_again(db):
    cutter = Cutter(db.port)
    server = launch(conf_for(db, port=cutter.port))
    try:
        for _ in range(5):
            assert login(server) == "OK", server.logs()
            cutter.cuts = 1
            assert login(server) == "OK", server.logs()
            cutter.cuts = 1
            assert login(server, "x") == "FAIL", server.logs()
        cutter.cuts = 1000
        assert login(server) == "temp_fail"
        cutter.cuts = 0
        proc.wait_for("the end of the cuts", lambda: login(server) == "OK")
    finally:
        server.stop()
        cutter.listener.close()


def test_one_users_trouble_is_no_outage(db):
    """Two rows, or a value that the server refuses, for him alone; others are let in, however often he tries."""
    twice = "WHERE email = '%u' OR ('%u' = 'tim@example.com' AND email LIKE 'anna%%')"
    conf = conf_for(db).replace("WHERE email = '%u'", twice, 1)
    if db.kind == "pgsql":
        odd = "SELECT CAST(CASE WHEN email = 'tim@example.com' THEN 'x' ELSE '1' END AS int) AS odd, email as"
        conf = conf_for(db).replace("SELECT email as", odd)
    server = launch(conf)
    try:
        for _ in range(6):
            assert login(server, "x", "tim@example.com") == "temp_fail"
            assert login(server) == "OK"
        for _ in range(6):
            assert login(server, "x", "tim@example.com") == "temp_fail"
        assert login(server) == "OK"
        assert "the backend is down" not in server.logs()
    finally:
        server.stop()


def test_a_row_without_measure():
    """A server that sends hundreds of megabytes does not get the worker to hold them."""
    db = sql.MariaDB().init()
    query = "SELECT email as user, password, REPEAT('x', 200000000) AS more FROM users WHERE email = '%u'"
    server = None
    try:
        db.sql("SET GLOBAL max_allowed_packet = 1073741824")
        server = launch("driver = mysql\nconnect = %s\npassword_query = %s\n" % (db.connect(), query))
        assert login(server, users.PASSWORDS["tim"], "tim@example.com") == "temp_fail"
        server.wait_log("a row has more than")
        assert max(map(proc.peak_kib, server.pids("worker sql"))) < 100 * 1024
    finally:
        if server:
            server.stop()
        db.stop()


def descriptors(server):
    return sum(outages.descriptors(pid) for pid in server.pids("worker"))


def test_nothing_is_left_behind(db, server):
    for _ in range(20):
        assert login(server) == "OK"
    before = descriptors(server)
    for _ in range(5):
        kick(db)
        with Load(server, 8):
            time.sleep(0.3)
    assert descriptors(server) <= before + 10


def test_hosts_share_the_work():
    one, other = filled(sql.MariaDB()), filled(sql.MariaDB())
    # both are on the same address, and a port counts for all hosts: so the sockets
    hosts = "host=%s host=%s maxconns=2" % (one.socket, other.socket)
    server = launch(conf_for(one).replace("host=127.0.0.1 port=%d" % one.port, hosts))
    try:
        with Load(server, 8) as load:
            load.wait("right", "OK", 0)
            time.sleep(1)
            count = "SELECT count(*) FROM information_schema.processlist WHERE user = 'mailuser'"
            assert 1 <= int(one.sql(count)) <= 2
            assert 1 <= int(other.sql(count)) <= 2
        assert load.results() == {"OK"}
    finally:
        for each in (server, one, other):
            each.stop()


def test_name_of_no_host():
    server = launch("driver = mysql\nconnect = host=/nonexistent/socket user=a password=hush-Word7 dbname=b\n")
    try:
        assert login(server) == "temp_fail"
        assert "hush-Word7" not in server.logs()
        assert "/nonexistent/socket" in server.logs()
    finally:
        server.stop()
