"""Outages of every kind of backend under load. lib/outages.py says how; docs/OUTAGES.md has what it finds."""

import contextlib
import json
import os

import pytest

from lib import authserver, outage_sites, outages, proc

pytestmark = pytest.mark.authd_only("the circuit breaker is authd's")
ONLY = os.environ.get("AUTHD_TEST_SITES", "").split()  # to work on a few of them
SITES = [one for one in outage_sites.ALL if not ONLY or one.kind in ONLY]
REPORT = os.path.join(authserver.BUILD, "outages.json")


@pytest.fixture(scope="module")
def lab():
    """All faults of all backends; it has run when a test gets it."""
    with contextlib.ExitStack() as stack:
        sites = []
        for make in SITES:
            sites.append(make())
            stack.callback(sites[-1].stop)
        found = stack.enter_context(outages.Lab(sites))
        found.run_all()
        yield found


@pytest.mark.parametrize("kind", [one.kind for one in SITES])
def test_outages(lab, kind):
    """No login is judged wrongly, mail servers say "try again", and logins go on by themselves."""
    wrong = {fault: text for (site, fault), text in lab.errors.items() if site == kind}
    assert not wrong, "\n".join("== %s\n%s" % one for one in wrong.items())
    assert any(site == kind for site, _ in lab.rows)


def test_the_documentation_has_what_was_found(lab):
    """But for the times. The rows are for tools/outages-table, which makes the table."""
    if ONLY:
        pytest.skip("not all of the sites have run")
    rows = [row for one in SITES for (kind, _), row in lab.rows.items() if kind == one.kind]
    with open(REPORT, "w") as f:
        json.dump(rows, f, indent=1)
    done = proc.run([os.path.join(authserver.ROOT, "tools/outages-table"), "--check", REPORT])
    assert done.returncode == 0, done.stdout + done.stderr
