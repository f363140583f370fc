"""What keeps a sidecar's or a node agent's container alive: `podsnap-probe idle`."""

import os
import signal
import subprocess

import pytest

from lib import proc
from lib.wait import wait_until


RT_SIGTIMEDWAIT = "128"  # x86-64


def waits_for_signals(pid):
    with open(f"/proc/{pid}/syscall", encoding="utf-8") as file:
        return file.read().split()[0] == RT_SIGTIMEDWAIT


@pytest.fixture(name="as_init")
def fixture_as_init(build_dir):
    """As process 1 of a pid namespace: (unshare, the probe)."""
    unshare = subprocess.Popen(["unshare", "--pid", "--fork", "--mount-proc", "--kill-child",
                                os.path.join(build_dir, "podsnap-probe"), "idle"])
    try:
        wait_until(lambda: proc.children(unshare.pid), "the probe", interval=0.05)
        pid, = proc.children(unshare.pid)
        wait_until(lambda: waits_for_signals(pid), "a probe that waits", interval=0.05)
        yield unshare, pid
    finally:
        unshare.kill()
        unshare.wait()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_process_1_ends_when_it_is_asked_to(as_init, name):
    unshare, pid = as_init
    os.kill(pid, getattr(signal, name))
    assert unshare.wait(timeout=30) == 0


def test_process_1_waits_for_orphans(as_init):
    _, pid = as_init
    # A shell in the namespace that ends before its child does.
    orphan = subprocess.run(["nsenter", "-t", str(pid), "-p", "-m", "sh", "-c",
                             "sleep 600 >/dev/null & cat /proc/$!/stat"],
                            stdout=subprocess.PIPE, text=True, check=True).stdout.split()[0]
    wait_until(lambda: proc.children(pid), "the orphan", interval=0.05)
    child, = proc.children(pid)
    assert proc.status(child)["NSpid"].split()[-1] == orphan
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: not proc.children(pid), "the end of the orphan", interval=0.05)
    assert proc.state(child) == "X"


def test_for_a_time(build_dir):
    assert subprocess.run([os.path.join(build_dir, "podsnap-probe"), "idle", "0"],
                          check=False, timeout=60).returncode == 0
