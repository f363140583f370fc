"""The test cluster (tests/cluster/cluster) as an object."""

import fcntl
import glob
import json
import os
import subprocess

from lib import images
from lib.wait import wait_until

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cluster", "cluster")


class Cluster:
    """A running cluster. Pods are plain dictionaries, as in the API. `beside`: the name of one that
    may run beside the tests' usual one."""

    def __init__(self, build_dir, beside=""):
        self.build_dir = os.path.abspath(build_dir)
        self.state = os.environ.get("PODSNAP_CLUSTER_STATE", f"/tmp/podsnap-tests-{os.getuid()}")
        self.state += beside
        self.command = ["env", "PODSNAP_CLUSTER_STATE=" + self.state, os.path.normpath(SCRIPT)]
        self.kubeconfig = os.path.join(self.state, "admin.kubeconfig")
        # A command in front of another that puts it into the cluster's network.
        self.prefix = [*self.command, "sh"]
        self.loaded = {}
        self.lock = None

    # --- the cluster itself

    def script(self, *args, timeout=600):
        done = subprocess.run([*self.command, *args], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=timeout, check=False)
        assert done.returncode == 0, f"cluster {' '.join(args)}: {done.stderr}{done.stdout}"
        return done.stdout.strip()

    def up(self, *options):
        """A fresh cluster; with PODSNAP_CLUSTER_KEEP=1 one that is there already serves."""
        # Two test runs with the same state take turns.
        self.lock = open(self.state + ".lock", "w", encoding="utf-8")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        if not self.keep:
            self.script("down")
        self.script("up", *options, timeout=3600)

    def down(self):
        if not self.keep:
            self.script("down")
            os.unlink(self.lock.name)
        self.lock.close()

    @property
    def keep(self):
        return os.environ.get("PODSNAP_CLUSTER_KEEP") == "1"

    def kill(self, component):
        """SIGKILL; the component is started again within a second."""
        self.script("kill", component)

    def wait_ready(self):
        self.script("wait-ready")

    def user(self, name, group="", days=30):
        """The kubeconfig of a new user; negative days: its certificate has expired."""
        return self.script("user", name, group, str(days))

    def image(self, name):
        """Loads an image of lib.images once; returns the name for a pod's `image`."""
        if name not in self.loaded:
            self.loaded[name] = images.load(self, name, self.build_dir)
        return self.loaded[name]

    # --- its API

    def kubectl(self, *args, stdin=None, expect=0, timeout=120):
        """Runs kubectl as administrator; returns its stdout. Asserts the status, unless None."""
        done = subprocess.run([*self.command, "kubectl", *map(str, args)], capture_output=True,
                              input=stdin if stdin is not None else "", text=True,
                              timeout=timeout, check=False)
        assert expect is None or done.returncode == expect, \
            f"kubectl {' '.join(map(str, args))}: status {done.returncode}\n{done.stderr}"
        return done.stdout

    def get(self, kind, name, namespace="default"):
        return json.loads(self.kubectl("get", kind, name, "-n", namespace, "-o", "json"))

    def apply(self, *objects):
        """Creates or changes objects; returns nothing."""
        self.kubectl("apply", "-f", "-",
                     stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def namespace(self, name, pod_security=None):
        """Creates a namespace that pods can be created in at once."""
        labels = {"pod-security.kubernetes.io/enforce": pod_security} if pod_security else {}
        self.apply({"apiVersion": "v1", "kind": "Namespace",
                    "metadata": {"name": name, "labels": labels}})
        self.kubectl("wait", "--for=create", "serviceaccount/default", "-n", name,
                     "--timeout=60s")
        return name

    def exec(self, pod, *command, namespace="default", container=None, expect=0):
        where = ["-c", container] if container else []
        return self.kubectl("exec", pod, "-n", namespace, *where, "--", *command, expect=expect)

    def run_pod(self, name, *command, namespace="default", ready_line=None, **fields):
        """Creates pod(name, command, ...) and waits until it is Ready, and until its log has a
        line that begins with ready_line. Returns the pod as the API server has it."""
        self.apply(pod(name, *command, namespace=namespace, **fields))
        return self.wait_pod(name, namespace, ready_line)

    def wait_pod(self, name, namespace="default", ready_line=None):
        self.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "-n", namespace,
                     "--timeout=90s")
        if ready_line:
            wait_until(lambda: any(line.startswith(ready_line) for line in
                                   self.kubectl("logs", name, "-n", namespace).splitlines()),
                       f"line {ready_line!r} in the log of {name}", interval=0.2)
        return self.get("pod", name, namespace)

    # --- its processes, as this machine sees them

    def processes(self, pod_object, with_pause=False):
        """{pid on this machine: command line} of every process in a pod, probes and zombies
        (whose command line is empty) included."""
        uid = pod_object["metadata"]["uid"]
        found = {}
        for path in glob.glob("/proc/[0-9]*/cgroup"):
            pid = int(path.split("/")[2])
            try:
                with open(path, encoding="utf-8") as cgroup:
                    if "pod" + uid not in cgroup.read():
                        continue
                with open(f"/proc/{pid}/cmdline", "rb") as cmdline:
                    words = cmdline.read().split(b"\0")[:-1]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if with_pause or words != [b"/pause"]:
                found[pid] = [word.decode("utf-8", "replace") for word in words]
        return found


def container(name, *command, image="podsnap-test/busybox", **fields):
    """A container that never pulls; fields are those of the API (securityContext, ...)."""
    return {"name": name, "image": image, "imagePullPolicy": "Never",
            "command": list(map(str, command)), **fields}


def pod(name, *command, namespace="default", image="podsnap-test/busybox", containers=None,
        labels=None, annotations=None, security=None, **spec):
    """A pod of one container `app` that runs command (or of `containers`).

    security is the container's securityContext; spec holds further fields of the pod's spec.
    """
    fields = {"securityContext": security} if security else {}
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels or {"app": name},
                     "annotations": annotations or {}},
        "spec": {"terminationGracePeriodSeconds": 1,
                 "containers": containers or [container("app", *command, image=image, **fields)],
                 **spec},
    }
