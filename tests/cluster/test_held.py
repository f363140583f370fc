"""A snapshot that a pod holds: its bytes come as they are read, it stays what it was however often
and from wherever it is read, and it ends by itself."""

import re

import pytest

from lib.cluster import container
from lib.connect_proxy import ConnectProxy
from lib.pods import CapturePod, RESTRICTED, module_namespace
from lib.wait import wait_until

MEMORY_MIB, THREADS = 256, 1500
NO_ID = "0123456789abcdef" * 2


@pytest.fixture(scope="module", name="pods_namespace")
def fixture_pods_namespace(cluster):
    yield from module_namespace(cluster)


@pytest.fixture(scope="module", name="still")
def fixture_still(cluster, pods_namespace):
    return CapturePod(cluster, pods_namespace, "still", "deadlock", 6)


@pytest.fixture(scope="module", name="busy")
def fixture_busy(cluster, pods_namespace):
    return CapturePod(cluster, pods_namespace, "busy", "churn", 16)


@pytest.fixture(scope="module", name="large")
def fixture_large(cluster, pods_namespace):
    return CapturePod(cluster, pods_namespace, "large", "memory", MEMORY_MIB, "small", THREADS)


def hold(podsnap, pod, duration, *options):
    """What `stacks` says of a snapshot that is held, and what names it from then on."""
    done = podsnap.run("stacks", *pod.where, "--hold", duration, *options)
    source, = re.findall(rf"the snapshot is held: name it as ({pod.name}@[0-9a-f]{{32}}) "
                         rf"\(-n {pod.namespace} -c \S+\)$", done.stderr, re.M)
    return done, source


def held_ids(podsnap, pod):
    ids = podsnap.run("ps", *pod.where, "--json").json()["held_snapshots"]
    text = podsnap.run("ps", *pod.where).text
    assert re.findall(r"^held snapshot: (\S+)$", text, re.M) == ids
    return ids


def let_go(podsnap, pod, source):
    podsnap.run("stacks", source, "-n", pod.namespace, "--hold", "0")
    pod.await_clean()


def assert_gone(podsnap, pod, source):
    done = podsnap.run("stacks", source, "-n", pod.namespace, expect=1)
    assert "the probe that had the snapshot does not run any more" in done.stderr
    assert "take another" in done.stderr and done.text == ""


@pytest.mark.parametrize("options", [(), ("--json",), ("--full",)])
def test_same_answer_as_live_and_bundle(cluster_podsnap, still, tmp_path, options):
    held, source = hold(cluster_podsnap, still, "60s", *options)
    again = cluster_podsnap.run("stacks", source, "-n", still.namespace, *options)
    live = cluster_podsnap.run("stacks", *still.where, *options)
    cluster_podsnap.run("capture", *still.where, "-o", tmp_path / "b")
    bundle = cluster_podsnap.run("stacks", tmp_path / "b", *options)
    assert "transfer_stock" in held.text
    assert held.text == again.text == live.text == bundle.text
    let_go(cluster_podsnap, still, source)


def test_stays_what_it_was(cluster_podsnap, busy):
    held, source = hold(cluster_podsnap, busy, "60s")
    where = [source, "-n", busy.namespace]
    wait_until(lambda: cluster_podsnap.run("stacks", *busy.where).text != held.text,
               "other stacks of a busy process")
    for _ in range(3):
        assert cluster_podsnap.run("stacks", *where).text == held.text
    let_go(cluster_podsnap, busy, source)


def test_only_what_is_asked_for_travels(cluster_podsnap, large):
    done, source = hold(cluster_podsnap, large, "60s", "-v")
    read, unit, count = re.search(
        r"([\d.]+) (\S+) were read of the snapshot, in (\d+) reads", done.stderr).groups()
    # The notes have the registers of each thread, some 3 KiB.
    assert float(read) * {"KiB": 1 / 1024, "MiB": 1}[unit] < MEMORY_MIB / 8
    # The stacks come many at once, not one after the other.
    assert int(count) < THREADS / 8
    assert f"{THREADS + 2} threads" in done.text
    let_go(cluster_podsnap, large, source)


def test_listed_and_ends_by_itself(cluster_podsnap, still):
    assert held_ids(cluster_podsnap, still) == []
    _, first = hold(cluster_podsnap, still, "5s")
    _, second = hold(cluster_podsnap, still, "60s")
    assert second.partition("@")[2] in held_ids(cluster_podsnap, still)
    wait_until(lambda: held_ids(cluster_podsnap, still) == [second.partition("@")[2]],
               "end of what was held for 5 s")
    assert_gone(cluster_podsnap, still, first)
    # The one that came for it, and found nobody, may be about to end.
    wait_until(lambda: len(still.probes()) == 1, "end of all probes but one")
    let_go(cluster_podsnap, still, second)
    assert held_ids(cluster_podsnap, still) == []
    assert_gone(cluster_podsnap, still, second)


def test_nobody_takes_it_for_a_process(cluster_podsnap, still, tmp_path):
    """Neither the copy that is held nor the probe that holds it."""
    def names():
        listed = cluster_podsnap.run("ps", *still.where, "--json").json()["processes"]
        return [process["name"] for process in listed if "podsnap" not in process["command"]]
    assert names() == ["deadlock"]
    _, source = hold(cluster_podsnap, still, "60s")
    assert names() == ["deadlock"]
    cluster_podsnap.run("stacks", *still.where, "--process", "deadlock")
    cluster_podsnap.run("capture", *still.where, "--all", "-o", tmp_path / "b")
    cores = [entry["name"] for entry in
             cluster_podsnap.run("show", tmp_path / "b", "--json").json()["entries"]
             if entry["name"].endswith("/core")]
    assert cores == ["1-deadlock/core"]
    let_go(cluster_podsnap, still, source)


def test_not_held_without_being_asked_to(cluster_podsnap, still):
    cluster_podsnap.run("stacks", *still.where)
    still.await_clean()


@pytest.mark.timeout(300)
def test_goes_on_after_lost_connections(cluster, cluster_podsnap, large, tmp_path_factory):
    """Reading goes on with the same snapshot, over other connections."""
    proxy = ConnectProxy(tmp_path_factory.mktemp("proxy"), cluster.prefix)
    environment = {"HTTPS_PROXY": f"http://{proxy.address}", "NO_PROXY": ""}
    expected, source = hold(cluster_podsnap, large, "120s")
    lost = 0
    for _ in range(20):
        process = cluster_podsnap.start("stacks", source, "-n", large.namespace, "--trace",
                                        env=environment)
        heard = b""
        # It is about to read.
        while b"the stream goes on at byte" not in heard:
            line = process.stderr.readline()
            assert line, heard
            heard += line
        proxy.order("reset")
        stdout, stderr = process.communicate(timeout=120)
        assert process.returncode == 0, heard + stderr
        assert stdout.decode() == expected.text
        lost += b"was cut after" in stderr
        if lost >= 3:
            break
    proxy.stop()
    assert lost >= 3, "no connection was lost while it read"
    let_go(cluster_podsnap, large, source)


def test_as_a_restricted_user(cluster, cluster_podsnap, pods_namespace):
    pod = CapturePod(cluster, pods_namespace, "restricted", "deadlock", 2, containers=[
        container("app", "/targets/deadlock", "2", securityContext=RESTRICTED)])
    held, source = hold(cluster_podsnap, pod, "60s")
    assert cluster_podsnap.run("stacks", source, "-n", pod.namespace).text == held.text
    let_go(cluster_podsnap, pod, source)


def test_by_a_sidecar(cluster, cluster_podsnap, pods_namespace):
    """Whoever enters the pod by another way, as a user who may, comes for it, too."""
    pod = CapturePod(cluster, pods_namespace, "beside", "deadlock", 2, shareProcessNamespace=True,
                     containers=[container("app", "/targets/deadlock", "2"),
                                 container("podsnap", "/podsnap-probe", "idle",
                                           image=cluster.image("probe"))])
    held, source = hold(cluster_podsnap, pod, "60s", "-v")
    assert f"route sidecar: pod {pod.name}, container podsnap" in held.stderr
    for route in ("sidecar", "exec"):
        done = cluster_podsnap.run("stacks", source, "-n", pod.namespace, "--route=" + route)
        assert done.text == held.text
    let_go(cluster_podsnap, pod, source)


def test_no_room_for_a_child(cluster, cluster_podsnap, pods_namespace):
    """Nothing stands still for as long as somebody likes to read: then there is no snapshot."""
    pod = CapturePod(cluster, pods_namespace, "full", "memory", 64, containers=[
        container("app", "/targets/memory", "64", resources={"limits": {"memory": "92Mi"}})])
    done = cluster_podsnap.run("stacks", *pod.where, "--hold", "60s", expect=1)
    assert re.search(r"no snapshot can be held: .*memory limit leaves", done.stderr)
    assert "ask without --hold" in done.stderr
    pod.await_clean()
    cluster_podsnap.run("stacks", *pod.where)


def test_bad_names(cluster_podsnap, still):
    done = cluster_podsnap.run("stacks", f"{still.name}@12", "-n", still.namespace, expect=2)
    assert "32 hex digits" in done.stderr and f"podsnap ps {still.name}" in done.stderr
    assert_gone(cluster_podsnap, still, f"{still.name}@{NO_ID}")
    for other in (["-l", "app"], [still.name, "another"], ["--pid", "1"]):
        done = cluster_podsnap.run("stacks", *other, "--hold", "9s", expect=2)
        assert "--hold keeps the snapshot of" in done.stderr
    still.await_clean()
