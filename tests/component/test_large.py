"""Large targets: memory that podsnap itself takes, and cores of very many segments."""

import re
import subprocess
import time

import pytest

from lib import bundle as bundles
from lib import debugger

MIB_MAX = 64


def peak_kib(process):
    """The largest resident size of a running process, until it ends: VmHWM only grows."""
    peak = 0
    while process.poll() is None:
        try:
            with open(f"/proc/{process.pid}/status", encoding="utf-8") as status:
                found = re.search(r"VmHWM:\s+(\d+) kB", status.read())
        except (FileNotFoundError, ProcessLookupError):
            break
        peak = max(peak, int(found[1]) if found else 0)
        time.sleep(0.01)
    return peak


@pytest.mark.timeout(600)
def test_memory_of_podsnap_is_flat(podsnap, targets, tmp_path):
    target = targets.start("memory", 4096, timeout=120)
    path = tmp_path / "b"
    with open(tmp_path / "stderr", "w+", encoding="utf-8") as stderr:
        running = podsnap.start("capture", "--pid", target.pid, "-o", path, "--max-pause", "5m",
                                stdout=subprocess.DEVNULL, stderr=stderr)
        peak = peak_kib(running)
        status = running.wait(timeout=60)
        stderr.seek(0)
        # On a busy machine the disk may stall for longer than the target may wait.
        assert status in (0, 3), stderr.read()
    target.kill()
    size = path.stat().st_size
    print(f"peak {peak} KiB, bundle {size >> 20} MiB")
    assert 8 << 10 < peak < MIB_MAX << 10
    assert size > 2 << 30
    running = podsnap.start("verify", path)
    assert peak_kib(running) < MIB_MAX << 10
    assert running.wait(timeout=60) == 0
    path.unlink()


@pytest.fixture
def sparse(targets):
    """A target of more segments than an ELF header can count: (target, start, count, stride)."""
    target = targets.start("sparse", 70000, timeout=120)
    _, _, start, count, stride = target.ready_line.split()
    return target, int(start, 16), int(count), int(stride)


@pytest.mark.timeout(600)
def test_core_of_very_many_segments_is_read_by_all(podsnap, targets, sparse, rng, tmp_path):
    target, start, count, stride = sparse
    path = tmp_path / "b"
    podsnap.run("capture", "--pid", target.pid, "-o", path, "--max-pause", "60s")
    core = bundles.core(path, tmp_path / "core")
    done = subprocess.run(["readelf", "-h", core], capture_output=True, text=True, check=True)
    number = re.search(r"Number of program headers: +65535 \((\d+)\)", done.stdout)
    assert number and int(number[1]) >= count, done.stdout
    pages = [start + stride * i for i in (0, count - 1, *rng.sample(range(count), 5))]
    text = debugger.gdb(targets.path("sparse"), core, *[
        word for page in pages for word in ("-ex", f"x/1gx {page + 4088:#x}")], "-ex", "bt",
        timeout=500)
    for page in pages:
        assert re.search(rf"{page + 4088:#x}:\s+{page:#018x}", text), hex(page)
    assert "main" in text
    assert "pause" in podsnap.run("stacks", core).text
    # What was never touched is no part of the file.
    assert (tmp_path / "core").stat().st_size < count * 4096 + (96 << 20)
