"""gdb and elfutils on cores."""

import json
import os
import re
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))


def gdb(*args, env=None, timeout=240):
    """gdb -batch without anyone's .gdbinit and without asking a debuginfod."""
    done = subprocess.run(["gdb", "-nx", "-batch", "-ex", "set pagination off", *map(str, args)],
                          capture_output=True, text=True, errors="replace", check=False,
                          stdin=subprocess.DEVNULL, timeout=timeout,
                          env={**os.environ, "LC_ALL": "C.UTF-8", "DEBUGINFOD_URLS": "",
                               **(env or {})})
    assert done.returncode == 0, f"{done.args}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done.stdout + done.stderr


def without_xsave_warning(text):
    """gdb 13 takes every CPU's XSAVE layout for Intel's and calls the kernel's own notes too small
    where it is not; its gcore writes them at the size that it expects."""
    return re.sub(r"^warning: Section `\.reg-xstate/\d+' in core file too small\.\n", "", text,
                  flags=re.M)


def backtraces(exe, core):
    """The lines of `thread apply all bt`, by lwp."""
    text = without_xsave_warning(gdb(exe, core, "-ex", "thread apply all bt"))
    parts = re.split(r"^Thread \d+ \(.*?LWP (\d+).*?\):$", text, flags=re.M)
    return {int(lwp): [line for line in body.splitlines() if line]
            for lwp, body in zip(parts[1::2], parts[2::2])}


def script(name, to, *args):
    """Runs gdb with a script of this folder that writes JSON by lwp; returns that."""
    text = gdb(*args, "-ex", f"source {os.path.join(HERE, name)}", env={"FRAMES_TO": to})
    assert os.path.exists(to), text
    with open(to, encoding="utf-8") as file:
        found = json.load(file)
    os.unlink(to)
    return {int(lwp): stack for lwp, stack in found.items()}


def frames(exe, core):
    """{lwp: [(pc, function)]} as gdb unwinds the core."""
    found = script("gdb_frames.py", f"{core}.frames.json", exe, core)
    return {lwp: [tuple(frame) for frame in stack] for lwp, stack in found.items()}


def frames_and_core(pid, core):
    """{lwp: [[pc, offset in its symbol or None]]} of a running process, out to what called main, and
    its gcore in the file core. Separate debug files are left out: they name what the modules
    themselves do not."""
    return script("gdb_symbols.py", f"{core}.frames.json",
                  "-iex", "set debug-file-directory /nonexistent",
                  "-iex", "set auto-load off", "-p", pid, "-ex", f"gcore {core}",
                  "-ex", "set backtrace past-main on", "-ex", "set backtrace limit 10000")


def gcore(pid, path):
    """gdb's own core of a running process; returns path."""
    gdb("-p", pid, "-ex", f"gcore {path}", "-ex", "detach")
    assert os.path.exists(path)
    return str(path)


def eu_stack(exe, core):
    """{tid: [pc]} as elfutils unwinds the core. It exits 1 if any thread's unwinding ended in an
    error, as it does on cores of others too; what it printed counts."""
    done = subprocess.run(["eu-stack", f"--executable={exe}", f"--core={core}", "-n", "0"],
                          capture_output=True, text=True, errors="replace", check=False,
                          timeout=240, env={**os.environ, "DEBUGINFOD_URLS": ""})
    found, stack = {}, None
    for line in done.stdout.splitlines():
        if match := re.match(r"TID (\d+):", line):
            stack = found[int(match[1])] = []
        elif match := re.match(r"#\d+\s+(0x[0-9a-f]+)", line):
            stack.append(int(match[1], 16))
    assert found, f"{done.args}: status {done.returncode}: {done.stderr[-2000:]}"
    return found
