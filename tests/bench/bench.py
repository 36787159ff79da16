"""Measures authd beside dovecot-auth and a floor, in turns, in one run.

A floor is what the machine allows: a server that decides nothing behind one process boundary, the bare
hash function on all cores, or a bare client of the same database. Every answer is checked by the load client; a wrong one ends the run with exit 1.
"""

import argparse
import json
import resource
import signal
import sys
import time

import backends
import growth
import report
import work
from contenders import BUILD, ROOT, Helpers, Server, WrongAnswer, make_hash
from rows import Bench

SCHEMES = {  # user: how authctl makes its hash
    "plain": ["-s", "PLAIN"],
    "sha512": ["-s", "SHA512-CRYPT"],
    "bcrypt10": ["-s", "BLF-CRYPT", "-r", "10"],
    "bcrypt12": ["-s", "BLF-CRYPT", "-r", "12"],
    "argon2": ["-s", "ARGON2ID"],
}


SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def end_run(signo, _):
    # whoever sends one may send two; the second must not end the tidying up
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    sys.exit(128 + signo)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="how long each measurement takes: 1 is a full run")
    parser.add_argument("--quick", action="store_true", help="three minutes, figures of little weight")
    parser.add_argument("--only", metavar="PART", help="one function of work.py or backends.py (for those who change it)")
    parser.add_argument("--no-growth", action="store_true", help="leave out the plot and how cost grows")
    parser.add_argument("--readme", metavar="FILE", action="append", default=[],
                        help="rewrite the <!-- bench... --> blocks of this Markdown file; may be repeated")
    parser.add_argument("--plot", metavar="FILE", help="where the plot goes (docs/bench.svg; with --quick build/bench.svg)")
    parser.add_argument("--from-json", action="store_true", help="measure nothing: report build/bench.json again")
    args = parser.parse_args()
    args.plot = args.plot or (BUILD if args.quick else ROOT / "docs") / "bench.svg"
    if args.quick:
        args.rounds, args.scale = 1, 0.4
    return args


def measure(args):
    result = {"machine": report.machine(), "rounds": args.rounds, "scale": args.scale}
    hashes = {user: make_hash(how) for user, how in SCHEMES.items()}
    b = Bench(args.rounds, args.scale)
    began = time.monotonic()
    if args.only:
        getattr(work if hasattr(work, args.only) else backends, args.only)(b, hashes)
    else:
        work.run(b, hashes)
        backends.run(b, hashes)
    result["hash_rates"] = {} if args.only or args.no_growth else growth.run(b, hashes)
    result.update(rows=b.rows, growth=b.growth, curves=b.curves, took_s=round(time.monotonic() - began))
    return result


def tell(args, result, out):
    m = result["machine"]
    print("\n%s; %d cores, Linux %s, dovecot-auth %s\nmedians of up to %d rounds (min..max), %d s in all\n"
          % (m["cpu"], m["cores"], m["kernel"], m["dovecot"], result["rounds"], result["took_s"]))
    print(report.full_table(result["rows"]))
    missed = [r["name"] for r in result["rows"] if r.get("met") is False]
    if m["load_before"] > 0.5:
        print("\nOther work was running (load average %.1f at the start): these figures are noise." % m["load_before"])
    print("\n%d of %d targets met%s" % (sum(r.get("met") is True for r in result["rows"]),
                                        sum("met" in r for r in result["rows"]),
                                        "; missed: " + "; ".join(missed) if missed else ""))
    print("written: %s" % out)
    if result["curves"]:
        report.draw(result["curves"], args.plot)
    if result["growth"]:
        for path in args.readme:
            report.rewrite_blocks(path, result)


def main():
    args = parse()
    for signo in SIGNALS:
        signal.signal(signo, end_run)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < 12000:
        sys.exit("bench: 10,000 connections need ulimit -Hn 12000 or more; it is %d" % hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    out = BUILD / ("bench-%s.json" % args.only if args.only else "bench.json")
    if args.from_json:
        result = json.loads(out.read_text())
    else:
        try:
            result = measure(args)
        except WrongAnswer as e:
            sys.exit("bench: %s" % e)
        finally:
            Helpers.end_all()
            Server.stop_all()
        out.write_text(json.dumps(result, indent=1))
    tell(args, result, out)


if __name__ == "__main__":
    main()
