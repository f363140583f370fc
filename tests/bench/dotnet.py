"""Questions to a .NET process and what its dump costs, beside the runtime's own createdump."""

import os
import statistics
import subprocess
import sys
import tempfile
import time

from lib.cluster import Cluster, container
from lib.dotnet import ENVIRONMENT, Dotnet
from pairs import Side, print_table, run_pairs

PAIRS = 500_000  # an owner and a thing each


def pauses_of(herd):
    """A function that returns the herd's longest gap in milliseconds since its last call."""
    def ask():
        nonlocal seen
        # The line that is open now, and a whole one after it.
        for _ in range(2):
            herd.wait_line("beats")
        lines, seen = herd.lines[seen:], len(herd.lines)
        return max(int(line.split()[2]) for line in lines if line.startswith("beats")) / 1000
    seen = len(herd.lines)
    ask()
    return ask


def run_measured(argv, env):
    """Seconds that a command took, and MiB that it came to use, its own processes' too if they
    used more."""
    start = time.monotonic()
    done = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, env=env)
    said = done.stderr.read()
    _, status, usage = os.wait4(done.pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(map(str, argv))}: status {status}\n{said.decode()}")
    return time.monotonic() - start, usage.ru_maxrss / 1024


def print_questions(title, podsnap, sources, env, times):
    print(f"\n{title}\n  {'question':<46} {'s':>6} {'MiB':>7}   median of {times}")
    for source, argv in sources.items():
        for question in (["heap"], ["object", "--type", "Herd.Registry"],
                         ["roots", "--type", "Herd.Registry"]):
            command = [podsnap.path, question[0], *argv, *question[1:]]
            runs = [run_measured(command, env) for _ in range(times)]
            seconds, mib = (statistics.median(values) for values in zip(*runs))
            print(f"  {' '.join(question) + ', ' + source:<46} {seconds:>6.2f} {mib:>7.1f}",
                  flush=True)


def createdump_of(program):
    """The command line of the createdump beside the program."""
    path = os.path.join(os.path.dirname(program), "createdump")
    os.chmod(path, 0o755)
    return f"{path} --full -f"


def bench_herd(podsnap, targets, dotnet, mib, args, env):
    program = dotnet.program("Herd", "9.0-alone")
    herd = targets.start_argv([*program, PAIRS, mib], timeout=300, env=dotnet.env)
    name = f".NET 9, {2 * PAIRS:,} objects, {mib} MiB of arrays"
    with tempfile.TemporaryDirectory(prefix="podsnap-bench-") as directory:
        ours = Side("podsnap", f"{podsnap.path} capture -q --pid {herd.pid} --core=heap "
                               "--max-pause 5m -o {out}.podsnap.tar.zst")
        theirs = Side("createdump", f"{createdump_of(program[0])} {{out}} {herd.pid} >/dev/null")
        run_pairs([ours, theirs], args.pairs, env, pauses_of(herd))
        print_table(name, ours, theirs)
        bundle, core = (os.path.join(directory, file) for file in ("b.podsnap.tar.zst", "core"))
        subprocess.run(["bash", "-c", f"{podsnap.path} capture -q --pid {herd.pid} --core=heap "
                        f"--max-pause 5m -o {bundle} && {createdump_of(program[0])} {core} "
                        f"{herd.pid}"], env=env, check=True, stdout=subprocess.DEVNULL)
        sources = {"live": ["--pid", str(herd.pid)], "core of createdump": [core],
                   "bundle": [bundle]}
        print_questions(name, podsnap, sources, env, args.pairs + 2)
    herd.kill()


def bench_pod(podsnap, build, args):
    """From the command until the answer is there."""
    cluster = Cluster(build)
    cluster.up()
    try:
        variables = [{"name": key, "value": value} for key, value in ENVIRONMENT.items()]
        app = container("app", "/app/azmcp", PAIRS, 0, image=cluster.image("dotnet-herd"),
                        env=variables)
        cluster.run_pod("herd", containers=[app], ready_line="ready")
        prefix = [*cluster.prefix, podsnap.path]
        command = [*prefix, "object", "herd", "--kubeconfig", cluster.kubeconfig, "--type",
                   "Herd.Registry"]
        runs = [run_measured(command, os.environ) for _ in range(args.pairs + 2)]
        print(f"\nobject --type, live in a pod with {2 * PAIRS:,} objects, command to answer: "
              f"{statistics.median(seconds for seconds, _ in runs):.2f} s, median of {len(runs)}",
              flush=True)
    finally:
        cluster.down()


def bench_dotnet(podsnap, targets, build, args, env):
    with tempfile.TemporaryDirectory(prefix="podsnap-b-") as directory:
        dotnet = Dotnet(directory)
        for mib in (0, 4096):
            bench_herd(podsnap, targets, dotnet, mib, args, env)
    bench_pod(podsnap, build, args)
