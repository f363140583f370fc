"""Captures from containers beside the target's: what every one of them must bring and leave."""

import os

from lib import bundle as bundles, proc
from lib.cluster import container
from lib.pods import pid_inside
from lib.rbac import IMAGES, allow, await_allowed, manifest, needed_rule
from lib.podsnap import refused
from lib.wait import wait_until

FUNCTIONS = ["transfer_stock", "lock_ledger", "wait_for_work"]


def filled_in(cluster, name, images):
    """The objects of images/NAME with their images in place: {container: image}."""
    objects = manifest(cluster, os.path.join(IMAGES, name))
    for one in objects:
        spec = one.get("spec", {})
        for container in spec.get("template", one).get("spec", {}).get("containers", []):
            container.update(image=cluster.image(images[container["name"]]),
                             imagePullPolicy="Never")
    return objects


def sidecar(cluster, name="podsnap", **security):
    return container(name, "/podsnap-probe", "idle", image=cluster.image("probe"),
                     securityContext=security)


def node_agent(cluster):
    """A generator for a fixture: the DaemonSet of images/node-agent.yaml, which runs."""
    objects = filled_in(cluster, "node-agent.yaml", {"podsnap": "probe"})
    cluster.apply(*objects)
    cluster.kubectl("rollout", "status", "daemonset/podsnap-node-agent", "-n", "podsnap",
                    "--timeout=90s")
    yield next(one for one in objects if one["kind"] == "DaemonSet")
    cluster.kubectl("delete", "namespace", "podsnap")


def pid_of_entry(bundle, end="/core"):
    return int(bundles.find(bundle, end).partition("-")[0])


def capture(podsnap, pod, path, *args):
    """Captures it into a bundle that is whole and has the pod's own process in it; what podsnap
    said. Nothing is left in the pod."""
    done = podsnap.run("capture", *pod.where, "-v", "-o", path, *args)
    assert "complete bundle" in done.stderr
    assert "whole" in podsnap.run("verify", path).text
    assert bundles.manifest_entry(path, "/core")["status"] == "ok"
    assert pid_of_entry(path) == pid_inside(pod.pid)
    assert_nothing_left(pod)
    return done.stderr


def assert_nothing_left(pod):
    """No zombie, no child, no probe."""
    assert proc.children(pod.pid) == []

    def as_before():
        pod.assert_no_process_left()
        return True
    wait_until(as_before, f"end of the probe in {pod.name}", 10, interval=0.1)
    pod.assert_runs_freely()


def assert_stacks(podsnap, *args):
    text = podsnap.run("stacks", *args).text
    assert all(function in text for function in FUNCTIONS), text


def listed(podsnap, *args):
    """{pid: command} as `ps` has them."""
    answer = podsnap.run("ps", *args, "--json").json()
    return {process["pid"]: process["command"] for process in answer["processes"]}


def assert_core_is_of(bundle, mine, others):
    """By a variable of the environment, which is in the process's memory."""
    core = bundles.entry(bundle, bundles.find(bundle, "/core"))
    assert mine.encode() in core
    assert all(other.encode() not in core for other in others)


def doctor_report(podsnap, route, *args):
    answer = podsnap.run("doctor", *args, "--json", expect=None).json()
    report, = [report for report in answer["routes"] if report["route"] == route]
    assert report["works"] == (not report["blockers"]), report
    return report


def assert_each_rule_is_needed(cluster, podsnap, command, user, roles):
    """roles: {namespace: rules}. With all of them the command works; without one it says which."""
    def give(left_out=None):
        for namespace, rules in roles.items():
            allow(cluster, namespace, user, [rule for rule in rules if rule is not left_out],
                  f"rules-{user}")
    everything = [(namespace, rule) for namespace, rules in roles.items() for rule in rules]
    give()
    for namespace, rule in everything:
        for verb in rule["verbs"]:
            await_allowed(cluster, namespace, user, verb, rule["resources"][0])
    assert podsnap.run(*command).status == 0
    for namespace, rule in everything:
        give(left_out=rule)
        resource = rule["resources"][0]
        await_allowed(cluster, namespace, user, rule["verbs"][0], resource, answer="no")
        said = refused(podsnap, *command)
        assert f"namespace {namespace}" in said
        assert needed_rule(said) == ("", resource, rule["verbs"]), said
