"""Bad input gets one clear line and the next step."""

import json
import os
import re

import pytest

from lib.cluster import container, pod
from lib.pods import CapturePod, module_namespace
from lib.podsnap import refused
from lib.rbac import allow, await_allowed, needed_rule, role_file, role_rules
from lib.wait import wait_until


@pytest.fixture(scope="module", name="pods_namespace")
def fixture_pods_namespace(cluster):
    yield from module_namespace(cluster)


@pytest.fixture(scope="module")
def target(cluster, pods_namespace):
    return CapturePod(cluster, pods_namespace, "target", "deadlock", containers=[
        container("app", "/targets/deadlock"), container("second", "/targets/threads", "3")])


def test_no_such_pod(cluster_podsnap, pods_namespace, tmp_path):
    said = refused(cluster_podsnap, "capture", "nosuch", "-n", pods_namespace, "-o", tmp_path)
    assert f'there is no pod "nosuch" in namespace {pods_namespace}' in said
    assert f"kubectl get pods -n {pods_namespace}" in said
    assert os.listdir(tmp_path) == []


def test_no_such_deployment(cluster_podsnap, pods_namespace):
    said = refused(cluster_podsnap, "ps", "deploy/nosuch", "-n", pods_namespace)
    assert 'deployments.apps "nosuch" not found' in said
    assert f"kubectl get deployments -n {pods_namespace}" in said


def test_no_such_type(cluster_podsnap):
    said = refused(cluster_podsnap, "ps", "node/node-1", status=2)
    assert '"node" is no TYPE that has pods' in said and "deploy" in said


def test_no_such_container_lists_them(cluster_podsnap, target):
    said = refused(cluster_podsnap, "capture", *target.where, "-c", "nosuch", "-o", "-")
    assert 'pod target has no container "nosuch"' in said
    assert "its containers: app, second" in said


@pytest.mark.parametrize("verb", ["capture", "stacks"])
def test_no_such_process(cluster_podsnap, target, verb, tmp_path):
    said = refused(cluster_podsnap, verb, *target.where, "--pid", "99999",
                   *(["-o", tmp_path] if verb == "capture" else []))
    assert "99999" in said
    assert os.listdir(tmp_path) == []
    target.await_clean()


def test_completed_pod(cluster, cluster_podsnap, pods_namespace):
    cluster.apply(pod("done", "true", namespace=pods_namespace, restartPolicy="Never"))
    cluster.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/done",
                    "-n", pods_namespace, "--timeout=60s")
    said = refused(cluster_podsnap, "capture", "done", "-n", pods_namespace, "-o", "-")
    assert "pod done has ended: Succeeded" in said
    assert f"kubectl logs -n {pods_namespace} done" in said


def test_crashing_container(cluster, cluster_podsnap, pods_namespace):
    cluster.apply(pod("crash", "sh", "-c", "exit 7", namespace=pods_namespace))
    cluster.kubectl("wait", "--for=jsonpath={.status.containerStatuses[0].restartCount}=1",
                    "pod/crash", "-n", pods_namespace, "--timeout=60s")
    cluster.kubectl("wait", "--for=jsonpath={.status.containerStatuses[0].state.waiting.reason}="
                    "CrashLoopBackOff", "pod/crash", "-n", pods_namespace, "--timeout=60s")
    said = refused(cluster_podsnap, "capture", "crash", "-n", pods_namespace, "-o", "-")
    assert "container app of pod crash does not run: CrashLoopBackOff, exit status 7" in said
    assert "--previous" in said


def test_unscheduled_pod(cluster, cluster_podsnap, pods_namespace):
    cluster.apply(pod("waiting", "true", namespace=pods_namespace,
                      nodeSelector={"no-node": "has-this"}))
    cluster.kubectl("wait", "--for=jsonpath={.status.conditions[0].reason}=Unschedulable",
                    "pod/waiting", "-n", pods_namespace, "--timeout=60s")
    said = refused(cluster_podsnap, "capture", "waiting", "-n", pods_namespace, "-o", "-")
    assert "pod waiting runs nowhere yet: it waits for a node" in said
    assert f"kubectl describe pod -n {pods_namespace} waiting" in said


def test_image_without_a_shell(cluster, cluster_podsnap, pods_namespace, tmp_path):
    bare = CapturePod(cluster, pods_namespace, "bare", "deadlock",
                      image=cluster.image("distroless"))
    said = refused(cluster_podsnap, "capture", *bare.where, "-o", tmp_path)
    assert "container app of pod bare has no shell" in said
    assert os.listdir(tmp_path) == []
    bare.assert_no_process_left()
    bare.assert_runs_freely()


def test_no_place_for_the_probe(cluster, cluster_podsnap, pods_namespace):
    sealed = CapturePod(cluster, pods_namespace, "sealed", "deadlock",
                        security={"runAsUser": 1000, "readOnlyRootFilesystem": True})
    said = refused(cluster_podsnap, "capture", *sealed.where, "-o", "-")
    assert "no place to run the probe from" in said
    assert "Read-only file system" in said and "/dev/shm: may not run programs" in said
    assert "emptyDir" in said
    sealed.await_clean()


def test_process_of_another_user(cluster, cluster_podsnap, pods_namespace, tmp_path):
    """Root of a container has no CAP_SYS_PTRACE: what runs there as another user is not its own."""
    cluster.run_pod("other", "su", "-s", "/bin/sh", "user", "-c", "exec /targets/deadlock",
                    namespace=pods_namespace, ready_line="ready")
    said = refused(cluster_podsnap, "capture", "other", "-n", pods_namespace, "-o", tmp_path)
    assert "it runs as uid 1000" in said and "SYS_PTRACE" in said


# --- who asks ------------------------------------------------------------------------------------

def test_kubeconfig_missing(podsnap, tmp_path):
    said = refused(podsnap, "ps", "pod/any", "--kubeconfig", tmp_path / "nosuch")
    assert str(tmp_path / "nosuch") in said and "No such file" in said
    assert said.count(str(tmp_path / "nosuch")) == 1 and "check the spelling" in said


def test_no_kubeconfig_at_all(podsnap):
    said = refused(podsnap, "ps", "pod/any")
    assert "no kubeconfig: ~/.kube/config does not exist, and this is no pod" in said
    assert "--kubeconfig" in said


@pytest.mark.parametrize("text", ["{{{", "just words\n", "clusters: [\n", "a: b: c\n"])
def test_kubeconfig_malformed(podsnap, tmp_path, text):
    path = tmp_path / "config"
    path.write_text(text, "utf-8")
    said = refused(podsnap, "ps", "pod/any", "--kubeconfig", path)
    assert re.search(rf"{re.escape(str(path))}:\d+", said), "the file and the line"


def test_no_such_context_names_the_others(cluster, cluster_podsnap):
    said = refused(cluster_podsnap, "ps", "pod/any", "--context", "podsnap-tset")
    assert 'no context "podsnap-tset"' in said and "did you mean podsnap-test?" in said


def test_expired_certificate(cluster, cluster_podsnap, target):
    expired = cluster.user("expired-user", "system:masters", -1)
    said = refused(cluster_podsnap, "ps", *target.where, "--kubeconfig", expired)
    assert "expired" in said and "expired-user" in said
    assert re.search(r"expired at \d{4}-\d\d-\d\d", said)


def test_wrong_token(cluster, cluster_podsnap, target, tmp_path):
    path = tmp_path / "config"
    path.write_text(json.dumps({
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {"token": "hunter2hunter2"}}],
        "clusters": [{"name": "c", "cluster": {
            "server": "https://10.97.0.2",
            "certificate-authority": os.path.join(cluster.state, "pki", "ca.crt")}}]}), "utf-8")
    said = refused(cluster_podsnap, "ps", *target.where, "--kubeconfig", path)
    assert "does not accept the credentials" in said and "hunter2" not in said


def test_server_that_does_not_answer(cluster_podsnap, target):
    said = refused(cluster_podsnap, "ps", *target.where, "--server", "https://10.97.0.2:9")
    assert "10.97.0.2:9" in said


# --- what they may -------------------------------------------------------------------------------

def workload(kind, name, namespace, api="apps/v1", **spec):
    """A workload whose pods run the deadlock."""
    labels = {"app": name}
    if kind != "Job":
        spec["selector"] = {"matchLabels": labels}
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": namespace},
            "spec": {**spec, "template": {"metadata": {"labels": labels}, "spec": {
                "terminationGracePeriodSeconds": 1,
                "restartPolicy": "Never" if kind == "Job" else "Always",
                "containers": [container("app", "/targets/deadlock")]}}}}


def test_denied_says_the_rule_and_the_file_has_it(cluster, cluster_podsnap, target, tmp_path):
    """From no right at all, each refusal names the next rule, until it works."""
    namespace, user = target.namespace, "anna"
    kubeconfig = cluster.user(user)
    allowed = {(group, resource, verb) for rule in role_rules(cluster, "exec")
               for group in rule["apiGroups"] for resource in rule["resources"]
               for verb in rule["verbs"]}
    command = ["capture", *target.where, "--kubeconfig", kubeconfig, "-o", tmp_path / "b"]
    rules = []
    for resource in ("pods", "pods/exec"):
        said = refused(cluster_podsnap, *command)
        assert f'User "{user}" cannot' in said and f"in the namespace \"{namespace}\"" in said
        group, named, verbs = needed_rule(said)
        assert named == resource
        assert {(group, named, verb) for verb in verbs} <= allowed
        rules.append({"apiGroups": [group], "resources": [named], "verbs": verbs})
        allow(cluster, namespace, user, rules, "anna")
        await_allowed(cluster, namespace, user, verbs[-1], resource)
    cluster_podsnap.run(*command)
    cluster_podsnap.run("verify", tmp_path / "b")


def test_the_file_is_enough(cluster, cluster_podsnap, namespace):
    """As its comment says: apply it, bind it; then pods work, and workloads by name."""
    user = "bert"
    kubeconfig = cluster.user(user)
    cluster.apply(workload("Deployment", "web", namespace))
    cluster.kubectl("rollout", "status", "deploy/web", "-n", namespace, "--timeout=90s")
    command = ["stacks", "deploy/web", "-n", namespace, "--kubeconfig", kubeconfig]
    said = refused(cluster_podsnap, *command)
    assert needed_rule(said) == ("apps", "deployments", ["get"])
    cluster.kubectl("apply", "-n", namespace, "-f", role_file("exec"))
    cluster.kubectl("create", "rolebinding", "podsnap", "-n", namespace,
                    "--role=podsnap-exec", f"--user={user}")
    await_allowed(cluster, namespace, user, "create", "pods/exec")
    assert "transfer_stock" in cluster_podsnap.run(*command).text


def test_every_verb_of_the_file_is_needed(cluster, cluster_podsnap, namespace):
    """Without any one of its verbs a command fails that works with all of them."""
    user = "carl"
    kubeconfig = cluster.user(user)
    rules = role_rules(cluster, "exec")
    cluster.apply(
        workload("Deployment", "web", namespace), workload("Job", "once", namespace, "batch/v1"),
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": namespace},
         "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}})
    for name in ("web", "once"):
        wait_until(lambda name=name: cluster.kubectl("get", "pod", "-n", namespace, "-l",
                                                     "app=" + name, "-o", "name"), "pod of " + name)
        cluster.kubectl("wait", "--for=condition=Ready", "pod", "-l", "app=" + name,
                        "-n", namespace, "--timeout=60s")
    pod_name = cluster.kubectl("get", "pod", "-n", namespace, "-l", "app=web", "-o", "name").strip()
    sources = [pod_name, "deploy/web", "svc/web", "job/once"]

    def works():
        """Whether each source can be looked at."""
        return [cluster_podsnap.run("ps", source, "-n", namespace, "--kubeconfig", kubeconfig,
                                    expect=None).status == 0 for source in sources]

    for index, rule in enumerate(rules):
        for verb in rule["verbs"]:
            allow(cluster, namespace, user, rules, "carl")
            wait_until(lambda: all(works()), "success with every rule", interval=0.2)
            verbs = [other for other in rule["verbs"] if other != verb]
            less = [{**rule, "verbs": verbs}] if verbs else []
            allow(cluster, namespace, user, rules[:index] + less + rules[index + 1:], "carl")
            wait_until(lambda: not all(works()), f"need of {verb} {rule['resources']}",
                       timeout=15, interval=0.2)
