"""Measures authd beside dovecot-auth and a floor, in turns, in one run.

A floor is what the machine allows: a server that decides nothing behind one process boundary, or the bare
hash function on all cores. Every answer is checked by the load client; one wrong answer ends the run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))

from lib import authserver, proc  # noqa: E402

TOOLS = ROOT / "build/bench"
CORES = os.cpu_count()
PASSWORD = "a rather ordinary passphrase"
SCHEMES = {  # user: how authctl makes its hash
    "plain": ["-s", "PLAIN"],
    "sha512": ["-s", "SHA512-CRYPT"],
    "bcrypt10": ["-s", "BLF-CRYPT", "-r", "10"],
    "bcrypt12": ["-s", "BLF-CRYPT", "-r", "12"],
    "argon2": ["-s", "ARGON2ID"],
}


def make_hash(args):
    out = subprocess.run([ROOT / "build/authctl", "pw", "-p", PASSWORD, *args], check=True,
                         capture_output=True, text=True)
    return out.stdout.strip()


CONFIG = """
auth_mechanisms = plain
passdb {
  driver = passwd-file
  args = @passwd@
}
userdb {
  driver = passwd-file
  args = @passwd@
}
"""


def start(kind, hashes):
    server = {"authd": authserver.Authd, "dovecot-auth": authserver.DovecotAuth}[kind](CONFIG)
    with open(server.passwd, "w") as f:
        for user, value in hashes.items():
            f.write("%s:%s:5000:5000::/home/%s::\n" % (user, value, user))
    os.chmod(server.passwd, 0o644)
    os.chmod(server.dir, 0o755)
    return server.start()


def load(socket, *args):
    run = subprocess.run([TOOLS / "load", "-s", socket, "-p", PASSWORD, *map(str, args)],
                         capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit("bench: the load client failed on %s %s:\n%s%s" % (socket, args, run.stdout, run.stderr))
    return json.loads(run.stdout)


class Floor:
    """The server that decides nothing."""

    def __init__(self, mode):
        self.path = os.path.join(proc.new_dir("f"), "floor")
        self.popen = subprocess.Popen([TOOLS / "floor", self.path, mode])
        proc.wait_for("the floor server", lambda: os.path.exists(self.path))

    def stop(self):
        self.popen.kill()
        self.popen.wait()


def hash_rate(value, seconds):
    value = value[value.index("}") + 1:]
    out = subprocess.run([TOOLS / "hash", str(CORES), str(seconds), value, PASSWORD], check=True,
                         capture_output=True, text=True)
    return json.loads(out.stdout)["per_second"]


class Bench:
    def __init__(self, rounds, scale):
        self.rounds, self.scale = rounds, scale
        self.rows = []

    def n(self, count):
        return max(20, int(count * self.scale))

    def row(self, name, unit, better, measure, floor=None):
        """measure: {contender: function}; all in turns, round after round."""
        got = {k: [] for k in measure}
        floors = []
        for _ in range(self.rounds):
            for k, f in measure.items():
                got[k].append(f())
            if floor:
                floors.append(floor())
        row = {"name": name, "unit": unit, "better": better}
        for k, v in got.items():
            row[k] = {"median": statistics.median(v), "min": min(v), "max": max(v)}
        if floors:
            row["floor"] = {"median": statistics.median(floors), "min": min(floors), "max": max(floors)}
        self.rows.append(row)
        print("  measured: %s" % name, file=sys.stderr, flush=True)
        return row


def storm(server, count):
    """Keeps 4 x cores bcrypt-12 logins in flight while the cheap ones are measured."""
    heavy = subprocess.Popen([TOOLS / "load", "-s", server.path("auth-client"), "-p", PASSWORD, "-u", "bcrypt12",
                              "-c", "1", "-f", str(4 * CORES), "-t", "6"], stdout=subprocess.DEVNULL)
    time.sleep(1)
    result = load(server.path("auth-client"), "-u", "plain", "-c", 2, "-f", 1, "-n", count)
    heavy.wait()
    return result["p99_us"] / 1000


def measure(b, hashes):
    servers = {k: start(k, hashes) for k in ("authd", "dovecot-auth")}
    floors = {m: Floor(m) for m in ("login", "userdb")}
    try:
        client = {k: s.path("auth-client") for k, s in servers.items()}
        userdb = {k: s.path("private-userdb") for k, s in servers.items()}

        def rate(paths, *args):
            return {k: (lambda p=p: load(p, *args)["per_second"]) for k, p in paths.items()}

        def p50(paths, *args):
            return {k: (lambda p=p: load(p, *args)["p50_us"]) for k, p in paths.items()}

        b.row("PLAIN, cheap scheme, 8 connections x 16", "logins/s", "more",
              rate(client, "-u", "plain", "-c", 8, "-f", 16, "-n", b.n(200000)),
              lambda: load(floors["login"].path, "-c", 8, "-f", 16, "-n", b.n(400000))["per_second"])
        b.row("PLAIN, cheap scheme, one at a time, median", "us", "less",
              p50(client, "-u", "plain", "-c", 1, "-f", 1, "-n", b.n(10000)),
              lambda: load(floors["login"].path, "-c", 1, "-f", 1, "-n", b.n(10000))["p50_us"])
        b.row("userdb lookups, 8 connections x 16", "lookups/s", "more",
              rate(userdb, "-m", "userdb", "-u", "plain", "-c", 8, "-f", 16, "-n", b.n(200000)),
              lambda: load(floors["userdb"].path, "-m", "userdb", "-c", 8, "-f", 16, "-n", b.n(400000))["per_second"])
        for user, label in (("sha512", "SHA512-CRYPT"), ("bcrypt10", "bcrypt, cost 10"),
                            ("argon2", "ARGON2ID, 64 MiB")):
            b.row("PLAIN, %s, 8 connections" % label, "logins/s", "more",
                  rate(client, "-u", user, "-c", 8, "-f", 1, "-t", 2 * b.scale),
                  lambda user=user: hash_rate(hashes[user], 2 * b.scale))
        b.row("cheap logins during a bcrypt-12 storm, p99", "ms", "less",
              {k: (lambda s=s: storm(s, b.n(500))) for k, s in servers.items()})
        one = client["authd"]
        b.row("wrong password (known user, SHA512-CRYPT), median", "us", "-",
              {"authd": lambda: load(one, "-u", "sha512", "-p", "wrong", "-e", "fail", "-n", b.n(300))["p50_us"]})
        b.row("unknown user, median", "us", "-",
              {"authd": lambda: load(one, "-u", "nobody", "-p", "wrong", "-e", "fail", "-n", b.n(300))["p50_us"]})
    finally:
        for s in list(servers.values()) + list(floors.values()):
            s.stop()


def number(v):
    return "%.0f" % v if v >= 100 else "%.1f" % v


def cell(row, key):
    if key not in row:
        return "-"
    v = row[key]
    return "%s (%s..%s)" % (number(v["median"]), number(v["min"]), number(v["max"]))


def ratio(row):
    if "dovecot-auth" not in row:
        return "-"
    return "%.2f" % (row["authd"]["median"] / row["dovecot-auth"]["median"])


def table(rows):
    lines = ["| work | unit | authd | dovecot-auth | ratio | floor |", "|---|---|---|---|---|---|"]
    for r in rows:
        lines.append("| %s | %s | %s | %s | %s | %s |" % (
            r["name"], r["unit"], cell(r, "authd"), cell(r, "dovecot-auth"), ratio(r), cell(r, "floor")))
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the requests of a full run")
    args = parser.parse_args()
    hashes = {user: make_hash(how) for user, how in SCHEMES.items()}
    b = Bench(args.rounds, args.scale)
    measure(b, hashes)
    version = subprocess.run(["dovecot", "--version"], capture_output=True, text=True).stdout.strip()
    print("\n%d cores, %d rounds, medians (min..max); dovecot-auth %s\n" % (CORES, args.rounds, version))
    print(table(b.rows))
    out = ROOT / "build/bench.json"
    out.write_text(json.dumps({"cores": CORES, "rounds": args.rounds, "dovecot": version, "rows": b.rows}, indent=1))
    print("\nwritten: %s" % out.relative_to(ROOT))


if __name__ == "__main__":
    main()
