"""libauthd-client as other programs see it: header, libraries, pkg-config file, example."""

import os
import subprocess

import pytest

from lib import authserver, proc, users

SOURCE = os.path.join(authserver.ROOT, "client-lib")


def run(*argv, **kw):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=60, **kw)
    return done


def built(*argv, **kw):
    done = run(*argv, **kw)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=["static", "shared"])
def login(request):
    """The example program, compiled as its head says, by the pkg-config file."""
    prefix = proc.new_dir("l")
    for name in ("include", "lib"):
        os.mkdir(os.path.join(prefix, name))
    os.symlink(os.path.join(SOURCE, "authd-client.h"), os.path.join(prefix, "include/authd-client.h"))
    names = ["libauthd-client.a"]
    if request.param == "shared":
        names = ["libauthd-client.so", "libauthd-client.so.0"]
    for name in names:
        os.symlink(os.path.join(authserver.BUILD, name), os.path.join(prefix, "lib", name))
    with open(os.path.join(SOURCE, "authd-client.pc.in")) as f:
        text = f.read().replace("@PREFIX@", prefix).replace("@VERSION@", "0.1.0")
    with open(os.path.join(prefix, "lib/authd-client.pc"), "w") as f:
        f.write(text)
    env = dict(os.environ, PKG_CONFIG_PATH=os.path.join(prefix, "lib"))
    flags = built("pkg-config", "--cflags", "--libs", "authd-client", env=env).split()
    program = os.path.join(prefix, "login")
    built("cc", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-D_GNU_SOURCE",
          os.path.join(SOURCE, "examples/login.c"), *flags,
          *([] if request.param == "static" else ["-Wl,-rpath," + os.path.join(prefix, "lib")]),
          "-o", program)

    def ask(path, user, password):
        return run(program, path, user, input=password + "\n")
    return ask


def test_example(server, login):
    path = server.path("auth-client")
    done = login(path, "tim", users.PASSWORDS["tim"])
    assert (done.returncode, done.stdout) == (0, "welcome, tim\n"), done.stderr
    done = login(path, "tim", users.WRONG)
    assert (done.returncode, done.stdout) == (1, "refused\n"), done.stderr
    done = login(path + "-missing", "tim", users.WRONG)
    assert done.returncode == 75 and "No such file" in done.stderr
    done = login(server.path("auth-master"), "tim", users.WRONG)
    assert done.returncode == 75 and done.stderr.startswith("wrong kind of socket: ")


def test_outage(start_server, login):
    server = start_server()
    server.break_backend()
    done = login(server.path("auth-client"), "tim", users.PASSWORDS["tim"])
    assert done.returncode == 75 and done.stdout.startswith("try again later: "), done.stderr


def test_needs_libc_only():
    out = built("objdump", "-p", os.path.join(authserver.BUILD, "libauthd-client.so.0"))
    words = out.split()
    needed = {words[i + 1] for i, word in enumerate(words) if word == "NEEDED"}
    assert needed <= {"libc.so.6"} | {n for n in needed if "san.so" in n}  # sanitizer builds
    assert words[words.index("SONAME") + 1] == "libauthd-client.so.0"


def names_of(path, *options):
    lines = built("nm", "--defined-only", "-P", *options, path).splitlines()
    return {line.split()[0].split("@")[0] for line in lines if " " in line and
            line.split()[1] in "TDBR"}


def test_exports_what_the_header_declares():
    shared = names_of(os.path.join(authserver.BUILD, "libauthd-client.so.0"), "-D")
    with open(os.path.join(SOURCE, "authd-client.h")) as f:
        header = f.read()
    public = {name for name in names_of(os.path.join(authserver.BUILD, "libauthd-client.a"))
              if name + "(" in header}
    assert len(public) > 30
    assert {name for name in shared if not name.startswith("_")} == public
    others = names_of(os.path.join(authserver.BUILD, "libauthd-client.a"), "-g") - public
    assert all(name.startswith(("libauthd_", "_")) for name in others)


def test_header_stands_alone():
    """In C11 and in C++, with nothing before it."""
    for argv in (["cc", "-std=c11", "-xc"], ["c++", "-xc++"]):
        if run(argv[0], "--version").returncode == 0:
            built(*argv, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-I", SOURCE,
                  "-", input="#include <authd-client.h>\nint main(void) { return AUTHD_OK; }\n")
