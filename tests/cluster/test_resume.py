"""A capture whose connection is lost goes on where it was: over another connection, with the same
probe and the same snapshot."""

import os
import re
import signal

import pytest

from lib import bundle as bundles, proc
from lib.beside import node_agent, sidecar
from lib.cluster import container
from lib.connect_proxy import ConnectProxy
from lib.pods import CapturePod, RESTRICTED, module_namespace
from lib.progress import await_bytes, directory_bytes
from lib.soak import LONG
from lib.wait import wait_until

CAPTURES = 100 if LONG else 10
MEMORY_MIB = 256  # half of it random
COMPONENTS = ["apiserver", "kubelet", "containerd"]
FAULTS = ["reset", "silence"] + COMPONENTS
GOES_ON = re.compile(r"goes on at byte (\d+)")


@pytest.fixture(scope="module", name="pods_namespace")
def fixture_pods_namespace(cluster):
    yield from module_namespace(cluster)


@pytest.fixture(scope="module")
def pod(cluster, pods_namespace):
    return CapturePod(cluster, pods_namespace, "resume", "memory", MEMORY_MIB)


@pytest.fixture(name="proxy")
def fixture_proxy(cluster, tmp_path_factory):
    server = ConnectProxy(tmp_path_factory.mktemp("proxy"), cluster.prefix)
    yield server
    server.stop()


class Capture:
    """One that runs, through the proxy, and what came of it so far."""

    def __init__(self, podsnap, pod, proxy, directory, *options):
        self.directory = directory
        self.path = directory / "b.podsnap.tar.zst"
        self.process = podsnap.start("capture", *pod.where, "-o", self.path, *options,
                                     env={"HTTPS_PROXY": f"http://{proxy.address}",
                                          "NO_PROXY": ""})

    def bytes(self):
        return directory_bytes(self.directory)

    def await_bytes(self, wanted):
        await_bytes(self.process, self.bytes, wanted)

    def finish(self):
        """Its exit status and what it said."""
        _, stderr = self.process.communicate(timeout=240)
        stderr = stderr.decode("utf-8", "replace")
        print(stderr)
        return self.process.returncode, stderr


@pytest.fixture(scope="module")
def whole_bytes(cluster, podsnap_session, pod, tmp_path_factory):
    """The size of the bundle of an undisturbed capture."""
    path = tmp_path_factory.mktemp("whole") / "b"
    podsnap_session.inside(cluster.prefix).run("capture", *pod.where, "-o", path)
    pod.await_clean()
    size = path.stat().st_size
    path.unlink()
    assert size > MEMORY_MIB << 19
    return size


def cut(cluster, proxy, fault):
    def killed():
        # One that was killed just now is not there for a moment.
        cluster.kill(fault)
        return True
    if fault in COMPONENTS:
        wait_until(killed, f"end of {fault}")
    else:
        proxy.order(fault)


def plan_cuts(rng, turn):
    """1 to 5 faults at shares of the bundle that leave each something to interrupt, the first in any
    case: the stream goes on until a component is dead. Every kind comes first in turn; another
    silence would only take time."""
    more = rng.randint(0, 4)
    shares = sorted([rng.uniform(0.1, 0.6), *(rng.uniform(0.1, 0.9) for _ in range(more))])
    return [(share, FAULTS[turn % len(FAULTS)] if i == 0 else rng.choice(["reset"] + COMPONENTS))
            for i, share in enumerate(shares)]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("turn", range(CAPTURES))
def test_goes_on_after_every_kind_of_loss(cluster, cluster_podsnap, pod, proxy, whole_bytes, turn,
                                          tmp_path, rng):
    cluster.wait_ready()
    capture = Capture(cluster_podsnap, pod, proxy, tmp_path)
    counted = 0
    for share, fault in plan_cuts(rng, turn):
        capture.await_bytes(int(whole_bytes * share))
        before = capture.bytes() / whole_bytes
        cut(cluster, proxy, fault)
        counted += capture.bytes() / whole_bytes <= 0.9
        print(f"{fault} at {before:.0%}")
    assert counted >= 1, "no cut was in the middle"
    status, stderr = capture.finish()
    went_on = [int(offset) for offset in GOES_ON.findall(stderr)]
    # What the cluster says of itself while parts of it start may be missing, and is said to be.
    assert status == 0 or (status == 3 and bundles.only_kube_is_missing(capture.path))
    assert went_on and went_on == sorted(went_on) and went_on[0] > 0
    cluster_podsnap.run("verify", capture.path)
    # One snapshot: nothing was captured a second time.
    assert abs(capture.path.stat().st_size - whole_bytes) < whole_bytes / 50
    cluster.wait_ready()
    pod.await_clean()
    capture.path.unlink()


@pytest.mark.parametrize("route", ["exec", "ephemeral"])
def test_goes_on_under_pod_security(cluster, cluster_podsnap, proxy, tmp_path, route):
    """As a user without rights, and, where the image has no shell, beside it."""
    namespace = cluster.namespace("s-" + os.urandom(4).hex(), "restricted")
    image = {"image": cluster.image("distroless")} if route == "ephemeral" else {}
    pod = CapturePod(cluster, namespace, "user", "memory", MEMORY_MIB, security=RESTRICTED, **image)
    capture = Capture(cluster_podsnap, pod, proxy, tmp_path, "--route", route,
                      "--probe-image", cluster.image("probe"))
    capture.await_bytes(MEMORY_MIB << 18)
    proxy.order("reset")
    status, stderr = capture.finish()
    assert status == 0 and GOES_ON.search(stderr)
    cluster_podsnap.run("verify", capture.path)
    wait_until(lambda: not pod.probes(), "end of the probe")
    pod.assert_runs_freely()
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture(name="agent", scope="module")
def fixture_agent(cluster):
    yield from node_agent(cluster)


def pod_beside(cluster, namespace, route):
    """One whose process is reached from another container: by a sidecar, by the agent of the node."""
    if route == "node":
        return CapturePod(cluster, namespace, "by-node", "memory", MEMORY_MIB,
                          image=cluster.image("distroless"))
    app = container("app", "/targets/memory", MEMORY_MIB, image=cluster.image("distroless"))
    return CapturePod(cluster, namespace, "by-sidecar", "memory", MEMORY_MIB,
                      containers=[app, sidecar(cluster)], shareProcessNamespace=True)


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize("route", ["sidecar", "node"])
@pytest.mark.parametrize("fault", ["reset", "kubelet"])
def test_goes_on_from_another_container(cluster, cluster_podsnap, pods_namespace, proxy, tmp_path,
                                        route, fault):
    cluster.wait_ready()
    pod = pod_beside(cluster, pods_namespace, route)
    capture = Capture(cluster_podsnap, pod, proxy, tmp_path, "--route", route)
    capture.await_bytes(MEMORY_MIB << 18)
    cut(cluster, proxy, fault)
    status, stderr = capture.finish()
    assert status == 0 or (status == 3 and bundles.only_kube_is_missing(capture.path))
    assert GOES_ON.search(stderr)
    cluster_podsnap.run("verify", capture.path)
    cluster.wait_ready()
    wait_until(lambda: not pod.probes() and proc.children(pod.pid) == [], "end of the probe")
    pod.assert_runs_freely()
    cluster.kubectl("delete", "pod", pod.name, "-n", pods_namespace)


def test_without_a_window_a_loss_is_the_end(cluster_podsnap, pod, proxy, whole_bytes, tmp_path):
    capture = Capture(cluster_podsnap, pod, proxy, tmp_path, "--resume-window", "0")
    capture.await_bytes(whole_bytes // 5)
    proxy.order("reset")
    status, stderr = capture.finish()
    assert status == 1 and not capture.path.exists()
    assert "was cut after" in stderr and "goes on" not in stderr
    # It does not wait for anybody.
    pod.await_clean(timeout=20)


def probe_pids(pod):
    return [pid for pid, argv in pod.others().items() if argv[-1:] == ["serve"] and
            ".podsnap" in argv[0]]


def test_nobody_comes_back(cluster_podsnap, pod, proxy, whole_bytes, tmp_path):
    """The probe holds the snapshot for the window and no longer, and the target runs on."""
    capture = Capture(cluster_podsnap, pod, proxy, tmp_path, "--resume-window", "8s")
    capture.await_bytes(whole_bytes // 5)
    capture.process.send_signal(signal.SIGKILL)
    capture.process.communicate(timeout=30)
    assert probe_pids(pod), "the probe did not wait"
    pod.assert_runs_freely()
    pod.await_clean()


def test_the_probe_died_meanwhile(cluster, cluster_podsnap, pod, proxy, whole_bytes, tmp_path):
    capture = Capture(cluster_podsnap, pod, proxy, tmp_path)
    capture.await_bytes(whole_bytes // 5)
    cluster.kill("apiserver")
    pids = probe_pids(pod)
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    status, stderr = capture.finish()
    assert status == 1 and not capture.path.exists()
    assert "there was no way back" in stderr and "does not run any more" in stderr
    kept = re.search(r"kept, truncated, in (\S+)", stderr)
    assert kept and cluster_podsnap.run("verify", kept[1], expect=None).status == 1
    cluster.wait_ready()
    # What a killed probe left to the target is waited for by the next one.
    cluster_podsnap.run("capture", *pod.where, "-o", tmp_path / "next", "--core", "none")
    pod.await_clean()


def test_cancelled_while_it_is_lost(cluster, cluster_podsnap, pod, proxy, whole_bytes, tmp_path):
    """Ctrl-C ends it at once, however long the API server is away."""
    capture = Capture(cluster_podsnap, pod, proxy, tmp_path, "--resume-window", "5s")
    capture.await_bytes(whole_bytes // 5)
    proxy.order("refuse")
    proxy.order("reset")
    capture.process.send_signal(signal.SIGINT)
    status, _ = capture.finish()
    assert status == 128 + signal.SIGINT
    assert not os.listdir(tmp_path)
    pod.await_clean()
