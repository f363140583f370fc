"""What /proc tells of a process, for tests that look whether a capture left something behind."""

import glob
import os

from lib.wait import wait_until


def status(pid):
    """The fields of /proc/PID/status."""
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as lines:
        return {key: value.strip() for key, value in (line.split(":", 1) for line in lines)}


def cgroup(pid):
    """The text of /proc/PID/cgroup; "" if it is gone."""
    try:
        with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children(pid):
    """The pids of its children, zombies included."""
    found = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        try:
            with open(path, encoding="utf-8") as file:
                found += map(int, file.read().split())
        except (FileNotFoundError, ProcessLookupError):
            continue  # a thread that ended
    return found


def state(pid):
    """The state letter of a process or thread; "X" if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def thread_states(pid):
    """The state letters of its threads."""
    return [state(tid) for tid in os.listdir(f"/proc/{pid}/task")]


def zombies(pid):
    """Its children that ended, and that it has not waited for for a while: one that lives shortly
    may look like one."""
    def now():
        return {child for child in children(pid) if state(child) == "Z"}
    found = now()
    for _ in range(20):
        found &= now()
    return sorted(found)


def descriptors(pid):
    """{fd: what it refers to}."""
    directory = f"/proc/{pid}/fd"
    return {int(fd): os.readlink(os.path.join(directory, fd)) for fd in os.listdir(directory)}


# What no capture may change in a process that waits.
LASTING = ("Name", "Tgid", "PPid", "TracerPid", "Uid", "Gid", "Threads", "SigPnd", "ShdPnd",
           "SigBlk", "SigIgn", "SigCgt", "CapEff", "NoNewPrivs", "Seccomp")


def lasting(pid):
    """All that a capture must leave as it was."""
    fields = status(pid)
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        return {"fields": {key: fields[key] for key in LASTING if key in fields},
                "threads": sorted(map(int, os.listdir(f"/proc/{pid}/task"))),
                "children": children(pid), "descriptors": descriptors(pid), "maps": maps.read()}


def settled(pid):
    """The same of a process that waits for signals: they stand unblocked as long as it does."""
    wait_until(lambda: int(status(pid)["SigBlk"], 16) == 0, "wait of the target", interval=0.01)
    return lasting(pid)


def assert_same(before, after):
    """Of two that lasting() returned; says what differs."""
    for key, value in before.items():
        if isinstance(value, dict):
            assert_same(value, after[key])
        else:
            assert after[key] == value, f"{key} was {value}, is {after[key]}"
    assert after.keys() == before.keys()


def regions(pid):
    """Its mappings as [start, end, name], neighbours of one name as one: where the heap's growth
    splits them is left out. Without the main heap, which ends where it likes."""
    found = []
    with open(f"/proc/{pid}/maps", encoding="utf-8") as lines:
        for line in lines:
            fields = line.split(maxsplit=5)
            start, end = fields[0].split("-")
            name = fields[5].rstrip() if len(fields) > 5 else ""
            if found and found[-1][1:] == [start, name]:
                found[-1][1] = end
            elif name != "[heap]":
                found.append([start, end, name])
    return found


def running_from(path):
    """The pids of processes that run the program at path."""
    found = []
    for link in glob.glob("/proc/[0-9]*/exe"):
        try:
            if os.path.realpath(os.readlink(link)) == os.path.realpath(path):
                found.append(int(link.split("/")[2]))
        except OSError:
            continue
    return found
