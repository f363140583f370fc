"""The way into a pod by a sidecar that it has."""

import os

import pytest

from lib import bundle as bundles
from lib.beside import (assert_core_is_of, assert_each_rule_is_needed, assert_nothing_left,
                        assert_stacks, capture, doctor_report, filled_in, listed, sidecar)
from lib.cluster import container
from lib.pods import CapturePod, main_process, module_namespace, pid_inside
from lib.podsnap import refused
from lib.rbac import role_rules

OTHER_USER = "it runs as uid 1000, podsnap as uid 0 without CAP_SYS_PTRACE"
DEADLOCK = "/targets/deadlock"


@pytest.fixture(name="shared", scope="module")
def fixture_shared(cluster):
    yield from module_namespace(cluster)


def shared_pod(cluster, namespace, name, *containers, **fields):
    return CapturePod(cluster, namespace, name, "deadlock", containers=list(containers),
                      shareProcessNamespace=True, **fields)


def marked(cluster, name, *command):
    return container(name, *command, env=[{"name": "WHO", "value": "marker-of-" + name}])


@pytest.fixture(name="several", scope="module")
def fixture_several(cluster, shared):
    """Two containers that run the same program, one that is a shell above it, and the sidecar, which
    an annotation names."""
    return shared_pod(cluster, shared, "several", sidecar(cluster, "looker"),
                      marked(cluster, "app", DEADLOCK), marked(cluster, "twin", DEADLOCK),
                      marked(cluster, "shell", "sh", "-c", DEADLOCK + " & wait"),
                      annotations={"podsnap/sidecar": "looker"}, container="app", ready_line=None)


def test_the_example_in_a_restricted_namespace(cluster, cluster_podsnap, tmp_path):
    """No shell, a read-only root, no capabilities, the seccomp profile of the runtime."""
    namespace = cluster.namespace("s-" + os.urandom(4).hex(), "restricted")
    example, = filled_in(cluster, "sidecar-example.yaml",
                         {"service": "distroless", "podsnap": "probe"})
    example["spec"]["containers"][0]["command"] = [DEADLOCK]
    pod = CapturePod(cluster, namespace, "example", "deadlock", **example["spec"])
    said = capture(cluster_podsnap, pod, tmp_path / "b")
    assert "route sidecar: pod example, container podsnap" in said and "not by" not in said
    assert_stacks(cluster_podsnap, tmp_path / "b")
    assert_stacks(cluster_podsnap, *pod.where, "--route=sidecar")
    assert listed(cluster_podsnap, *pod.where) == {pid_inside(pod.pid): DEADLOCK}
    assert doctor_report(cluster_podsnap, "sidecar", *pod.where)["works"]
    assert_nothing_left(pod)
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.mark.parametrize("name", ["app", "twin"])
def test_the_container_that_is_meant(cluster, cluster_podsnap, several, name, tmp_path):
    args = [*several.where, "-c", name, "--route=sidecar"]
    pid = pid_inside(main_process(cluster, several.object, [DEADLOCK], name))
    assert listed(cluster_podsnap, *args) == {pid: DEADLOCK}
    for choice in ([], ["--all"], ["--process", "deadlock"], ["--pid", pid]):
        cluster_podsnap.run("capture", *args, *choice, "-o", tmp_path / "b", "--force")
        assert bundles.find(tmp_path / "b", "/core") == f"{pid}-deadlock/core"
        assert_core_is_of(tmp_path / "b", "marker-of-" + name,
                          {"marker-of-app", "marker-of-twin"} - {"marker-of-" + name})
    assert_nothing_left(several)


def test_a_process_of_another_container(cluster, cluster_podsnap, several):
    other = pid_inside(main_process(cluster, several.object, [DEADLOCK], "twin"))
    for option in ("--pid", "--process"):
        said = refused(cluster_podsnap, "stacks", *several.where, "-c", "app", option, other)
        assert f"no process {other} in the container" in said
    said = refused(cluster_podsnap, "ps", *several.where, "-c", "app", "--pid", other)
    assert f"no process {other} in the container" in said


def test_a_shell_is_looked_through(cluster, cluster_podsnap, several, tmp_path):
    args = [*several.where, "-c", "shell", "--route=sidecar"]
    pid = pid_inside(main_process(cluster, several.object, [DEADLOCK], "shell"))
    cluster_podsnap.run("capture", *args, "-o", tmp_path / "b")
    assert bundles.find(tmp_path / "b", "/core") == f"{pid}-deadlock/core"
    assert len(listed(cluster_podsnap, *args)) == 2


def test_the_first_container_that_is_no_sidecar_is_the_target(cluster_podsnap, several):
    done = cluster_podsnap.run("ps", *several.where)
    assert "container app of looker, app, twin, shell" in done.stderr


def test_another_users_process(cluster, cluster_podsnap, shared, tmp_path):
    target = container("app", DEADLOCK, securityContext={"runAsUser": 1000})
    pod = shared_pod(cluster, shared, "other-user", target, sidecar(cluster, runAsUser=0))
    said = refused(cluster_podsnap, "capture", *pod.where, "--route=sidecar", "-o", tmp_path / "no")
    assert OTHER_USER in said
    report = doctor_report(cluster_podsnap, "sidecar", *pod.where)
    assert [blocker["kind"] for blocker in report["blockers"]] == ["uid"]
    assert "name: podsnap" in report["blockers"][0]["fix"]
    assert "runAsUser: 1000" in report["blockers"][0]["fix"]
    # Nothing came of it, so that the next way is gone.
    said = capture(cluster_podsnap, pod, tmp_path / "b")
    assert "not by sidecar: process" in said and OTHER_USER in said and "route exec: " in said


def test_another_users_process_with_the_capability(cluster, cluster_podsnap, shared, tmp_path):
    target = container("app", DEADLOCK, securityContext={"runAsUser": 1000})
    pod = shared_pod(cluster, shared, "capable", target, sidecar(
        cluster, runAsUser=0, capabilities={"drop": ["ALL"], "add": ["SYS_PTRACE", "DAC_OVERRIDE"]}))
    assert "route sidecar: " in capture(cluster_podsnap, pod, tmp_path / "b")
    assert_stacks(cluster_podsnap, tmp_path / "b")


def test_libraries_are_the_targets(cluster, cluster_podsnap, shared, tmp_path):
    """The image of the sidecar has none."""
    target = container("app", DEADLOCK, image=cluster.image("dynamic"))
    pod = shared_pod(cluster, shared, "dynamic", target, sidecar(cluster))
    capture(cluster_podsnap, pod, tmp_path / "b", "--route=sidecar")
    modules = [name for name in bundles.names(tmp_path / "b") if name.startswith("modules/")]
    assert any(name.endswith("/libc.so.6") for name in modules), modules
    assert not any("missing" in name for name in modules), modules
    assert_stacks(cluster_podsnap, *pod.where, "--route=sidecar")


def test_a_container_of_that_name_without_the_probe(cluster, cluster_podsnap, shared):
    pod = shared_pod(cluster, shared, "impostor", container("app", DEADLOCK),
                     container("podsnap", "sleep", 9999))
    said = refused(cluster_podsnap, "ps", *pod.where, "--route=sidecar")
    assert "does not run /podsnap-probe" in said
    done = cluster_podsnap.run("ps", *pod.where)
    assert "not by sidecar: container podsnap" in done.stderr and "deadlock" in done.text


def test_rights(cluster, cluster_podsnap, several):
    command = ["ps", *several.where, "-c", "app", "--route=sidecar", "--kubeconfig",
               cluster.user("sid")]
    assert_each_rule_is_needed(cluster, cluster_podsnap, command, "sid",
                               {several.namespace: role_rules(cluster, "sidecar")})
