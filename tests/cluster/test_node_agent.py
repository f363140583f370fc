"""The way into pods by the agent of their node."""

import copy
import json

import pytest

from lib import bundle as bundles, proc
from lib.beside import (assert_core_is_of, assert_each_rule_is_needed, assert_nothing_left,
                        assert_stacks, capture, doctor_report, listed, node_agent)
from lib.cluster import container
from lib.pods import CapturePod, RESTRICTED, module_namespace
from lib.podsnap import refused
from lib.rbac import role_rules

BY_AGENT = "--route=node"
DEADLOCK = "/targets/deadlock"


@pytest.fixture(name="agent", scope="module")
def fixture_agent(cluster):
    yield from node_agent(cluster)


@pytest.fixture(name="shared", scope="module")
def fixture_shared(cluster):
    yield from module_namespace(cluster)


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize("name, image, security", [
    ("root", "busybox", None), ("restricted", "distroless", RESTRICTED)])
def test_what_runs_in_a_container(cluster, cluster_podsnap, shared, tmp_path, name, image, security):
    pod = CapturePod(cluster, shared, name, "deadlock", image=cluster.image(image),
                     security=security)
    assert "route node: pod podsnap-node-agent-" in capture(cluster_podsnap, pod, tmp_path / "b",
                                                            BY_AGENT)
    assert_stacks(cluster_podsnap, tmp_path / "b")
    assert_stacks(cluster_podsnap, *pod.where, BY_AGENT)
    # Numbered as in the pod, not as on the node.
    described = json.loads(bundles.entry(tmp_path / "b", "1-deadlock/process.json"))
    assert (described["pid"], described["ppid"]) == (1, 0)
    assert listed(cluster_podsnap, *pod.where, BY_AGENT) == {1: DEADLOCK}
    assert doctor_report(cluster_podsnap, "node", *pod.where)["works"]
    assert_nothing_left(pod)


@pytest.mark.usefixtures("agent")
def test_where_no_other_way_leads(cluster, cluster_podsnap, shared, tmp_path):
    """Not dumpable, so that neither its own user nor an ephemeral container may look at it."""
    pod = CapturePod(cluster, shared, "closed", "rights", "--dumpable", 0,
                     security={"runAsUser": 1000})
    said = capture(cluster_podsnap, pod, tmp_path / "b", "--probe-image", cluster.image("probe"))
    for line in ("not by sidecar: the pod has no container podsnap",
                 "not by exec: process 1 cannot be captured: ", "not dumpable",
                 "not by ephemeral: it would have no other rights",
                 "route node: pod podsnap-node-agent-"):
        assert line in said
    spec = cluster.get("pod", pod.name, pod.namespace)["spec"]
    assert "ephemeralContainers" not in spec


@pytest.mark.usefixtures("agent")
def test_the_container_that_is_meant(cluster, cluster_podsnap, shared, tmp_path):
    """Both are process 1 of their own."""
    names = ["app", "twin"]
    pod = CapturePod(cluster, shared, "pair", "deadlock", containers=[
        container(name, DEADLOCK, env=[{"name": "WHO", "value": "marker-of-" + name}])
        for name in names])
    for name in names:
        path = tmp_path / name
        cluster_podsnap.run("capture", *pod.where, "-c", name, BY_AGENT, "-o", path)
        assert_core_is_of(path, "marker-of-" + name,
                          {"marker-of-app", "marker-of-twin"} - {"marker-of-" + name})
        assert listed(cluster_podsnap, *pod.where, "-c", name, BY_AGENT) == {1: DEADLOCK}
    assert_nothing_left(pod)


@pytest.mark.usefixtures("agent")
def test_pids_are_the_containers(cluster, cluster_podsnap, shared, tmp_path):
    pod = CapturePod(cluster, shared, "ring", "ring", 4)
    by_exec = cluster_podsnap.run("ps", *pod.where, "--route=exec", "--json").json()["processes"]
    ring = {process["pid"]: process["ppid"] for process in by_exec
            if process["command"].startswith("/targets/ring")}
    assert len(ring) == 5
    by_agent = cluster_podsnap.run("ps", *pod.where, BY_AGENT, "--json").json()["processes"]
    assert {process["pid"]: process["ppid"] for process in by_agent} == ring

    cluster_podsnap.run("capture", *pod.where, BY_AGENT, "--all", "-o", tmp_path / "all")
    cores = [name for name in bundles.names(tmp_path / "all") if name.endswith("/core")]
    assert sorted(cores) == sorted(f"{pid}-ring/core" for pid in ring)
    last = max(ring)
    for option in ("--pid", "--process"):
        text = cluster_podsnap.run("stacks", *pod.where, BY_AGENT, option, last).text
        assert text.startswith(f"pid {last} (ring)")
    said = refused(cluster_podsnap, "stacks", *pod.where, BY_AGENT, "--process", "ring",
                   status=2)
    assert all(f"{pid} ring" in said for pid in ring)
    said = refused(cluster_podsnap, "stacks", *pod.where, BY_AGENT, "--pid", 1000000)
    assert "no process 1000000 in the container" in said
    assert set(proc.thread_states(pod.pid)) <= {"S", "R"}


@pytest.mark.usefixtures("agent")
def test_libraries_are_the_targets(cluster, cluster_podsnap, shared, tmp_path):
    """The agent's image has none."""
    pod = CapturePod(cluster, shared, "dynamic", "deadlock", image=cluster.image("dynamic"),
                     security={"runAsUser": 1000})
    capture(cluster_podsnap, pod, tmp_path / "b", BY_AGENT)
    modules = [name for name in bundles.names(tmp_path / "b") if name.startswith("modules/")]
    assert any(name.endswith("/libc.so.6") for name in modules), modules
    assert not any("missing" in name for name in modules), modules
    assert_stacks(cluster_podsnap, *pod.where, BY_AGENT)


@pytest.mark.usefixtures("agent")
def test_memory_limit_of_the_target_holds(cluster, cluster_podsnap, shared, tmp_path):
    """The copy of the process counts there, wherever the probe is."""
    pod = CapturePod(cluster, shared, "full", "memory", 195, containers=[
        container("app", "/targets/memory", 195, resources={"limits": {"memory": "200Mi"}})])
    said = refused(cluster_podsnap, "capture", *pod.where, BY_AGENT, "-o", tmp_path)
    assert "memory limit leaves" in said
    assert_nothing_left(pod)


def test_each_capability_of_the_manifest_is_needed(cluster, cluster_podsnap, agent, shared):
    """As agents of their own: in each one capability is missing."""
    template = agent["spec"]["template"]
    everything = template["spec"]["containers"][0]["securityContext"]["capabilities"]["add"]
    target = CapturePod(cluster, shared, "needing", "deadlock", security=RESTRICTED)
    for missing in everything:
        namespace = cluster.namespace("agent-without-" + missing.lower().replace("_", "-"))
        one = copy.deepcopy(template)
        one["spec"].pop("serviceAccountName")
        one["spec"]["containers"][0]["securityContext"]["capabilities"]["add"] = \
            [name for name in everything if name != missing]
        cluster.apply({"apiVersion": "v1", "kind": "Pod", "spec": one["spec"],
                       "metadata": {**one["metadata"], "name": "agent", "namespace": namespace}})
        cluster.wait_pod("agent", namespace)
        where = [*target.where, BY_AGENT, "--agent-namespace", namespace]
        assert "cannot be captured" in refused(cluster_podsnap, "stacks", *where)
        assert not doctor_report(cluster_podsnap, "node", *target.where, "--agent-namespace",
                                 namespace)["works"]
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")
    assert_nothing_left(target)


def test_a_node_without_an_agent(cluster, cluster_podsnap, shared):
    pod = CapturePod(cluster, shared, "lonely", "deadlock", image=cluster.image("distroless"))
    where = [*pod.where, "--agent-namespace", shared]
    said = refused(cluster_podsnap, "ps", *where, BY_AGENT)
    assert f"node node-1 has no node agent in namespace {shared}" in said
    assert "kubectl apply -f images/node-agent.yaml" in said
    report = doctor_report(cluster_podsnap, "node", *where)
    assert [blocker["kind"] for blocker in report["blockers"]] == ["agent"]
    # By none of the ways: each with its reason, and the next step of the one that is there.
    said = refused(cluster_podsnap, "ps", *where)
    for line in ("no way leads into pod lonely: sidecar: the pod has no container podsnap",
                 "exec: container app of pod lonely has no shell",
                 "ephemeral: no image is named with --probe-image",
                 "node: node node-1 has no node agent"):
        assert line in said
    assert "by an ephemeral container (--probe-image)" in said


def test_an_agent_that_does_not_run(cluster, cluster_podsnap, shared):
    pod = CapturePod(cluster, shared, "waiting", "deadlock")
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {
        "name": "sick", "namespace": shared,
        "labels": {"app.kubernetes.io/name": "podsnap-node-agent"}}, "spec": {
            "nodeName": "node-1",
            "containers": [container("podsnap", "idle", image="podsnap-test/nosuch:1")]}})
    cluster.kubectl("wait", "--for=jsonpath={.status.containerStatuses[0].state.waiting.reason}"
                    "=ErrImageNeverPull", "pod/sick", "-n", shared, "--timeout=60s")
    said = refused(cluster_podsnap, "ps", *pod.where, BY_AGENT, "--agent-namespace", shared)
    assert "node agent sick on node node-1 does not run: ErrImageNeverPull" in said
    assert f"kubectl describe pod -n {shared} sick" in said


@pytest.mark.usefixtures("agent")
def test_rights(cluster, cluster_podsnap, shared):
    pod = CapturePod(cluster, shared, "guarded", "deadlock")
    command = ["ps", *pod.where, BY_AGENT, "--kubeconfig", cluster.user("ned")]
    assert_each_rule_is_needed(cluster, cluster_podsnap, command, "ned", {
        "podsnap": role_rules(cluster, "node-agent", "podsnap-node-agent-user"),
        shared: role_rules(cluster, "node-agent", "podsnap-node-agent-target")})
