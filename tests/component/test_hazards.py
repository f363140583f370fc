"""What makes a snapshot of a process hard, made for real: which mode is chosen and why, what is in
the core, and that the process is unharmed."""

import os
import re
import select
import signal
import struct
import subprocess

import pytest

from lib import bundle as bundles
from lib import proc
from lib.cgroups import Group
from lib.corefile import FILE, PAGE
from lib.hazards import Hazard, Shot, SlowReader, check_rounds
from lib.possible import not_possible_here
from lib.soak import LONG
from lib.wait import wait_until

USER = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups"]
MIB = 1 << 20


@pytest.fixture
def hazard(targets, rng):
    """Starts one: hazard(mode, arg)."""
    def start(mode, arg=None, **options):
        return Hazard(targets, rng.getrandbits(63), mode, arg, **options)
    return start


@pytest.fixture
def shoot(podsnap, tmp_path):
    """Captures a process: shoot(pid, *options)."""
    def capture(pid, *options, expect=(0,), program=None):
        path = tmp_path / "b"
        # Opened here, for a program that may not: it runs as another user.
        with open(path, "wb") as file:
            with (program or podsnap).start("capture", "--pid", pid, "-o", "-", *options,
                                            stdout=file) as running:
                said = running.communicate(timeout=120)[1].decode()
        assert running.returncode in expect, f"status {running.returncode}: {said}"
        return Shot(path, tmp_path)
    return capture


def check_cow(target, shot, torn=()):
    assert (shot.mode, shot.reason) == ("cow", "it pauses the least")
    shot.check(target, torn=torn)
    target.check_unharmed()


def check_stop(target, shot, because):
    assert shot.mode == "stop"
    assert re.search(because, shot.reason)
    shot.check(target)
    target.check_unharmed()


# --- memory that a fork does not get, or should not ------------------------------------------------

def test_kept_out_of_forks(hazard, shoot):
    target = hazard("dontfork")
    check_cow(target, shoot(target.pid))


def test_too_much_kept_out_of_forks(hazard, shoot, rng):
    """Seen after the fork, which is undone: the target stands on, and is copied."""
    target = hazard("dontfork", 65)
    shot = shoot(target.pid, "--max-pause=10m")
    assert shot.mode == "stop" and "64 MiB are kept out of its forks" in shot.reason
    shot.check(target, rng)
    target.check_unharmed()


def test_wiped_in_forks(hazard, shoot):
    """Only the running process has it: right as long as it is not written, and called torn."""
    target = hazard("wipeonfork")
    shot = shoot(target.pid, expect=(3,))
    assert "a fork does not get them" in shot.entry["reason"]
    check_cow(target, shot, torn=("wipeonfork",))


def test_shared_memory(hazard, shoot):
    target = hazard("shared")
    assert {name for name, _, _ in target.areas()} == \
        {"plain", "shared", "memfd", "shm", "shm-deleted"}
    check_cow(target, shoot(target.pid))


def test_small_shared_memory_is_of_the_same_instant(hazard, shoot):
    """A fork does not freeze it: what is written to private memory first is there first."""
    target = hazard("lockstep")
    for _ in range(5):
        shot = shoot(target.pid)
        assert shot.mode == "cow"
        private, shared, memfd = [struct.unpack("<Q", shot.core.read(start, 8))[0]
                                  for _, start, _ in target.areas("lockstep")]
        assert private - 1 <= memfd <= shared <= private
    target.check_unharmed()


def test_private_file_mapping(hazard, shoot, tmp_path, rng):
    """Written pages are in the core; the others, too, or left to the file and noted as such."""
    content = rng.randbytes(64 * PAGE)
    (tmp_path / "file").write_bytes(content)
    target = hazard("file", tmp_path / "file")
    shot = shoot(target.pid)
    (start, length), = [area[1:] for area in target.areas("file")]
    written = {start for name, start, _ in target.areas() if name == "written"}
    assert len(written) == 22
    for at in range(0, length, PAGE):
        if start + at in written:
            continue
        kept = shot.core.read(start + at, PAGE)
        if kept is None:
            assert shot.core.covers(FILE, start + at, PAGE), hex(at)
        else:
            assert kept == content[at:at + PAGE], hex(at)
    check_cow(target, shot)


class Setting:
    """A setting of the machine (proc(5), sys), as it was at the end of the with block."""

    def __init__(self, path, key):
        self.path = path
        if not os.access(path, os.W_OK):
            not_possible_here(key)
        self.before = self.value

    @property
    def value(self):
        with open(self.path, encoding="ascii") as file:
            return int(file.read())

    @value.setter
    def value(self, value):
        with open(self.path, "w", encoding="ascii") as file:
            file.write(str(value))

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.value = self.before


@pytest.fixture
def huge_pages():
    """Four in the pool."""
    with Setting("/proc/sys/vm/nr_hugepages", "hugetlb") as pool:
        pool.value = pool.before + 4
        if pool.value < pool.before + 4:
            not_possible_here("hugetlb")
        yield


def test_huge_pages_of_a_pool(hazard, shoot, huge_pages):
    target = hazard("hugetlb")
    check_stop(target, shoot(target.pid), "in huge pages of a pool")


def test_transparent_huge_pages(hazard, shoot):
    target = hazard("thp")
    check_cow(target, shoot(target.pid))


def test_userfaultfd(hazard, shoot):
    target = hazard("userfaultfd")
    check_stop(target, shoot(target.pid), "userfaultfd")


def test_pinned_memory(hazard, shoot):
    """Buffers of an io_uring are copied by a fork, which is all the same if they are small."""
    target = hazard("io_uring", 1)
    assert int(proc.status(target.pid)["VmPin"].split()[0]) >= 4096
    check_cow(target, shoot(target.pid))
    target = hazard("io_uring", 16)
    check_stop(target, shoot(target.pid), "pinned .* which a fork would copy")


# --- what it may do --------------------------------------------------------------------------------

@pytest.mark.parametrize("mode", ["seccomp", "seccomp-thread"])
def test_a_filter_that_kills_is_suspended(hazard, shoot, mode):
    target = hazard(mode)
    target.target.wait_line("filtered")
    check_cow(target, shoot(target.pid))


@pytest.mark.parametrize("mode", ["seccomp", "seccomp-thread"])
def test_a_filter_that_kills_is_not_met(hazard, shoot, podsnap, mode):
    """Without CAP_SYS_ADMIN it cannot be suspended."""
    target = hazard(mode, prefix=USER)
    target.target.wait_line("filtered")
    user = podsnap.inside(USER, {"HOME": "/nonexistent"})
    check_stop(target, shoot(target.pid, program=user), "seccomp filter")


def test_no_more_processes_of_its_user(hazard, shoot):
    target = hazard("nproc", prefix=USER)
    target.target.wait_line("limited")
    check_stop(target, shoot(target.pid), "fork failed.*Resource temporarily unavailable")


def test_no_more_processes_in_its_group(hazard, shoot):
    with Group("pids") as group:
        target = hazard("plain", prefix=group.prefix)
        group.write("pids.max", group.read("pids.current"))
        check_stop(target, shoot(target.pid), "pids limit")


def memory_to_promise():
    """Bytes, when the kernel promises no more than it has (proc(5), vm.overcommit_memory)."""
    with open("/proc/meminfo", encoding="ascii") as file:
        fields = {line.split(":")[0]: int(line.split()[1]) << 10 for line in file}
    return fields["CommitLimit"] - fields["Committed_AS"]


def test_no_memory_to_promise(hazard, shoot):
    """More than half of it is the target's, which is too much to fork. Other programs of the
    machine are held to the same, so this is for the time of the capture only."""
    setting = Setting("/proc/sys/vm/overcommit_memory", "overcommit")
    if memory_to_promise() < 1 << 30:
        not_possible_here("overcommit")
    target = hazard("reserve", memory_to_promise() * 6 // 10 // MIB)
    with setting:
        setting.value = 2
        shot = shoot(target.pid)
    check_stop(target, shot, "fork failed.*Cannot allocate memory")


# --- what it is doing ------------------------------------------------------------------------------

def test_traced_already(hazard, shoot, targets):
    target = hazard("plain")
    tracer = targets.start_argv(["strace", "-f", "-qq", "-o", "/dev/null", "-p", target.pid],
                                ready=None)
    wait_until(lambda: proc.status(target.pid)["TracerPid"] == str(tracer.pid), "tracer")
    shot = shoot(target.pid, expect=(3,))
    assert shot.mode == "nostop"
    assert f"process {tracer.pid} traces it already" in shot.reason
    assert "read while the process ran" in shot.entry["reason"]
    shot.check(target, torn={name for name, _, _ in target.areas()})
    assert proc.status(target.pid)["TracerPid"] == str(tracer.pid)
    tracer.finish(signal.SIGINT)
    target.check_unharmed()


def test_a_thread_in_vfork(hazard, shoot):
    target = hazard("vfork")
    child, = wait_until(lambda: proc.children(target.pid), "child")
    wait_until(lambda: proc.state(target.pid) == "D", "wait in the kernel")
    shot = shoot(target.pid)
    os.kill(child, signal.SIGUSR2)
    assert target.target.wait_line("vfork ") == "vfork 300"
    check_cow(target, shot)


def test_a_thread_in_vfork_goes_on_when_it_can(podsnap, hazard, tmp_path):
    """Not only when its copy has been read."""
    target = hazard("vfork-bulk")
    child, = wait_until(lambda: proc.children(target.pid), "child")
    wait_until(lambda: proc.state(target.pid) == "D", "wait in the kernel")
    with SlowReader(podsnap, target.pid) as capture:
        wait_until(lambda: len(proc.children(target.pid)) == 2, "copy-on-write child")
        os.kill(child, signal.SIGUSR2)
        assert target.target.wait_line("vfork ") == "vfork 300"
        assert capture.running.poll() is None and len(proc.children(target.pid)) == 1
        check_cow(target, capture.finish(tmp_path))


@pytest.mark.timeout(3600 if LONG else 300)
def test_signals_that_are_ignored_end_no_call(podsnap, hazard, tmp_path):
    """Its children end all the time. A traced process is sent signals that it ignores, so there are
    moments at which they must not come; strace makes them last."""
    target = hazard("children", 200)
    slow = podsnap.inside(["strace", "-f", "-qq", "-e", "trace=ptrace", "-o", "/dev/null"])
    for _ in range(200 if LONG else 8):
        slow.run("capture", "--pid", target.pid, "-o", tmp_path / "b", "--force", "--core=none",
                 "--no-modules", "--max-pause=1m")
        assert bundles.taken(tmp_path / "b")["mode"] == "cow"
    assert not [line for line in target.target.lines if line.startswith("FAIL")]


def test_the_only_thread_in_vfork(hazard, shoot):
    """Nothing of it can be stopped."""
    target = hazard("vfork-alone")
    child, = wait_until(lambda: proc.children(target.pid), "child")
    wait_until(lambda: proc.state(target.pid) == "D", "wait in the kernel")
    shot = shoot(target.pid, expect=(3,))
    assert shot.mode == "nostop" and "uninterruptible" in shot.reason
    shot.check(target, torn={name for name, _, _ in target.areas()})
    os.kill(child, signal.SIGUSR2)
    assert target.target.wait_line("vfork ") == "vfork 300"


@pytest.fixture
def frozen(tmp_path):
    """A directory in which writers wait, uninterruptibly, until the function that comes with it is
    called."""
    image, directory = tmp_path / "image", tmp_path / "frozen"
    image.write_bytes(bytes(4 * MIB))
    directory.mkdir()
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    if subprocess.run(["mount", "-o", "loop", image, directory], check=False).returncode:
        not_possible_here("loop-mount")

    def freeze(on):
        subprocess.run(["fsfreeze", "-f" if on else "-u", directory], check=on)

    try:
        freeze(True)
        yield directory, lambda: freeze(False)
    finally:
        freeze(False)
        subprocess.run(["umount", "-l", directory], check=True)


def start_writer(hazard, mode, directory):
    target = hazard(mode, directory / "file")
    wait_until(lambda: proc.state(target.pid) == "D", "wait in the kernel")
    return target


def test_a_thread_in_a_write_that_hangs(hazard, shoot, frozen):
    directory, thaw = frozen
    target = start_writer(hazard, "write", directory)
    shot = shoot(target.pid)
    assert proc.state(target.pid) == "D"
    thaw()
    target.target.wait_line("written")
    check_cow(target, shot)


def test_the_only_thread_in_a_write_that_hangs(hazard, shoot, frozen):
    """Nothing of it can be stopped, and it goes on as soon as it can."""
    directory, thaw = frozen
    target = start_writer(hazard, "write-alone", directory)
    shot = shoot(target.pid, expect=(3,))
    assert shot.mode == "nostop" and "uninterruptible" in shot.reason
    shot.check(target, torn={name for name, _, _ in target.areas()})
    thaw()
    target.target.wait_line("written")
    assert proc.status(target.pid)["TracerPid"] == "0"


def test_stopped(hazard, shoot):
    target = hazard("plain")
    target.send(signal.SIGSTOP)
    wait_until(lambda: set(proc.thread_states(target.pid)) == {"T"}, "stop")
    shot = shoot(target.pid)
    wait_until(lambda: set(proc.thread_states(target.pid)) == {"T"}, "stop again")
    target.send(signal.SIGCONT)
    check_cow(target, shot)


def test_main_thread_ended(hazard, shoot):
    target = hazard("leader")
    wait_until(lambda: proc.state(target.pid) == "Z", "end of the main thread")
    check_cow(target, shoot(target.pid))


def test_first_process_of_a_namespace(hazard, shoot):
    target = hazard("plain", prefix=["unshare", "-pf", "--kill-child", "--mount-proc"])
    outer = target.target
    target.pid, = proc.children(outer.pid)
    assert outer.ready_line == "ready 1"
    shot = shoot(target.pid)
    assert (shot.mode, shot.reason) == ("cow", "it pauses the least")
    shot.check(target)
    os.kill(target.pid, signal.SIGUSR1)
    outer.wait_line("same ")
    assert proc.status(target.pid)["TracerPid"] == "0"
    assert proc.children(target.pid) == []
    os.kill(target.pid, signal.SIGTERM)
    assert outer.process.wait(60) == 0


def test_timers_go_on(hazard, shoot):
    target = hazard("timer")
    shot = shoot(target.pid)
    first = target.ticks()
    wait_until(lambda: target.ticks() > first + 3, "ticks of the timer")
    check_cow(target, shot)


# An ELF header, a program header and code: write(1, "ready\n", 6), then pause() for ever.
CODE_32 = bytes.fromhex("b804000000bb01000000b97c800408ba06000000cd80" "b81d000000cd80ebf7" "9090"
                        "90909090") + b"ready\n"


def program_32(path):
    size = 52 + 32 + len(CODE_32)
    code = CODE_32.replace(bytes.fromhex("7c800408"),
                           struct.pack("<I", 0x8048000 + size - len("ready\n")))
    path.write_bytes(
        b"\x7fELF\1\1\1" + bytes(9) +
        struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, 0x8048000 + 84, 52, 0, 0, 52, 32, 1, 0, 0, 0) +
        struct.pack("<8I", 1, 0, 0x8048000, 0x8048000, size, size, 5, PAGE) + code)
    path.chmod(0o755)


def test_32_bit_program(podsnap, targets, tmp_path):
    """Refused, in words."""
    program_32(tmp_path / "program")
    target = targets.start_argv([tmp_path / "program"])
    done = podsnap.run("capture", "--pid", target.pid, "-o", tmp_path / "b", expect=None)
    assert done.status not in (0, 3)
    assert f"process {target.pid} is a 32-bit program" in done.stderr
    wait_until(lambda: target.state() == "S", "wait of the target")
    assert proc.status(target.pid)["TracerPid"] == "0"
    assert target.finish()[0] == -signal.SIGTERM


# --- where its main stack is -------------------------------------------------------------------------

def start_deep(hazard, mode):
    target = hazard(mode, env={**os.environ, "LD_BIND_NOW": "1"})
    target.send(signal.SIGUSR2, "range deep")
    return target


def test_as_deep_in_its_stack_as_ever(hazard, shoot):
    target = start_deep(hazard, "deep")
    check_stop(target, shoot(target.pid), "stack has no room")


@pytest.mark.parametrize("mode", ["context", "altstack"])
def test_main_thread_on_another_stack(hazard, shoot, mode):
    """All of [stack] is in use although no thread stands there."""
    target = start_deep(hazard, mode)
    check_stop(target, shoot(target.pid), "stack has no room")


# --- what happens while the child is read --------------------------------------------------------------

def test_end_during_the_dump(hazard, podsnap, tmp_path, rng):
    """The child has it all."""
    target = hazard("plain", 256)
    with SlowReader(podsnap, target.pid, "--snapshot=cow") as capture:
        child = capture.await_child(target.pid)
        assert target.target.finish()[0] == 0
        assert proc.state(child) not in "XZ"
        shot = capture.finish(tmp_path)
    shot.check(target, rng)
    assert shot.mode == "cow"
    wait_until(lambda: proc.state(child) == "X", "end of the child")


def test_exec_during_the_dump(hazard, podsnap, tmp_path, rng):
    """The child is that of the program before; no zombie stays with the one after."""
    target = hazard("exec")
    with SlowReader(podsnap, target.pid, "--snapshot=cow") as capture:
        child = capture.await_child(target.pid)
        before = target.areas()
        target.send(signal.SIGUSR2, "ready ")
        assert proc.state(child) not in "XZ"
        assert capture.running.poll() is None
        shot = capture.finish(tmp_path)
    assert len(target.areas()) > len(before)
    target.areas = lambda kind="range": before
    shot.check(target, rng)
    target.check_unharmed()


def test_end_of_file_comes_at_once(hazard, podsnap, tmp_path, rng):
    """The child shares the descriptors: what the target closes is closed."""
    reader, writer = os.pipe()
    target = hazard("close", writer, pass_fds=[writer])
    os.close(writer)
    try:
        with SlowReader(podsnap, target.pid, "--snapshot=cow") as capture:
            child = capture.await_child(target.pid)
            assert not select.select([reader], [], [], 0)[0]
            target.send(signal.SIGUSR2)
            assert select.select([reader], [], [], 60)[0] and os.read(reader, 1) == b""
            assert capture.running.poll() is None and proc.state(child) not in "XZ"
            shot = capture.finish(tmp_path)
    finally:
        os.close(reader)
    shot.check(target, rng)
    target.check_unharmed()


# --- memory that runs out ------------------------------------------------------------------------------

@pytest.mark.timeout(3600 if LONG else 300)
@pytest.mark.parametrize("mode, score", [("auto", 0), ("cow", 0), ("auto", 999)])
def test_little_memory_left(hazard, podsnap, shoot, mode, score):
    """The target writes at full speed, 56 MiB below its limit: it is never the one that goes. With
    a score of 999, as in a pod without guaranteed memory, nobody can have a much higher one."""
    with Group("memory", limit_in_bytes=256 * MIB) as group:
        target = hazard("writer", 200, prefix=[*group.prefix, "choom", "-n", score, "--"])
        inside = podsnap.inside(group.prefix)
        for _ in range(50 if LONG else 5):
            first = target.ticks()
            shot = shoot(target.pid, "--max-pause=10m", f"--snapshot={mode}", expect=(0, 3),
                         program=inside)
            # The child may be killed for the target's sake.
            print(shot.mode, shot.reason, shot.entry, group.read("memory.oom_control").split())
            assert target.target.running
            check_rounds(target.areas("rounds"), shot)
            assert shot.entry["status"] == "ok" or "memory got scarce" in shot.entry["reason"]
            wait_until(lambda: target.ticks() > first, "another round")
        target.check_unharmed()


def test_what_scarce_memory_costs_is_predicted(hazard, podsnap, shoot, tmp_path):
    """The child is made safe while the target stands. The same process without a limit is its healthy
    twin."""
    limit_ns = 80_000_000
    assert shoot(hazard("writer", 200).pid).head["predicted_pause_ns"] < limit_ns
    with Group("memory", limit_in_bytes=256 * MIB) as group:
        target = hazard("writer", 200, prefix=[*group.prefix, "choom", "-n", 999, "--"])
        inside = podsnap.inside(group.prefix)
        done = inside.run("capture", "--pid", target.pid, "--max-pause=80ms", "-o", tmp_path / "no",
                          expect=1)
        assert re.search(r"would pause the process for about [\d.]+ ms, and --max-pause is 80",
                         done.stderr)
        shot = shoot(target.pid, expect=(0, 3), program=inside)
        assert shot.mode == "cow" and shot.head["predicted_pause_ns"] > limit_ns
        target.check_unharmed()
