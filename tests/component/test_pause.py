"""The pause has an end: --max-pause, and two seconds without progress."""

import os
import re
import resource
import signal
import time

from lib import bundle as bundles
from lib import proc
from lib.wait import wait_until


def beats(target):
    target.process.send_signal(signal.SIGUSR1)
    return int(re.match(r"beats (\d+) ", target.wait_line("beats "))[1])


def test_max_pause_ends_the_stop_and_the_rest_is_torn(podsnap, targets, tmp_path):
    target = targets.start("memory", 1024, timeout=120)
    path = tmp_path / "b"
    done = podsnap.run("capture", "--pid", target.pid, "-o", path, "--snapshot=stop",
                       "--max-pause", "100ms",
                       expect=3)
    assert "partial bundle" in done.stderr
    core = bundles.manifest_entry(path, "/core")
    assert core["status"] == "partial" and "max-pause" in core["reason"]
    assert core["torn"] and sum(end - start for start, end in core["torn"]) > 64 << 20
    assert all(0 <= start < end <= core["size"] or start > core["size"]
               for start, end in core["torn"])
    head = bundles.taken(path)
    assert head["released_early"] is True
    podsnap.run("verify", path)
    shown = podsnap.run("show", path).text
    assert re.search(r"partial +\d+-memory/core: .*max-pause", shown)
    first = beats(target)
    wait_until(lambda: beats(target) > first, "heartbeat")
    assert proc.status(target.pid)["TracerPid"] == "0"


def test_stalled_reader_does_not_hold_the_target(podsnap, targets, tmp_path):
    target = targets.start("memory", 256, timeout=120)
    running = podsnap.start("capture", "--pid", target.pid, "-o", "-", "--snapshot=stop",
                            "--max-pause", "10m")
    try:
        wait_until(lambda: target.state() == "t", "stop of the target", interval=0.001)
        # Nobody reads: the pipe and the queue fill up, and the target is let go.
        wait_until(lambda: proc.status(target.pid)["TracerPid"] == "0", "end of the stop")
        first = beats(target)
        wait_until(lambda: beats(target) > first, "heartbeat")
        assert running.poll() is None
        stdout, stderr = running.communicate(timeout=120)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == 3, stderr.decode()
    path = tmp_path / "b"
    path.write_bytes(stdout)
    podsnap.run("verify", path)
    core = bundles.manifest_entry(path, "/core")
    assert core["status"] == "partial" and "progress" in core["reason"] and core["torn"]


def test_early_end_keeps_the_stacks(podsnap, targets, tmp_path):
    """They are taken first, so a core that is partly torn does not touch them."""
    target = targets.start("memory", 512, timeout=120)
    path = tmp_path / "b"
    podsnap.run("capture", "--pid", target.pid, "-o", path, "--snapshot=stop",
                "--max-pause", "100ms", expect=3)
    assert bundles.manifest_entry(path, "/stacks.json")["status"] == "ok"
    text = bundles.entry(path, bundles.find(path, "/stacks.txt")).decode()
    assert "heartbeat" in text and "main" in text
    assert os.path.exists(f"/proc/{target.pid}")


def cpu_share(podsnap, *args):
    """CPU time that podsnap took, by the clock's."""
    def used():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime
    cpu, clock = used(), time.monotonic()
    podsnap.run("capture", *args)
    return (used() - cpu) / (time.monotonic() - clock)


def test_cpu_limit_holds(podsnap, targets, tmp_path):
    """Some of it is used before there is anything to hold back: the start, and the last frames."""
    target = targets.start("memory", 256, timeout=120)
    path = tmp_path / "b"
    assert cpu_share(podsnap, "--pid", target.pid, "-o", path, "--cpu-limit", "300m") < 0.4
    podsnap.run("verify", path)


def test_cpu_limit_does_not_hold_the_target(podsnap, targets, tmp_path):
    """A hundredth of a CPU: the target would be let go for want of progress, and be torn."""
    target = targets.start("memory", 256, timeout=120)
    path = tmp_path / "b"
    podsnap.run("capture", "--pid", target.pid, "-o", path, "--snapshot=stop", "--max-pause", "10m",
                "--cpu-limit", "10m", "--no-modules")
    assert bundles.taken(path)["released_early"] is False
    assert bundles.manifest_entry(path, "/core")["status"] == "ok"
