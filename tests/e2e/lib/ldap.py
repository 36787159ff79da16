"""slapd servers of the tests: one small tree, TLS with an authority of their own."""

import base64
import hashlib
import os
import signal
import socket
import ssl
import subprocess
import threading

from . import proc

BASE = "dc=example,dc=org"
ROOT_DN = "cn=admin," + BASE
ROOT_PW = "admin-Granite21"
SERVICE_DN = "cn=authd,ou=services," + BASE
SERVICE_PW = "service-Feldspar8"
DIGEST_PW = "digest-Mica44"  # of cn=digest, stored as it is

PASSWORDS = {
    "alice": "alice-Basalt77",
    "bob": "bob-Obsidian5",
    "carol": "carol-Marble31",
    "dave": "dave-Slate90",
    "tim@example.org": "tim-Quartzite4",
    "jos\u00e9": "jose-Travertin6",
    "we,ird+name": "weird-Gabbro2",
    "star*(x)\\": "star-Diorite3",
}
WRONG = "wrong-Pumice1"
POLICY_DN = "cn=policy,ou=services," + BASE
PPOLICY = "overlay ppolicy\nppolicy_default %s\nppolicy_use_lockout\n" % POLICY_DN


def ssha(password):
    salt = b"saltsalt"
    if isinstance(password, str):
        password = password.encode()
    digest = hashlib.sha1(password + salt).digest()
    return "{SSHA}" + base64.b64encode(digest + salt).decode()


def stored(user):
    """What stands in userPassword."""
    special = {"bob": "{CRYPT}" + subprocess.run(
        ["openssl", "passwd", "-6", "-salt", "abcdefgh", PASSWORDS["bob"]],
        stdout=subprocess.PIPE, check=True, text=True).stdout.strip(),
        "carol": "{CLEARTEXT}" + PASSWORDS["carol"],
        "dave": "{SASL}dave@EXAMPLE.ORG"}
    return special.get(user) or ssha(PASSWORDS[user])


def dn_value(value):
    return "".join("\\%02x" % ord(c) if c in ',+"\\<>;=' else c for c in value)


def user_dn(user):
    return "uid=%s,ou=people,%s" % (dn_value(user), BASE)


def line(key, value):
    return "%s:: %s\n" % (key, base64.b64encode(value.encode()).decode())


def entry(dn, classes, **attrs):
    out = [line("dn", dn)] + ["objectClass: %s\n" % c for c in classes]
    for key, values in attrs.items():
        for value in values if isinstance(values, list) else [values]:
            out.append(line(key, value))
    return "".join(out) + "\n"


def base():
    """What stands above the users, and the services' entries."""
    out = [entry(BASE, ["dcObject", "organization"], dc="example", o="Example")]
    for ou in ("people", "services", "backends", "twins"):
        out.append(entry("ou=%s,%s" % (ou, BASE), ["organizationalUnit"], ou=ou))
    out.append(entry(SERVICE_DN, ["applicationProcess", "simpleSecurityObject"], cn="authd",
                     userPassword=ssha(SERVICE_PW)))
    out.append(entry("cn=digest,ou=services," + BASE, ["applicationProcess",
                     "simpleSecurityObject"], cn="digest", userPassword=DIGEST_PW))
    out.append(entry(POLICY_DN, ["applicationProcess", "pwdPolicy"], cn="policy",
                     pwdAttribute="userPassword", pwdLockout="TRUE", pwdMaxAge="86400"))
    out.append(entry("cn=store1,ou=backends," + BASE, ["applicationProcess", "labeledURIObject"],
                     cn="store1", l="192.0.2.11", labeledURI="imap://store1"))
    return "".join(out)


def tree():
    out = [base()]
    for i, user in enumerate(PASSWORDS):
        out.append(entry(
            user_dn(user), ["inetOrgPerson", "posixAccount"], uid=user, cn="Name of " + user,
            sn=user, uidNumber=str(5000 + i), gidNumber="5000", homeDirectory="/srv/mail/%d" % i,
            userPassword=stored(user), mail=["%d@example.org" % i, "%d@example.net" % i],
            seeAlso="cn=store1,ou=backends," + BASE, description="mobile",
            mobile="+1 555 %d" % i, employeeType="staff"))
    for one in ("one", "two"):
        out.append(entry("cn=%s,ou=twins,%s" % (one, BASE), ["inetOrgPerson", "posixAccount"],
                         uid="twin", cn=one, sn="twin", uidNumber="6000", gidNumber="6000",
                         homeDirectory="/srv/mail/twin", userPassword=ssha("twin-Tuff5")))
    return "".join(out)


def many(count):
    return "".join(entry("uid=list%05d,ou=people,%s" % (i, BASE), ["account", "posixAccount"],
                         uid="list%05d" % i, cn="x", uidNumber=str(10000 + i), gidNumber="1",
                         homeDirectory="/nowhere") for i in range(count))


class Authority:
    """A certificate authority, and certificates that it signed."""

    def __init__(self, where, name="ca"):
        self.dir = where
        self.cert = os.path.join(where, name + ".pem")
        self.key = os.path.join(where, name + ".key")
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                      "-nodes", "-keyout", self.key, "-out", self.cert, "-days", "2", "-subj",
                      "/CN=authd test CA " + name, "-addext", "basicConstraints=critical,CA:TRUE")

    @staticmethod
    def _openssl(*args):
        subprocess.run(["openssl"] + list(args), check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def issue(self, name, kind="IP", days=2):
        """(certificate, key) for an address or, kind DNS, a host name. days 0: it expires at once."""
        base = os.path.join(self.dir, name)
        with open(base + ".ext", "w") as f:
            f.write("subjectAltName=%s:%s\n" % (kind, name))
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-keyout", base + ".key", "-out", base + ".csr", "-subj", "/CN=" + name)
        self._openssl("x509", "-req", "-in", base + ".csr", "-CA", self.cert, "-CAkey", self.key,
                      "-CAcreateserial", "-days", str(days), "-extfile", base + ".ext", "-out",
                      base + ".pem")
        return base + ".pem", base + ".key"


class Slapd:
    """One server. It keeps its data and its ports when it is stopped and started again."""

    def __init__(self, ldif=None, tls=None, limits="", maxsize=256 << 20, debug=0):
        self.dir = proc.new_dir("ldap")
        self.port, self.tls_port = proc.free_port(), proc.free_port()
        self.socket = os.path.join(self.dir, "ldapi")
        self.log = os.path.join(self.dir, "log")
        self.conf = os.path.join(self.dir, "slapd.conf")
        self.tls, self.maxsize, self.debug = tls, maxsize, debug
        self.daemon = None
        os.mkdir(os.path.join(self.dir, "db"))
        with open(self.conf, "w") as f:
            f.write(self._config(limits))
        with open(os.path.join(self.dir, "ldif"), "w") as f:
            f.writelines(ldif or tree())
        subprocess.run(["/usr/sbin/slapadd", "-q", "-f", self.conf, "-l",
                        os.path.join(self.dir, "ldif")], check=True,
                       stdout=subprocess.DEVNULL)

    def _config(self, limits):
        tls = ""
        if self.tls:
            tls = "TLSCACertificateFile %s\nTLSCertificateFile %s\nTLSCertificateKeyFile %s\n" % self.tls
        schemas = "".join("include /etc/ldap/schema/%s.schema\n" % s
                          for s in ("core", "cosine", "inetorgperson", "nis"))
        return """%(schemas)s
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
pidfile %(dir)s/pid
loglevel none
%(tls)s
authz-regexp gidNumber=65534[+]uidNumber=65534,cn=peercred,cn=external,cn=auth %(service)s
authz-regexp uid=([^,]*),.*cn=digest-md5,cn=auth cn=$1,ou=services,%(base)s
password-hash {CLEARTEXT}
database mdb
maxsize %(maxsize)d
directory %(dir)s/db
suffix "%(base)s"
rootdn "%(root)s"
rootpw %(rootpw)s
index objectClass,uid eq
dbnosync
%(limits)s
access to attrs=userPassword by dn.one="ou=services,%(base)s" read by anonymous auth by * none
access to * by dn.one="ou=services,%(base)s" read by anonymous auth by * none
""" % {"schemas": schemas, "dir": self.dir, "tls": tls, "base": BASE, "root": ROOT_DN,
            "rootpw": ROOT_PW, "service": SERVICE_DN, "limits": limits, "maxsize": self.maxsize}

    @property
    def uri(self):
        return "ldap://127.0.0.1:%d" % self.port

    @property
    def ldapi(self):
        return "ldapi://" + self.socket.replace("/", "%2F")

    def start(self, limit=1024):
        """limit: of its descriptors"""
        urls = [self.uri + "/", self.ldapi + "/"]
        if self.tls:
            urls.append("ldaps://127.0.0.1:%d/" % self.tls_port)
        self.daemon = proc.Daemon(["prlimit", "--nofile=%d:1024" % limit, "/usr/sbin/slapd", "-d", str(self.debug), "-f", self.conf, "-h",
                                   " ".join(urls)], self.log)
        proc.wait_for("slapd", lambda: proc.port_open(self.port))
        return self

    def stop(self, signo=signal.SIGTERM):
        if self.daemon:
            if self.daemon.running():
                self.daemon.popen.send_signal(signal.SIGCONT)
            self.daemon.stop(signo)
            self.daemon = None

    def pause(self):
        self.daemon.popen.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.daemon.popen.send_signal(signal.SIGCONT)

    def dump(self):
        """The whole database, as slapcat shows it while the server runs."""
        return subprocess.run(["/usr/sbin/slapcat", "-f", self.conf], check=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True).stdout

    def modify(self, ldif, *options):
        subprocess.run(["ldapmodify", "-x", "-H", self.uri, "-D", ROOT_DN, "-w", ROOT_PW, *options],
                       input=ldif, check=True, text=True, stdout=subprocess.DEVNULL)


def settings(**more):
    """The text of a dovecot-ldap.conf.ext."""
    return "".join("%s = %s\n" % item for item in more.items())


def _ber(tag, *parts):
    body = b"".join(parts)
    return bytes([tag, 0x84]) + len(body).to_bytes(4, "big") + body


class Threaded:
    """Each connection has a thread of _serve()."""

    def listen(self, **more):
        self.socket = socket.create_server(("127.0.0.1", 0), **more)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        try:
            while True:
                threading.Thread(target=self._serve, args=(self.socket.accept()[0],), daemon=True).start()
        except OSError:
            pass


class Endless(Threaded):
    """A server that takes every bind and answers a search with entries, or references, for ever."""

    ENTRY = _ber(0x64, _ber(4, b"uid=alice,dc=x"), _ber(0x30, _ber(
        0x30, _ber(4, b"userPassword"), _ber(0x31, _ber(4, b"{PLAIN}x")))))
    REFERENCE = _ber(0x73, _ber(4, b"ldap://127.0.0.1:1/dc=x"))

    def __init__(self, what):
        self.what = what

    def __enter__(self):
        self.end = False
        self.listen()
        return self

    def __exit__(self, *exc):
        self.end = True
        self.socket.close()

    def _serve(self, c):
        try:
            with c:
                while request := c.recv(65536):
                    at = 2 if request[1] < 128 else 2 + (request[1] & 127)  # libldap's are short
                    msgid, operation = request[at:at + 3], request[at + 3]
                    if operation == 0x60:
                        c.sendall(_ber(0x30, msgid, _ber(0x61, b"\x0a\x01\x00\x04\x00\x04\x00")))
                    while operation == 0x63 and not self.end:
                        c.sendall(_ber(0x30, msgid, self.what) * 200)
        except OSError:
            pass


class Tickets(Threaded):
    """TLS before a server, with a library that sends tickets when nobody waits for anything, and answers in bits of a few bytes."""

    def __init__(self, server, pair):
        self.target = server.port
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*pair)

    def __enter__(self):
        self.listen(backlog=128)
        self.uri = "ldaps://127.0.0.1:%d" % self.port
        return self

    def __exit__(self, *exc):
        self.socket.close()

    def _serve(self, c):
        try:
            with self.context.wrap_socket(c, server_side=True) as tls, socket.create_connection(("127.0.0.1", self.target)) as plain:
                threading.Thread(target=self._back, args=(plain, tls), daemon=True).start()
                while data := tls.recv(65536):
                    plain.sendall(data)
        except OSError:
            pass

    @staticmethod
    def _back(plain, tls):
        try:
            while data := plain.recv(65536):
                for i in range(0, len(data), 7):
                    tls.sendall(data[i:i + 7])
        except OSError:
            pass


class Silent:
    """A server that takes connections and never says anything."""

    def __enter__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(64)
        self.port = self.socket.getsockname()[1]
        return self

    def __exit__(self, *exc):
        self.socket.close()
