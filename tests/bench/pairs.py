"""Two commands that are compared: run in turns on the same process, medians and their ratio."""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time


def timed(command, env):
    """Seconds that a shell command took, by the clock and of CPU with its children."""
    start, cpu = time.monotonic(), cpu_of_children()
    done = subprocess.run(["bash", "-c", command], stdin=subprocess.DEVNULL, check=False,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=env)
    took = time.monotonic() - start
    if done.returncode != 0:
        sys.exit(f"{command}: status {done.returncode}\n{done.stderr[-2000:]}")
    return took, cpu_of_children() - cpu


def cpu_of_children():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Side:
    """One of the two that are compared: a command with {out}, and what it measured."""

    def __init__(self, name, command):
        self.name, self.command = name, command
        self.seconds, self.cpu, self.pause_ms, self.mib = [], [], [], []

    def run(self, directory, env, pause):
        out = os.path.join(directory, "out")
        seconds, cpu = timed(self.command.format(out=out), env)
        self.seconds.append(seconds)
        self.cpu.append(cpu)
        self.pause_ms.append(pause())
        files = [os.path.join(directory, name) for name in os.listdir(directory)]
        self.mib.append(sum(os.path.getsize(file) for file in files) / (1 << 20))
        for file in files:
            os.unlink(file)


def run_pairs(sides, pairs, env, pause):
    with tempfile.TemporaryDirectory(prefix="podsnap-bench-") as directory:
        for i in range(pairs):
            # Who is first changes, so that a warm cache favours neither.
            for side in sides if i % 2 == 0 else sides[::-1]:
                side.run(directory, env, pause)


def print_row(name, unit, ours, theirs):
    ratios = [b / a for a, b in zip(ours, theirs)]
    a, b = statistics.median(ours), statistics.median(theirs)
    print(f"  {name:<18} {a:>10.1f} {b:>10.1f} {unit:<4} {b / a:>8.2f}   "
          f"{min(ratios):.2f} to {max(ratios):.2f}")


def print_table(title, ours, theirs, with_pause=True):
    print(f"\n{title}\n  A  {ours.name}: {ours.command}\n  B  {theirs.name}: {theirs.command}")
    print(f"  {'median of ' + str(len(ours.seconds)):<18} {'A':>10} {'B':>10} {'':<4} "
          f"{'B / A':>8}   pairs' B / A")
    print_row("time", "s", ours.seconds, theirs.seconds)
    print_row("CPU", "s", ours.cpu, theirs.cpu)
    if with_pause:
        print_row("longest pause", "ms", ours.pause_ms, theirs.pause_ms)
    if ours.mib[0]:
        print_row("size", "MiB", ours.mib, theirs.mib)
    sys.stdout.flush()
