"""stacks against gdb: the same frames, and symbols that start at the same place (of aliases gdb
takes any), of the process and of gdb's core of it."""

import os

import pytest

from lib import debugger
from lib.wait import wait_until

# The system calls futex and pause, in which every thread of these programs comes to rest.
AT_REST = ("202 ", "34 ")


def is_at_rest(pid):
    calls = []
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/syscall", encoding="ascii") as file:
            calls.append(file.read())
    return all(call.startswith(AT_REST) for call in calls)


def frames(answer):
    """{tid: [[pc, offset in the symbol or None]]}; every stack reaches its end."""
    assert not [thread for thread in answer["threads"] if "end" in thread]
    return {thread["tid"]: [[int(frame["pc"], 16), frame.get("offset")]
                            for frame in thread["frames"]] for thread in answer["threads"]}


@pytest.fixture(params=["", "static/"], ids=["dynamic", "static"])
def compared(request, podsnap, targets, tmp_path):
    """A function that starts a program, compares its stacks with gdb's, and returns each thread's
    functions."""
    def compare(name, argument):
        target = targets.start(request.param + name, argument)
        wait_until(lambda: is_at_rest(target.pid), "rest of every thread")
        live = podsnap.run("stacks", "--pid", target.pid, "--json").json()
        core = tmp_path / "core"
        expected = debugger.frames_and_core(target.pid, core)
        assert frames(live) == expected
        assert frames(podsnap.run("stacks", core, "--json").json()) == expected
        return [[frame.get("symbol") for frame in thread["frames"]] for thread in live["threads"]]
    return compare


def test_deadlock(compared):
    stacks = compared("deadlock", 4)
    assert len(stacks) == 7
    for function, threads in {"wait_for_work": 4, "transfer_stock": 1, "charge_card": 1,
                              "main": 1}.items():
        assert sum(function in stack for stack in stacks) == threads, function


@pytest.mark.parametrize("mode, function, least", [
    ("deep", "descend", 300), ("altstack", "fault", 7), ("no-cfi", "no_cfi", 5),
    ("bad-call", "on_signal", 7)])
def test_hard_to_unwind(compared, mode, function, least):
    stack, = compared("unwound", mode)
    assert len(stack) >= least
    assert function in stack and "main" in stack
