"""The Dovecot auth protocols from the client's side, one line at a time and without any mercy."""

import base64
import itertools
import socket
import struct
import time

_pids = itertools.count(100001)
ESC = {0x30: 0x00, 0x31: 0x01, 0x74: 0x09, 0x72: 0x0D, 0x6E: 0x0A}
UNESC = {v: bytes([1, k]) for k, v in ESC.items()}


def escape(value):
    return b"".join(UNESC.get(b, bytes([b])) for b in value)


def unescape(value):
    out = bytearray()
    it = iter(value)
    for b in it:
        if b == 1:
            b = next(it, None)
            if b is None:
                break
            b = ESC.get(b, b)
        out.append(b)
    return bytes(out)


def b64(value):
    if isinstance(value, str):
        value = value.encode()
    return base64.b64encode(value).decode()


def plain(user, password, authzid=""):
    """The initial response of PLAIN."""
    return b64("%s\0%s\0%s" % (authzid, user, password))


class Reply:
    """One line of the server: command, id and the fields that follow it."""

    def __init__(self, line):
        self.line = line
        parts = line.split(b"\t")
        self.cmd = parts[0].decode()
        self.id = parts[1].decode() if len(parts) > 1 else None
        self.args = [unescape(p).decode(errors="replace") for p in parts[2:]]

    def get(self, key):
        """The value of key=value, "" for a bare key, None when absent."""
        for arg in self.args:
            name, _, value = arg.partition("=")
            if name == key:
                return value
        return None

    def has(self, key):
        return self.get(key) is not None

    def __repr__(self):
        return "Reply(%r)" % self.line


class Conn:
    """A connection that reads lines. where: a path, or (host, port)."""

    def __init__(self, where, timeout=15.0):
        if isinstance(where, str):
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        else:
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        self.sock.connect(where)
        self.timeout = timeout
        self.buf = b""

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def close(self):
        self.sock.close()

    def raw(self, data):
        if isinstance(data, str):
            data = data.encode()
        self.sock.sendall(data)

    def send(self, *fields):
        """One line, its fields escaped."""
        self.raw(b"\t".join(escape(f if isinstance(f, bytes) else str(f).encode())
                            for f in fields) + b"\n")

    def line(self, timeout=None):
        """The next line without its LF; None when the server closed."""
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        while b"\n" not in self.buf:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("no line from the server; so far %r" % self.buf[:200])
            self.sock.settimeout(left)
            try:
                data = self.sock.recv(65536)
            except socket.timeout:
                continue
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            self.buf += data
        line, self.buf = self.buf.split(b"\n", 1)
        return line

    def reply(self, timeout=None):
        line = self.line(timeout)
        return None if line is None else Reply(line)

    def closed(self, timeout=10.0):
        """True when the server closes without a further line."""
        return self.line(timeout) is None

    def silent(self, seconds=0.3):
        """True when nothing, not even an end, comes for a while."""
        try:
            line = self.line(seconds)
        except TimeoutError:
            return True
        if line is not None:
            self.buf = line + b"\n" + self.buf
        return False


class AuthClient(Conn):
    """The client protocol."""

    def __init__(self, where, minor=2, pid=None, timeout=15.0, hello=True):
        super().__init__(where, timeout)
        self.minor = minor
        self.pid = pid or next(_pids)
        self.hello = []
        self.mechs = {}
        self.spid = self.cuid = self.cookie = None
        self.server_minor = None
        self.next_id = 1
        if hello:
            self.raw("VERSION\t1\t%d\nCPID\t%d\n" % (self.minor, self.pid))
            self.read_hello()

    def read_hello(self):
        while True:
            line = self.line()
            if line is None:
                raise ConnectionError("closed in the handshake after %r" % self.hello)
            self.hello.append(line.decode())
            fields = self.hello[-1].split("\t")
            if fields[0] == "MECH":
                self.mechs[fields[1]] = fields[2:]
            elif fields[0] == "SPID":
                self.spid = int(fields[1])
            elif fields[0] == "CUID":
                self.cuid = int(fields[1])
            elif fields[0] == "COOKIE":
                self.cookie = fields[1]
            elif fields[0] == "VERSION":
                self.server_minor = int(fields[2])
            elif fields[0] == "DONE":
                return

    def start(self, mech, *params, resp=None, id=None, service="smtp"):
        """Sends AUTH; returns its id."""
        if id is None:
            id = self.next_id
            self.next_id += 1
        fields = ["AUTH", id, mech]
        if service is not None:
            fields.append("service=" + service)
        fields += list(params)
        if resp is not None:
            fields.append("resp=" + resp)
        self.send(*fields)
        return id

    def auth(self, mech, *params, **kw):
        """Sends AUTH and reads its reply (with "no-penalty" so that real Dovecot stays quick)."""
        id = self.start(mech, "no-penalty", *params, **kw)
        return self.reply_to(id)

    def login(self, user, password, *params, **kw):
        return self.auth("PLAIN", *params, resp=plain(user, password), **kw)

    def cont(self, id, data):
        self.raw("CONT\t%s\t%s\n" % (id, data))
        return self.reply_to(id)

    def reply_to(self, id, timeout=None):
        reply = self.reply(timeout)
        if reply is not None and reply.id != str(id):
            raise AssertionError("reply to %s expected, got %r" % (id, reply))
        return reply


class MasterClient(Conn):
    """The master and userdb protocols."""

    def __init__(self, where, minor=1, timeout=15.0):
        super().__init__(where, timeout)
        self.raw("VERSION\t1\t%d\n" % minor)
        version = self.line()
        spid = self.line()
        if version is None or spid is None:
            raise ConnectionError("closed in the handshake: %r %r" % (version, spid))
        self.version = version.decode()
        self.spid = int(spid.split(b"\t")[1])
        self.next_id = 1

    def ask(self, cmd, *args, id=None):
        if id is None:
            id = self.next_id
            self.next_id += 1
        self.send(cmd, id, *args)
        reply = self.reply()
        if reply is not None and reply.id != str(id):
            raise AssertionError("reply to %s expected, got %r" % (id, reply))
        return reply

    def user(self, name, *params, service="imap"):
        return self.ask("USER", name, "service=" + service, *params)

    def passdb(self, name, *params, service="imap"):
        return self.ask("PASS", name, "service=" + service, *params)

    def list(self, *params, id=None):
        """(names, the DONE reply)"""
        if id is None:
            id = self.next_id
            self.next_id += 1
        self.send("LIST", id, *params)
        names = []
        while True:
            reply = self.reply()
            if reply is None or reply.cmd == "DONE":
                return names, reply
            assert reply.cmd == "LIST" and reply.id == str(id), reply
            names.append(reply.args[0])


def peer_uid(sock):
    return struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
