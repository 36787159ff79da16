"""A private Postfix: one smtpd on a loopback port, in a chroot, that asks the server under test."""

import os
import pwd
import smtplib

from . import proc

MASTER = "/usr/lib/postfix/sbin/master"

MAIN = """
compatibility_level = 3.6
queue_directory = {dir}/spool
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mail.example.com
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
# nothing leaves the machine
default_transport = discard
local_transport = discard
relay_transport = discard
virtual_transport = discard
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_sasl_security_options = noanonymous
smtpd_tls_security_level = may
smtpd_tls_auth_only = no
smtpd_tls_cert_file = {dir}/cert.pem
smtpd_tls_key_file = {dir}/key.pem
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1000
smtpd_client_connection_rate_limit = 0
maillog_file = {dir}/postfix.log
maillog_file_prefixes = {dir}
"""

SERVICES = """
127.0.0.1:{port} inet n - y - - smtpd
cleanup unix n - y - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - y 1000? 1 tlsmgr
rewrite unix - - y - - trivial-rewrite
bounce unix - - y - 0 bounce
defer unix - - y - 0 bounce
trace unix - - y - 0 bounce
verify unix - - y - 1 verify
flush unix n - y 1000? 0 flush
proxymap unix - - n - - proxymap
anvil unix - - y - 1 anvil
scache unix - - y - 1 scache
showq unix n - y - - showq
error unix - - y - - error
retry unix - - y - - error
discard unix - - y - - discard
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """The socket to put there: self.socket, owned by postfix, mode 0660."""

    def __init__(self):
        self.dir = proc.new_dir("p")
        self.port = proc.free_port()
        self.spool = os.path.join(self.dir, "spool")
        self.socket = os.path.join(self.spool, "private", "auth")
        self.log = os.path.join(self.dir, "postfix.log")
        self.daemon = None
        os.mkdir(self.spool)
        os.mkdir(os.path.join(self.dir, "data"))
        os.chown(os.path.join(self.dir, "data"), pwd.getpwnam("postfix").pw_uid, -1)
        make_certificate(self.dir, "mail.example.com")
        with open(os.path.join(self.dir, "main.cf"), "w") as f:
            f.write(MAIN.format(dir=self.dir))
        with open(os.path.join(self.dir, "master.cf"), "w") as f:
            f.write(SERVICES.format(port=self.port))
        made = proc.run(["/usr/sbin/postfix", "-c", self.dir, "check"])
        if made.returncode != 0:
            raise RuntimeError("postfix check: %s%s" % (made.stdout, made.stderr))

    def start(self):
        self.daemon = proc.Daemon([MASTER, "-c", self.dir, "-d"],
                                  os.path.join(self.dir, "master.log"))
        proc.wait_for("smtpd", lambda: proc.port_open(self.port) or not self.daemon.running())
        if not self.daemon.running():
            raise RuntimeError("postfix ended at start:\n" + self.logs())
        return self

    def stop(self):
        if self.daemon:
            self.daemon.stop()
            self.daemon = None

    def logs(self):
        text = ""
        for name in ("postfix.log", "master.log"):
            path = os.path.join(self.dir, name)
            if os.path.exists(path):
                with open(path, errors="replace") as f:
                    text += f.read()
        return text

    def smtp(self, tls=False):
        """An SMTP session after EHLO; with TLS when asked."""
        s = smtplib.SMTP("127.0.0.1", self.port, local_hostname="client.example.com", timeout=30)
        s.ehlo()
        if tls:
            code, text = s.starttls()
            assert code == 220, text
            s.ehlo()
        return s


def make_certificate(where, name):
    made = proc.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                     "-subj", "/CN=" + name, "-keyout", os.path.join(where, "key.pem"),
                     "-out", os.path.join(where, "cert.pem")])
    if made.returncode != 0:
        raise RuntimeError("openssl: " + made.stderr)
