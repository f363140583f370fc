"""The target is never harmed: neither by captures that go well nor by those that are stopped."""

import os
import signal
import time

import pytest

from lib import proc
from lib.soak import LONG
from lib.wait import wait_until

CANCELS = 1000 if LONG else 100


def test_selfchecking_target_sees_nothing(podsnap, targets, tmp_path):
    target = targets.start("selfcheck")
    for i in range(3):
        podsnap.run("capture", "--pid", target.pid, "-o", tmp_path / f"b{i}")
        podsnap.run("stacks", "--pid", target.pid)
        podsnap.run("capture", "--pid", target.pid, "-o", tmp_path / f"n{i}", "--max-pause", "0",
                    expect=3)
        podsnap.run("ps", "--pid", target.pid)
    assert proc.status(target.pid)["TracerPid"] == "0"
    status, lines = target.finish()
    assert not [line for line in lines if line.startswith("FAIL")]
    assert status == 0
    (checks,) = [line for line in lines if line.startswith("ok ")]
    assert int(checks.split()[1]) > 100


def test_waiting_target_is_as_it_was(podsnap, targets, tmp_path):
    target = targets.start("deadlock", 10)
    before = proc.lasting(target.pid)
    for i in range(3):
        podsnap.run("capture", "--pid", target.pid, "-o", tmp_path / f"b{i}")
        podsnap.run("stacks", "--pid", target.pid)
    proc.assert_same(before, proc.lasting(target.pid))
    assert target.state() == "S"


def still_well(target):
    """It answers, nobody traces it, and it has no child."""
    target.process.send_signal(signal.SIGUSR1)
    target.wait_line("beats ")
    assert proc.status(target.pid)["TracerPid"] == "0"
    assert proc.children(target.pid) == []


@pytest.mark.timeout(7200 if LONG else 300)
@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_stopped_capture_leaves_nothing(podsnap, targets, tmp_path, rng, sig):
    target = targets.start("memory", 96, timeout=120)
    before = proc.settled(target.pid)
    start = time.monotonic()
    podsnap.run("capture", "--pid", target.pid, "-o", tmp_path / "whole")
    duration = time.monotonic() - start
    os.unlink(tmp_path / "whole")
    outcomes = {"stopped": 0, "done": 0}
    for i in range(CANCELS // 2):
        path = tmp_path / f"b{i}"
        running = podsnap.start("capture", "--pid", target.pid, "-o", path)
        # The moment is what is random here; nothing is taken to have happened by then.
        time.sleep(rng.random() * duration)
        running.send_signal(sig)
        _, stderr = running.communicate(timeout=60)
        if running.returncode == 0:
            outcomes["done"] += 1
            podsnap.run("verify", path)
            os.unlink(path)
        else:
            outcomes["stopped"] += 1
            # By the signal itself before podsnap could catch it.
            assert running.returncode in (128 + sig, -sig), stderr.decode()
        assert os.listdir(tmp_path) == []
        still_well(target)
    print(outcomes)
    assert outcomes["stopped"] > 0
    proc.assert_same(before, proc.settled(target.pid))
    assert proc.running_from(podsnap.path) == []


@pytest.mark.parametrize("mode", [["--snapshot=cow"], ["--snapshot=stop"]], ids=str)
def test_killed_podsnap_lets_the_target_go(podsnap, targets, tmp_path, mode):
    """SIGKILL leaves podsnap no last word: the kernel detaches, and the target must run."""
    target = targets.start("memory", 1024, timeout=120)
    before = proc.settled(target.pid)
    running = podsnap.start("capture", "--pid", target.pid, "-o", "-", *mode)
    wait_until(lambda: target.state() == "t", "stop of the target", interval=0.001)
    running.kill()
    running.communicate(timeout=60)
    wait_until(lambda: proc.status(target.pid)["TracerPid"] == "0", "end of the trace")
    # What a killed run left, the next one takes along.
    podsnap.run("capture", "--pid", target.pid, "-o", tmp_path / "next")
    still_well(target)
    proc.assert_same(before, proc.settled(target.pid))
