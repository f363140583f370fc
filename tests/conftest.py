"""Fixtures of every suite that drives real programs. Helpers are in lib/."""

import os
import random
import shutil
import tempfile
import zlib

import pytest

from lib.cluster import Cluster
from lib.dotnet import Dotnet
from lib.minio import Minio
from lib.podsnap import Podsnap
from lib.possible import is_allowed_skip
from lib.targets import Targets

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))


# --- no silent skip ------------------------------------------------------------------------------

def fail_unlisted_skip(report):
    """A skip whose reason is not on the list, and an expected failure, are failures."""
    if report.skipped:
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if hasattr(report, "wasxfail") or not is_allowed_skip(text):
            report.outcome = "failed"
            report.longrepr = f"skipped, and not by tests/not-possible-here.txt: {text}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    report = outcome.get_result()
    fail_unlisted_skip(report)
    item.podsnap_failed = getattr(item, "podsnap_failed", False) or report.failed


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report():
    outcome = yield
    fail_unlisted_skip(outcome.get_result())


# --- random inputs -------------------------------------------------------------------------------

def pytest_configure(config):
    given = os.environ.get("PODSNAP_TEST_SEED")
    config.podsnap_seed = int(given, 0) if given else random.SystemRandom().getrandbits(32)


def pytest_report_header(config):
    return f"PODSNAP_TEST_SEED={config.podsnap_seed}"


@pytest.fixture
def seed(request):
    """A number for this test's random inputs, printed; PODSNAP_TEST_SEED=N gives the same again."""
    start = request.config.podsnap_seed
    value = zlib.crc32(f"{start}:{request.node.nodeid}".encode())
    print(f"seed {value} (PODSNAP_TEST_SEED={start})")
    return value


@pytest.fixture
def rng(seed):
    """random.Random of this test's seed."""
    return random.Random(seed)


# --- files ---------------------------------------------------------------------------------------

@pytest.fixture(name="tmp_path")
def fixture_tmp_path(request, tmp_path):
    """pytest's own, but only a test that failed leaves its files: cores are large, and many."""
    yield tmp_path
    if not request.node.podsnap_failed:
        shutil.rmtree(tmp_path, ignore_errors=True)


# --- programs ------------------------------------------------------------------------------------

@pytest.fixture(scope="session")
def build_dir():
    """Where make put what it built."""
    return os.path.abspath(os.environ.get("PODSNAP_BUILD", os.path.join(ROOT, "build")))


@pytest.fixture(scope="session")
def podsnap_session(build_dir, tmp_path_factory):
    program = Podsnap(build_dir, tmp_path_factory.mktemp("home"))
    assert os.access(program.path, os.X_OK), f"{program.path} is not built; run: make"
    return program


@pytest.fixture
def podsnap(podsnap_session):
    """The built podsnap: podsnap.run("stacks", "--pid", target.pid, expect=0)."""
    return podsnap_session


@pytest.fixture
def targets(build_dir):
    """Starts programs to capture: targets.start("spin", "--threads=4")."""
    started = Targets(build_dir)
    yield started
    started.kill_all()


@pytest.fixture(scope="session")
def dotnet():
    """Real .NET runtimes: dotnet.start(targets, "Depot", "9.0", seed)."""
    # Not pytest's directory: the path of a socket in it must be short.
    with tempfile.TemporaryDirectory(prefix="podsnap-dotnet-") as directory:
        yield Dotnet(directory)


@pytest.fixture(params=("3.1", "9.0"))
def runtime(request):
    """One of lib.dotnet.RUNTIMES, a test for each."""
    return request.param


@pytest.fixture
def depot(dotnet, targets, runtime, seed):
    """A running program that says what it holds: tests/targets/dotnet/Depot.cs."""
    return dotnet.start(targets, "Depot", runtime, seed)


# --- servers -------------------------------------------------------------------------------------

@pytest.fixture(scope="session")
def cluster(build_dir):
    """A running Kubernetes with the image podsnap-test/busybox."""
    kubernetes = Cluster(build_dir)
    kubernetes.up()
    try:
        kubernetes.image("busybox")
        yield kubernetes
    finally:
        kubernetes.down()


@pytest.fixture
def namespace(cluster, request):
    """A namespace of this test's own."""
    name = f"t-{zlib.crc32(request.node.nodeid.encode()):08x}-{os.urandom(2).hex()}"
    cluster.namespace(name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def cluster_podsnap(podsnap_session, cluster):
    """podsnap in the cluster's network, as its administrator."""
    return podsnap_session.inside(cluster.prefix)


@pytest.fixture(scope="session")
def minio(tmp_path_factory):
    """An object store on loopback."""
    server = Minio(tmp_path_factory.mktemp("minio"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def cluster_minio(cluster, tmp_path_factory):
    """An object store in the cluster's network, at the node's address."""
    server = Minio(tmp_path_factory.mktemp("minio"), cluster.prefix, "10.97.0.2")
    yield server
    server.stop()
