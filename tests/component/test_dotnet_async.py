"""stacks --async: what awaits what in a .NET process, as the program says it itself."""

import re

import pytest

from lib.dotnet import createdump


@pytest.fixture(params=("-", "+"), ids=("debug", "optimized"))
def waiters(request, dotnet, targets, runtime, seed):
    return dotnet.start(targets, "Waiters", runtime, seed, optimize=request.param)


def ask(podsnap, *source):
    return podsnap.run("stacks", "--async", *source, "--json").json()


def plain(method):
    """Without the numbers that the compiler gives."""
    return re.sub(r"\d+_\d+$", "", method)


def as_said(stack):
    return (stack["count"], stack["awaits"]["type"],
            "circle" if stack["circle"] else stack["continued_by"],
            tuple(plain(method["method"]) for method in stack["methods"]))


def says(line):
    return line["count"], line["awaits"], line["then"], tuple(line["methods"])


def test_stacks_are_those_of_the_program(podsnap, waiters):
    answer = ask(podsnap, "--pid", waiters.pid)
    shown = [as_said(stack) for stack in answer["stacks"]]
    said = [says(line) for line in waiters.said("async")]
    assert len(said) == 9
    # What goes on after one of them is of a type of the library that has had several names.
    loose = {line for line in said if line[2] == "+"}
    for count, awaits, _, methods in loose:
        found, = [line for line in shown if line[2] not in (None, "circle") and line[3] == methods
                  and line[2] != "System.Threading.Tasks.Task+SetOnInvokeMres"]
        assert found[:2] == (count, awaits) and found[2].startswith("System.Threading.Tasks.")
        shown.remove(found)
    assert sorted(map(repr, shown)) == sorted(repr(line) for line in said if line not in loose)
    # A deadlock first, then the most frequent.
    circles = [stack["circle"] for stack in answer["stacks"]]
    assert circles.index(True) == 0 and circles.count(True) == 1
    counts = [stack["count"] for stack in answer["stacks"][1:]]
    assert counts == sorted(counts, reverse=True)
    assert answer["lost_bytes"] == 0


def test_same_text_from_every_source(podsnap, dotnet, waiters, runtime, tmp_path):
    path = tmp_path / "b"
    podsnap.run("capture", "--pid", waiters.pid, "--core=heap", "-o", path)
    core = createdump(dotnet, runtime, waiters.pid, tmp_path / "core")
    text = podsnap.run("stacks", "--async", "--pid", waiters.pid).text
    most = max(waiters.said("async"), key=lambda line: line["count"])
    assert f"\n{most['count']}, the first at 0x" in text and "\ndeadlock: 1, at 0x" in text
    assert podsnap.run("stacks", "--async", path).text == text
    assert podsnap.run("stacks", "--async", core).text == text
    assert "and 8 more stacks" in podsnap.run("stacks", "--async", path, "--limit", 1).text


def test_none_waits(podsnap, dotnet, targets, runtime, seed):
    target = dotnet.start(targets, "Mishap", runtime, seed)
    assert podsnap.run("stacks", "--async", "--pid", target.pid).text == \
        "0 async methods, 0 different stacks\n"


@pytest.mark.parametrize("args, says", [
    (("--async", "--full"), "--full"),
    (("--limit", "1"), "--limit"),
    (("--async", "one", "two"), "one pod"),
])
def test_usage(podsnap, args, says):
    assert says in podsnap.run("stacks", *args, expect=2).stderr
