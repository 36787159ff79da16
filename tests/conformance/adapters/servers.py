"""Drivers whose users a server has: imap, ldap, oauth2, sql."""

import os

from kit import Adapter, escaped, ssha256, stored, write
from lib import imap, ldap, oidc, sql


class Imap(Adapter):
    name = "imap"
    driver = "imap"
    in_flight = 60
    section_lines = "  worker_count = 4\n"  # a refusal takes Dovecot half a second
    names_max = 255
    cannot = {
        "spelling": "the IMAP server does not tell who it took the user for",
        "show": "an IMAP server judges, it shows nothing",
        "fields": "an IMAP server judges, it shows nothing",
        "credential": "an IMAP server judges, it shows nothing",
        "userdb": "an IMAP server judges, it shows nothing",
        "list": "an IMAP server judges, it shows nothing",
        "no password": "an IMAP server judges, it shows nothing",
        "no home": "an IMAP server judges, it shows nothing",
        "twice": "an IMAP server judges, it shows nothing",
        "double": "the IMAP server decides who is meant",
    }
    bad_in_names = bytes(range(32)) + b":"
    bad_in_passwords = bytes(range(32))
    utf8_only = True

    def start(self, users):
        self.target = imap.Target({escaped(u.name).decode(): ssha256(u.password) for u in users}, "").start()
        self.args = "host=127.0.0.1 port=%d" % self.target.imap

    def stop(self):
        self.target.stop()


class Ldap(Adapter):
    name = "ldap search"
    driver = "ldap"
    args = "@dir@/ldap.conf.ext"
    twice = b"first"
    utf8_only = True
    bad_in_names = b"\0"
    more = {}

    def start(self, users):
        self.slapd = ldap.Slapd(ldif=ldap.base() + "".join(self.entry(i, u) for i, u in enumerate(users)))
        self.slapd.start()
        settings = dict(uris=self.slapd.uri, dn=ldap.SERVICE_DN, dnpass=ldap.SERVICE_PW, base=ldap.BASE,
                        default_pass_scheme="PLAIN", pass_attrs="uid=user,userPassword=password,uidNumber=color",
                        user_attrs="homeDirectory=home,uidNumber=uid,gidNumber=gid,mail=mail",
                        pass_filter="(uid=%u)", user_filter="(uid=%u)", iterate_filter="(uid=*)")
        settings.update(self.more)
        write(os.path.join(self.dir, "ldap.conf.ext"), ldap.settings(**settings).encode())

    def dn(self, number, user):
        return "cn=%d,ou=people,%s" % (number, ldap.BASE)

    def entry(self, number, user):
        attrs = {"cn": str(number), "sn": "x", "uid": user.name.decode(),
                 "uidNumber": str(user.uid), "gidNumber": str(user.gid)}
        classes = ["inetOrgPerson", "extensibleObject"]
        if user.home:
            attrs["homeDirectory"] = user.home.decode()
        if user.mail:
            attrs["mail"] = [m.decode() for m in user.mail]
        if user.password is not None:
            clear = user.what == "credential"
            attrs["userPassword"] = user.password.decode() if clear else ldap.ssha(user.password)
        return ldap.entry(self.dn(number, user), classes, **attrs)

    def stop(self):
        self.slapd.stop()


class LdapBind(Ldap):
    name = "ldap auth_bind"
    more = {"auth_bind": "yes"}
    cannot = {"credential": "the server judges passwords, they are not asked for"}


class LdapBindDn(Ldap):
    """A login without a search: the DN is made of the name. Lookups search."""

    name = "ldap auth_bind_userdn"
    more = {"auth_bind": "yes", "auth_bind_userdn": "uid=%u,ou=people," + ldap.BASE}
    lookup_fields = True
    names_max = 200  # of a DN in slapd's database
    cannot = {
        "fields": "the DN is made of the name, nothing is looked up",
        "credential": "the DN is made of the name, nothing is looked up",
        "spelling": "the DN is made of the name, nothing is looked up",
        "double": "a DN is there once",
    }

    def dn(self, number, user):
        return ldap.user_dn(user.name.decode())


class OAuth2(Adapter):
    """Passwords that an OpenID provider takes, in exchange for a token."""

    name = "oauth2 grant"
    driver = "oauth2"
    args = "@dir@/oauth2.conf.ext"
    cannot = {
        "show": "a provider judges, it shows nothing",
        "fields": "a provider judges, it shows nothing",
        "credential": "a provider judges, it shows nothing",
        "userdb": "a provider judges, it shows nothing",
        "list": "a provider judges, it shows nothing",
        "no password": "a provider judges, it shows nothing",
        "no home": "a provider judges, it shows nothing",
        "twice": "a provider judges, it shows nothing",
        "double": "the provider's users are an object, by name",
    }
    utf8_only = True

    def start(self, users):
        self.provider = oidc.Provider({u.name.decode(): u.password.decode() for u in users}).start()
        write(os.path.join(self.dir, "oauth2.conf.ext"), (
            "use_grant_password = yes\ngrant_url = %s/token\nclient_id = %s\nclient_secret = %s\n"
            "introspection_mode = post\nintrospection_url = %s/token/introspection\nforce_introspection = yes\n"
            "username_format = %%u\n" % ((self.provider.url,) + oidc.APP + (self.provider.url,))).encode())

    def stop(self):
        self.provider.stop()


class Sql(Adapter):
    driver = "sql"
    args = "@dir@/sql.conf.ext"
    double_lookup = "USER"  # as in Dovecot, where a query over several tables may well give more rows
    bad_in_names = b"\0"
    utf8_only = True
    create = ("CREATE TABLE people (name varchar(1500), password varchar(250), uid int, gid int,"
              " home varchar(250), mail varchar(250), mail2 varchar(250));")
    query = ("password_query = SELECT name AS username, password, uid AS color FROM people WHERE name = '%u'\n"
             "user_query = SELECT uid, gid, home, mail AS mail, mail2 AS mail FROM people WHERE name = '%u'\n"
             "iterate_query = SELECT name AS username FROM people\n")

    def database(self):
        raise NotImplementedError

    def start(self, users):
        self.db = self.database().init()
        self.db.sql(self.create + "".join(self.row(u) for u in users) + self.grant())
        write(os.path.join(self.dir, "sql.conf.ext"), (
            "driver = %s\nconnect = %s\n%s" % (self.db.kind, self.db.connect(), self.query)).encode())

    def grant(self):
        return ""

    def row(self, u):
        cells = [self.literal(u.name), self.literal(stored(u).encode() or None),
                 str(u.uid), str(u.gid), self.literal(u.home)]
        cells += [self.literal(m) for m in (list(u.mail) + [None, None])[:2]]
        return "INSERT INTO people VALUES (%s);\n" % ", ".join(cells)

    def literal(self, text):
        """As hexadecimal digits: no quoting of ours can go wrong."""
        return "NULL" if text is None else self.hexadecimal % text.hex()

    def stop(self):
        self.db.stop()


class MariaDB(Sql):
    name = "sql mariadb"
    database = sql.MariaDB
    hexadecimal = "convert(x'%s' using utf8mb4)"


class PostgreSQL(Sql):
    name = "sql postgresql"
    database = sql.PostgreSQL
    hexadecimal = "convert_from('\\x%s', 'UTF8')"

    def grant(self):
        return "GRANT SELECT ON people TO mailuser;"


class SQLite(Sql):
    name = "sql sqlite"
    database = sql.SQLite
    hexadecimal = "CAST(x'%s' AS text)"
