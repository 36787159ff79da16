"""A private Kerberos realm: MIT's KDC on a loopback port, keytabs and tickets."""

import os
import pwd
import tempfile

from . import proc

REALM = "EXAMPLE.ORG"

KRB5_CONF = """[libdefaults]
default_realm = {realm}
dns_lookup_realm = false
dns_lookup_kdc = false
dns_canonicalize_hostname = false
rdns = false
default_ccache_name = FILE:{dir}/ccache
[realms]
{realm} = {{
  kdc = 127.0.0.1:{port}
}}
[domain_realm]
localhost = {realm}
"""

KDC_CONF = """[kdcdefaults]
kdc_listen = 127.0.0.1:{port}
kdc_tcp_listen = 127.0.0.1:{port}
[realms]
{realm} = {{
  database_name = {dir}/principal
  key_stash_file = {dir}/stash
  acl_file = {dir}/acl
  max_life = 1h
}}
[logging]
kdc = FILE:{dir}/kdc.log
"""


class Kdc:
    def __init__(self):
        self.dir = proc.new_dir("k")
        self.port = proc.free_port()
        self.keytab = os.path.join(self.dir, "mail.keytab")
        values = {"dir": self.dir, "port": self.port, "realm": REALM}
        self.env = {"KRB5_CONFIG": os.path.join(self.dir, "krb5.conf"),
                    "KRB5_KDC_PROFILE": os.path.join(self.dir, "kdc.conf")}
        for name, text in (("krb5.conf", KRB5_CONF), ("kdc.conf", KDC_CONF)):
            with open(os.path.join(self.dir, name), "w") as f:
                f.write(text.format(**values))
        self.daemon = None

    def run(self, *argv, **kw):
        r = proc.run(list(argv), env=dict(os.environ, **self.env), **kw)
        assert r.returncode == 0, (argv, r.stdout, r.stderr)
        return r

    def start(self):
        self.run("/usr/sbin/kdb5_util", "create", "-s", "-r", REALM, "-P", "master-secret")
        self.daemon = proc.Daemon(["/usr/sbin/krb5kdc", "-n"], os.path.join(self.dir, "stderr.log"),
                                  env=self.env)
        proc.wait_for("the KDC", lambda: not self.daemon.running() or proc.port_open(self.port))
        assert self.daemon.running(), open(os.path.join(self.dir, "stderr.log")).read()
        return self

    def admin(self, query):
        self.run("/usr/sbin/kadmin.local", "-r", REALM, "-q", query)

    def add_user(self, name, password):
        self.admin("addprinc -pw %s %s" % (password, name))

    def add_service(self, name, owner="nobody", keytab=None):
        """Its key goes into the keytab, which the owner may read."""
        keytab = keytab or self.keytab
        self.admin("addprinc -randkey %s" % name)
        self.admin("ktadd -k %s %s" % (keytab, name))
        user = pwd.getpwnam(owner)
        os.chown(keytab, user.pw_uid, user.pw_gid)
        os.chmod(keytab, 0o400)

    def ticket(self, user, password):
        """The path of a new cache with the user's ticket."""
        cache = os.path.join(self.dir, "cc-" + user.replace("/", "_"))
        with tempfile.TemporaryFile() as stdin:
            stdin.write(password.encode() + b"\n")
            stdin.seek(0)
            self.run("/usr/bin/kinit", "-c", "FILE:" + cache, user, stdin=stdin)
        return cache

    def stop(self):
        if self.daemon:
            self.daemon.stop()
            self.daemon = None
