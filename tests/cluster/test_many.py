"""Many pods at once: selected by several names, by labels, by node and of all namespaces."""

import json
import os
import re
import signal
import subprocess

import pytest

from lib.cluster import container, pod
from lib.pods import module_namespace, peak_rss_bytes
from lib.podsnap import refused
from lib.wait import wait_until

COUNT = 20
RSS_MAX_BYTES = 64 << 20
LABEL = "fleet"


def command_of(index):
    """Each pod's process has another number of threads."""
    return ["/targets/threads", str(index + 2)]


def name_of(index):
    return f"fleet-{index:02d}"


@pytest.fixture(scope="module", name="fleet")
def fixture_fleet(cluster):
    """A namespace with twenty pods that differ, and beside them, under another label, one that
    crashes, one that has ended, one without a shell and one of two containers."""
    namespace = next(generator := module_namespace(cluster))
    distroless = cluster.image("distroless")
    odd = {"odd": "yes"}
    cluster.apply(*[pod(name_of(i), *command_of(i), namespace=namespace, labels={LABEL: "yes"})
                    for i in range(COUNT)])
    cluster.apply(
        pod("crashes", "/nosuch", namespace=namespace, labels=odd),
        pod("ended", "/bin/true", namespace=namespace, labels=odd, restartPolicy="Never"),
        pod("no-shell", "/targets/deadlock", namespace=namespace, image=distroless,
            labels={**odd, "shell": "no"}),
        pod("pair", namespace=namespace, labels={**odd, "pair": "yes"}, containers=[
            container("app", "/targets/deadlock"), container("second", "/targets/threads", "3"),
            container("late", "/nosuch")]))
    for selector in LABEL, "shell=no":
        cluster.kubectl("wait", "--for=condition=Ready", "pod", "-l", selector, "-n", namespace,
                        "--timeout=180s")
    cluster.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/ended", "-n",
                    namespace, "--timeout=60s")

    def statuses_are_there():
        status = cluster.get("pod", "pair", namespace)["status"].get("containerStatuses", [])
        crashed = cluster.get("pod", "crashes", namespace)["status"]["containerStatuses"][0]
        return (len([s for s in status if "running" in s["state"]]) == 2
                and "terminated" in {**crashed["state"], **crashed["lastState"]})
    wait_until(statuses_are_there, "containers that run, and one that crashed", 60, interval=0.5)
    yield namespace
    next(generator, None)


def rows(text):
    """{(pod, container): (status, rest of the line)} of the table."""
    lines = text.splitlines()
    assert lines[0].split()[:3] == ["POD", "CONTAINER", "STATUS"], text
    found = {}
    for line in lines[1:]:
        words = re.split(r"\s{2,}", line, maxsplit=5)
        found[words[0], words[1]] = (words[2], words[5])
    assert len(found) == len(lines) - 1
    return found


def assert_no_probe(cluster, namespace, names):
    """Nothing of podsnap runs in those pods any more."""
    def clean():
        for name in names:
            running = cluster.processes(cluster.get("pod", name, namespace))
            if any(argv[1:] == ["serve"] for argv in running.values()):
                return False
        return True
    wait_until(clean, f"end of the probes in {names}", 90, interval=0.5)


def test_twenty_pods_are_captured_in_little_memory(cluster_podsnap, fleet, tmp_path):
    process = cluster_podsnap.start("capture", "-l", LABEL, "-n", fleet, "--parallel", "8",
                                    "--json", "-o", f"{tmp_path}/")
    peak = 0
    while process.poll() is None:
        peak = max(peak, peak_rss_bytes(process.pid))
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
    text, said = process.communicate()
    assert process.returncode == 0, said.decode()
    answer = json.loads(text)
    assert answer["schema"] == "podsnap.captures/1"
    assert [c["pod"] for c in answer["captures"]] == [name_of(i) for i in range(COUNT)]
    assert len(os.listdir(tmp_path)) == COUNT
    for i, capture in enumerate(answer["captures"]):
        assert capture["status"] == "complete" and capture["pause_ns"] > 0
        assert os.path.getsize(capture["bundle"]) == capture["bytes"]
        assert f"_{name_of(i)}_app_threads_" in capture["bundle"]
        assert "whole" in cluster_podsnap.run("verify", capture["bundle"]).text
        # What is in it, not only how it is called.
        stacks = cluster_podsnap.run("stacks", capture["bundle"], "--json").json()
        assert len(stacks["threads"]) == i + 3
    assert 0 < peak < RSS_MAX_BYTES, f"{peak / 2**20:.1f} MiB"
    assert f"{name_of(3)}: complete bundle" in said.decode()


def test_one_that_fails_does_not_stop_the_others(cluster_podsnap, fleet, tmp_path):
    done = cluster_podsnap.run("capture", "-l", "odd", "-n", fleet, "-o", tmp_path, expect=3)
    table = rows(done.text)
    assert set(table) == {("crashes", "-"), ("ended", "-"), ("no-shell", "app"), ("pair", "app")}
    status, why = table["crashes", "-"]
    assert status == "skipped" and "does not run" in why
    assert table["ended", "-"][0] == "skipped" and "has ended: Succeeded" in table["ended", "-"][1]
    assert table["no-shell", "app"][0] == "failed" and "no shell" in table["no-shell", "app"][1]
    status, bundle = table["pair", "app"]
    assert status == "complete"
    assert os.listdir(tmp_path) == [os.path.basename(bundle)]
    assert "whole" in cluster_podsnap.run("verify", bundle).text
    assert "error: no-shell: " in done.stderr


def test_a_prefix_of_an_object_store(cluster_podsnap, cluster_minio, fleet, tmp_path):
    bucket = cluster_minio.make_bucket("b-" + os.urandom(8).hex())
    done = cluster_podsnap.run("capture", name_of(0), name_of(1), "-n", fleet, "--json", "-o",
                               f"s3://{bucket}/in/", env=cluster_minio.environment())
    places = [capture["bundle"] for capture in done.json()["captures"]]
    assert sorted(places) == sorted(f"s3://{bucket}/{key}" for key in cluster_minio.keys(bucket))
    for i, place in enumerate(places):
        assert place.startswith(f"s3://{bucket}/in/{fleet}_{name_of(i)}_app_threads_")
        cluster_minio.fetch(bucket, place.removeprefix(f"s3://{bucket}/"), tmp_path / str(i))
        assert "whole" in cluster_podsnap.run("verify", tmp_path / str(i)).text


def test_all_fail(cluster_podsnap, fleet, tmp_path):
    done = cluster_podsnap.run("capture", "-l", "shell=no", "-n", fleet, "-o", tmp_path, expect=1)
    assert rows(done.text)["no-shell", "app"][0] == "failed"
    assert "nothing came of any of the 1" in done.stderr
    assert os.listdir(tmp_path) == []


def test_nothing_matches(cluster_podsnap, fleet, tmp_path):
    said = refused(cluster_podsnap, "capture", "-l", "fleet=no", "-n", fleet, "-o", tmp_path)
    assert f"no pods in namespace {fleet} that match the selector fleet=no" in said
    assert f"kubectl get pods -n {fleet}" in said


def test_several_names_and_one_that_is_not_there(cluster_podsnap, fleet, tmp_path):
    done = cluster_podsnap.run("capture", name_of(1), "nosuch", "pod/" + name_of(0), name_of(1),
                               "-n", fleet, "-o", tmp_path, expect=3)
    table = rows(done.text)
    assert [name for name, _ in table] == [name_of(1), "nosuch", name_of(0)]
    assert table["nosuch", "-"][0] == "failed" and "there is no pod" in table["nosuch", "-"][1]
    assert len(os.listdir(tmp_path)) == 2


def test_all_containers(cluster_podsnap, fleet, tmp_path):
    done = cluster_podsnap.run("capture", "pair", "-n", fleet, "--all-containers", "-o", tmp_path,
                               expect=3)
    table = rows(done.text)
    assert table["pair", "late"][0] == "skipped"
    for name, program in ("app", "deadlock"), ("second", "threads"):
        status, bundle = table["pair", name]
        assert status == "complete" and f"_pair_{name}_{program}_" in bundle
    assert "pair/second: complete bundle" in done.stderr


def test_a_node_and_all_namespaces(cluster_podsnap, cluster, fleet):
    node = cluster.get("pod", "pair", fleet)["spec"]["nodeName"]
    answer = cluster_podsnap.run("ps", "-A", "-l", "pair", "--node", node, "--json").json()
    assert [(a["namespace"], a["pod"], a["container"]) for a in answer] == [(fleet, "pair", "app")]
    assert "deadlock" in json.dumps(answer[0]["answer"])
    said = refused(cluster_podsnap, "ps", "-n", fleet, "--node", "elsewhere")
    assert f"no pods in namespace {fleet} that are on node elsewhere" in said


def test_stacks_are_in_the_order_of_selection(cluster_podsnap, fleet):
    names = [name_of(2), "ended", name_of(0), "pair"]
    text = cluster_podsnap.run("stacks", *names, "-n", fleet, expect=3).text
    heads = re.findall(r"^== pod (\S+?)(?:, container (\S+))?$", text, re.M)
    assert heads == [(name_of(2), "app"), ("ended", ""), (name_of(0), "app"), ("pair", "app")]
    assert "skipped: pod ended has ended" in text
    assert "lock_ledger" in text.split("== pod pair")[1]
    answer = cluster_podsnap.run("stacks", *names, "-n", fleet, "--json", expect=3).json()
    assert [len(a["answer"]["threads"]) if "answer" in a else a["status"] for a in answer[:3]] == \
        [5, "skipped", 3]


def test_places_that_cannot_hold_several(cluster_podsnap, fleet, tmp_path):
    where = [name_of(0), name_of(1), "-n", fleet]
    for place in "-", tmp_path / "file", "s3://bucket/key":
        said = refused(cluster_podsnap, "capture", *where, "-o", place, status=2)
        assert "cannot hold the bundles of several" in said
    said = refused(cluster_podsnap, "capture", *where, "-o", f"{tmp_path}/none/")
    assert "mkdir" in said
    for contradiction in (["-l", "a=b"], ["-A"], ["--node", "n"],
                          ["-c", "app", "--all-containers"]):
        refused(cluster_podsnap, "capture", *where, *contradiction, status=2)
    refused(cluster_podsnap, "capture", "-l", "", "-n", fleet, status=2)


def test_all_namespaces_need_a_right_that_is_named(cluster_podsnap, cluster):
    kubeconfig = cluster.user("u-" + os.urandom(4).hex())
    said = refused(cluster_podsnap, "ps", "-A", "-l", LABEL, "--kubeconfig", kubeconfig)
    assert "a ClusterRole needs this rule" in said
    assert 'resources: ["pods"]' in said and 'verbs: ["list"]' in said


def test_a_signal_ends_all_and_keeps_what_is_done(cluster_podsnap, cluster, fleet, tmp_path):
    process = cluster_podsnap.start("capture", "-l", LABEL, "-n", fleet, "--parallel", "4",
                                    "-o", f"{tmp_path}/")

    def bundles():
        return [name for name in os.listdir(tmp_path) if not name.startswith(".")]
    wait_until(lambda: len(bundles()) >= 2, "two bundles", 90, interval=0.05)
    process.send_signal(signal.SIGINT)
    text, said = process.communicate(timeout=90)
    assert process.returncode == 128 + signal.SIGINT, said.decode()
    table = rows(text.decode())
    complete = [os.path.basename(last) for status, last in table.values() if status == "complete"]
    assert 2 <= len(complete) < COUNT and len(table) == COUNT
    assert sorted(os.listdir(tmp_path)) == sorted(complete), "and no partial file"
    for name in complete:
        assert "whole" in cluster_podsnap.run("verify", tmp_path / name).text
    assert_no_probe(cluster, fleet, [name_of(i) for i in range(COUNT)])
