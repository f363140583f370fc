"""gdb and elfutils on our cores, against gdb's own core of the same process."""

import os
import re
import subprocess

import pytest

from lib import bundle as bundles
from lib import debugger
from lib.services import SERVICES, Service


def capture_core(podsnap, pid, directory):
    """Returns the extracted core and {tid: state letter} of the snapshot."""
    path = os.path.join(directory, "bundle")
    podsnap.run("capture", "--pid", pid, "-o", path, "--no-modules", "--max-pause", "60s")
    stacks = podsnap.run("stacks", path, "--json").json()
    core = bundles.core(path, os.path.join(directory, "core"))
    os.unlink(path)
    return core, {thread["tid"]: thread["state"] for thread in stacks["threads"]}


def test_thousand_threads_have_the_stacks_of_gcore(podsnap, targets, tmp_path):
    target = targets.start("threads", 1000, 10)
    exe = targets.path("threads")
    ours, states = capture_core(podsnap, target.pid, tmp_path)
    theirs = debugger.gcore(target.pid, tmp_path / "gcore")
    assert len(states) == 1001
    expected = debugger.frames(exe, theirs)
    assert len(expected) == 1001
    named = [pc_and_name[1] for stack in expected.values() for pc_and_name in stack]
    assert named.count("descend") == 1000 * 11
    assert debugger.frames(exe, ours) == expected
    assert debugger.backtraces(exe, ours) == debugger.backtraces(exe, theirs)
    assert debugger.eu_stack(exe, ours) == debugger.eu_stack(exe, theirs)


@pytest.mark.parametrize("name", SERVICES)
def test_service_has_the_stacks_of_gcore(podsnap, targets, tmp_path, name):
    with Service(name, targets) as target:
        exe = os.path.realpath(f"/proc/{target.pid}/exe")
        # A thread blocked through all three has the same frames in the first and the last.
        first = debugger.gcore(target.pid, tmp_path / "first")
        ours, states = capture_core(podsnap, target.pid, tmp_path)
        last = debugger.gcore(target.pid, tmp_path / "last")
    before, after = debugger.frames(exe, first), debugger.frames(exe, last)
    blocked = {tid for tid, frames in after.items()
               if before.get(tid) == frames and states.get(tid) == "S"}
    assert blocked and len(blocked) >= len(after) - 4, (len(blocked), len(after), states)
    found = debugger.frames(exe, ours)
    assert {tid: found[tid] for tid in blocked} == {tid: after[tid] for tid in blocked}
    if name == "jvm":
        assert len(blocked) >= 10
    else:
        assert all(len(after[tid]) >= 3 for tid in blocked), after
    theirs, own = debugger.eu_stack(exe, last), debugger.eu_stack(exe, ours)
    assert {tid: own[tid] for tid in blocked} == {tid: theirs[tid] for tid in blocked}


def test_registers_and_memory_are_those_of_gcore(podsnap, targets, tmp_path):
    target = targets.start("deadlock", 2)
    exe = targets.path("deadlock")
    ours, states = capture_core(podsnap, target.pid, tmp_path)
    theirs = debugger.gcore(target.pid, tmp_path / "gcore")
    ask = ("-ex", "print stock_lock", "-ex", "print ledger_lock", "-ex", "info auxv",
           "-ex", "x/64i main", "-ex", "x/64xg environ",
           "-ex", "thread apply all -q info registers rip rsp rbp rbx r12 r15 eflags fs_base",
           "-ex", "thread apply all -q info registers mxcsr xmm0 st0",
           "-ex", "thread apply all -q x/32xg $sp", "-ex", "thread apply all -q p errno")
    mine, other = facts(exe, ours, ask), facts(exe, theirs, ask)
    assert any("__owner = " in line for line in mine)
    assert sum(line.startswith("rip ") for line in mine) == len(states) == 5
    # The threads stand in another order in the two.
    assert sorted(mine) == sorted(other)


def facts(exe, core, ask):
    """What gdb answers, without what it says while it opens the core."""
    text = debugger.gdb(exe, core, "-ex", "echo answers\\n", *ask)
    lines = debugger.without_xsave_warning(text.split("\nanswers\n")[1]).splitlines()
    return [line for line in lines if line]


def test_readelf_finds_no_fault(podsnap, targets, tmp_path):
    target = targets.start("deadlock", 2)
    ours, _ = capture_core(podsnap, target.pid, tmp_path)
    done = subprocess.run(["readelf", "-Whln", ours], capture_output=True, text=True, check=True)
    assert not done.stderr
    notes = re.findall(r"^ +(CORE|LINUX|PODSNAP) +0x[0-9a-f]+\t(\w+)", done.stdout, re.M)
    for note in ("NT_PRSTATUS", "NT_FPREGSET", "NT_SIGINFO"):
        assert notes.count(("CORE", note)) == 5, note
    assert notes.count(("LINUX", "NT_X86_XSTATE")) == 5
    for note in ("NT_PRPSINFO", "NT_AUXV", "NT_FILE"):
        assert notes.count(("CORE", note)) == 1, note
    assert [name for name, _ in notes].count("PODSNAP") >= 1
