"""Ways into pods that exec does not lead into."""

import os

import pytest

from lib import bundle as bundles
from lib.cluster import container
from lib.pods import CapturePod, RESTRICTED
from lib.podsnap import refused
from lib.rbac import allow, await_allowed, needed_rule, role_rules

FUNCTIONS = ["transfer_stock", "lock_ledger", "wait_for_work"]


@pytest.fixture(name="probe_image", scope="module")
def fixture_probe_image(cluster):
    return ["--probe-image", cluster.image("probe")]


def bare_pod(cluster, namespace, *command, **fields):
    return CapturePod(cluster, namespace, "bare", *(command or ["deadlock"]),
                      image=cluster.image("distroless"), **fields)


def beside(cluster, pod):
    """The pod's ephemeral containers, as the API server has them."""
    return cluster.get("pod", pod.name, pod.namespace)["spec"].get("ephemeralContainers", [])


def assert_idle(pod):
    """What is left of us in the pod waits for the next time, and the target runs."""
    assert not pod.probes()
    assert [argv for pid, argv in pod.others().items() if pid not in pod.before] == \
        [["/podsnap-probe", "idle", "3600"]]
    pod.assert_runs_freely()


@pytest.mark.parametrize("security, pod_security",
                         [(None, None), ({"runAsUser": 1000}, "baseline"),
                          (RESTRICTED, "restricted")])
def test_image_without_a_shell(cluster, cluster_podsnap, probe_image, tmp_path, security,
                               pod_security):
    namespace = cluster.namespace("r-" + os.urandom(4).hex(), pod_security)
    pod = bare_pod(cluster, namespace, security=security)
    done = cluster_podsnap.run("capture", *pod.where, *probe_image, "-o", tmp_path / "b")
    assert "not by exec: container app of pod bare has no shell" in done.stderr
    assert "complete bundle" in done.stderr
    assert "whole" in cluster_podsnap.run("verify", tmp_path / "b").text
    assert bundles.manifest_entry(tmp_path / "b", "/core")["status"] == "ok"
    stacks = cluster_podsnap.run("stacks", tmp_path / "b").text
    assert all(function in stacks for function in FUNCTIONS), stacks
    assert_idle(pod)

    # The next ones come in by the same container.
    live = cluster_podsnap.run("stacks", *pod.where, *probe_image, "--route=ephemeral").text
    assert all(function in live for function in FUNCTIONS), live
    assert "deadlock" in cluster_podsnap.run("ps", *pod.where, *probe_image).text
    assert len(beside(cluster, pod)) == 1
    assert_idle(pod)
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def test_all_processes_of_the_target_and_none_of_ours(cluster, cluster_podsnap, probe_image,
                                                      namespace, tmp_path):
    pod = bare_pod(cluster, namespace, "ring", 4)
    cluster_podsnap.run("capture", *pod.where, *probe_image, "--all", "-o", tmp_path / "b")
    cores = [name for name in bundles.names(tmp_path / "b") if name.endswith("/core")]
    assert len(cores) == 5 and all(name.endswith("-ring/core") for name in cores), cores
    assert_idle(pod)


def test_memory_limit_of_the_target_holds(cluster, cluster_podsnap, probe_image, namespace,
                                          tmp_path):
    """The pod's limit counts our container too, and the largest process would be killed for it."""
    pod = bare_pod(cluster, namespace, "memory", 195, containers=[
        container("app", "/targets/memory", 195, image=cluster.image("distroless"),
                  resources={"limits": {"memory": "200Mi"}})])
    said = refused(cluster_podsnap, "capture", *pod.where, *probe_image, "-o", tmp_path)
    assert "memory limit leaves" in said
    assert_idle(pod)
    status = cluster.get("pod", pod.name, pod.namespace)["status"]["containerStatuses"][0]
    assert status["restartCount"] == 0


def test_exec_comes_first(cluster, cluster_podsnap, probe_image, namespace, tmp_path):
    pod = CapturePod(cluster, namespace, "shell", "deadlock")
    cluster_podsnap.run("capture", *pod.where, *probe_image, "-o", tmp_path / "b")
    assert beside(cluster, pod) == []


def test_an_error_of_the_probe_is_no_reason_for_another_way(cluster, cluster_podsnap, probe_image,
                                                            namespace):
    """Once the probe has spoken, what it says is the answer."""
    pod = CapturePod(cluster, namespace, "shell", "deadlock")
    said = refused(cluster_podsnap, "capture", *pod.where, *probe_image, "--pid", "77", "-o", "-")
    assert "77" in said
    assert beside(cluster, pod) == []


def test_only_exec(cluster, cluster_podsnap, probe_image, namespace):
    pod = bare_pod(cluster, namespace)
    said = refused(cluster_podsnap, "ps", *pod.where, *probe_image, "--route=exec")
    assert "has no shell" in said and "--probe-image" in said
    assert beside(cluster, pod) == []


def test_route_needs_an_image(cluster_podsnap, namespace):
    said = refused(cluster_podsnap, "ps", "any", "-n", namespace, "--route=ephemeral",
                   status=2)
    assert "--probe-image" in said and "kube.probe-image" in said


def test_image_that_cannot_be_pulled(cluster, cluster_podsnap, namespace):
    pod = bare_pod(cluster, namespace)
    said = refused(cluster_podsnap, "ps", *pod.where, "--probe-image", "podsnap-test/nosuch:1")
    assert "does not start: ErrImagePull" in said or "does not start: ImagePullBackOff" in said
    assert "podsnap-test/nosuch:1" in said and "--probe-image" in said


def test_image_with_another_probe(cluster, cluster_podsnap, namespace):
    pod = bare_pod(cluster, namespace)
    said = refused(cluster_podsnap, "ps", *pod.where, "--probe-image", cluster.image("other-probe"))
    assert "another probe than this podsnap brings" in said and "another SHA-256" in said


def test_image_without_a_probe(cluster, cluster_podsnap, namespace):
    pod = bare_pod(cluster, namespace)
    said = refused(cluster_podsnap, "ps", *pod.where, "--probe-image", cluster.image("distroless"))
    assert "/podsnap-probe" in said


def test_denied_says_the_rule_and_the_file_has_it(cluster, cluster_podsnap, probe_image, namespace):
    user = "dora"
    kubeconfig = cluster.user(user)
    pod = bare_pod(cluster, namespace)
    rules = {route: role_rules(cluster, route) for route in ("exec", "ephemeral")}
    command = ["ps", *pod.where, *probe_image, "--kubeconfig", kubeconfig]
    allow(cluster, namespace, user, rules["exec"], "dora")
    await_allowed(cluster, namespace, user, "create", "pods/exec")
    said = refused(cluster_podsnap, *command)
    assert needed_rule(said) == ("", "pods/ephemeralcontainers", ["patch"])
    assert beside(cluster, pod) == []
    allow(cluster, namespace, user, rules["exec"] + rules["ephemeral"], "dora")
    await_allowed(cluster, namespace, user, "patch", "pods/ephemeralcontainers")
    assert "deadlock" in cluster_podsnap.run(*command).text
