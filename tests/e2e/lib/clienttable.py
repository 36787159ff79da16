"""The table of clients in docs/CLIENTS.md, from the results of tests/e2e/test_clients.py.

usage: clienttable.py build/clients.json   puts it there
"""

import json
import os
import sys

DOC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "docs", "CLIENTS.md")
BEGIN, END = "<!-- clients -->\n", "<!-- /clients -->\n"


def table(results):
    """results: {client: {mechanism: [server, ...]}}"""
    lines = ["| client | mechanism | through |", "|---|---|---|"]
    for client in sorted(results):
        for mech in sorted(results[client]):
            lines.append("| %s | %s | %s |" % (client, mech, ", ".join(sorted(results[client][mech]))))
    return "\n".join(lines) + "\n"


def _parts():
    with open(DOC) as f:
        text = f.read()
    head, rest = text.split(BEGIN)
    old, tail = rest.split(END)
    return head, old, tail


def committed():
    return _parts()[1]


def main():
    with open(sys.argv[1]) as f:
        new = table(json.load(f))
    head, _, tail = _parts()
    with open(DOC, "w") as f:
        f.write(head + BEGIN + new + END + tail)


if __name__ == "__main__":
    main()
