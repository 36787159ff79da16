"""tools/demo, the first thing that a newcomer runs."""

import os
import signal
import subprocess

import pytest

from lib import authserver, proc

pytestmark = pytest.mark.authd_only("a demonstration of authd")
DEMO = os.path.join(authserver.ROOT, "tools", "demo")


def run_env(where):
    return dict(os.environ, B=authserver.BUILD, TMPDIR=where)


def test_demo():
    where = proc.new_dir("demo")
    done = proc.run([DEMO], env=run_env(where), timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("auth succeeded") == 2
    assert done.stdout.count("auth failed") == 1
    assert "home\t/srv/mail/anna" in done.stdout
    assert "passwd-file(bob@example.com): Password mismatch" in done.stdout
    assert os.listdir(where) == []


def test_run_stays_in_the_foreground():
    where = proc.new_dir("demo")
    with subprocess.Popen([DEMO, "--foreground"], env=run_env(where), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as demo:
        said = []
        for line in demo.stdout:
            said.append(line)
            if "ready" in line:
                break
        tries = {}
        for line in said:
            command, _, _ = line.partition("#")
            if line.startswith("    ") and "authctl" in line:
                tried = subprocess.run(command, shell=True, cwd=authserver.ROOT, text=True,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, timeout=30, check=False)
                tries[command.strip()] = (tried.returncode, tried.stdout)
        children = proc.children(demo.pid)
        demo.send_signal(signal.SIGTERM)
        demo.stdout.read()
        demo.wait(30)
    assert sorted(code for code, _ in tries.values()) == [0, 0, 0, 0, 77], tries
    assert any("anna@example.com\nbob@example.com" in out for _, out in tries.values()), tries
    assert os.listdir(where) == []
    assert not [pid for pid in children if proc.alive(pid)]
