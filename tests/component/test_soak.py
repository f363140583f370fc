"""Snapshots without end of processes that are as busy as they can be: nothing goes wrong in them,
nothing is left behind; and what it costs them is printed."""

import collections
import os
import re
import signal
import statistics
import subprocess

import pytest

from lib import bundle as bundles
from lib import proc
from lib.pgbench import Pgbench
from lib.services import Service
from lib.soak import LONG
from lib.wait import wait_until

THREADS = 500
TURNS = 8  # of each thread, until memory and maps are what they stay
CHURN_SNAPSHOTS = 1000 if LONG else 10
SERVICE_SNAPSHOTS = 100 if LONG else 10
ROUND_S = 20 if LONG else 4
SHOTS_A_ROUND = 10
PAIRS = 4
LOAD = os.path.join(os.path.dirname(__file__), "../targets/Load.java")
# The frames that the fork is made with, on a part of the main thread's stack not used before.
FRAMES_KIB_MAX = 64


@pytest.fixture
def tell(capsys, request):
    """Prints a line that is seen although the test passes."""
    def say(text):
        with capsys.disabled():
            print(f"\n{request.node.name}: {text}", flush=True)
    return say


class Shots:
    """Captures, and how they went."""

    def __init__(self, podsnap, directory):
        self.podsnap, self.path = podsnap, directory / "b"
        self.modes = collections.Counter()
        self.pauses_ms = []

    def take(self, pid, may_end=False):
        """One of a process, complete, unless that ended by itself."""
        done = self.podsnap.run("capture", "--pid", pid, "-o", self.path, "--force", "-q",
                                expect=None)
        if done.status and may_end and proc.state(pid) in "XZ":
            return
        assert done.status == 0, done
        head = bundles.taken(self.path)
        self.modes[head["mode"], head["mode_reason"]] += 1
        self.pauses_ms.append(head["pause_ns"] / 1e6)

    @property
    def count(self):
        return sum(self.modes.values())

    def __str__(self):
        return (f"{self.count} snapshots, pauses {statistics.median(self.pauses_ms):.1f} ms "
                f"(at most {max(self.pauses_ms):.1f}); " +
                ", ".join(f"{count} {mode}: {why}" for (mode, why), count in self.modes.items()))

    def check(self):
        """The last is right to its last byte, and most are what is soaked here."""
        self.podsnap.run("verify", self.path)
        cow = sum(count for (mode, _), count in self.modes.items() if mode == "cow")
        assert cow > 0.9 * self.count, self


def loss(without, during):
    return (f"{statistics.mean(without):.0f} a second without snapshots, "
            f"{statistics.mean(during):.0f} during them: "
            f"{100 * (1 - statistics.mean(during) / statistics.mean(without)):.1f} % less")


# --- 500 threads ---------------------------------------------------------------------------------

def quiet(target):
    """Once nothing is allocated: the turns of the thread that had the fewest, and of all."""
    target.process.send_signal(signal.SIGUSR1)
    return list(map(int, target.wait_line("quiet ", timeout=120).split()[1:]))


def busy(target):
    target.process.send_signal(signal.SIGUSR2)
    target.wait_line("busy")


def settle(target):
    """Lets all threads have their turns; it is quiet then. Returns what quiet() does."""
    def turned():
        busy(target)
        counts = quiet(target)
        return counts if counts[0] >= TURNS else None
    return wait_until(turned, f"{TURNS} turns of each thread", timeout=300)


def anon_kib(pid):
    return int(proc.status(pid)["RssAnon"].split()[0])


def lasting(pid):
    """What a quiet process has however often it was captured."""
    return {**proc.settled(pid), "maps": proc.regions(pid)}


@pytest.mark.timeout(7200 if LONG else 600)
def test_many_threads_that_fork_and_allocate(podsnap, targets, tmp_path, tell):
    target = targets.start("churn", THREADS)
    lowest, *_ = settle(target)
    before, before_kib = lasting(target.pid), anon_kib(target.pid)
    busy(target)
    shots = Shots(podsnap, tmp_path)
    while shots.count < CHURN_SNAPSHOTS:
        shots.take(target.pid)
        if shots.count % 100 == 0:
            tell(shots)
    counts = quiet(target)
    after, after_kib = lasting(target.pid), anon_kib(target.pid)
    tell(f"{shots}; {counts[1]} turns, {counts[2]} forks; {before_kib} KiB before, "
         f"{after_kib} KiB after")
    status, lines = target.finish(timeout=120)
    assert not [line for line in lines if line.startswith("FAIL")]
    assert status == 0 and lines[-1].startswith("ok ")
    assert counts[0] > lowest
    proc.assert_same(before, after)
    assert after_kib - before_kib <= FRAMES_KIB_MAX
    shots.check()


# --- PostgreSQL ----------------------------------------------------------------------------------

def check_log(lines):
    bad = re.compile(r"WARNING|ERROR|FATAL|PANIC|terminated by signal|exited with exit code")
    assert not [line for line in lines if bad.search(line)]


@pytest.mark.timeout(7200 if LONG else 600)
def test_postgresql_under_pgbench(podsnap, targets, tmp_path, rng, tell):
    """In turns the postmaster, which forks all the time, and a server in a transaction."""
    service = Service("postgresql", targets)
    with service as server, Pgbench(service.directory) as bench:
        before = proc.descriptors(server.pid)
        shots = Shots(podsnap, tmp_path)
        without, during = [], []

        def shoot():
            pids = bench.backends() if shots.count % 2 else [server.pid]
            # At the end of a run its servers end, too.
            if pids:
                shots.take(rng.choice(pids), may_end=True)

        while shots.count < SERVICE_SNAPSHOTS:
            without.append(bench.load(ROUND_S))
            during.append(bench.load(ROUND_S, shoot))
        tell(f"{shots}; {bench.count} transactions, {loss(without, during)}")
        bench.check()
        shots.check()
        check_log(server.lines)
        assert proc.descriptors(server.pid) == before
        assert not [pid for pid in proc.children(server.pid) if proc.state(pid) == "Z"]


# --- a JVM ---------------------------------------------------------------------------------------

def operations(target):
    """What the next such line of it says: [all, of the slowest pair, time in ns]."""
    seen = len(target.lines)
    wait_until(lambda: len(target.lines) > seen or not target.running, "line of the JVM",
               interval=0.01)
    assert target.lines[-1].startswith("ops "), target.lines[-20:]
    return list(map(int, target.lines[-1].split()[1:]))


def measured(target, work):
    """Operations a second while work() runs."""
    start = operations(target)
    work()
    end = operations(target)
    return (end[0] - start[0]) / (end[2] - start[2]) * 1e9


@pytest.mark.timeout(7200 if LONG else 600)
def test_jvm_under_load(podsnap, targets, tmp_path, tell):
    subprocess.run(["javac", "-d", tmp_path, LOAD], check=True, timeout=120)
    target = targets.start_argv(["java", "-Xmx128m", "-cp", tmp_path, "Load", PAIRS], cwd=tmp_path)

    def go_on():
        end = operations(target)[2] + ROUND_S * 1e9
        wait_until(lambda: operations(target)[2] > end, "end of a round", timeout=300)

    def shoot():
        for _ in range(SHOTS_A_ROUND):
            shots.take(target.pid)

    go_on()  # its code is compiled by then
    before = proc.descriptors(target.pid)
    shots = Shots(podsnap, tmp_path)
    without, during = [], []
    while shots.count < SERVICE_SNAPSHOTS:
        without.append(measured(target, go_on))
        during.append(measured(target, shoot))
    last = operations(target)
    wait_until(lambda: operations(target)[1] > last[1], "operations of each pair")
    tell(f"{shots}; {last[0]} operations, {loss(without, during)}")
    shots.check()
    assert proc.descriptors(target.pid) == before
    assert proc.zombies(target.pid) == []
    status, lines = target.finish(timeout=120)
    assert status == 0 and lines[-1].startswith("ok ")
    assert all(re.match("ready|ops |ok ", line) for line in lines), lines
