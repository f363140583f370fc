"""The main job: a bundle of a process in a pod."""

import os
import re
import secrets
import stat

import pytest

from lib import rings
from lib.bundle import names
from lib.bundles import check_with_tar_and_sha256sum
from lib.cluster import container
from lib.pods import CapturePod, RESTRICTED, module_namespace
from lib.podsnap import refused

# What the deadlock's threads are in, from tests/targets/deadlock.c.
DEADLOCK = ["transfer_stock", "lock_ledger", "charge_card", "lock_stock", "wait_for_work"]


@pytest.fixture(scope="module", name="pods_namespace")
def fixture_pods_namespace(cluster):
    yield from module_namespace(cluster)


@pytest.fixture(scope="module")
def root_pod(cluster, pods_namespace):
    return CapturePod(cluster, pods_namespace, "as-root", "deadlock")


@pytest.fixture(scope="module")
def user_pod(cluster, pods_namespace):
    return CapturePod(cluster, pods_namespace, "as-user", "deadlock", security=RESTRICTED)


@pytest.fixture(params=["root_pod", "user_pod"])
def deadlock_pod(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def pair_pod(cluster, pods_namespace):
    """Two containers: app stands in a deadlock, second has threads that wait."""
    return CapturePod(cluster, pods_namespace, "pair", "deadlock", containers=[
        container("app", "/targets/deadlock"), container("second", "/targets/threads", "3")])


def check_deadlock_bundle(podsnap, path, tmp_path):
    """A whole bundle of tests/targets/deadlock, by podsnap's word and by other tools'."""
    assert "whole" in podsnap.run("verify", path).text
    entries = check_with_tar_and_sha256sum(path, tmp_path / "unpacked")
    assert entries["1-deadlock/core"]["status"] == "ok"
    stacks = podsnap.run("stacks", path).text
    for function in DEADLOCK:
        assert function in stacks
    carried = (tmp_path / "unpacked" / "1-deadlock" / "stacks.txt").read_text("utf-8")
    for function in DEADLOCK:
        assert function in carried


def test_capture_into_a_directory(cluster_podsnap, deadlock_pod, tmp_path):
    done = cluster_podsnap.run("capture", *deadlock_pod.where, "-o", tmp_path)
    path = done.text.rstrip("\n")
    assert os.path.dirname(path) == str(tmp_path)
    assert re.fullmatch(rf"{deadlock_pod.namespace}_{deadlock_pod.name}_app_deadlock_"
                        r"\d{8}T\d{6}Z\.podsnap\.tar\.zst", os.path.basename(path))
    assert os.listdir(tmp_path) == [os.path.basename(path)]
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert "complete bundle" in done.stderr and "secret" in done.stderr
    check_deadlock_bundle(cluster_podsnap, path, tmp_path)
    deadlock_pod.await_clean()


def test_capture_to_stdout(cluster_podsnap, root_pod, tmp_path):
    done = cluster_podsnap.run("capture", *root_pod.where, "-o", "-")
    path = tmp_path / "bundle"
    path.write_bytes(done.stdout)
    check_deadlock_bundle(cluster_podsnap, path, tmp_path)


def test_capture_as_json_says_where_and_what(cluster_podsnap, root_pod, tmp_path):
    path = tmp_path / "b.podsnap.tar.zst"
    answer = cluster_podsnap.run("capture", *root_pod.where, "-o", path, "--json").json()
    assert answer["schema"] == "podsnap.capture/1"
    assert answer["bundle"] == str(path) and answer["bytes"] == path.stat().st_size
    shown = cluster_podsnap.run("show", path, "--json").json()
    assert shown["complete"] is True and len(shown["entries"]) == answer["entries"]


def test_capture_into_the_object_store(cluster_podsnap, cluster_minio, deadlock_pod, tmp_path):
    bucket = cluster_minio.make_bucket("b-" + secrets.token_hex(8))
    cluster_podsnap.run("capture", *deadlock_pod.where, "-o", f"s3://{bucket}/in/",
                        env=cluster_minio.environment())
    keys = cluster_minio.keys(bucket)
    assert len(keys) == 1 and keys[0].startswith(f"in/{deadlock_pod.namespace}_"), keys
    assert cluster_minio.uploads(bucket) == []
    path = tmp_path / "fetched"
    cluster_minio.fetch(bucket, keys[0], path)
    check_deadlock_bundle(cluster_podsnap, path, tmp_path)
    deadlock_pod.await_clean()


def test_stacks_show_the_deadlock(cluster_podsnap, deadlock_pod):
    text = cluster_podsnap.run("stacks", *deadlock_pod.where).text
    for function in DEADLOCK:
        assert function in text
    deadlock_pod.await_clean()


def test_stacks_as_json_have_every_thread(cluster_podsnap, root_pod):
    answer = cluster_podsnap.run("stacks", *root_pod.where, "--json").json()
    assert len(answer["threads"]) == len(root_pod.thread_states())


def test_ps_lists_the_containers_processes(cluster_podsnap, deadlock_pod):
    text = cluster_podsnap.run("ps", *deadlock_pod.where).text
    assert re.search(r"^\s*1\s.*\bdeadlock\b", text, re.M), text
    assert "podsnap" not in text, "the probe and its shell are not the container's"
    deadlock_pod.await_clean()


def test_two_containers_says_which(cluster_podsnap, pair_pod, tmp_path):
    path = tmp_path / "b"
    done = cluster_podsnap.run("capture", *pair_pod.where, "-o", path)
    assert "container app of app, second" in done.stderr
    check_deadlock_bundle(cluster_podsnap, path, tmp_path)
    pair_pod.await_clean()


def test_named_container(cluster_podsnap, pair_pod, tmp_path):
    done = cluster_podsnap.run("capture", *pair_pod.where, "-c", "second", "-o", tmp_path)
    path = done.text.rstrip("\n")
    assert "_second_threads_" in path
    entries = check_with_tar_and_sha256sum(path, tmp_path / "unpacked")
    assert "1-threads/core" in entries
    text = cluster_podsnap.run("stacks", path).text
    assert "wait_in_mutex" in text and "transfer_stock" not in text


def test_annotated_container_is_the_default(cluster, cluster_podsnap, pods_namespace):
    pod = CapturePod(cluster, pods_namespace, "annotated", "deadlock",
                     annotations={"kubectl.kubernetes.io/default-container": "second"},
                     ready_line=None, containers=[
                         container("app", "/targets/deadlock"),
                         container("second", "/targets/threads", "3")])
    done = cluster_podsnap.run("stacks", *pod.where)
    assert "container second of app, second" in done.stderr
    assert "wait_in_mutex" in done.text and "transfer_stock" not in done.text


def test_deployment(cluster, cluster_podsnap, namespace, tmp_path):
    labels = {"app": "web"}
    cluster.apply({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels},
                 "template": {"metadata": {"labels": labels}, "spec": {
                     "terminationGracePeriodSeconds": 1,
                     "containers": [container("app", "/targets/deadlock")]}}}})
    cluster.kubectl("rollout", "status", "deploy/web", "-n", namespace, "--timeout=90s")
    path = tmp_path / "b"
    done = cluster_podsnap.run("capture", "deploy/web", "-n", namespace, "-o", path)
    names = cluster.kubectl("get", "pods", "-n", namespace, "-o", "name").split()
    said = re.search(r"pod (web-\S+), one of the 2 of deployment/web", done.stderr)
    assert said and "pod/" + said[1] in names, done.stderr
    assert said[1] in cluster_podsnap.run("show", path).text
    check_deadlock_bundle(cluster_podsnap, path, tmp_path)


def test_other_process_of_the_container_by_pid(cluster, cluster_podsnap, pods_namespace, tmp_path):
    cluster.run_pod("several", "sh", "-c", "/targets/threads 3 & exec sleep 100000",
                    namespace=pods_namespace, ready_line="ready")
    where = ["several", "-n", pods_namespace]
    text = cluster_podsnap.run("ps", *where).text
    pid = re.search(r"^\s*(\d+)\s.*\bthreads\b", text, re.M)[1]
    path = tmp_path / "b"
    cluster_podsnap.run("capture", *where, "--pid", pid, "-o", path)
    entries = check_with_tar_and_sha256sum(path, tmp_path / "unpacked")
    assert f"{pid}-threads/core" in entries


@pytest.mark.parametrize("security", [None, RESTRICTED], ids=["root", "user"])
def test_all_processes_at_one_instant(cluster, cluster_podsnap, namespace, targets, tmp_path,
                                      security):
    pod = CapturePod(cluster, namespace, "ring", "ring", 4, 50, security=security,
                     restartPolicy="Never")
    path = tmp_path / "b"
    done = cluster_podsnap.run("capture", *pod.where, "--all", "-o", path)
    assert re.search(r"5 processes, each paused for at most \d", done.stderr)
    assert "left out" not in done.stderr
    cluster_podsnap.run("verify", path)
    assert {item["mode"] for item in rings.taken(path).values()} == {"cow"}
    rings.check_one_instant(path, targets.path("static/ring"), 4, tmp_path / "all")
    pod.await_clean()
    pod.end()


def test_read_only_root_with_an_empty_dir(cluster, cluster_podsnap, pods_namespace, tmp_path):
    security = {**RESTRICTED, "readOnlyRootFilesystem": True}
    pod = CapturePod(cluster, pods_namespace, "read-only", "deadlock", containers=[{
        **container("app", "/targets/deadlock", securityContext=security),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]}],
        volumes=[{"name": "tmp", "emptyDir": {}}])
    path = tmp_path / "b"
    cluster_podsnap.run("capture", *pod.where, "-o", path)
    check_deadlock_bundle(cluster_podsnap, path, tmp_path)
    pod.await_clean()


def test_a_capture_that_goes_well_does_no_harm(cluster, cluster_podsnap, namespace, tmp_path):
    """selfcheck prints FAIL for whatever it notices."""
    pod = CapturePod(cluster, namespace, "selfcheck", "selfcheck", restartPolicy="Never")
    for turn in range(3):
        cluster_podsnap.run("capture", *pod.where, "-o", tmp_path / str(turn))
        cluster_podsnap.run("stacks", *pod.where)
    pod.await_clean()
    log = pod.end()
    assert "FAIL" not in log and re.search(r"^ok [1-9]\d*$", log, re.M), log


def test_what_is_meant_in_a_container(cluster, cluster_podsnap, pods_namespace, tmp_path):
    """The service and not the shell that started it, unless that is named."""
    cluster.run_pod("wrapped", "sh", "-c", "/targets/threads 3; exit 1", namespace=pods_namespace,
                    ready_line="ready")

    def captured(*options):
        path = tmp_path / "b"
        cluster_podsnap.run("capture", "wrapped", "-n", pods_namespace, "--core", "none",
                            "-o", path, "--force", *options)
        return {name.split("/")[0] for name in names(path) if re.match(r"\d+-", name)}

    service, = captured()
    assert re.fullmatch(r"\d+-threads", service)
    assert captured("--process", "threads") == captured("--process", "threads [0-9]$") == {service}
    assert captured("--process", service.split("-")[0]) == {service}
    assert captured("--process", "sh") == {"1-sh"}
    assert "nosuch" in refused(cluster_podsnap, "capture", "wrapped", "-n", pods_namespace,
                               "--process", "nosuch", "-o", tmp_path / "none")
