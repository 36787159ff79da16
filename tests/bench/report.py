"""What the bench says in the end: the table, build/bench.json, blocks of Markdown files, the plot."""

import os
import platform
import re
import subprocess

from contenders import BUILD, CORES, ROOT, proc

CONTENDERS = (("authd", "authd"), ("dovecot-auth", "dovecot-auth"), ("floor", "floor"))


def output_of(*argv):
    return subprocess.run(argv, capture_output=True, text=True, cwd=ROOT).stdout.strip()


def machine():
    with open("/proc/cpuinfo") as f:
        model = re.search(r"model name\s*:\s*(.*)", f.read())
    with open("/proc/meminfo") as f:
        memory = int(f.readline().split()[1]) // 1024
    return {"cores": CORES, "cpu": model.group(1) if model else platform.machine(), "memory_mib": memory,
            "kernel": platform.release(), "system": output_of("sh", "-c", ". /etc/os-release; echo $PRETTY_NAME"),
            "virtual": output_of("systemd-detect-virt") or "unknown", "dovecot": output_of("dovecot", "--version"),
            "authd": output_of(str(BUILD / "authctl"), "version"), "commit": output_of("git", "rev-parse", "HEAD"),
            "load_before": os.getloadavg()[0]}


# ---- tables ----

def number(v):
    if v >= 1000:
        return "{:,.0f}".format(v)
    if v >= 100:
        return "%.0f" % v
    return "%.1f" % v if v >= 10 else "%.2g" % v if v < 0.1 and v else "%.2f" % v


def middle(row, key):
    return number(row[key]["median"]) if key in row else "-"


def with_spread(row, key):
    if key not in row:
        return "-"
    v = row[key]
    if v["min"] == v["max"]:
        return number(v["median"])
    return "%s (%s..%s)" % (number(v["median"]), number(v["min"]), number(v["max"]))


def ratio(row, key):
    if key not in row or row["unit"] == "ratio" or not row[key]["median"]:
        return "-"
    v = row["authd"]["median"] / row[key]["median"]
    if key == "floor":
        return "%.0f%%" % (100 * v)
    return "%.1f x" % v if v >= 1 else "%.2g x" % v


def verdict(row):
    return {True: "yes", False: "**no**", None: "-"}[row.get("met")]


def markdown(head, lines):
    rows = ["| %s |" % " | ".join(head), "|%s" % ("---|" * len(head))]
    return "\n".join(rows + ["| %s |" % " | ".join(line) for line in lines])


def full_table(rows):
    return markdown(
        ("work", "unit", "authd", "dovecot-auth", "floor", "x dovecot-auth", "of floor", "target", "met"),
        [(r["name"], r["unit"], *(with_spread(r, k) for k, _ in CONTENDERS), ratio(r, "dovecot-auth"),
          ratio(r, "floor"), r.get("target", "-"), verdict(r)) for r in rows])


def readme_block(result):
    m = result["machine"]
    table = markdown(
        ("work", "authd", "dovecot-auth", "floor", "ratio", "target", "met"),
        [("%s, %s" % (r["name"], r["unit"]) if r["unit"] != "ratio" else r["name"],
          *(middle(r, k) for k, _ in CONTENDERS), ratio(r, "dovecot-auth"), r.get("target", "-"), verdict(r))
         for r in result["rows"]])
    notes = "\n".join("- %s: %s" % (r["name"], r["note"]) for r in result["rows"] if r.get("note"))
    return """Medians of up to %d rounds in turns, all on one machine: %s, %d cores, Linux %s, %s, load client included;
dovecot-auth %s with auth_failure_delay 0, no penalty, no limits. authd writes a log line for each login, dovecot-auth does not.

%s

%s

![throughput and latency against connections](docs/bench.svg)""" % (
        result["rounds"], m["cpu"], m["cores"], m["kernel"], m["system"], m["dovecot"].split()[0], table, notes)


def growth_block(result):
    rows = markdown(("work", "unit", "authd"),
                    [(r["name"], r["unit"], with_spread(r, "authd")) for r in result["growth"]])
    points = markdown(
        ("connections", "authd/s", "p50", "p99", "dovecot-auth/s", "p50", "p99"),
        [(str(p["connections"]), *(number(p[k][f]) for k in ("authd", "dovecot-auth")
                                   for f in ("per_second", "p50_us", "p99_us"))) for p in result["curves"]])
    return "%s\n\nOne request at a time on each connection; percentiles in microseconds:\n\n%s" % (rows, points)


def machines_block(result):
    cores = result["machine"]["cores"]
    lines = []
    for name, rate in result["hash_rates"].items():
        each = rate["all_cores"] / cores
        lines.append((name, number(rate["one_core"]), number(rate["all_cores"]),
                      *(number(each * n * 0.95) for n in (2, 8, 32))))
    cheap = result["rows"][0]["authd"]["median"]
    cached = next(r for r in result["rows"] if "cache hits" in r["name"])["authd"]["median"]
    lines.append(("a cheap scheme (the broker itself)", "-", number(cheap), *[number(cheap)] * 3))
    lines.append(("any scheme, answered by the cache", "-", number(cached), *[number(cached)] * 3))
    return markdown(("scheme", "bare hash/s, one core", "%d cores" % cores, "logins/s: 2 cores", "8 cores",
                     "32 cores"), lines)


BLOCKS = {"bench": readme_block, "bench-growth": growth_block, "bench-machines": machines_block}


def rewrite_blocks(path, result):
    """Replaces what stands between <!-- NAME --> and <!-- /NAME -->, for each name that the file has."""
    with open(path) as f:
        text = f.read()
    found = 0
    for name, make in BLOCKS.items():
        begin, end = "<!-- %s -->\n" % name, "<!-- /%s -->" % name
        if begin in text and end in text:
            head, rest = text.split(begin, 1)
            text = "%s%s%s\n%s%s" % (head, begin, make(result), end, rest.split(end, 1)[1])
            found += 1
    if found == 0:
        raise SystemExit("bench: %s has no block <!-- bench --> ... <!-- /bench -->" % path)
    with open(path, "w") as f:
        f.write(text)


# ---- plot ----

COLOURS = {"authd": "#2f81f7", "dovecot-auth": "#e8590c", "floor": "#868e96"}
PLOT = """
set terminal svg size 900,380 dynamic font "sans-serif,13"
set output "%(svg)s"
set multiplot layout 1,2
set border lc rgb "#808080"
set grid lc rgb "#808080" lw 0.3
set tics textcolor rgb "#808080"
set title textcolor rgb "#808080"
set xlabel "connections, one login at a time on each" textcolor rgb "#808080"
set key textcolor rgb "#808080"
set logscale x 2
set logscale y 10
set xrange [1:1024]
set xtics (1, 4, 16, 64, 256, 1024)
set title "logins per second"
set format y "%%.0s%%c"
set key bottom right
plot %(rates)s
set title "latency: median (thin), 99th percentile (bold), ms"
set format y "%%g"
set key top left
plot %(latencies)s
"""


def draw(curves, svg):
    data = os.path.join(proc.new_dir("p"), "data")
    with open(data, "w") as f:
        for p in curves:
            f.write("%d %s\n" % (p["connections"], " ".join(
                "%g %g %g" % (p[k]["per_second"], p[k]["p50_us"] / 1000, p[k]["p99_us"] / 1000)
                for k, _ in CONTENDERS)))
    rates, latencies = [], []
    for i, (key, title) in enumerate(CONTENDERS):
        style = 'lc rgb "%s"%s' % (COLOURS[key], " dt 3" if key == "floor" else "")
        at = 2 + 3 * i
        rates.append('"%s" using 1:%d with linespoints pt 7 ps 0.4 lw 2 %s title "%s"' % (data, at, style, title))
        latencies.append('"%s" using 1:%d with lines lw 1 %s notitle' % (data, at + 1, style))
        latencies.append('"%s" using 1:%d with lines lw 3 %s title "%s"' % (data, at + 2, style, title))
    script = PLOT % {"svg": svg, "rates": ", ".join(rates), "latencies": ", ".join(latencies)}
    subprocess.run(["gnuplot"], input=script, text=True, check=True)
    with open(svg) as f:
        text = f.read()
    # the same bytes for the same figures, and no fonts but the reader's
    text = re.sub(r"<desc>.*?</desc>", "<desc>Produced by make bench</desc>", text, flags=re.S)
    with open(svg, "w") as f:
        f.write("\n".join(line.rstrip() for line in text.splitlines()) + "\n")
