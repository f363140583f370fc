"""A .NET service in a pod: the bundle brings its runtime and assemblies along."""

import hashlib
import json
import re

import pytest

from lib import bundle as bundles
from lib.cluster import container
from lib.dotnet import ENVIRONMENT
from lib.pods import module_namespace
from lib.wait import wait_until

SHA256 = "find /app -name '*.so' -o -name '*.dll' | xargs sha256sum"


@pytest.fixture(scope="module", name="pods_namespace")
def fixture_pods_namespace(cluster):
    yield from module_namespace(cluster)


@pytest.fixture(scope="module", name="depot")
def fixture_depot(cluster, pods_namespace):
    """Where a pod is that runs Depot."""
    env = [{"name": name, "value": value} for name, value in ENVIRONMENT.items()]
    app = container("app", "/app/azmcp", 7, image=cluster.image("dotnet"), env=env)
    cluster.run_pod("depot", containers=[app], namespace=pods_namespace, ready_line="ready")
    return ["depot", "-n", pods_namespace]


def files_in_the_pod(cluster, depot):
    """{path: SHA-256} of the libraries and assemblies, by the pod's own tools."""
    lines = cluster.kubectl("exec", *depot, "--", "sh", "-c", SHA256).splitlines()
    return {path: digest for digest, path in map(str.split, lines)}


def test_bundle_has_the_runtime_of_the_pod(cluster, cluster_podsnap, depot, tmp_path):
    path = tmp_path / "b"
    cluster_podsnap.run("capture", *depot, "--core=heap", "-o", path)
    cluster_podsnap.run("verify", path)
    document = json.loads(bundles.entry(path, bundles.find(path, "/runtime/dotnet.json")))
    assert (document["kind"], document["version"]) == ("self-contained", "9.0.1")
    there = files_in_the_pod(cluster, depot)
    files = [document["coreclr"], document["dac"], *document["assemblies"]]
    assert {"/app/libcoreclr.so", "/app/libmscordaccore.so", "/app/azmcp.dll",
            "/app/System.Private.CoreLib.dll"} <= {file["path"] for file in files}
    for file in files:
        assert file["reason"] is None
        digest = hashlib.sha256(bundles.entry(path, file["entry"])).hexdigest()
        assert digest == there[file["path"]]


def test_held_snapshot_answers_again(cluster_podsnap, depot):
    """Its archive has the .NET files beside the modules."""
    held = cluster_podsnap.run("stacks", *depot, "--hold", "30s")
    name = held.stderr.partition("name it as ")[2].split()[0]
    again = cluster_podsnap.run("stacks", name, *depot[1:])
    cluster_podsnap.run("stacks", name, *depot[1:], "--hold", "0")
    assert "libcoreclr.so" in held.text and held.text == again.text


def test_stacks_and_locks_of_a_running_service(cluster, cluster_podsnap, depot, tmp_path):
    """Live, of a snapshot that is held, and out of a bundle."""
    said = [json.loads(line) for line in cluster.kubectl("logs", *depot).splitlines()
            if line.startswith("{")]
    threads = {line["name"]: line["id"] for line in said if line["what"] == "thread"}
    live = cluster_podsnap.run("stacks", *depot, "--full").text
    shown = dict(re.findall(r'\(managed (\d+) "([^"]+)"\)$', live, re.M))
    assert threads and {name: int(id_) for id_, name in shown.items()} == threads
    assert ".Threads.TakeBoth(System.Object, System.Object)+IL_" in live
    held = cluster_podsnap.run("stacks", *depot, "--full", "--hold", "30s")
    name = held.stderr.partition("name it as ")[2].split()[0]
    locks = cluster_podsnap.run("locks", name, *depot[1:]).text
    cluster_podsnap.run("capture", *depot, "-o", tmp_path / "b")
    assert held.text == live == cluster_podsnap.run("stacks", tmp_path / "b", "--full").text
    assert locks == cluster_podsnap.run("locks", tmp_path / "b").text
    assert locks == cluster_podsnap.run("locks", name, *depot[1:], "--hold", "0").text
    # Several at a time are answered beside the processes, where that library cannot be loaded.
    several = cluster_podsnap.run("stacks", *depot, "--all-containers").text
    assert "\nmanaged names are missing: " in several and ".Threads.TakeBoth(" not in several
    owners = {line["owner"] for line in said if line["what"] == "lock"}
    assert locks.startswith("deadlock: ") and all(f'"{owner}"' in locks for owner in owners)


def named_flags(text):
    return dict(re.findall(r'\["(Enable[^"]+)"\] = (true|false)$', text, re.M))


def test_objects_of_a_running_service(cluster, cluster_podsnap, depot, tmp_path):
    """Live, of a snapshot that is held, and out of a bundle: what the service says of itself."""
    said = [json.loads(line) for line in cluster.kubectl("logs", *depot).splitlines()
            if line.startswith("{")]
    flags, = [line["fields"] for line in said
              if line["what"] == "object" and "FeatureFlags_" in line["type"]]
    wanted = {name: str(value).lower() for name, value in flags["FeatureFlags"]["entries"]}
    query = ["--type", "FeatureFlags_"]
    live = cluster_podsnap.run("object", *depot, *query)
    assert wanted and named_flags(live.text) == wanted
    held = cluster_podsnap.run("object", *depot, *query, "--hold", "30s")
    name = held.stderr.partition("name it as ")[2].split()[0]
    address, = re.findall(r"^\d+ bytes at (0x\w+) ", held.text, re.M)
    again = cluster_podsnap.run("object", name, address, *depot[1:], "--hold", "0")
    cluster_podsnap.run("capture", *depot, "--core=heap", "-o", tmp_path / "b")
    bundle = cluster_podsnap.run("object", tmp_path / "b", *query)
    assert live.text == held.text == again.text == bundle.text
    assert "moved" in cluster_podsnap.run("object", depot[0], address, *depot[1:]).stderr
    assert "moved" not in again.stderr
    wait_until(lambda: not any(argv[1:] == ["serve"] for argv in cluster.processes(
        cluster.get("pod", depot[0], depot[2])).values()), "end of all probes")


@pytest.mark.parametrize("question, says", [
    (["roots", "--type", "FeatureFlags_"], "static Depot_"),
    (["exceptions"], "System.InvalidOperationException: "),
    (["stacks", "--async"], ".AskCarrier, at await 0"),
    (["object", "--type", "FeatureFlags_", "--path", ".Revision"], ""),
], ids=["roots", "exceptions", "async", "path"])
def test_live_and_bundle_say_the_same(cluster_podsnap, depot, tmp_path, question, says):
    verb, *options = question
    live = cluster_podsnap.run(verb, *depot, *options).text
    cluster_podsnap.run("capture", *depot, "--core=heap", "-o", tmp_path / "b")
    assert says in live and live.strip()
    assert cluster_podsnap.run(verb, tmp_path / "b", *options).text == live


def test_ps_says_what_the_pod_runs(cluster_podsnap, depot):
    processes = cluster_podsnap.run("ps", *depot, "--json").json()["processes"]
    # A probe may be about to end beside it.
    assert [(p["runtime"]["name"], p["runtime"]["version"]) for p in processes if p["pid"] == 1] \
        == [("dotnet", "9.0.1")]
