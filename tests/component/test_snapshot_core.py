"""Cores that the dumpers write of real processes, as gdb sees them, and what the process noticed."""

import os
import random
import signal
import struct
import subprocess

import pytest

from lib import bundle as bundles
from lib.corefile import PAGE, ZERO, Core
from lib.debugger import eu_stack, frames, gcore
from lib.wait import wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.normpath(os.path.join(HERE, "..", ".."))


@pytest.fixture(scope="session")
def corewriter(build_dir, tmp_path_factory):
    """The driver of core_write, linked from the very archives that podsnap is."""
    program = str(tmp_path_factory.mktemp("bin") / "corewriter")
    archives = [os.path.join(build_dir, "app", f"{name}.a") for name in
                ("dumpers/core", "dumpers/stack", "dumpers/snapshot", "dumpers/proc", "base")]
    subprocess.run([os.environ.get("CC", "cc"), "-std=gnu17", "-D_GNU_SOURCE", "-O1", "-g",
                    f"-I{ROOT}", "-pthread", os.path.join(HERE, "corewriter.c"), *archives,
                    "-lunwind-x86_64", "-lelf", "-lz", "-llzma", "-lcrypto", "-o", program],
                   check=True)
    return program


def write_core(corewriter, pid, path, *options):
    """Writes a core; returns what the driver said, as {key: value}."""
    with open(path, "wb") as core:
        done = subprocess.run([corewriter, *options, str(pid)], stdout=core,
                              stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr
    line = done.stderr.strip().splitlines()[-1]
    return dict(field.split("=", 1) for field in line.split(" ") if "=" in field)


@pytest.mark.parametrize("count,depth", [(8, 5), (200, 30)])
def test_frames_equal_gcore(corewriter, targets, tmp_path, count, depth):
    """For blocked threads gdb gives the same pcs and functions on our core as on its own."""
    target = targets.start("threads", count, depth)
    said = write_core(corewriter, target.pid, tmp_path / "core")
    own = gcore(target.pid, tmp_path / "gcore")
    assert said["lost"] == said["torn"] == "0"
    assert int(said["threads"]) == count + 1
    assert int(said["size"]) == os.path.getsize(tmp_path / "core")
    ours = frames(targets.path("threads"), tmp_path / "core")
    theirs = frames(targets.path("threads"), own)
    assert len(ours) == count + 1
    assert ours == theirs
    functions = [[function for _, function in stack] for stack in ours.values()]
    workers = [stack for stack in functions if "thread_main" in stack]
    assert len(workers) == count
    assert all(stack.count("descend") == depth + 1 for stack in workers)


def differing_words(a, b):
    """{address: how many 8-byte words differ} of the pages that both have and that differ."""
    return {address: sum(a[address][at:at + 8] != b[address][at:at + 8]
                         for at in range(0, PAGE, 8))
            for address in a.keys() & b.keys() if a[address] != b[address]}


def test_cow_stop_and_gcore_agree(podsnap, targets, tmp_path):
    """The same blocked process three times: the same bytes in every page that two of the cores
    have, but for the words that the kernel keeps up to date (CPU numbers), zeros where ours say
    ZERO, and the same stacks."""
    target = targets.start("threads", 16)
    cores, stacks = {}, {}
    for mode in ("cow", "stop"):
        bundle = tmp_path / mode
        podsnap.run("capture", "--pid", target.pid, "-o", bundle, f"--snapshot={mode}")
        assert bundles.taken(bundle)["mode"] == mode
        path = bundles.core(bundle, tmp_path / f"{mode}.core")
        cores[mode], stacks[mode] = Core(path), frames(targets.path("threads"), path)
    path = gcore(target.pid, tmp_path / "gcore")
    cores["gcore"], stacks["gcore"] = Core(path), frames(targets.path("threads"), path)
    assert stacks["cow"] == stacks["stop"] == stacks["gcore"]
    pages = {name: core.pages() for name, core in cores.items()}
    for a, b in (("cow", "stop"), ("cow", "gcore"), ("stop", "gcore")):
        assert len(pages[a].keys() & pages[b].keys()) > 50
        changed = differing_words(pages[a], pages[b])
        assert len(changed) <= 17 and all(words <= 2 for words in changed.values()), changed
    for mode in ("cow", "stop"):
        zeros = 0
        for start, end in cores[mode].ranges[ZERO]:
            for address in range(start, end, PAGE):
                assert pages["gcore"].get(address, bytes(PAGE)) == bytes(PAGE), hex(address)
                zeros += address in pages["gcore"]
        assert zeros > 100, "gcore wrote none of what we say is zero"


def test_memory_equals_gcore(corewriter, targets, tmp_path):
    """Every page that both cores hold is the same, but for the kernel's restartable-sequence words
    (CPU numbers) of threads that ran in between."""
    target = targets.start("threads", 16)
    write_core(corewriter, target.pid, tmp_path / "core")
    ours = Core(tmp_path / "core").pages()
    theirs = Core(gcore(target.pid, tmp_path / "gcore")).pages()
    assert len(ours.keys() & theirs.keys()) > 50
    changed = differing_words(ours, theirs)
    assert len(changed) <= 17 and all(words <= 2 for words in changed.values()), changed


def test_more_segments_than_elf_counts(corewriter, targets, tmp_path):
    """Beyond 65,534 segments the count moves to section header 0; each page is where it belongs."""
    count = 66000
    target = targets.start("sparse", count)
    _, _, start, _, stride = target.ready_line.split()
    said = write_core(corewriter, target.pid, tmp_path / "core")
    core = Core(tmp_path / "core")
    assert core.phnum_field == 0xffff
    assert len(core.loads) == int(said["segments"]) > count
    pages = core.pages()
    for i in range(count):
        address = int(start, 16) + i * int(stride)
        assert pages[address] == struct.pack("<Q", address) * (PAGE // 8)


def test_elfutils_reads_it(corewriter, targets, tmp_path):
    target = targets.start("threads", 4)
    write_core(corewriter, target.pid, tmp_path / "core")
    stacks = eu_stack(targets.path("threads"), tmp_path / "core")
    assert len(stacks) == 5
    assert sum(len(stack) > 20 for stack in stacks.values()) == 4


def test_target_notices_nothing(corewriter, targets, tmp_path):
    """Interrupted calls, signals, children, timers: no check of the target fails over 60 cores."""
    target = targets.start("selfcheck")
    for _ in range(60):
        write_core(corewriter, target.pid, tmp_path / "core")
    status, lines = target.finish()
    assert not [line for line in lines if line.startswith("FAIL")]
    assert status == 0 and lines[-1].startswith("ok ")


def test_writer_killed(corewriter, targets, tmp_path, rng: random.Random):
    """Whenever the writer dies, the target runs on. An interrupted call that was not repaired yet
    is all that it may have noticed."""
    target = targets.start("selfcheck")
    for _ in range(60):
        with open(tmp_path / "core", "wb") as core, \
                subprocess.Popen([corewriter, str(target.pid)], stdout=core,
                                 stderr=subprocess.DEVNULL) as writer:
            try:
                writer.wait(rng.uniform(0, 0.01))
            except subprocess.TimeoutExpired:
                writer.send_signal(signal.SIGKILL)
        wait_until(lambda: target.state() not in "tT", "running target")
    status, lines = target.finish()
    failures = [line for line in lines if line.startswith("FAIL")]
    assert all("Interrupted system call" in line for line in failures), failures
    assert status in (0, 1)


def test_without_a_stop(corewriter, targets, tmp_path):
    """Torn from the first to the last byte, and the blocked threads are there nevertheless."""
    target = targets.start("threads", 8)
    said = write_core(corewriter, target.pid, tmp_path / "core", "-n")
    assert said["pause_us"] == "0"
    assert int(said["torn"]) > 0
    stacks = frames(targets.path("threads"), tmp_path / "core")
    assert len(stacks) == 9
    assert all(stack[0][1] for stack in stacks.values())
