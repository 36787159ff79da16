"""A backend whose every move a test decides: the driver module of driver-scripted.c."""

import os
import subprocess

from . import authserver, proc

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "driver-scripted.c")
_modules = None


def modules():
    """The directory with the compiled modules."""
    global _modules
    if _modules is None:
        _modules = proc.new_dir("m")
        for name, flags in (("scripted", []), ("scripted-judge", ["-DJUDGES"])):
            run = subprocess.run(
                ["gcc", "-shared", "-fPIC", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
                 "-I" + authserver.ROOT, *flags, "-o", os.path.join(_modules, name + ".so"), SOURCE],
                capture_output=True, text=True)
            assert run.returncode == 0, run.stderr
    return _modules


class Script:
    """The files of one backend. users: {key: (password, {field: value})}"""

    def __init__(self, **users):
        self.dir = proc.new_dir("s")
        self.users = {}
        for key, entry in users.items():
            self.users[key] = entry if isinstance(entry, tuple) else (entry, {})
        self.write()

    def set(self, key, password, **fields):
        self.users[key] = (password, fields)
        self.write()

    def remove(self, key):
        del self.users[key]
        self.write()

    def write(self):
        lines = ["\t".join([key, password] + ["%s=%s" % f for f in fields.items()])
                 for key, (password, fields) in self.users.items()]
        self._replace("users", "".join(line + "\n" for line in lines))

    def mode(self, mode):
        self._replace("mode", mode)

    def _replace(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path + ".new", "w") as f:
            f.write(text)
        os.chmod(path + ".new", 0o644)
        os.rename(path + ".new", path)


def asked(server, user=None, kind=None):
    """How many questions have reached the driver."""
    found = [line.split("scripted: ", 1)[1].split() for line in server.logs().splitlines()
             if "scripted: " in line]
    return sum((kind is None or one[0] == kind) and (user is None or one[1] == user)
               for one in found if len(one) == 2)
