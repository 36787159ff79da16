"""A private Dovecot for IMAP, POP3 and LMTP whose own auth is switched off.

docs/dovecot-with-authd.md explains the settings.
"""

import os

from . import proc
from .authserver import Listener

CONFIG = """
base_dir = {dir}/run
state_dir = {dir}/state
instance_name = mail
log_path = {dir}/dovecot.log
protocols = imap pop3 lmtp
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_verbose = yes
mail_location = maildir:~/Maildir
first_valid_uid = 500

service auth {{
  unix_listener login/login {{
    mode = 0
  }}
  unix_listener token-login/tokenlogin {{
    mode = 0
  }}
  unix_listener auth-login {{
    mode = 0
  }}
  unix_listener auth-client {{
    mode = 0
  }}
  unix_listener auth-userdb {{
    mode = 0
  }}
  unix_listener auth-master {{
    mode = 0
  }}
}}
service auth-worker {{
  unix_listener auth-worker {{
    mode = 0
  }}
}}
service imap-login {{
  {imap_login}
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  {pop3_login}
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service imap-urlauth-login {{
  {urlauth_login}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp}
  }}
  unix_listener lmtp {{
    mode = 0
  }}
}}
"""


class MailDovecot:
    """layout "same": sockets where Dovecot has its own, so Dovecot must be started first.
    layout "apart": login sockets in directories of their own, any order."""

    def __init__(self, layout="same"):
        self.dir = proc.new_dir("d")
        self.layout = layout
        self.run = os.path.join(self.dir, "run")
        self.log = os.path.join(self.dir, "dovecot.log")
        self.config = os.path.join(self.dir, "dovecot.conf")
        self.imap, self.pop3, self.lmtp = (proc.free_port() for _ in range(3))
        self.daemon = None
        apart = layout == "apart"
        with open(self.config, "w") as f:
            f.write(CONFIG.format(
                dir=self.dir, imap=self.imap, pop3=self.pop3, lmtp=self.lmtp,
                imap_login="executable = imap-login authd/login" if apart else "",
                pop3_login="executable = pop3-login authd/login" if apart else "",
                urlauth_login="executable = imap-urlauth-login authd/tokenlogin" if apart else ""))

    def listeners(self):
        """What the server under test has to serve for this Dovecot."""
        sub = "authd/" if self.layout == "apart" else ""
        run = self.run + "/"
        return [Listener(run + "login/%slogin" % sub, 0o666),
                Listener(run + "token-login/%stokenlogin" % sub, 0o666),
                Listener(run + "auth-login", 0o600, "dovecot"),
                Listener(run + "auth-client", 0o600, "dovecot"),
                Listener(run + "auth-userdb", 0o666, "dovecot", "dovecot"),
                Listener(run + "auth-master", 0o600)]

    def make_directories(self):
        """As a package or tmpfiles.d would, before either server is started (layout "apart")."""
        for name in ("", "/login", "/token-login", "/login/authd", "/token-login/authd"):
            path = self.run + name
            os.makedirs(path, exist_ok=True)
            if name:
                proc.run(["chown", "root:dovenull", path])
                os.chmod(path, 0o750)

    def start(self):
        self.daemon = proc.Daemon(["/usr/sbin/dovecot", "-F", "-c", self.config],
                                  os.path.join(self.dir, "stderr.log"))
        proc.wait_for("dovecot", lambda: not self.daemon.running() or
                      all(proc.port_open(p) for p in (self.imap, self.pop3, self.lmtp)))
        if not self.daemon.running():
            raise RuntimeError("dovecot did not start:\n" + self.logs())
        return self

    def stop(self):
        if self.daemon:
            self.daemon.stop()
            self.daemon = None

    def processes(self):
        """{pid: command line} of all its processes."""
        return {pid: title for pid, (_, title) in proc.children(self.daemon.pid).items()}

    def doveadm(self, *args):
        return proc.run(["/usr/bin/doveadm", "-c", self.config] + list(args), cwd=self.dir)

    def logs(self):
        text = ""
        for name in ("dovecot.log", "stderr.log"):
            path = os.path.join(self.dir, name)
            if os.path.exists(path):
                with open(path, errors="replace") as f:
                    text += f.read()
        return text
