"""Broken and hostile bytes on every socket. Afterwards another client is served by the same front."""

import os
import random
import signal
import socket
import time

import pytest

from lib import authserver, proc, users
from lib.authproto import AuthClient, Conn, b64, plain

GOOD = users.PASSWORDS["tim"]
QUICK = users.PASSWORDS["sue"]  # a cheap hash
SOCKETS = ["auth-client", "login/login", "auth-login", "token-login/tokenlogin", "auth-master",
           "auth-userdb", "private-userdb"]
HELLO = b"VERSION\t1\t2\nCPID\t%d\n"
RSS_GROWTH_MAX = 48 * 1024 + proc.RSS_SLACK  # KiB, of the process that reads the network, over a whole attack

_noise = random.Random(4711)


def noise(size):
    return bytes(_noise.getrandbits(8) for _ in range(size))


@pytest.fixture
def target(server):
    """The server; afterwards its front is the same one, serves others and has not grown much."""
    pid = server.front_pid()
    before = proc.rss_kib(pid)
    yield server
    with server.client() as c:
        assert c.login("tim", GOOD).cmd == "OK"
        assert c.login("tim", users.WRONG).cmd == "FAIL"
    with server.master() as m:
        assert m.user("tim").cmd == "USER"
    assert server.front_pid() == pid
    if server.kind == "authd":
        assert proc.rss_kib(pid) - before < RSS_GROWTH_MAX


def push(conn, data):
    """Sends; the server may close at any time. False when it did."""
    try:
        conn.raw(data)
        return True
    except (BrokenPipeError, ConnectionResetError):
        return False


PAYLOADS = {
    "nothing": b"",
    "empty lines": b"\n" * 5000,
    "tabs": b"\t" * 5000 + b"\n",
    "nuls": b"\0" * 5000 + b"\n",
    "nul lines": b"\0\n" * 5000,
    "escapes": b"\x01" * 5000 + b"\n",
    "carriage returns": b"VERSION\t1\t2\r\nCPID\t1\r\n",
    "one huge line": b"A" * (4 << 20),
    "huge version": b"VERSION\t1\t" + b"9" * 10000 + b"\n",
    "huge field count": b"VERSION\t1\t2" + b"\tx" * 8000 + b"\n",
    "http": b"GET / HTTP/1.1\r\nHost: mail\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2,
    "high bytes": b"\xff\xfe\xfd" * 2000 + b"\n",
    "format string": b"%s%n%x%p" * 200 + b"\n",
    "half a hello": b"VERSION\t1",
    "the other protocol": b"VERSION\t1\t1\nREQUEST\t1\t1\t1\t" + b"0" * 32 + b"\nUSER\t1\ttim\n",
}


@pytest.mark.parametrize("name", SOCKETS)
@pytest.mark.parametrize("payload", sorted(PAYLOADS))
def test_garbage_first(target, name, payload):
    with Conn(target.path(name)) as c:
        push(c, PAYLOADS[payload])


AFTER_HELLO = {
    "nul command": b"\0\0\0\n",
    "nul id": b"AUTH\t1\0\tPLAIN\tservice=smtp\n",
    "nul in mech": b"AUTH\t1\tPLAIN\0X\tservice=smtp\n",
    "many fields": b"AUTH\t1\tPLAIN" + b"\ta=b" * 3900 + b"\tservice=smtp\n",
    "many empty fields": b"AUTH\t1\tPLAIN" + b"\t" * 16000 + b"\n",
    "long value": b"AUTH\t1\tPLAIN\tservice=" + b"s" * 16000 + b"\n",
    "long resp": b"AUTH\t1\tPLAIN\tservice=smtp\tresp=" + b"A" * 16000 + b"\n",
    "long name": b"AUTH\t1\tPLAIN\tservice=smtp\tresp=" + plain("n" * 8000, "x").encode() + b"\n",
    "long password": b"AUTH\t1\tPLAIN\tservice=smtp\tresp="
                     + plain("tim", "x" * 8000).encode() + b"\n",
    "lone escapes": b"AUTH\t1\tPLAIN\tservice=smtp\tsession=\x01\x01\x01\tlocal_name=\x01\n",
    "bad utf-8": b"AUTH\t1\tPLAIN\tservice=smtp\tresp=" + b64(b"\0\xff\xfe\xc0\x80\0x").encode() + b"\n",
    "percent": b"AUTH\t1\tPLAIN\tservice=%s%n\tlocal_name=%u%{\tresp="
               + plain("%u%{x}%s", "%s%n").encode() + b"\n",
    "forward fields": b"AUTH\t1\tPLAIN\tservice=imap\tforward_fields=" + b"a=b\x01t" * 2000 + b"\n",
    "conts": b"CONT\t1\t\n" * 2000,
    "cancels": b"CANCEL\t1\n" * 5000,
    "half a line": b"AUTH\t1\tPLAIN\tservice=smtp\tresp=",
}


@pytest.mark.parametrize("name", ["auth-client", "login/login", "token-login/tokenlogin"])
@pytest.mark.parametrize("payload", sorted(AFTER_HELLO))
def test_garbage_after_the_hello(target, name, payload):
    with target.client(name) as c:
        push(c, AFTER_HELLO[payload])
        c.sock.shutdown(socket.SHUT_WR)
        while c.line() is not None:
            pass


AFTER_MASTER_HELLO = {
    "nul name": b"USER\t1\t\0\0\tservice=imap\n",
    "nul id": b"USER\t1\0\ttim\tservice=imap\n",
    "long name": b"USER\t1\t" + b"n" * 900 + b"\tservice=imap\n",
    "percent": b"USER\t1\t%u%{x}%s%n\tservice=%n\n",
    "traversal": b"USER\t1\t../../etc/passwd\tservice=imap\n",
    "colon": b"USER\t1\ttim:x\tservice=imap\n",
    "empty fields": b"USER\t1\ttim\t\t\t\t\tservice=imap\t\t\n",
    "lists": b"LIST\t1\nLIST\t2\nLIST\t2\nLIST\t3\tuser=" + b"*" * 200 + b"\n",
    "list mask": b"LIST\t1\tuser=" + b"*a" * 300 + b"\n",
    "half a line": b"USER\t1\ttim\tserv",
}


@pytest.mark.parametrize("name", ["auth-master", "auth-userdb"])
@pytest.mark.parametrize("payload", sorted(AFTER_MASTER_HELLO))
def test_garbage_after_the_master_hello(target, name, payload):
    with target.master(name) as m:
        push(m, AFTER_MASTER_HELLO[payload])
        m.sock.shutdown(socket.SHUT_WR)
        while m.line() is not None:
            pass


@pytest.mark.authd_only("dovecot-auth dies of it")
@pytest.mark.parametrize("cookie", ["f" * 34, "f" * 900, "0", "", "zz" * 16],
                         ids=["34", "900", "1", "0", "no hex"])
def test_cookie_of_another_size(target, cookie):
    with target.client("auth-login") as c, target.master() as m:
        id = c.login("tim", GOOD, service="imap").id
        reply = m.ask("REQUEST", c.pid, id, cookie)
        assert reply is None or reply.cmd == "FAIL"


@pytest.mark.parametrize("name", SOCKETS)
def test_random_bytes(target, name):
    for _ in range(40):
        with Conn(target.path(name)) as c:
            hello = HELLO % _noise.randrange(1, 10**6) if _noise.random() < 0.5 else b""
            push(c, hello + noise(_noise.randrange(1, 4000)) + b"\n")


@pytest.mark.parametrize("name", ["auth-client", "login/login"])
def test_mutated_commands(target, name):
    """A good conversation with a few bytes changed, many times over."""
    good = (b"AUTH\t1\tPLAIN\tservice=smtp\tno-penalty\tresp=" + plain("tim", "x").encode()
            + b"\nAUTH\t2\tLOGIN\tservice=smtp\trip=10.0.0.1\nCONT\t2\t" + b64("tim").encode()
            + b"\nCONT\t2\t" + b64("x").encode() + b"\nCANCEL\t2\n")
    for _ in range(100):
        text = bytearray(good)
        for _ in range(_noise.randrange(1, 6)):
            text[_noise.randrange(len(text))] = _noise.choice(b"\0\x01\t\n\r= 0129AUTH\xff")
        with target.client(name) as c:
            push(c, bytes(text))


# ---- many of everything ----


def test_ten_thousand_ids_at_once(target):
    """All wait for their client; each is answered, or the server ends the connection."""
    count = 10000
    with target.client() as c:
        for first in range(1, count, 500):
            ids = range(first, first + 500)
            if not push(c, b"".join(b"AUTH\t%d\tLOGIN\tservice=smtp\n" % i for i in ids)):
                return
            for id in ids:
                reply = c.reply(30)
                if reply is None:
                    return
                assert (reply.cmd, reply.id) == ("CONT", str(id)), reply
        with target.client() as other:  # while they all wait
            assert other.login("tim", GOOD).cmd == "OK"
        c.raw(b"".join(b"CANCEL\t%d\n" % i for i in range(1, count + 1)))
        assert c.login("tim", GOOD, id=1).cmd == "OK"


def test_many_logins_at_once(target):
    """In one burst on one connection; each is answered exactly once."""
    count = 3000
    with target.client(timeout=60) as c:
        c.raw(b"".join(b"AUTH\t%d\tPLAIN\tservice=smtp\tno-penalty\tresp=%s\n"
                       % (i, plain("sue", QUICK).encode()) for i in range(1, count + 1)))
        with target.client(timeout=60) as other:
            assert other.login("tim", GOOD).cmd == "OK"
        replies = {}
        for _ in range(count):
            reply = c.reply(60)
            assert reply.id not in replies
            replies[reply.id] = reply.cmd
        assert set(replies.values()) == {"OK"}


def test_logins_and_gone(target):
    """Clients that ask for work and leave before the answer."""
    for _ in range(200):
        with target.client() as c:
            c.start("PLAIN", "no-penalty", resp=plain("sue", QUICK))
            c.start("LOGIN")


def test_connects_that_hang(target):
    """Two hundred that say nothing, or half a word."""
    hanging = []
    try:
        for i in range(200):
            c = Conn(target.path("auth-client"))
            hanging.append(c)
            if i % 2:
                c.raw("VERSION\t1\t2\nCPI")
        with target.client() as c:
            assert c.login("tim", GOOD).cmd == "OK"
        with target.master() as m:
            assert m.user("tim").cmd == "USER"
    finally:
        for c in hanging:
            c.close()


def test_connect_and_gone(target):
    for _ in range(500):
        Conn(target.path("auth-client")).close()


def flood(conn, chunk, limit):
    """Writes without reading until the server stops taking; returns the bytes that it took."""
    conn.sock.setblocking(False)
    sent = 0
    idle_since = time.monotonic()
    while sent < limit and time.monotonic() - idle_since < 1.5:
        try:
            sent += conn.sock.send(chunk[sent % len(chunk):])
            idle_since = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
        except (BrokenPipeError, ConnectionResetError):
            return sent
    conn.sock.setblocking(True)
    return sent


def test_client_that_never_reads_is_not_read_either(target):
    """Each short line earns a longer answer; the server must stop eating long before 64 MiB."""
    chunk = b"AUTH\t1\tPLAIN\tservice=smtp\tresp=!\n" * 1000
    with target.client() as c:
        sent = flood(c, chunk, 64 << 20)
        assert sent < 16 << 20
        with target.client() as other:
            assert other.login("tim", GOOD).cmd == "OK"
        lines = sent // (len(chunk) // 1000)  # whole ones
        for _ in range(lines):
            reply = c.reply(30)
            assert reply.get("code") == "invalid_base64"
        if sent % (len(chunk) // 1000):
            c.raw(chunk[sent % len(chunk):][:-(sent % len(chunk)) % (len(chunk) // 1000)])
            assert c.reply().get("code") == "invalid_base64"
        assert c.login("tim", GOOD, id=2).cmd == "OK"


@pytest.mark.authd_only("dovecot-auth eats on until it meets its memory limit and dies")
def test_asker_that_never_reads_is_not_read_either(target):
    chunk = b"USER\t1\ttim\tservice=imap\n" * 1000
    with target.master() as m:
        sent = flood(m, chunk, 64 << 20)
        assert sent < 16 << 20
        with target.master() as other:
            assert other.user("tim").cmd == "USER"


@pytest.mark.authd_only("the worker is authd's")
def test_stuck_worker_and_many_who_give_up(start_server):
    """Questions to a worker that answers nothing do not pile up, however many are cancelled."""
    server = start_server()
    pid = server.front_pid()
    before = proc.rss_kib(pid)
    workers = server.pids("worker")
    for one in workers:
        os.kill(one, signal.SIGSTOP)
    try:
        with server.client() as c:
            for i in range(1, 200000, 500):
                c.raw("".join("AUTH\t%d\tPLAIN\tservice=x\tresp=%s\nCANCEL\t%d\n"
                              % (n, plain("tim", GOOD), n) for n in range(i, i + 500)))
            c.start("PLAIN", id=4000000000)
            assert c.reply_to(4000000000).cmd == "CONT"
            grown = proc.rss_kib(pid) - before
            assert grown < 8 * 1024 + proc.RSS_SLACK  # a hundred bytes each would be 20 MB
    finally:
        for one in workers:
            os.kill(one, signal.SIGCONT)
    proc.wait_for("the worker", lambda: server.login_result() == "OK")
    assert server.front_pid() == pid


def test_list_whose_asker_is_slow(start_server):
    """The deadline is about silence of the backend, not about an asker who has much to do."""
    slow = authserver.Listener("slow-master", extra="    client_deadline = 1 secs\n")
    server = start_server(listeners=authserver.STANDARD + ([slow] if authserver.KIND == "authd" else []))
    lines = ["user%06d@example.com:{PLAIN}x:%d:%d::/home/user%06d::" % (i, users.UID, users.GID, i)
             for i in range(50000)]
    time.sleep(1.1)  # another second in the file's time
    users.write_lines(server.passwd, lines)
    with server.master(timeout=30) as m:
        proc.wait_for("the new users", lambda: m.user("user049999@example.com").cmd == "USER")
    name = "slow-master" if server.kind == "authd" else "auth-master"
    with server.master(name, timeout=30) as m:
        m.send("LIST", 1, "service=x")
        time.sleep(2.5)
        got = []
        while True:
            reply = m.reply()
            if reply.cmd == "DONE":
                break
            got.append(reply)
        assert len(got) == len(lines) and reply.args == [""]


@pytest.mark.authd_only("Dovecot's limit is the master process's")
def test_client_limit(start_server):
    server = start_server(service="  client_limit = 20\n")
    held = [server.client() for _ in range(20)]
    late = AuthClient(server.path("auth-client"), hello=False)
    assert late.silent(1)
    held.pop().close()
    late.read_hello()
    late.close()
    for one in held:
        one.close()
    assert server.login_result() == "OK"


def test_list_that_nobody_reads(start_server):
    """Twenty askers for fifty thousand names each who do not read them."""
    server = start_server()
    with open(server.passwd) as f:
        lines = f.read().splitlines()
    lines += ["user%06d@example.com:{PLAIN}x:%d:%d::/home/user%06d::"
              % (i, users.UID, users.GID, i) for i in range(50000)]
    time.sleep(1.1)  # another second in the file's time
    users.write_lines(server.passwd, lines)
    with server.master(timeout=30) as m:
        proc.wait_for("the new users", lambda: m.user("user049999@example.com").cmd == "USER")
        assert len(m.list("service=x")[0]) == len(lines)
    pid = server.front_pid()
    before = proc.rss_kib(pid)
    askers = [server.master() for _ in range(20)]
    try:
        for one in askers:
            one.send("LIST", 1, "service=x")
        with server.client() as c:
            for _ in range(20):
                assert c.login("tim", GOOD).cmd == "OK"
        assert proc.rss_kib(pid) - before < RSS_GROWTH_MAX
    finally:
        for one in askers:
            one.close()
    assert server.login_result() == "OK"
    assert server.front_pid() == pid


def test_login_pid_squatting(target):
    """Connections with pids of their own do not keep others out; a dead one frees its pid."""
    pid = os.getpid()
    for _ in range(50):
        with target.client("login/login", pid=pid) as c:
            assert c.login("sue", QUICK, service="imap").cmd == "OK"


def test_unfetched_successes(target):
    """Nobody sends REQUEST for them; they end with their connection."""
    for _ in range(5):
        with target.client("login/login") as c:
            for _ in range(100):
                assert c.login("sue", QUICK, service="imap").cmd == "OK"
