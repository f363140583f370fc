"""tests/targets/hazard.c, captures of it, and what must be in their cores."""

import signal
import struct

from lib import bundle as bundles
from lib import proc
from lib.corefile import PAGE, Core
from lib.wait import wait_until

MASK = (1 << 64) - 1


def pattern(seed, address, length):
    """What hazard.c writes there."""
    words = []
    for at in range(address, address + length, 8):
        z = seed + at * 0x9e3779b97f4a7c15 & MASK
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9 & MASK
        z = (z ^ z >> 27) * 0x94d049bb133111eb & MASK
        words.append(z ^ z >> 31)
    return struct.pack(f"<{len(words)}Q", *words)


def areas(lines, kind="range"):
    """[(name, start, length)] that a hazard has printed."""
    found = [line.split() for line in lines]
    return [(words[-3], int(words[-2], 16), int(words[-1], 16))
            for words in found if words and words[0] == kind]


class Hazard:
    """A running hazard, maybe behind a command that runs it elsewhere."""

    def __init__(self, targets, seed, mode, arg=None, prefix=(), **popen):
        self.seed = seed
        argv = [*prefix, targets.path("hazard"), mode, seed, *([] if arg is None else [arg])]
        self.target = targets.start_argv(argv, **popen)
        self.pid = self.target.pid

    def areas(self, kind="range"):
        return areas(self.target.lines, kind)

    def send(self, sig, line=None):
        """Sends a signal, and waits for the line that answers it."""
        self.target.process.send_signal(sig)
        return self.target.wait_line(line) if line else None

    def ticks(self):
        """That its memory is as it was, and how far its timer is."""
        return int(self.send(signal.SIGUSR1, "same ").split()[1])

    def check_unharmed(self):
        """It answers, is not traced, has no child, and ends as it should."""
        self.ticks()
        assert proc.status(self.pid)["TracerPid"] == "0"
        assert proc.children(self.pid) == []
        status, lines = self.target.finish()
        assert status == 0, lines
        assert not [line for line in lines if line.startswith("FAIL")]


class Shot:
    """A bundle: what its manifest says, and its core."""

    def __init__(self, path, directory):
        self.core = Core(bundles.core(path, directory / "core"))
        self.head = bundles.taken(path)
        self.entry = bundles.manifest_entry(path, "/core")

    @property
    def mode(self):
        return self.head["mode"]

    @property
    def reason(self):
        return self.head["mode_reason"]

    def is_torn(self, address):
        offset = self.core.offset(address)
        return any(start <= offset < end for start, end in self.entry.get("torn", []))

    def check(self, hazard, rng=None, torn=()):
        """Every word of its areas (of 64 pages of each, if rng is given) is right, and those are
        said to be torn that `torn` names."""
        assert hazard.areas()
        for name, start, length in hazard.areas():
            pages = range(start, start + length, PAGE)
            if rng:
                pages = rng.sample(pages, min(64, len(pages)))
            for page in pages:
                size = min(PAGE, start + length - page)
                assert self.core.read(page, size) == pattern(hazard.seed, page, size), \
                    f"{name} at {page:#x}"
                assert self.is_torn(page) == (name in torn), f"{name} at {page:#x}"
        expected = "partial" if torn else "ok"
        assert self.entry["status"] == expected, self.entry


def check_rounds(areas, shot):
    """Pages of the writer's areas were written one after another: a consistent core has those of
    one round and then those of the round before."""
    (start, length), = [area[1:] for area in areas]
    pages = [page for page in range(start, start + length, PAGE) if not shot.is_torn(page)]
    rounds = [struct.unpack("<Q", shot.core.read(page, 8))[0] for page in pages]
    assert len(set(rounds)) <= 2
    assert rounds == sorted(rounds, reverse=True)
    assert not rounds or rounds[0] - rounds[-1] <= 1


class SlowReader:
    """A capture to a pipe that nobody reads until it is told to."""

    def __init__(self, podsnap, pid, *options):
        self.running = podsnap.start("capture", "--pid", pid, "-o", "-", *options)

    def await_child(self, pid):
        """The copy-on-write child's pid, as soon as the target runs again."""
        wait_until(lambda: proc.children(pid), "a child of the target", interval=0.001)
        wait_until(lambda: proc.status(pid)["TracerPid"] == "0", "end of the pause",
                   interval=0.001)
        return proc.children(pid)[0]

    def finish(self, directory, expect=0):
        """Reads all of it."""
        data, said = self.running.communicate(timeout=120)
        assert self.running.returncode == expect, said.decode()
        path = directory / "slow"
        path.write_bytes(data)
        return Shot(path, directory)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.running.poll() is None:
            self.running.kill()
        self.running.communicate()
