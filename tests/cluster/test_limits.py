"""What a container may use and do, in real pods: memory nearly used up by a target that writes at
full speed, few processes, seccomp, no capabilities, another user, a read-only root. The target is
never the one that pays: a capture is whole, or says what kept it from that."""

import os
import re
import signal

import pytest

from lib import proc
from lib.cgroups import GroupOf
from lib.cluster import container
from lib.hazards import Shot, areas, check_rounds
from lib.pods import CapturePod, module_namespace
from lib.soak import LONG
from lib.wait import wait_until

MIB = 1 << 20
LIMIT_MIB, HELD_MIB = 256, 200

SECCOMP = {"seccompProfile": {"type": "RuntimeDefault"}}
NO_CAPABILITIES = {"capabilities": {"drop": ["ALL"]}, "allowPrivilegeEscalation": False}
USER = {"runAsUser": 1000, "runAsNonRoot": True}
READ_ONLY = {"readOnlyRootFilesystem": True}
VARIANTS = {"plain": {}, "seccomp": SECCOMP, "no-capabilities": NO_CAPABILITIES, "user": USER,
            "read-only": READ_ONLY,
            "all": {**SECCOMP, **NO_CAPABILITIES, **USER, **READ_ONLY}}
# Processes and threads that a container may have beyond those of the target.
MANY_TASKS = 20


def turns(variant):
    return (50 if variant == "plain" else 10) if LONG else 3


@pytest.fixture(scope="module", name="pods_namespace")
def fixture_pods_namespace(cluster):
    yield from module_namespace(cluster)


class WriterPod(CapturePod):
    """A container with a memory limit, in which tests/targets/hazard.c writes to `held` MiB again
    and again. It asks for less than it may use, as most do, so that the OOM killer makes no
    difference between its processes and the probe's."""

    def __init__(self, cluster, namespace, name, rng, held=HELD_MIB, security=None):
        args = ["writer", rng.getrandbits(63), held]
        app = container("app", "/targets/hazard", *args, securityContext=security or {},
                        resources={"requests": {"memory": "32Mi", "cpu": "10m"},
                                   "limits": {"memory": f"{LIMIT_MIB}Mi"}},
                        volumeMounts=[{"name": "tmp", "mountPath": "/tmp"}])
        super().__init__(cluster, namespace, name, "hazard", *args, containers=[app],
                         volumes=[{"name": "tmp", "emptyDir": {}}])
        self.started = self.start_time()
        self.tasks = GroupOf(self.pid, "pids")
        self.memory = GroupOf(self.pid, "memory")

    def start_time(self):
        with open(f"/proc/{self.pid}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[19]

    def allow_tasks(self, count):
        """Lets it have so many beyond the target's, once those of the last capture are gone."""
        def only_the_targets():
            own = len(os.listdir(f"/proc/{self.pid}/task"))
            return own if int(self.tasks.read("pids.current")) == own else None
        own = wait_until(only_the_targets, f"end of all but the target in {self.name}")
        self.tasks.write("pids.max", own + count)

    def rounds(self):
        """That its memory is as it should be, and how often it has written all."""
        def answers():
            return re.findall(r"^same (\d+)$", self.log(), re.M)
        known = len(answers())
        os.kill(self.pid, signal.SIGUSR1)
        wait_until(lambda: len(answers()) > known, f"answer of {self.name}", interval=0.2)
        return int(answers()[-1])

    def check_unharmed(self):
        """The same process goes on, and nothing is left in its container."""
        assert self.start_time() == self.started
        first = self.rounds()
        wait_until(lambda: self.rounds() > first, f"another round of {self.name}", interval=0.2)
        assert "FAIL" not in self.log()
        status, = self.cluster.get("pod", self.name, self.namespace)["status"]["containerStatuses"]
        assert status["restartCount"] == 0 and "running" in status["state"], status
        self.tasks.write("pids.max", "max")
        self.await_clean()
        assert proc.children(self.pid) == []


def check_bundle(podsnap, pod, path, done):
    """Whole, or partial for a reason that is said; what is not called torn is of one instant."""
    assert "whole" in podsnap.run("verify", path).text
    directory = path.with_suffix(".d")
    directory.mkdir()
    shot = Shot(path, directory)
    print(shot.mode, shot.reason, shot.entry, pod.memory.read("memory.oom_control").split())
    if done.status == 0:
        assert shot.entry["status"] == "ok" and "complete bundle" in done.stderr
    else:
        assert shot.entry["status"] == "partial" and "partial bundle" in done.stderr
        assert re.search(r"MiB were read from the running process: memory got scarce$|"
                         r"MiB were read after the process was let go at .* \(.+\)$",
                         shot.entry["reason"])
        assert shot.entry["reason"] in done.stderr
    check_rounds(areas(pod.log().splitlines(), "rounds"), shot)
    return shot


def capture(podsnap, pod, path, *options):
    done = podsnap.run("capture", *pod.where, "-o", path, *options, expect=None)
    assert done.status in (0, 3), done
    shot = check_bundle(podsnap, pod, path, done)
    path.unlink()
    return shot


def check_choice(shot, pod):
    """A child where there is room for it; else the numbers that speak against it are this pod's."""
    if shot.mode == "cow":
        assert shot.reason == "it pauses the least"
        return
    numbers = re.fullmatch(r"its memory limit leaves ([\d.]+) MiB, and a child might need ([\d.]+) "
                           r"MiB", shot.reason)
    assert shot.mode == "stop" and numbers, shot.reason
    held = int(pod.command[-1])
    assert 0 < float(numbers[1]) < float(numbers[2])
    assert LIMIT_MIB - held - 16 < float(numbers[1]) <= LIMIT_MIB - held


@pytest.mark.timeout(7200 if LONG else 600)
@pytest.mark.parametrize("variant", VARIANTS)
def test_little_memory_left(cluster, cluster_podsnap, pods_namespace, rng, tmp_path, variant):
    pod = WriterPod(cluster, pods_namespace, variant, rng, security=VARIANTS[variant])
    for turn in range(turns(variant)):
        if variant == "all":
            pod.allow_tasks(MANY_TASKS)
        shot = capture(cluster_podsnap, pod, tmp_path / f"{turn}.b")
        check_choice(shot, pod)
        pod.check_unharmed()


@pytest.mark.timeout(600)
def test_no_memory_left_for_a_child(cluster, cluster_podsnap, pods_namespace, rng, tmp_path):
    """The probe alone has to get by with what is left."""
    pod = WriterPod(cluster, pods_namespace, "fuller", rng, held=228)
    for turn in range(turns("fuller")):
        shot = capture(cluster_podsnap, pod, tmp_path / f"{turn}.b")
        assert shot.mode == "stop"
        check_choice(shot, pod)
        pod.check_unharmed()


@pytest.mark.timeout(600)
def test_no_memory_left_for_the_probe(cluster, cluster_podsnap, pods_namespace, rng, tmp_path):
    """It says so before it looks at the target."""
    pod = WriterPod(cluster, pods_namespace, "full", rng, held=239)
    done = cluster_podsnap.run("capture", *pod.where, "-o", tmp_path / "b", expect=1)
    assert re.search(r"memory limit leaves 1\d\.\d MiB, and the probe may need 16\.0 MiB",
                     done.stderr)
    assert "raise the container's memory limit" in done.stderr
    assert os.listdir(tmp_path) == []
    pod.check_unharmed()


def capture_with_tasks(podsnap, pod, path, count):
    """A capture while the container may have so many more tasks. The container runtime's own
    threads count, too, and it fails by chance where they are refused: then once more."""
    def run():
        pod.allow_tasks(count)
        done = podsnap.run("capture", *pod.where, "-o", path, expect=None)
        if "unable to start container process" in done.stderr:
            assert done.status == 1 and "pids limit" in done.stderr
            return None
        return done
    return wait_until(run, f"start of a process, of {count}")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("variant", ["plain", "all"])
def test_few_tasks(cluster, cluster_podsnap, pods_namespace, rng, tmp_path, variant):
    """From too few for the shell up to enough for all: each step is one more."""
    pod = WriterPod(cluster, pods_namespace, "tasks-" + variant, rng, held=16,
                    security=VARIANTS[variant])
    outcomes = []
    for count in range(1, 10):
        path = tmp_path / f"{count}.b"
        done = capture_with_tasks(cluster_podsnap, pod, path, count)
        if done.status == 1:
            assert re.search(r"error: .*Resource temporarily unavailable\n +\S.*pids limit",
                             done.stderr)
            outcomes.append("refused")
        else:
            assert done.status == 0
            shot = check_bundle(cluster_podsnap, pod, path, done)
            assert shot.mode == "cow" or "pids limit" in shot.reason \
                or "Resource temporarily unavailable" in shot.reason
            outcomes.append(shot.mode)
        pod.check_unharmed()
    print(outcomes)
    # In this order. Whether one of them is enough for the probe and too few for the copy depends
    # on how soon the shell's own processes are gone.
    assert outcomes == sorted(outcomes, key=["refused", "stop", "cow"].index)
    assert outcomes[0] == "refused" and outcomes[-1] == "cow"
