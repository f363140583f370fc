"""Servers that are not the newest: a kubelet four versions older than the API server, and an API
server that streams over one version of the protocol only."""

import re

import pytest

from lib import bundle as bundles
from lib.beside import assert_stacks
from lib.cluster import Cluster
from lib.connect_proxy import ConnectProxy
from lib.pods import CapturePod, RESTRICTED, module_namespace
from lib.progress import await_bytes, directory_bytes
from lib.v5_server import V5Server
from lib.wait import wait_until

MEMORY_MIB = 128


@pytest.fixture(scope="module", name="old")
def fixture_old(build_dir):
    cluster = Cluster(build_dir, beside="-old")
    cluster.up("--old-kubelet")
    try:
        cluster.image("busybox")
        yield cluster
    finally:
        cluster.down()


@pytest.fixture(scope="module", name="namespace")
def fixture_namespace(old):
    yield from module_namespace(old)


@pytest.fixture(name="podsnap_of_old")
def fixture_podsnap_of_old(podsnap_session, old):
    version = old.get("node", "node-1")["status"]["nodeInfo"]["kubeletVersion"]
    assert version.startswith("v1.31."), version
    return podsnap_session.inside(old.prefix)


@pytest.mark.parametrize("route, image, security", [
    ("exec", "busybox", None), ("exec", "busybox", RESTRICTED), ("ephemeral", "distroless", None)])
def test_old_kubelet(old, podsnap_of_old, namespace, tmp_path, route, image, security):
    name = f"{route}-{'user' if security else 'root'}"
    pod = CapturePod(old, namespace, name, "deadlock", image=old.image(image), security=security)
    way = ["--route", route, "--probe-image", old.image("probe")]
    podsnap_of_old.run("capture", *pod.where, *way, "-o", tmp_path / "b")
    podsnap_of_old.run("verify", tmp_path / "b")
    assert_stacks(podsnap_of_old, tmp_path / "b")
    assert_stacks(podsnap_of_old, *pod.where, *way)
    wait_until(lambda: not pod.probes(), "end of the probe")
    pod.assert_runs_freely()


@pytest.mark.parametrize("fault", ["reset", "silence", "kubelet", "containerd"])
def test_old_kubelet_loses_connections(old, podsnap_of_old, namespace, tmp_path, fault):
    pod = CapturePod(old, namespace, fault, "memory", MEMORY_MIB)
    proxy = ConnectProxy(tmp_path, old.prefix)
    directory = tmp_path / "out"
    directory.mkdir()
    process = podsnap_of_old.start("capture", *pod.where, "-o", directory / "b",
                                   env={"HTTPS_PROXY": f"http://{proxy.address}", "NO_PROXY": ""})
    await_bytes(process, lambda: directory_bytes(directory), MEMORY_MIB << 18)
    if fault in ("reset", "silence"):
        proxy.order(fault)
    else:
        old.kill(fault)
    stderr = process.communicate(timeout=240)[1].decode()
    proxy.stop()
    assert "goes on at byte" in stderr
    assert process.returncode == 0 or \
        (process.returncode == 3 and bundles.only_kube_is_missing(directory / "b"))
    podsnap_of_old.run("verify", directory / "b")
    old.wait_ready()
    pod.await_clean()


@pytest.mark.parametrize("verb", ["capture", "stacks"])
def test_only_v5(cluster, podsnap_session, tmp_path_factory, tmp_path, verb):
    """v4 is tried first and refused."""
    namespace = cluster.namespace("v5-" + verb)
    pod = CapturePod(cluster, namespace, "app", "deadlock")
    server = V5Server(cluster.prefix)
    empty = tmp_path_factory.mktemp("config") / "config"
    empty.write_text("{}")
    podsnap = podsnap_session.inside(cluster.prefix + ["env", f"KUBECONFIG={empty}"])
    options = ["-o", tmp_path / "b"] if verb == "capture" else []
    done = podsnap.run(verb, *pod.where, "--server", server.url, "--trace", *options)
    server.stop()
    assert re.search(r"v5\.channel\.k8s\.io", done.stderr), done.stderr
    if verb == "capture":
        podsnap.run("verify", tmp_path / "b")
        assert_stacks(podsnap, tmp_path / "b")
    else:
        assert "transfer_stock" in done.text
    pod.await_clean()
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")
