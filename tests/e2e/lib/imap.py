"""IMAP servers to log in to: a real Dovecot with its own users, and one that does as it is told."""

import os
import socketserver
import threading

from . import postfix, proc

CONFIG = """
base_dir = {dir}/run
state_dir = {dir}/state
instance_name = target
log_path = {dir}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <{dir}/cert.pem
ssl_key = <{dir}/key.pem
disable_plaintext_auth = no
auth_failure_delay = 0
auth_mechanisms = plain login
auth_username_chars =
mail_location = maildir:~/Maildir
mail_uid = 65534
mail_gid = 65534
passdb {{
  driver = passwd-file
  args = {dir}/users
}}
userdb {{
  driver = static
  args = home={dir}/mail/%u
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
"""


class Target:
    """A Dovecot with the users of {name: password}, as its passwd-file has them; its certificate is for
    localhost."""

    def __init__(self, passwords, scheme="{PLAIN}"):
        self.dir = proc.new_dir("i")
        self.imap, self.imaps = proc.free_port(), proc.free_port()
        self.daemon = None
        self.users = os.path.join(self.dir, "users")
        postfix.make_certificate(self.dir, "localhost")
        os.chmod(os.path.join(self.dir, "cert.pem"), 0o644)
        self.ca = os.path.join(self.dir, "cert.pem")
        with open(self.users, "w") as f:
            f.writelines("%s:%s%s\n" % (name, scheme, text) for name, text in passwords.items())
        os.mkdir(os.path.join(self.dir, "mail"))
        os.chmod(os.path.join(self.dir, "mail"), 0o777)
        with open(os.path.join(self.dir, "dovecot.conf"), "w") as f:
            f.write(CONFIG.format(dir=self.dir, imap=self.imap, imaps=self.imaps))

    def start(self):
        self.daemon = proc.Daemon(
            ["/usr/sbin/dovecot", "-F", "-c", os.path.join(self.dir, "dovecot.conf")],
            os.path.join(self.dir, "stderr.log"))
        proc.wait_for("dovecot", lambda: not self.daemon.running() or
                      proc.port_open(self.imap) and proc.port_open(self.imaps))
        assert self.daemon.running(), open(os.path.join(self.dir, "dovecot.log")).read()
        return self

    def stop(self):
        if self.daemon:
            self.daemon.stop()
            self.daemon = None


class Scripted:
    """Greets with .greeting and answers every login with .answer (%s: the tag); None: never."""

    def __init__(self):
        script = self
        self.greeting = "* OK hello"
        self.answer = "%s OK done"

        class Handler(socketserver.StreamRequestHandler):
            def say(self, text):
                self.wfile.write(text.encode() + b"\r\n")

            def handle(self):
                if script.greeting is None:
                    self.rfile.readline()
                    return
                self.say(script.greeting)
                for line in self.rfile:
                    tag, _, rest = line.decode(errors="replace").strip().partition(" ")
                    word = rest.split(" ")[0].upper()
                    if word == "CAPABILITY":
                        self.say("* CAPABILITY IMAP4rev1")
                        self.say(tag + " OK done")
                    elif word == "LOGIN" and script.answer is None:
                        self.rfile.readline()
                        return
                    elif word == "LOGIN" and script.answer == "":
                        return
                    elif word == "LOGIN":
                        self.say(script.answer.replace("%s", tag))
                    else:
                        self.say(tag + " OK done")

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, request, client_address):
                pass  # clients that leave

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
