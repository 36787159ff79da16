"""PAM and system users for tests: service files with unusual names, a module of our own, real
users. All of it is taken away again."""

import os
import pwd

from . import proc

HERE = os.path.dirname(os.path.abspath(__file__))
NAME = "authdtest%d" % os.getpid()  # of users and services; nobody else has such names


def take_lines(path):
    """Those of a file, which is gone then; it need not be there."""
    try:
        with open(path) as f:
            lines = f.read().splitlines()
        os.unlink(path)
        return lines
    except FileNotFoundError:
        return []


class Pam:
    """Service files in /etc/pam.d; self.notes is what the test module wrote down."""

    def __init__(self):
        self.dir = proc.new_dir("pam")
        self.module = os.path.join(self.dir, "pam_authdtest.so")
        self.note_file = os.path.join(self.dir, "notes")
        self.made = []
        built = proc.run(["gcc", "-shared", "-fPIC", "-o", self.module,
                          os.path.join(HERE, "pam-module.c"), "-lpam"])
        if built.returncode != 0:
            raise RuntimeError(built.stderr)

    def service(self, name, text=None):
        """Makes NAME-name; its lines are those of the test module when text is None."""
        if text is None:
            text = "".join("%s required %s %s\n" % (kind, self.module, self.note_file)
                           for kind in ("auth", "account", "session"))
        service = "%s-%s" % (NAME, name)
        path = "/etc/pam.d/" + service
        with open(path, "x") as f:
            self.made.append(path)
            f.write(text)
        return service

    def notes(self):
        """Lines since the last call."""
        return take_lines(self.note_file)

    def close(self):
        for path in self.made:
            os.unlink(path)
        self.made = []


class SystemUsers:
    """Real users of this machine, with useradd."""

    def __init__(self):
        self.names = []

    def add(self, name, password_hash, *options):
        """The user NAME + name; its home is not made."""
        user = NAME + name
        made = proc.run(["useradd", "-M", "-d", "/nowhere/" + user, "-s", "/usr/sbin/nologin",
                         "-p", password_hash] + list(options) + [user])
        if made.returncode != 0:
            raise RuntimeError("useradd: " + made.stderr)
        self.names.append(user)
        return pwd.getpwnam(user)

    def close(self):
        for user in self.names:
            proc.run(["userdel", user])
        self.names = []


def crypt_hash(password):
    made = proc.run(["openssl", "passwd", "-6", password])
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()
