"""Several processes captured at one instant: --all."""

import os
import re
import signal

import pytest

from lib import bundle as bundles
from lib import proc, rings
from lib.cgroups import Group
from lib.wait import wait_until

PROCESSES = 8


@pytest.fixture(name="group")
def fixture_group():
    with Group("pids") as group:
        yield group


@pytest.fixture(name="ring")
def fixture_ring(targets, group):
    """A ring of processes in a control group of its own, and its parent. One of them takes much
    longer to stop than the others."""
    target = targets.start_argv([*group.prefix, targets.path("ring"), PROCESSES, 500])
    yield target
    status, lines = target.finish()
    assert status == 0, lines


@pytest.mark.parametrize("mode", ["cow", "stop"])
def test_all_are_taken_at_one_instant(podsnap, targets, ring, tmp_path, mode):
    path = tmp_path / "b"
    done = podsnap.run("capture", "--pid", ring.pid, "--all", "-o", path, f"--snapshot={mode}",
                       "--max-pause", "60s")
    assert re.search(rf"{PROCESSES + 1} processes, each paused for at most \d", done.stderr)
    podsnap.run("verify", path)
    taken = rings.taken(path)
    assert {item["mode"] for item in taken.values()} == {mode}
    assert all(item["pause_ns"] > 0 and not item["released_early"] for item in taken.values())
    rings.check_one_instant(path, targets.path("ring"), PROCESSES, tmp_path / "all")
    assert proc.status(ring.pid)["TracerPid"] == "0"


def test_one_after_the_other_is_not_one_instant(podsnap, targets, ring, tmp_path):
    """What the test above asserts does not hold of captures that are made in turn."""
    numbers = []
    for pid in proc.children(ring.pid):
        path = tmp_path / str(pid)
        podsnap.run("capture", "--pid", pid, "-o", path)
        numbers.append(rings.number_in(targets.path("ring"),
                                 bundles.core(path, tmp_path / f"{pid}.core")))
    assert max(numbers) - min(numbers) > PROCESSES


def test_files_of_all_are_carried_once(podsnap, ring, tmp_path):
    path = tmp_path / "b"
    podsnap.run("capture", "--pid", ring.pid, "--all", "-o", path)
    names = bundles.names(path)
    assert len([name for name in names if re.fullmatch(r"modules/[0-9a-f]+/ring", name)]) == 1
    assert len([name for name in names if re.fullmatch(r"\d+-ring/stacks\.txt", name)]) == \
        PROCESSES + 1
    text = podsnap.run("stacks", path).text
    assert len(set(re.findall(r"^pid (\d+) \(ring\)", text, re.M))) == PROCESSES + 1
    assert podsnap.run("show", path).text.count("snapshot  ") == PROCESSES + 1


def test_one_that_cannot_be_taken_does_not_stop_the_others(podsnap, targets, ring, tmp_path):
    """A child of the ring that somebody traces already."""
    held = proc.children(ring.pid)[3]
    path = tmp_path / "b"
    tracer = targets.start_argv(["strace", "-qq", "-o", "/dev/null", "-p", held], ready=None)
    wait_until(lambda: proc.status(held)["TracerPid"] == str(tracer.pid), "tracer")
    done = podsnap.run("capture", "--pid", ring.pid, "--all", "--snapshot=cow", "-o", path,
                       expect=3)
    tracer.finish(signal.SIGINT)
    assert "partial bundle" in done.stderr and "left out" not in done.stderr
    failed = bundles.manifest_entry(path, f"{held}-ring/core")
    assert failed["status"] == "failed" and f"traced by process {tracer.pid}" in failed["reason"]
    assert len(rings.taken(path)) == PROCESSES
    podsnap.run("verify", path)


def test_processes_that_come_and_go(podsnap, targets, ring, group, tmp_path):
    """Some end after they were listed, and none of that is a failure."""
    restless = targets.start_argv([*group.prefix, "sh", "-c",
                                   "echo ready; while :; do /bin/true; done"])
    for _ in range(10):
        podsnap.run("capture", "--pid", ring.pid, "--all", "-o", tmp_path / "b", "--force",
                    "--core=stacks", "--no-modules")
        cores = [name for name in bundles.names(tmp_path / "b") if name.endswith("-ring/core")]
        assert len(cores) == PROCESSES + 1
    restless.kill()


def test_process_alone_is_all_of_itself(podsnap, targets, group, tmp_path):
    target = targets.start_argv([*group.prefix, targets.path("threads"), 2])
    path = tmp_path / "b"
    done = podsnap.run("capture", "--pid", target.pid, "--all", "-o", path)
    assert "process paused for" in done.stderr
    assert list(rings.taken(path)) == [f"{target.pid}-threads"]
    target.finish()


def test_too_many_are_refused_with_a_way_out(podsnap, targets, group, tmp_path):
    target = targets.start_argv([*group.prefix, "sh", "-c",
                                 "for i in $(seq 130); do sleep 600 & done; echo ready $$; wait"])
    try:
        done = podsnap.run("capture", "--pid", target.pid, "--all", "-o", tmp_path / "b", expect=1)
        assert "131 processes, more than 128" in done.stderr and "--pid N" in done.stderr
        assert not (tmp_path / "b").exists()
    finally:
        for pid in proc.children(target.pid):
            os.kill(pid, 15)
        target.finish()
