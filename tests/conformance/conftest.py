"""The adapters of a run: those of adapters/, or what --adapter names."""

import functools
import glob
import importlib.util
import os
import shutil
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]

import kit  # noqa: E402
from lib import proc  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--adapter", action="append", default=[],
                     help="a file with Adapter classes, to be run instead of those of authd's own drivers")
    parser.addoption("--driver", action="append", default=[], help="a driver's module (.so) that they need")


@functools.lru_cache(maxsize=None)  # one class each, however many tests ask
def adapters_in(path):
    name = "adapter_" + os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [one for one in vars(module).values()
            if isinstance(one, type) and issubclass(one, kit.Adapter) and one.__module__ == name and one.name]


def pytest_generate_tests(metafunc):
    if "service" in metafunc.fixturenames:
        paths = (metafunc.config.getoption("--adapter", None) or sorted(glob.glob(HERE + "/adapters/*.py")))
        found = [one for path in paths for one in adapters_in(path)]
        assert found, "no class with a name in %s is an Adapter" % paths
        metafunc.parametrize("service", found, ids=lambda one: one.name, indirect=True, scope="module")


@pytest.fixture(scope="session")
def modules(pytestconfig):
    """A directory with the modules of --driver; None: those that were built."""
    given = pytestconfig.getoption("--driver", [])
    if not given:
        return None
    where = proc.new_dir("m")
    for path in given:
        shutil.copy(path, where)
    return where


@pytest.fixture(scope="module")
def service(request, modules):
    one = kit.Service(request.param(), modules)
    try:
        yield one.start()
    finally:
        one.stop()
