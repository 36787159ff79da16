"""What an adapter of the conformance suite is made of. docs/WRITING-A-DRIVER.md shows a whole one.

An adapter says how users are put into a backend and what the driver cannot do. The suite starts authd
with the driver's section and asks it over its sockets; what "cannot" names is tested too: the answer
must be a clear one.
"""

import base64
import hashlib
import os

from lib import authserver, proc
from lib.authproto import unescape

# What a driver can do and a backend can hold; an adapter names what it lacks, with the reason.
FEATURES = {
    "passdb": "judges passwords",
    "show": "says whether a user is there without a password",
    "fields": "gives extra fields to who logs in: here color, with the number of the uid",
    "userdb": "knows uid, gid and home",
    "list": "lists its users",
    "unknown": "knows who is not there",
    "spelling": "knows the one spelling of a name",
    "own": "has something of his own for each user: password, uid, home",
    "credential": "shows a password in the clear to a mechanism that computes with it (CRAM-MD5)",
    "no password": "can hold a user without a password",
    "no home": "can hold a user whose home is not set",
    "twice": "can give a field two values",
    "double": "can hold two entries of one name",
}


class User:
    """name and password are bytes; None: the backend holds nothing there."""

    def __init__(self, name, password=None, number=0, home=None, mail=(), what=""):
        self.name, self.password = name, password
        self.uid, self.gid = 5000 + number, 6000 + number
        self.home, self.mail, self.what = home, mail, what


def _usual(i, what, name, password=None):
    if password is None:
        password = b"own-%d-Quartz" % i
    return User(name, password, i, b"/srv/mail/%d" % i, (b"box-%d" % i,), what)


NAMES = [
    ("plain", b"tim"),
    ("domain", b"tim@example.com"),
    ("digits", b"0"),
    ("dash", b"-tim"),
    ("quote", b"o'brien@example.com"),
    ("quotes", b"a\"b''c`d"),
    ("backslash", b"back\\slash\\"),
    ("percent", b"100%"),
    ("variable", b"%u%{user}%%"),
    ("braces", b"{{user}}${user}"),
    ("filter", b"star*(x)|&!"),
    ("DN", b"we,ird+name=x;y#z<>"),
    ("comment", b"semi;--comment/*x*/#"),
    ("question", b"a?b:c$1"),
    ("space", b"in side"),
    ("tab", b"ta\tb"),
    ("newline", b"line\nfeed\rback"),
    ("latin", "j\u00fcrgen@example.com".encode()),
    ("asian", "\u7530\u4e2d\U0001f600".encode()),
    ("bytes", b"\xff\xfe\xc0\xaf"),
    ("slash", b"sub/dir"),
    ("dots", b".hidden"),
    ("long", b"l" * 190),
    ("1 KiB", b"k" * 1024),
]
PASSWORDS = [
    ("quotes", b"a'b\"c`d\\e"),
    ("percent", b"%u%{user}%%s%n"),
    ("colon", b"a:b:c"),
    ("blanks", b" in side "),
    ("scheme", b"{PLAIN}x"),
    ("latin", "caf\u00e9 \u7530".encode()),
    ("bytes", b"\xff\xfe\x80"),
    ("1 KB", b"p" * 1024),
]
WRONG = b"wrong-Zeppelin2"


def standard_users():
    """Those that every backend is asked to hold, each with a password, uid and home of his own."""
    users = [_usual(i, "name: " + what, name) for i, (what, name) in enumerate(NAMES)]
    for what, password in PASSWORDS:
        users.append(_usual(len(users), "password: " + what, b"pw%d" % len(users), password))
    users.append(User(b"clear", b"clear-Quartz", 89, b"/srv/clear", (), "credential"))
    users.append(User(b"nopass", None, 90, b"/srv/nopass", (), "no password"))
    users.append(User(b"nohome", b"nohome-Quartz", 91, None, (), "no home"))
    users.append(User(b"twice", b"twice-Quartz", 92, b"/srv/twice", (b"first", b"last"), "twice"))
    users.append(User(b"double", b"double-One", 93, b"/srv/one", (), "double"))
    users.append(User(b"double", b"double-Two", 94, b"/srv/two", (), "double"))
    return users


class Adapter:
    """One driver. A subclass in a file of adapters/, or of --adapter, is found by itself."""

    name = None  # in the tests' names
    driver = None  # as in authd.conf
    args = ""  # of passdb and userdb; "@dir@" is a directory that workers can read
    userdb_args = None  # where they are not those of the passdb
    cannot = {}  # {a word of FEATURES: why}
    twice = b"last"  # which of a field's two values counts: b"first" or b"last"
    double = "refused"  # what two entries of a name are: "refused", or b"..." the password that counts
    double_lookup = "FAIL"  # "refused" and a lookup for the userdb: "USER" where the first entry does
    lookup_fields = False  # who cannot do "fields" gives them to a lookup without a password
    names_max = 1024
    password_max = 1024
    bad_in_names = b""  # bytes that no name of the backend can have
    bad_in_passwords = b""
    utf8_only = False
    others = False  # the backend has other users, too: they may be listed
    section_lines = ""  # more lines of passdb {} and userdb {}
    in_flight = 100  # logins at a time; each must be answered within the nine seconds that Postfix waits
    settings = ""  # more lines of authd.conf

    def start(self, users):
        """Starts the backend with these users. self.dir is a directory for it."""
        raise NotImplementedError

    def stop(self):
        pass

    # ---- for the suite ----

    def can(self, feature):
        assert feature in FEATURES, feature
        return feature not in self.cannot

    def holds_name(self, name):
        return (len(name) <= self.names_max and not any(b in self.bad_in_names for b in name)
                and (not self.utf8_only or is_utf8(name)))

    def holds_password(self, password):
        return (len(password) <= self.password_max and not any(b in self.bad_in_passwords for b in password)
                and (not self.utf8_only or is_utf8(password)))

    def holds(self, user):
        """Whether the backend can have this user."""
        return (self.holds_name(user.name)
                and (user.password is None or self.holds_password(user.password))
                and (user.what not in FEATURES or user.what == "credential" or self.can(user.what)))

    def section(self, kind, driver=None, args=None):
        own = self.userdb_args if kind == "userdb" and self.userdb_args is not None else self.args
        text = args if args is not None else own
        return "%s {\n  driver = %s\n%s%s}\n" % (
            kind, driver or self.driver, "  args = %s\n" % text if text else "", self.section_lines)


class Asker:
    """Questions to self.server, many at a time over one connection."""

    in_flight = 100

    def logins(self, pairs):
        """What each (name, password) is told: OK, FAIL, or a code such as temp_fail."""
        return [reply.get("code") or reply.cmd for reply in self.login_replies(pairs)]

    def login_replies(self, pairs):
        return [reply for i in range(0, len(pairs), self.in_flight)
                for reply in self._login_replies(pairs[i:i + self.in_flight])]

    def _login_replies(self, pairs):
        replies = {}
        with self.server.client("auth-client", timeout=60) as c:
            for i, (name, password) in enumerate(pairs):
                login_mech = b"\0" in password  # PLAIN ends there
                first = name if login_mech else b"\0" + name + b"\0" + password
                c.start("LOGIN" if login_mech else "PLAIN", "rip=192.0.2.1", id=i + 1,
                        resp=base64.b64encode(first).decode())
            while len(replies) < len(pairs):
                reply = c.reply()
                assert reply is not None, "closed:\n" + self.server.logs()[-3000:]
                if reply.cmd == "CONT":
                    c.raw("CONT\t%s\t%s\n" % (reply.id, base64.b64encode(
                        pairs[int(reply.id) - 1][1]).decode()))
                else:
                    replies[int(reply.id)] = reply
        return [replies[i + 1] for i in range(len(pairs))]

    def lookups(self, names, command="USER"):
        return [reply for i in range(0, len(names), self.in_flight)
                for reply in self._lookups(names[i:i + self.in_flight], command)]

    def _lookups(self, names, command):
        replies = {}
        with self.server.master("auth-master", timeout=60) as m:
            for i, name in enumerate(names):
                m.send(command, i + 1, name, "service=imap")
            while len(replies) < len(names):
                reply = m.reply()
                assert reply is not None, "closed:\n" + self.server.logs()[-3000:]
                replies[int(reply.id)] = reply
        return [replies[i + 1] for i in range(len(names))]

    def listed(self):
        """(names, whether the list is complete)"""
        names = []
        with self.server.master("auth-master", timeout=60) as m:
            m.send("LIST", 1)
            while True:
                line = m.line()
                fields = line.split(b"\t")
                if fields[0] == b"DONE":
                    return names, fields[2:] != [b"fail"]
                names.append(unescape(fields[2]))


class Service(Asker):
    """authd with one driver's sections, and the backend behind it."""

    def __init__(self, adapter, modules=None):
        self.adapter = adapter
        self.in_flight = adapter.in_flight
        adapter.dir = proc.new_dir("b")
        self.users = [u for u in standard_users() if adapter.holds(u)]
        self.missing = [u for u in standard_users() if not adapter.holds(u)]
        self.modules = modules
        self.server = None

    def start(self):
        self.adapter.start(self.users)
        self.server = self.new_server(self.adapter.can("credential")).start()
        return self

    def new_server(self, computing):
        """computing: with mechanisms that need a credential."""
        text = self.head(" cram-md5" if computing else "")
        for kind in ("passdb", "userdb"):
            if self.adapter.can(kind):
                text += self.adapter.section(kind)
        return authserver.Authd(self.in_place(text), listeners=LISTENERS)

    def head(self, mechanisms=""):
        return ("auth_mechanisms = plain login" + mechanisms + "\nauth_verbose = yes\nauth_username_chars =\n"
                "auth_username_format =\nauth_cache_size = 0\n"
                + ("driver_dir = %s\n" % self.modules if self.modules else "") + self.adapter.settings)

    def in_place(self, text):
        return text.replace("@dir@", self.adapter.dir)

    def stop(self):
        if self.server:
            self.server.stop()
        self.adapter.stop()

    def find(self, what):
        """The user with this peculiarity."""
        return next(u for u in self.users + self.missing if u.what == what)


LISTENERS = [authserver.Listener("auth-client"), authserver.Listener("auth-master")]


def values(reply, key):
    """All values of a field, as bytes."""
    fields = [unescape(part) for part in reply.line.split(b"\t")[2:]]
    return [f.partition(b"=")[2] for f in fields if f.partition(b"=")[0] == key.encode()]


def is_utf8(text):
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


# ---- for adapters ----

def ssha256(password):
    """A salted hash as text, which hides every byte of the password from the backend's syntax."""
    digest = hashlib.sha256(password + b"salt").digest()
    return "{SSHA256}" + base64.b64encode(digest + b"salt").decode()


def stored(user):
    """What stands for a user's password; "" for none."""
    if user.password is None:
        return ""
    return "{PLAIN}" + user.password.decode() if user.what == "credential" else ssha256(user.password)


def escaped(name):
    """As names stand in passwd-files, Dovecot's too."""
    for byte in (b"\\", b"'", b'"'):
        name = name.replace(byte, b"\\" + byte)
    return name


def write(path, data, mode=0o644):
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, mode)
    return path
