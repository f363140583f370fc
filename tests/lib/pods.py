"""Pods that are captured: what they were before, and that nothing of it changed."""

import glob
import os
import re
import threading

from lib import proc
from lib.wait import wait_until

# The securityContext that the Pod Security level of that name asks for.
RESTRICTED = {"runAsUser": 1000, "runAsNonRoot": True, "allowPrivilegeEscalation": False,
              "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}
# A probe that lost its client notices within 15 s, and waits for it for 60 s.
GONE_TIMEOUT_S = 90
# The places of the pushed probe, and any other: the whole container is searched.
FIND = (r"find / \( -path /proc -o -path /sys \) -prune -o -name '.podsnap*' -print 2>/dev/null;"
        " echo end")


def module_namespace(cluster):
    """A generator for a fixture: a namespace that the tests of one file share."""
    name = "m-" + os.urandom(4).hex()
    cluster.namespace(name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


def pid_inside(pid):
    """The pid of a process in its own namespace; None if it has ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as status:
            return int(re.search(r"^NSpid:.*\s(\d+)$", status.read(), re.M)[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def main_process(cluster, pod_object, command, container=None):
    """The first process of a container (default: the first) that runs command."""
    statuses = pod_object["status"]["containerStatuses"]
    name = container or pod_object["spec"]["containers"][0]["name"]
    whole_id, = [status["containerID"] for status in statuses if status["name"] == name]
    found = {}
    for pid, argv in cluster.processes(pod_object).items():
        if argv == command and whole_id.rpartition("/")[2] in proc.cgroup(pid):
            found[pid_inside(pid)] = pid
    # A fork of it may have ended since it was listed.
    found.pop(None, None)
    assert found, cluster.processes(pod_object)
    return found[min(found)]


class Gone(Exception):
    """The target has ended: waiting for it makes no sense. Says how, and what it printed."""


class CapturePod:
    """A pod whose container runs one of tests/targets as its first process, and what it looked like
    before anything was done to it."""

    def __init__(self, cluster, namespace, name, program, *args, ready_line="ready", container=None,
                 **fields):
        self.cluster, self.namespace, self.name = cluster, namespace, name
        self.command = ["/targets/" + program, *map(str, args)]
        self.object = cluster.run_pod(name, *self.command, namespace=namespace,
                                      ready_line=ready_line, **fields)
        self.pid = main_process(cluster, self.object, self.command, container)
        # A zombie that the target is about to wait for does not stay.
        self.before = {pid: argv for pid, argv in self.others().items() if argv}

    @property
    def where(self):
        """Operands and options that name it to podsnap and kubectl."""
        return [self.name, "-n", self.namespace]

    # --- the target

    def thread_states(self):
        """{tid: state letter}"""
        states = {}
        for path in glob.glob(f"/proc/{self.pid}/task/*/stat"):
            try:
                with open(path, encoding="utf-8", errors="replace") as stat:
                    states[int(path.split("/")[4])] = stat.read().rpartition(")")[2].split()[0]
            except (FileNotFoundError, ProcessLookupError):
                continue
        return states

    def tracer(self):
        with open(f"/proc/{self.pid}/status", encoding="utf-8") as status:
            return int(re.search(r"^TracerPid:\s+(\d+)", status.read(), re.M)[1])

    def assert_runs_freely(self):
        """No thread is stopped, and nobody traces it."""
        states = self.thread_states()
        if not states:
            raise Gone(f"{self.name} has ended: {self.ended_how()}\n{self.log()}")
        assert not set(states.values()) & set("tTX"), states
        assert states.get(self.pid) != "Z", states
        assert self.tracer() == 0, f"{self.name} is traced by {self.tracer()}"

    def ended_how(self):
        """What the kubelet says about the end of the container, once it has noticed."""
        def terminated():
            statuses = self.cluster.get("pod", self.name, self.namespace)["status"]
            return statuses["containerStatuses"][0]["state"].get("terminated")
        return wait_until(terminated, f"end of {self.name}", interval=0.2)

    def await_runs_freely(self, timeout=GONE_TIMEOUT_S):
        def free():
            self.assert_runs_freely()
            return True
        wait_until(free, f"free run of {self.name}", timeout, interval=0.2)

    def log(self):
        return self.cluster.kubectl("logs", self.name, "-n", self.namespace,
                                    "-c", self.object["spec"]["containers"][0]["name"])

    def exec(self, *command):
        """The output of a command in the container. A kubelet that was just started does not know
        its pods for a moment."""
        def run():
            return (self.cluster.exec(self.name, *command, namespace=self.namespace),)
        return wait_until(run, f"exec of {command} in {self.name}", 30, interval=0.5)[0]

    def signal(self, name):
        """Sends a signal to process 1 of the container."""
        self.exec("kill", "-" + name, "1")

    def end(self):
        """Asks process 1 to end, waits until the pod has succeeded, and returns its log."""
        # `kill` may not outlive the container that it ends.
        self.cluster.exec(self.name, "kill", "-TERM", "1", namespace=self.namespace, expect=None)
        self.cluster.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded",
                             f"pod/{self.name}", "-n", self.namespace, "--timeout=60s")
        return self.log()

    def longest_gap_s(self):
        """How long tests/targets/memory.c stood still at most since the last call."""
        def gaps():
            return re.findall(r"^beats \d+ gap (\d+) us$", self.log(), re.M)
        known = len(gaps())
        self.signal("USR1")
        wait_until(lambda: len(gaps()) > known, "gap in the log", interval=0.2)
        return int(gaps()[-1]) / 1e6

    # --- what we put into it

    def probes(self):
        """{pid on this machine: command line} of running probes."""
        return {pid: argv for pid, argv in self.cluster.processes(self.object).items()
                if argv[1:] == ["serve"]}

    def others(self):
        """Processes in the pod but the target and its forks, as Cluster.processes(). Its zombies
        are among them, but do not stay."""
        return {pid: argv for pid, argv in self.cluster.processes(self.object).items()
                if argv != self.command}

    def assert_no_process_left(self):
        now = self.others()
        assert now == self.before, f"before: {self.before}, now: {now}"
        assert os.path.exists(f"/proc/{self.pid}"), f"the target of {self.name} is gone"

    def files(self):
        """Files of a probe anywhere in the container."""
        found = self.exec("sh", "-c", FIND).splitlines()
        assert found[-1:] == ["end"], found
        return found[:-1]

    def await_clean(self, timeout=GONE_TIMEOUT_S):
        """No process and no file of ours is left, and every process that was there still is."""
        def no_process():
            self.assert_no_process_left()
            return True
        wait_until(no_process, f"end of the probe in {self.name}", timeout, interval=0.2)
        files = self.files()
        assert not files, f"left in {self.name}: {files}"
        self.assert_runs_freely()
        wait_until(no_process, f"end of our own exec in {self.name}", 10, interval=0.1)


def peak_rss_bytes(pid):
    """VmHWM of a process; 0 once it has ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as status:
            found = re.search(r"^VmHWM:\s+(\d+) kB", status.read(), re.M)
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found[1]) * 1024 if found else 0


class PeakWatch(threading.Thread):
    """The highest VmHWM of podsnap and of the probe in a pod while podsnap runs."""

    def __init__(self, process, pod):
        super().__init__(daemon=True)
        self.process, self.pod = process, pod
        self.podsnap = self.probe = 0
        self.done = threading.Event()
        self.start()

    def run(self):
        while not self.done.wait(0.05):
            self.podsnap = max(self.podsnap, peak_rss_bytes(self.process.pid))
            self.probe = max([self.probe, *map(peak_rss_bytes, self.pod.probes())])

    def stop(self):
        self.done.set()
        self.join()
