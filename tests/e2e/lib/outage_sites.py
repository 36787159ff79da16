"""The backends of the outage tests: real servers, and how to break each of them and mend it again."""

import contextlib
import os
import signal
import socket
import subprocess

from . import imap, ldap, pam, proc, sql, users
from .outages import Fault, Site
from .wire import Wire

HASH = users.HASHES["sue"]
SECOND = "service-Other4"


def family(pid):
    return [pid] + list(proc.children(pid))


def send(pids, signo):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signo)


def signal_to(servers, signo):
    for one in servers:
        send(family(one.daemon.pid), signo)


class Held:
    """Connections that do nothing but take up room."""

    def __init__(self):
        self.sockets = []

    def take(self, address, count):
        for _ in range(count):
            s = socket.socket()
            s.settimeout(2)
            s.connect(address)
            self.sockets.append(s)

    def release(self):
        for s in self.sockets:
            s.close()
        self.sockets = []


class Servers(Site):
    """Faults that every kind of server has. self.servers: each with .daemon, start() and kill()."""

    servers, wires = (), ()

    def domains(self):
        return [self.kind + ".example", self.kind + "-wire.example"]

    def start_all(self):
        for one in self.servers:
            one.start()

    def kill(self, servers):
        for one in servers:
            one.kill()

    def restart(self):
        for one in self.servers:
            self.end(one)

    def end(self, one):
        one.daemon.stop()

    def cut(self, wires, cut):
        for one in wires:
            one.cut = cut

    @staticmethod
    def hang(name, scope, servers, domain=None):
        return Fault(name, scope, lambda: signal_to(servers, signal.SIGSTOP),
                     lambda: signal_to(servers, signal.SIGCONT), domain)

    def faults(self):
        wire, several = self.domains()[1], len(self.servers) > 1
        if several:
            one, cut = self.servers[:1], self.wires[:1]
            yield Fault("one killed (kill -9)", "one", lambda: self.kill(one), one[0].start)
            yield self.hang("one hangs (SIGSTOP)", "one", one)
            yield Fault("network to one cut", "one", lambda: self.cut(cut, True),
                        lambda: self.cut(cut, False), domain=wire)
        yield Fault("all killed (kill -9)" if several else "killed (kill -9)", "all",
                    lambda: self.kill(self.servers), self.start_all)
        yield self.hang("all hang (SIGSTOP)" if several else "hangs (SIGSTOP)", "all", self.servers)
        yield Fault("network cut", "all", lambda: self.cut(self.wires, True),
                    lambda: self.cut(self.wires, False), domain=wire)
        yield Fault("restarted", "all", self.restart, self.start_all)

    def open_wires(self, targets, addresses=None):
        """The same port on all, as one connect string has one port for all hosts."""
        port = 0
        for number, to in enumerate(targets):
            wire = Wire(to, addresses[number] if addresses else "127.0.0.1", port if addresses else 0)
            port = wire.port
            self.wires += (wire,)
            wire.__enter__()

    def stop(self):
        for one in self.wires:
            one.cut = False
            one.__exit__()
        for one in self.servers:
            if one.daemon:
                if one.daemon.running():
                    send(family(one.daemon.pid), signal.SIGCONT)
                one.stop()


class Sql(Servers):
    """addresses: of the servers, then of the wires before them; all of each have one port."""

    def __init__(self, server, addresses, wire_addresses):
        port = proc.free_port()
        self.servers = tuple(server(port=port, address=a).init() for a in addresses)
        self.open_wires([(one.address, one.port) for one in self.servers], wire_addresses)
        self.everywhere("".join("INSERT INTO users VALUES ('sue@%s', '%s', 1);" % (d, HASH) for d in self.domains()))
        self.dir = proc.new_dir("sql")

    def everywhere(self, text, db="maildb"):
        for one in self.servers:
            one.sql(text, db)

    def passdb(self, domain):
        ends = self.servers if domain == self.domains()[0] else self.wires
        hosts = " ".join("host=%s" % (e.address if ends is self.servers else e.listener.getsockname()[0]) for e in ends)
        path = os.path.join(self.dir, domain)
        with open(path, "w") as f:
            f.write("driver = %s\nconnect = %s port=%d dbname=maildb user=mailuser password=mailpassword\n"
                    "password_query = SELECT password FROM users WHERE email = '%%u'\n"
                    % (self.servers[0].kind, hosts, ends[0].port))
        return "  driver = sql\n  args = %s\n" % path

    def faults(self):
        yield from super().faults()
        yield Fault("wrong password of the service account", "all", lambda: self.service_password(SECOND),
                    lambda: self.service_password("mailpassword"))
        yield Fault("table dropped", "all", lambda: self.everywhere("ALTER TABLE users RENAME TO away"),
                    lambda: self.everywhere("ALTER TABLE away RENAME TO users"))

    def service_password(self, text):
        self.everywhere(self.CHANGE % text)
        for one in self.servers:
            self.kick(one)


class MariaDB(Sql):
    name, kind, module = "MariaDB, three servers", "mariadb", "sql-mysql.so"
    CHANGE = "ALTER USER mailuser@'%%' IDENTIFIED BY '%s'"

    def __init__(self):
        super().__init__(sql.MariaDB, ["127.0.0.%d" % n for n in (1, 2, 3)], ["127.0.0.%d" % n for n in (4, 5, 6)])
        self.held, self.admins = Held(), []

    def kick(self, one):
        one.sql("KILL USER mailuser")

    def fill(self):
        """Clients that never log in have a place each. An administrator is there already."""
        for one in self.servers:
            admin = subprocess.Popen(["mariadb", "--no-defaults", "-u", "root", "--socket=" + one.socket, "-n", "-B"],
                                     stdin=subprocess.PIPE, text=True)
            self.admins.append(admin)
            # locked out while the places are taken, or it would get some of them back
            self.order(admin, "SET GLOBAL max_connections = 10; ALTER USER mailuser@'%' ACCOUNT LOCK; KILL USER mailuser;")
            proc.wait_for("the kill", lambda: one.sql(
                "SELECT @@max_connections, count(*) FROM information_schema.processlist WHERE user = 'mailuser'"
            ).split() == ["10", "0"])
            self.held.take((one.address, one.port), 12)
            self.order(admin, "ALTER USER mailuser@'%' ACCOUNT UNLOCK;")

    @staticmethod
    def order(admin, text):
        admin.stdin.write(text + "\n")
        admin.stdin.flush()

    def drain(self):
        self.held.release()
        for one in self.admins:
            self.order(one, "SET GLOBAL max_connections = 151;")
            one.stdin.close()
            one.wait(20)
        self.admins = []

    def faults(self):
        yield from super().faults()
        yield Fault("max_connections reached", "all", self.fill, self.drain)


class PostgreSQL(Sql):
    name, kind, module = "PostgreSQL, two servers", "postgresql", "sql-pgsql.so"
    CHANGE = "ALTER ROLE mailuser PASSWORD '%s'"

    def __init__(self):
        super().__init__(sql.PostgreSQL, ["127.0.0.7", "127.0.0.8"], ["127.0.0.9", "127.0.0.10"])
        self.everywhere("GRANT SELECT ON ALL TABLES IN SCHEMA public TO mailuser")

    def end(self, one):
        one.daemon.stop(signal.SIGINT)  # "fast": clients are sent away

    def kick(self, one):
        one.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mailuser'")

    def limit(self, count):
        self.everywhere("ALTER ROLE mailuser CONNECTION LIMIT %d" % count)
        if count == 0:
            for one in self.servers:
                self.kick(one)

    def faults(self):
        yield from super().faults()
        yield Fault("connection limit reached", "all", lambda: self.limit(0), lambda: self.limit(-1))


class Slapd(ldap.Slapd):
    def kill(self):
        self.daemon.stop(signal.SIGKILL)


class Ldap(Servers):
    name, kind, module = "OpenLDAP, two servers", "ldap", "/ldap.so"
    PEOPLE = "ou=people," + ldap.BASE

    def __init__(self):
        self.held = Held()
        tree = ldap.tree() + "".join(
            ldap.entry(ldap.user_dn("sue@" + d), ["inetOrgPerson"], uid="sue@" + d, cn="Sue", sn="Sue",
                       userPassword=ldap.ssha(self.password)) for d in self.domains())
        self.servers = tuple(Slapd(ldif=tree).start() for _ in range(2))
        self.open_wires([("127.0.0.1", one.port) for one in self.servers])
        self.dir = proc.new_dir("ldap")

    def domains(self):
        """The last one's hashes are fetched and compared by authd."""
        return super().domains() + [self.kind + "-search.example"]

    def passdb(self, domain):
        _, wire, search = self.domains()
        path = os.path.join(self.dir, domain)
        with open(path, "w") as f:
            f.write(ldap.settings(
                uris=" ".join("ldap://127.0.0.1:%d" % e.port for e in (self.wires if domain == wire else self.servers)),
                dn=ldap.SERVICE_DN, dnpass=ldap.SERVICE_PW, base=self.PEOPLE, pass_filter="(uid=%u)",
                auth_bind="no" if domain == search else "yes"))
        return "  driver = ldap\n  args = %s\n" % path

    def restart(self):
        for one in self.servers:
            one.daemon.stop()

    def modify(self, ldif):
        for one in self.servers:
            one.modify(ldif)

    def service_password(self, text):
        """A connection keeps the rights that it was bound with: so all of them end."""
        self.modify("dn: %s\nchangetype: modify\nreplace: userPassword\nuserPassword: %s\n" % (
            ldap.SERVICE_DN, ldap.ssha(text)))
        self.restart()
        self.start_all()

    def move(self, old, new):
        self.modify("dn: ou=%s,%s\nchangetype: modrdn\nnewrdn: ou=%s\ndeleteoldrdn: 1\n" % (old, ldap.BASE, new))

    def starve(self):
        """Few descriptors, and other clients have all of them: it lets connections wait, and never
        looks at them. Behind the wires nobody gets in before."""
        self.cut(self.wires, True)
        self.restart()
        for one in self.servers:
            one.start(limit=64)
            self.held.take(("127.0.0.1", one.port), 64)
        self.cut(self.wires, False)

    def feed(self):
        for one in self.servers:
            proc.run(["prlimit", "--pid", str(one.daemon.pid), "--nofile=1024:"])
        self.held.release()

    def faults(self):
        yield from super().faults()
        search = self.domains()[2]
        yield self.hang("one hangs, hashes compared here", "one", self.servers[1:], search)
        yield Fault("all killed, hashes compared here", "all", lambda: self.kill(self.servers), self.start_all, search)
        yield Fault("wrong password of the service account", "all", lambda: self.service_password(SECOND),
                    lambda: self.service_password(ldap.SERVICE_PW))
        yield Fault("out of descriptors", "all", self.starve, self.feed, domain=self.domains()[1])
        yield Fault("base DN gone", "all", lambda: self.move("people", "away"), lambda: self.move("away", "people"))


class Imap(Servers):
    name, kind, module = "IMAP server", "imap", "/imap.so"

    def __init__(self):
        class Target(imap.Target):
            def kill(self):
                send([self.daemon.pid], signal.SIGSTOP)  # it makes no more processes
                pids = family(self.daemon.pid)
                send(pids, signal.SIGKILL)
                self.daemon.stop(signal.SIGKILL)
                proc.wait_for("the end", lambda: not any(proc.alive(pid) for pid in pids))

        self.servers = (Target({"sue@" + d: self.password for d in self.domains()}).start(),)
        self.open_wires([("127.0.0.1", self.servers[0].imap)])

    def passdb(self, domain):
        port = self.servers[0].imap if domain == self.domains()[0] else self.wires[0].port
        return "  driver = imap\n  args = host=127.0.0.1 port=%d\n" % port


class Switched(Site):
    """Something that looks whether a file is there."""

    def __init__(self):
        self.dir = proc.new_dir("switch")

    def switch(self, name):
        return os.path.join(self.dir, name)

    def on(self, name):
        open(self.switch(name), "w").close()

    def off(self, name):
        os.unlink(self.switch(name))

    def by_switch(self, title, name):
        return Fault(title, "all", lambda: self.on(name), lambda: self.off(name), opens=name == "hang")


class Pam(Switched):
    name, kind, module, password = "PAM module", "pam", "/pam.so", "good"

    def __init__(self):
        super().__init__()
        self.pam = pam.Pam()
        self.service = self.pam.service("outage", "auth required %s /dev/null %s %s\naccount required %s /dev/null\n" % (
            self.pam.module, self.switch("hang"), self.switch("away"), self.pam.module))

    def passdb(self, domain):
        return "  driver = pam\n  args = %s\n" % self.service

    def faults(self):
        yield self.by_switch("hangs", "hang")
        yield self.by_switch("says that its source is away", "away")

    def stop(self):
        self.pam.close()


PROGRAM = """#!/bin/sh
{ read -r name; read -r password; } <<END
$(tr '\\0' '\\n' <&3)
END
[ ! -e @dir@/hang ] || sleep 1000
[ ! -e @dir@/fail ] || exit 111
[ "$name" = sue@checkpassword.example ] || exit 3
[ "$password" = @password@ ] || exit 1
USER=$name
export USER
exec "$@"
"""


class Checkpassword(Switched):
    name, kind = "checkpassword program", "checkpassword"

    def __init__(self):
        super().__init__()
        self.program = os.path.join(self.dir, "program")
        with open(self.program, "w") as f:
            f.write(PROGRAM.replace("@dir@", self.dir).replace("@password@", self.password))
        os.chmod(self.program, 0o755)

    def passdb(self, domain):
        return "  driver = checkpassword\n  args = %s\n" % self.program

    def faults(self):
        yield self.by_switch("hangs", "hang")
        yield self.by_switch("says \"temporary failure\" (111)", "fail")
        yield Fault("not executable", "all", lambda: os.chmod(self.program, 0o644), lambda: os.chmod(self.program, 0o755))


ALL = [MariaDB, PostgreSQL, Ldap, Imap, Pam, Checkpassword]
