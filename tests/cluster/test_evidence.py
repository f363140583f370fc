"""What the cluster knows, in the bundle; who captured; and what is left of a pod that ended."""

import json
import os
import re
import secrets

import pytest

from lib import bundle as bundles
from lib.bundles import check_with_tar_and_sha256sum
from lib.cluster import container
from lib.pods import CapturePod, module_namespace
from lib.rbac import allow, await_allowed, needed_rule, role_rules
from lib.wait import wait_until

MEMORY_MIB = 768  # half of it random
PASSWORD, TOKEN = ("s3cr-" + secrets.token_hex(8) for _ in range(2))
# Ends once, and stays when it is started again.
FLAKY = """echo "life $(cat /state/lives 2>/dev/null || echo 1)"
[ -f /state/lives ] && exec sleep 100000
echo 2 > /state/lives; echo "the first ends"; exit 3"""


def template(labels):
    state = [{"name": "state", "mountPath": "/state"}]
    return {
        "metadata": {"labels": labels, "annotations": {"example.com/token": TOKEN}},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "volumes": [{"name": "state", "emptyDir": {}}],
            "initContainers": [container("prepare", "sh", "-c", "echo prepared; echo and done")],
            "containers": [
                container("app", "/targets/deadlock", env=[
                    {"name": "DB_PASSWORD", "value": PASSWORD}, {"name": "MODE", "value": "fast"}]),
                container("flaky", "sh", "-c", FLAKY, volumeMounts=state)]}}


@pytest.fixture(scope="module", name="web")
def fixture_web(cluster):
    """A Deployment's pod, of which one container was started twice: (namespace, name)."""
    spaces = module_namespace(cluster)
    namespace = next(spaces)
    labels = {"app": "web"}
    cluster.apply({"apiVersion": "apps/v1", "kind": "Deployment",
                   "metadata": {"name": "web", "namespace": namespace},
                   "spec": {"replicas": 1, "selector": {"matchLabels": labels},
                            "template": template(labels)}})
    cluster.kubectl("rollout", "status", "deploy/web", "-n", namespace, "--timeout=90s")
    name, = cluster.kubectl("get", "pods", "-n", namespace, "-o", "name").split()

    def started_again():
        statuses = cluster.get("pod", name[4:], namespace)["status"]["containerStatuses"]
        return [s["restartCount"] for s in statuses if s["name"] == "flaky"
                and "running" in s["state"]] == [1]
    wait_until(started_again, "second life of container flaky", timeout=60, interval=0.2)
    yield namespace, name[4:]
    for _ in spaces:
        pass


def capture(podsnap, web, path, *options, **how):
    namespace, name = web
    return podsnap.run("capture", name, "-n", namespace, "-o", path, "--core=none",
                       "--modules=false", *options, **how)


def kube_entries(path):
    """{name without kube/: the manifest's entry}"""
    return {item["name"][5:]: item for item in bundles.manifest(path)["entries"]
            if item["name"].startswith("kube/")}


def document(path, name):
    return json.loads(bundles.entry(path, "kube/" + name))


def container_log(cluster, web, name, *options):
    return cluster.kubectl("logs", web[1], "-n", web[0], "-c", name, "--timestamps",
                           *options).encode()


def all_kube_bytes(path):
    return b"".join(bundles.entry(path, "kube/" + name) for name, item in kube_entries(path).items()
                    if "size" in item)


# --- everything

def test_what_the_cluster_knows_is_in_the_bundle(cluster, cluster_podsnap, web, tmp_path):
    namespace, name = web
    path = tmp_path / "b"
    done = capture(cluster_podsnap, web, path)
    assert "complete bundle" in done.stderr
    check_with_tar_and_sha256sum(path, tmp_path / "unpacked")
    pod = cluster.get("pod", name, namespace)
    replica_set = pod["metadata"]["ownerReferences"][0]["name"]
    entries = kube_entries(path)
    assert set(entries) == {
        "pod.json", f"owners/1-replicaset-{replica_set}.json", "owners/2-deployment-web.json",
        "node.json", "events.json", "metrics.json", "logs/prepare.log", "logs/app.log",
        "logs/flaky.log", "logs/flaky.previous.log"}
    # The test cluster has no metrics API.
    assert entries.pop("metrics.json")["status"] == "skipped"
    assert {item["status"] for item in entries.values()} == {"ok"}

    kept = document(path, "pod.json")
    assert kept["metadata"]["uid"] == pod["metadata"]["uid"] and kept["kind"] == "Pod"
    assert kept["status"]["containerStatuses"] == pod["status"]["containerStatuses"]
    deployment = document(path, "owners/2-deployment-web.json")
    assert deployment["metadata"]["uid"] == \
        cluster.get("deploy", "web", namespace)["metadata"]["uid"]
    assert document(path, f"owners/1-replicaset-{replica_set}.json")["kind"] == "ReplicaSet"
    assert document(path, "node.json")["metadata"]["name"] == pod["spec"]["nodeName"]
    known = json.loads(cluster.kubectl(
        "get", "events", "-n", namespace, "-o", "json", "--field-selector",
        "involvedObject.uid=" + pod["metadata"]["uid"]))
    events = document(path, "events.json")["items"]
    assert {item["reason"] for item in events} >= {"Scheduled", "Started"}
    assert {item["metadata"]["uid"] for item in events} <= \
        {item["metadata"]["uid"] for item in known["items"]}

    for log in ("prepare", "app", "flaky"):
        assert bundles.entry(path, f"kube/logs/{log}.log") == container_log(cluster, web, log)
    assert b"life 2" in bundles.entry(path, "kube/logs/flaky.log")
    before = bundles.entry(path, "kube/logs/flaky.previous.log")
    assert before == container_log(cluster, web, "flaky", "--previous")
    assert b"the first ends" in before
    shown = cluster_podsnap.run("show", path).text
    assert re.search(r" ok +kube/logs/flaky.previous.log$", shown, re.M)
    assert re.search(r" - +skipped +kube/metrics.json: ", shown)


def test_secrets_stay_out_unless_asked_for(cluster_podsnap, web, tmp_path):
    path, open_path = tmp_path / "b", tmp_path / "open"
    capture(cluster_podsnap, web, path)
    kept = all_kube_bytes(path)
    assert PASSWORD.encode() not in kept and TOKEN.encode() not in kept
    app = document(path, "pod.json")["spec"]["containers"][0]
    assert {item["name"]: item["value"] for item in app["env"]} == \
        {"DB_PASSWORD": "[redacted]", "MODE": "fast"}
    # The whole object is repeated there, and is still JSON.
    annotations = document(path, "owners/2-deployment-web.json")["metadata"]["annotations"]
    applied = json.loads(annotations["kubectl.kubernetes.io/last-applied-configuration"])
    assert applied["spec"]["template"]["spec"]["containers"][0]["env"] == app["env"]

    capture(cluster_podsnap, web, open_path, "--show-secrets")
    for name in ("pod.json", "owners/2-deployment-web.json"):
        shown = bundles.entry(open_path, "kube/" + name)
        assert PASSWORD.encode() in shown and TOKEN.encode() in shown


def test_how_much_of_it(cluster, cluster_podsnap, web, tmp_path):
    capture(cluster_podsnap, web, tmp_path / "one", "--log-lines=1")
    log = bundles.entry(tmp_path / "one", "kube/logs/prepare.log")
    assert log == container_log(cluster, web, "prepare", "--tail=1") and b"and done" in log
    capture(cluster_podsnap, web, tmp_path / "none", "--log-lines=0")
    assert "pod.json" in kube_entries(tmp_path / "none")
    assert not [name for name in kube_entries(tmp_path / "none") if name.startswith("logs/")]
    capture(cluster_podsnap, web, tmp_path / "without", "--kube=false")
    assert kube_entries(tmp_path / "without") == {}


# --- rights

RULE = re.compile(r'^not allowed: a (Role in namespace \S+|ClusterRole) needs this rule: '
                  r'apiGroups: \["(.*)"\], resources: \["(.*)"\], verbs: \["(\w+)"\]$')


def named_rules(path):
    """{(group, resource, verb)} that the skipped entries ask for, without the metrics'."""
    found = set()
    for name, item in kube_entries(path).items():
        if item["status"] == "ok":
            continue
        assert item["status"] == "skipped" and "size" not in item, item
        asked = RULE.match(item["reason"])
        assert asked or name == "metrics.json", item
        if asked:
            found.add(asked.groups()[1:])
    return found


def given_rules(cluster, role):
    return {(group, resource, verb) for rule in role_rules(cluster, role)
            for group in rule["apiGroups"] for resource in rule["resources"]
            for verb in rule["verbs"]}


def test_without_the_rights_it_is_left_out_and_said(cluster, cluster_podsnap, web, tmp_path):
    namespace, name = web
    user = "least-" + os.urandom(3).hex()
    rules = [rule for rule in role_rules(cluster, "exec") if rule["apiGroups"] == [""]]
    allow(cluster, namespace, user, rules, "least-" + user)
    await_allowed(cluster, namespace, user, "create", "pods/exec")
    done = capture(cluster_podsnap, web, tmp_path / "least", "--as", user)
    assert "complete bundle" in done.stderr
    assert kube_entries(tmp_path / "least")["pod.json"]["status"] == "ok"
    asked = named_rules(tmp_path / "least")
    # Every rule that it asks for is in the files that we give, and with them nothing is missing.
    assert asked == {("", "pods/log", "get"), ("", "events", "list"), ("", "nodes", "get"),
                     ("apps", "replicasets", "get"), ("metrics.k8s.io", "pods", "get")}
    assert asked <= given_rules(cluster, "evidence") | given_rules(cluster, "evidence-node")
    allow(cluster, namespace, user, role_rules(cluster, "evidence"), "evidence-" + user)
    await_allowed(cluster, namespace, user, "list", "events")
    capture(cluster_podsnap, web, tmp_path / "more", "--as", user)
    assert named_rules(tmp_path / "more") == {("", "nodes", "get")}
    assert kube_entries(tmp_path / "more")["owners/2-deployment-web.json"]["status"] == "ok"


# --- audit

def podsnap_events(cluster, web):
    found = json.loads(cluster.kubectl("get", "events", "-n", web[0], "-o", "json",
                                       "--field-selector", "involvedObject.name=" + web[1]))
    return [item for item in found["items"] if item["reason"] == "PodsnapCapture"]


def test_who_captured_is_in_the_bundle(cluster, cluster_podsnap, web, tmp_path):
    capture(cluster_podsnap, web, tmp_path / "b")
    meta = json.loads(bundles.entry(tmp_path / "b", "meta.json"))
    me = json.loads(cluster.kubectl("auth", "whoami", "-o", "json"))["status"]["userInfo"]
    assert meta["who"]["username"] == me["username"]
    assert meta["who"]["groups"] == me["groups"]
    assert meta["from"] == {"host": os.uname().nodename, "user": "root"}
    assert meta["cluster"]["server"].startswith("https://")
    assert podsnap_events(cluster, web) == []
    shown = cluster_podsnap.run("show", tmp_path / "b").text
    assert f"by        {me['username']}, root on {os.uname().nodename}\n" in shown


def test_event_on_the_pod(cluster, cluster_podsnap, web, tmp_path):
    namespace, name = web
    user = "audited-" + os.urandom(3).hex()
    rules = [rule for rule in role_rules(cluster, "exec") if rule["apiGroups"] == [""]]
    allow(cluster, namespace, user, rules, "least-" + user)
    await_allowed(cluster, namespace, user, "create", "pods/exec")
    done = capture(cluster_podsnap, web, tmp_path / "no", "--as", user, "--event")
    assert "warning: there is no Event of this capture" in done.stderr
    assert needed_rule(done.stderr) == ("", "events", ["create"])
    cluster_podsnap.run("verify", tmp_path / "no")
    assert podsnap_events(cluster, web) == []

    allow(cluster, namespace, user, role_rules(cluster, "event"), "event-" + user)
    await_allowed(cluster, namespace, user, "create", "events")
    done = capture(cluster_podsnap, web, tmp_path / "yes", "--as", user, "--event",
                   "--reason", "high latency")
    assert "warning" not in done.stderr
    event, = podsnap_events(cluster, web)
    for part in (user, os.uname().nodename, "container app", "complete bundle", "high latency"):
        assert part in event["message"]
    assert event["reportingComponent"] == "podsnap" and event["type"] == "Normal"
    assert event["involvedObject"]["uid"] == cluster.get("pod", name, namespace)["metadata"]["uid"]
    assert "PodsnapCapture" in cluster.kubectl("describe", "pod", name, "-n", namespace)


# --- evidence outlives the pod

def kill(_cluster, pod):
    os.kill(pod.pid, 9)


def delete(cluster, pod):
    cluster.kubectl("delete", "pod", pod.name, "-n", pod.namespace, "--force", "--grace-period=0")


def capture_until(cluster, podsnap, pod, directory, end):
    """A capture in whose middle the pod or its container is ended; returns its stderr."""
    process = podsnap.start("capture", *pod.where, "-o", directory, "--event")

    def size():
        assert process.poll() is None, "it ended first"
        return sum(entry.stat().st_size for entry in os.scandir(directory))
    wait_until(lambda: size() > MEMORY_MIB << 16, "some bytes", timeout=60, interval=0.005)
    end(cluster, pod)
    _, stderr = process.communicate(timeout=120)
    stderr = stderr.decode("utf-8", "replace")
    print(stderr)
    assert process.returncode == 3, stderr
    return stderr


@pytest.mark.timeout(300)
@pytest.mark.parametrize("end, says", [(kill, "container app ended: Error, exit status 137"),
                                       (delete, "pod big is gone")])
def test_container_that_ends_during_the_capture(cluster, cluster_podsnap, namespace, tmp_path, end,
                                                says):
    pod = CapturePod(cluster, namespace, "big", "memory", MEMORY_MIB)
    directory = tmp_path / "out"
    directory.mkdir()
    stderr = capture_until(cluster, cluster_podsnap, pod, directory, end)
    assert says + ": what had come before is kept" in stderr and "partial bundle" in stderr
    name, = os.listdir(directory)
    assert name.endswith("Z.podsnap.tar.zst")
    path = directory / name
    assert "whole" in cluster_podsnap.run("verify", path).text
    entries = check_with_tar_and_sha256sum(path, tmp_path / "unpacked")
    core = entries["1-memory/core"]
    lost = sum(stop - start for start, stop in core["lost"])
    assert core["status"] == "partial" and says in core["reason"]
    assert 0.1 * core["size"] < lost < 0.95 * core["size"]
    assert "2 threads" in cluster_podsnap.run("stacks", path, expect=None).text
    check_kept_evidence(cluster, pod, path, end)


def check_kept_evidence(cluster, pod, path, end):
    entries, kept = kube_entries(path), document(path, "pod.json")
    assert kept["metadata"]["uid"] == pod.object["metadata"]["uid"]
    if end is kill:
        assert entries["pod.json"]["status"] == "ok"
        status, = kept["status"]["containerStatuses"]
        ended = status["state"].get("terminated") or status["lastState"]["terminated"]
        assert ended["exitCode"] == 137
        log = "logs/app.previous.log" if "terminated" in status["lastState"] else "logs/app.log"
        assert b"ready" in bundles.entry(path, "kube/" + log)
        event, = podsnap_events(cluster, (pod.namespace, pod.name))
        assert "partial bundle" in event["message"] and "exit status 137" in event["message"]
    else:
        assert entries["pod.json"]["status"] == "partial"
        assert "the pod is gone" in entries["pod.json"]["reason"]
        assert entries["logs/app.log"]["status"] == "skipped"
