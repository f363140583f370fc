"""What `podsnap doctor` says of each way into a pod, against what the way then does."""

import json
import os
import shlex

import pytest

from lib.beside import node_agent
from lib.cluster import container, pod as make_pod
from lib.pods import FIND, RESTRICTED, module_namespace
from lib.podsnap import refused
from lib.rbac import await_allowed
from lib.wait import wait_until

# With the target's own rights, and those that take something beside it.
ROUTES, BESIDE = ("exec", "ephemeral"), ("sidecar", "node")
ALL_ROUTES = ["sidecar", "exec", "ephemeral", "node"]
UNDUMPABLE = ["/targets/rights", "--dumpable", "0"]
OTHER_USER = ["/targets/rights", "--uid", "1000", "--dumpable", "1"]
DEADLOCK = ["/targets/deadlock"]
# By kind of blocker: what a capture's error says then.
SAYS = {"shell": "has no shell", "place": "no place to run the probe from",
        "memory": "memory limit leaves", "dumpable": "not dumpable",
        "uid": "it runs as uid 1000, podsnap as uid 0 without CAP_SYS_PTRACE",
        "pod-security": 'violates PodSecurity "restricted:latest"'}


@pytest.fixture(name="shared", scope="module")
def fixture_shared(cluster):
    yield from module_namespace(cluster)


@pytest.fixture(name="image", scope="module")
def fixture_image(cluster):
    return ["--probe-image", cluster.image("probe")]


@pytest.fixture(name="agent", scope="module")
def fixture_agent(cluster):
    yield from node_agent(cluster)


def where(manifest):
    return [manifest["metadata"]["name"], "-n", manifest["metadata"]["namespace"]]


def start(cluster, manifest):
    cluster.apply(manifest)
    return cluster.wait_pod(manifest["metadata"]["name"], manifest["metadata"]["namespace"])


def has_shell(manifest):
    return all("distroless" not in c["image"] for c in manifest["spec"]["containers"])


def traces(cluster, manifest):
    """All that could be left of a look at a pod: processes, files, ephemeral containers."""
    name, _, namespace = where(manifest)
    now = cluster.get("pod", name, namespace)
    files = cluster.exec(name, "sh", "-c", FIND, namespace=namespace) if has_shell(manifest) else ""
    # Its own processes: an exec of ours may be about to be reaped.
    processes = {pid: argv for pid, argv in cluster.processes(now).items()
                 if argv and "find" not in argv and FIND not in argv}
    return processes, files, now["spec"].get("ephemeralContainers", [])


def examine(podsnap, *args, routes=ROUTES):
    """{route: its report}, after what holds for every answer was checked."""
    done = podsnap.run("doctor", *args, "--json", expect=None)
    answer = done.json()
    assert answer["schema"] == "podsnap.doctor/1"
    reports = {report["route"]: report for report in answer["routes"]}
    assert list(reports) == ALL_ROUTES
    for report in reports.values():
        assert report["works"] == (not report["blockers"]), report
    assert done.status == (0 if any(report["works"] for report in reports.values()) else 1)
    return {route: reports[route] for route in routes}


def kinds(report):
    return [blocker["kind"] for blocker in report["blockers"]]


def assert_agrees(podsnap, report, *args):
    """The way does what the report says of it, and fails for the reason that it names."""
    done = podsnap.run("stacks", *args, f"--route={report['route']}", expect=None)
    assert (done.status == 0) == report["works"], f"{report}\n{done}"
    for blocker in report["blockers"][:1]:
        assert SAYS.get(blocker["kind"], blocker["text"]) in done.stderr, f"{report}\n{done}"


# --- routes x situations --------------------------------------------------------------------------

def cell(*command, blockers=(None, None), beside=(None, None), level=None, **fields):
    """A pod, the kind of blocker of each route (None: it works), its namespace's Pod Security."""
    return command or DEADLOCK, fields, dict(zip(ROUTES + BESIDE, blockers + beside)), level


SITUATIONS = {
    "root": cell(),
    "uid-1000": cell(security={"runAsUser": 1000}),
    "read-only-root": cell(security={"readOnlyRootFilesystem": True}),
    "read-only-uid-1000": cell(security={"readOnlyRootFilesystem": True, "runAsUser": 1000},
                               blockers=("place", None)),
    "no-shell": cell(image="podsnap-test/distroless", blockers=("shell", None)),
    "no-capabilities": cell(security={"capabilities": {"drop": ["ALL"]}}),
    "seccomp-runtime-default": cell(security={"seccompProfile": {"type": "RuntimeDefault"}}),
    "baseline": cell(security={"runAsUser": 1000}, level="baseline"),
    "restricted": cell(security=RESTRICTED, level="restricted"),
    "undumpable-root": cell(*UNDUMPABLE, blockers=("dumpable", "dumpable"),
                            beside=("dumpable", None)),
    "undumpable-uid-1000": cell(*UNDUMPABLE, security={"runAsUser": 1000},
                                blockers=("dumpable", "dumpable"), beside=("dumpable", None)),
    "other-user": cell(*OTHER_USER, blockers=("uid", "uid"), beside=("uid", None)),
    "sys-ptrace": cell(*UNDUMPABLE, security={"capabilities": {"add": ["SYS_PTRACE"]}}),
    "init-in-front": cell("sh", "-c", "/targets/deadlock & wait"),
    "full-memory": cell("/targets/memory", 195, blockers=("memory", "memory"),
                        beside=("memory", "memory"), containers=[container(
                            "app", "/targets/memory", 195,
                            resources={"limits": {"memory": "200Mi"}})]),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_each_way_does_what_doctor_says(cluster, cluster_podsnap, shared, image, situation):
    command, fields, expected, level = SITUATIONS[situation]
    cluster.image("distroless")
    namespace = cluster.namespace("d-" + os.urandom(4).hex(), level) if level else shared
    manifest = make_pod(situation, *command, namespace=namespace, **fields)
    start(cluster, manifest)
    before = traces(cluster, manifest)
    routes = examine(cluster_podsnap, *where(manifest), *image)
    assert traces(cluster, manifest) == before
    for route, report in routes.items():
        assert kinds(report) == ([expected[route]] if expected[route] else []), report
        assert_agrees(cluster_podsnap, report, *where(manifest), *image)


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize("situation", SITUATIONS)
def test_each_way_beside_the_target_does_what_doctor_says(cluster, cluster_podsnap, shared,
                                                          situation):
    """A sidecar with the target's own securityContext, and the node agent."""
    command, fields, expected, level = SITUATIONS[situation]
    cluster.image("distroless")
    namespace = cluster.namespace("d-" + os.urandom(4).hex(), level) if level else shared
    manifest = make_pod("beside-" + situation, *command, namespace=namespace,
                        shareProcessNamespace=True, **fields)
    manifest["spec"]["containers"] = [*manifest["spec"]["containers"], container(
        "podsnap", "/podsnap-probe", "idle", image=cluster.image("probe"),
        securityContext=fields.get("security") or {})]
    start(cluster, manifest)
    for route, report in examine(cluster_podsnap, *where(manifest), routes=BESIDE).items():
        assert kinds(report) == ([expected[route]] if expected[route] else []), report
        assert_agrees(cluster_podsnap, report, *where(manifest))


def test_two_containers(cluster, cluster_podsnap, shared, image):
    """Each is judged by itself."""
    manifest = make_pod("pair", namespace=shared, containers=[
        container("bare", *DEADLOCK, image=cluster.image("distroless")),
        container("other", *DEADLOCK)])
    start(cluster, manifest)
    for name, blockers in (("bare", ["shell"]), ("other", [])):
        args = [*where(manifest), "-c", name, *image]
        routes = examine(cluster_podsnap, *args)
        assert kinds(routes["exec"]) == blockers and routes["ephemeral"]["works"]
        for report in routes.values():
            assert_agrees(cluster_podsnap, report, *args)


def test_pods_that_do_not_run(cluster, cluster_podsnap, namespace, image):
    def state_of(name):
        return json.dumps(cluster.get("pod", name, namespace)["status"])
    cluster.apply(
        make_pod("completed", "true", namespace=namespace, restartPolicy="Never"),
        make_pod("crashing", "false", namespace=namespace),
        make_pod("nowhere", "sleep", 9, namespace=namespace, nodeSelector={"no": "such"}))
    for name, state in (("completed", "Succeeded"), ("crashing", "CrashLoopBackOff"),
                        ("nowhere", "Unschedulable")):
        wait_until(lambda n=name, s=state: s in state_of(n), f"{state} of {name}", 120)
        routes = examine(cluster_podsnap, name, "-n", namespace, *image)
        for report in routes.values():
            assert kinds(report) == ["state"] and report["blockers"][0]["fix"]
            if state != "CrashLoopBackOff" or state in state_of(name):
                assert_agrees(cluster_podsnap, report, name, "-n", namespace, *image)


# --- fixes ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("situation", ["read-only-uid-1000", "undumpable-root",
                                       "undumpable-uid-1000", "other-user", "full-memory"])
def test_the_printed_patch_opens_the_way(cluster, cluster_podsnap, shared, image, situation):
    """With the patch of its spec the way works, and without it it does not."""
    command, fields, expected, _ = SITUATIONS[situation]
    manifest = make_pod("fix-" + situation, *command, namespace=shared, **fields)
    start(cluster, manifest)
    report = examine(cluster_podsnap, *where(manifest), *image)["exec"]
    assert kinds(report) == [expected["exec"]]
    patch = report["blockers"][0]["fix"]
    patched = json.loads(cluster.kubectl("patch", "--local", "-f", "-", "--type=strategic", "-o",
                                         "json", "-p", patch[patch.index("spec:"):],
                                         stdin=json.dumps(manifest)))
    patched["metadata"]["name"] += "-fixed"
    start(cluster, patched)
    fixed = examine(cluster_podsnap, *where(patched), *image)["exec"]
    assert fixed["works"], fixed
    for each, its in ((manifest, report), (patched, fixed)):
        assert_agrees(cluster_podsnap, its, *where(each), *image)


@pytest.mark.parametrize("situation", ["undumpable-root", "undumpable-uid-1000", "other-user"])
def test_an_ephemeral_container_that_may_trace(cluster, cluster_podsnap, shared, image, situation,
                                               tmp_path):
    """What doctor names as its smallest change opens the way, and the way without it stays shut."""
    command, fields, expected, _ = SITUATIONS[situation]
    manifest = make_pod("trace-" + situation, *command, namespace=shared, **fields)
    start(cluster, manifest)
    before, _, _ = traces(cluster, manifest)
    shut = examine(cluster_podsnap, *where(manifest), *image)["ephemeral"]
    assert kinds(shut) == [expected["ephemeral"]]
    assert shut["blockers"][0]["fix"].startswith("--ptrace")
    args = [*where(manifest), *image, "--ptrace"]
    routes = examine(cluster_podsnap, *args)
    assert kinds(routes["exec"]) == [expected["exec"]] and routes["ephemeral"]["works"]
    done = cluster_podsnap.run("capture", *args, "-o", tmp_path / "b")
    assert "not by exec: " in done.stderr
    assert "whole" in cluster_podsnap.run("verify", tmp_path / "b").text
    for report in routes.values():
        assert_agrees(cluster_podsnap, report, *args)
    # No copy of the process is left of another user's, either.
    def is_clean():
        processes, _, _ = traces(cluster, manifest)
        return {pid: argv for pid, argv in processes.items() if "idle" not in argv} == before
    wait_until(is_clean, "end of the probe")
    assert_agrees(cluster_podsnap, shut, *where(manifest), *image)


def test_pod_security_admits_no_tracer(cluster, cluster_podsnap, image):
    namespace = cluster.namespace("d-" + os.urandom(4).hex(), "baseline")
    manifest = make_pod("app", *DEADLOCK, namespace=namespace)
    start(cluster, manifest)
    args = [*where(manifest), *image, "--ptrace"]
    report = examine(cluster_podsnap, *args)["ephemeral"]
    assert kinds(report) == ["pod-security"]
    done = cluster_podsnap.run("stacks", *args, "--route=ephemeral", expect=1)
    assert 'violates PodSecurity "baseline:latest"' in done.stderr
    assert "enter by the node agent" in done.stderr


def run_commands(cluster, fix):
    for line in fix.splitlines():
        words = shlex.split(line)
        assert words[0] == "kubectl", fix
        cluster.kubectl(*words[1:])


def test_pod_security_that_came_later(cluster, cluster_podsnap, namespace, image):
    manifests = [make_pod(name, *DEADLOCK, namespace=namespace) for name in ("one", "two")]
    for manifest in manifests:
        start(cluster, manifest)
    one, two = ([*where(manifest), *image] for manifest in manifests)
    level = "pod-security.kubernetes.io/enforce=restricted"
    cluster.kubectl("label", "namespace", namespace, level)
    report = examine(cluster_podsnap, *one)["ephemeral"]
    assert kinds(report) == ["pod-security"]
    assert_agrees(cluster_podsnap, report, *one)

    run_commands(cluster, report["blockers"][0]["fix"])
    opened = examine(cluster_podsnap, *one)["ephemeral"]
    assert opened["works"]
    assert_agrees(cluster_podsnap, opened, *one)

    cluster.kubectl("label", "namespace", namespace, level, "--overwrite")
    report = examine(cluster_podsnap, *two)["ephemeral"]
    assert kinds(report) == ["pod-security"]
    assert_agrees(cluster_podsnap, report, *two)
    # Where a container of ours runs already, nothing is to be admitted.
    again = examine(cluster_podsnap, *one)["ephemeral"]
    assert again["works"] and "is used again" in "".join(again["notes"])
    assert_agrees(cluster_podsnap, again, *one)


def blocked_rights(report):
    return [blocker["text"].split(" in namespace")[0] for blocker in report["blockers"]
            if blocker["kind"] == "rbac"]


def test_each_missing_right_is_named_and_its_commands_give_it(cluster, cluster_podsnap, namespace,
                                                              image):
    user = "dick"
    manifest = make_pod("target", *DEADLOCK, namespace=namespace)
    start(cluster, manifest)
    args = [*where(manifest), *image, "--kubeconfig", cluster.user(user)]
    routes = examine(cluster_podsnap, *args)
    execs = ["get pods", "get pods/exec", "create pods/exec"]
    assert blocked_rights(routes["exec"]) == execs
    assert blocked_rights(routes["ephemeral"]) == execs + ["patch pods/ephemeralcontainers"]
    assert "pods" in refused(cluster_podsnap, "stacks", *args)

    for blocker in routes["ephemeral"]["blockers"]:
        verb, resource = blocker["text"].split(" ")[:2]
        run_commands(cluster, blocker["fix"])
        await_allowed(cluster, namespace, user, verb, resource)
    routes = examine(cluster_podsnap, *args)
    for report in routes.values():
        assert report["works"], report
        assert_agrees(cluster_podsnap, report, *args)

    cluster.kubectl("delete", "rolebinding", "podsnap-create-exec", "-n", namespace)
    wait_until(lambda: not examine(cluster_podsnap, *args)["exec"]["works"], "withdrawal")
    for report in examine(cluster_podsnap, *args).values():
        assert blocked_rights(report) == ["create pods/exec"]
        assert "forbidden" in refused(cluster_podsnap, "stacks", *args,
                                      f"--route={report['route']}")


# --- the rest -------------------------------------------------------------------------------------

def test_no_exec_runs_nothing(cluster, cluster_podsnap, shared, image):
    manifest = make_pod("untouched", *UNDUMPABLE, namespace=shared)
    start(cluster, manifest)
    routes = examine(cluster_podsnap, *where(manifest), *image, "--no-exec")
    for report in routes.values():
        assert report["works"] and any("--no-exec" in note for note in report["notes"])


def test_without_an_image(cluster, cluster_podsnap, shared):
    manifest = make_pod("imageless", *DEADLOCK, namespace=shared)
    start(cluster, manifest)
    report = examine(cluster_podsnap, *where(manifest))["ephemeral"]
    assert kinds(report) == ["image"] and "--probe-image" in report["blockers"][0]["fix"]


def test_table_for_people(cluster, cluster_podsnap, shared, image):
    cluster.image("distroless")
    manifest = make_pod("table", *DEADLOCK, namespace=shared, image="podsnap-test/distroless")
    start(cluster, manifest)
    # Whether the other tests of this file have put an agent on the node does not count here.
    lines = cluster_podsnap.run("doctor", *where(manifest), *image, "--agent-namespace",
                                "nobodys").text.splitlines()
    assert lines[2].split() == ["ROUTE", "WORKS", "BLOCKER"]
    rows = {line.split()[0]: i for i, line in enumerate(lines[3:], 3) if line[0] != " "}
    assert list(rows) == ALL_ROUTES
    at = rows["exec"]
    assert lines[at].split()[:3] == ["exec", "no", "shell:"] and "has no shell" in lines[at]
    assert "fix:" in lines[at + 1] and "--probe-image" in lines[at + 1]
    assert lines[at + 2].split() == ["ephemeral", "yes", "-"]
    at = rows["sidecar"]
    assert lines[at].split()[:3] == ["sidecar", "no", "sidecar:"]
    assert any(line.strip() == "shareProcessNamespace: true" for line in lines[at:rows["exec"]])
    assert lines[rows["node"]].split()[:3] == ["node", "no", "agent:"]


def test_only_pods_have_ways_into_them(podsnap):
    assert "takes SOURCE" in refused(podsnap, "doctor", status=2)
