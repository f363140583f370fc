"""Bad input gets one clear line and the next step, whatever it is; never a crash."""

import os
import stat
import subprocess

import pytest

from lib import bundle as bundles
from lib.targets import Targets

CUTS, FLIPS = 100, 60


def assert_one_error(done, *texts):
    """One "error:" line that holds the texts, and advice below it."""
    lines = done.stderr.splitlines()
    errors = [i for i, line in enumerate(lines) if line.startswith("podsnap: error: ")]
    assert len(errors) == 1, done
    for text in texts:
        assert text in lines[errors[0]], done
    advice = lines[errors[0] + 1:]
    assert advice and all(line.startswith("  ") and line.strip() for line in advice), done


@pytest.fixture(scope="module")
def whole(podsnap_session, build_dir, tmp_path_factory):
    """A small bundle with a core, as bytes."""
    targets = Targets(build_dir)
    path = tmp_path_factory.mktemp("whole") / "b"
    try:
        target = targets.start("deadlock", 2)
        podsnap_session.run("capture", "--pid", target.pid, "-o", path, "--no-modules")
    finally:
        targets.kill_all()
    return path.read_bytes()


@pytest.fixture
def ended_pid():
    """A pid that was just free again."""
    done = subprocess.Popen(["true"])
    done.wait()
    return done.pid


@pytest.mark.parametrize("verb", ["capture", "stacks", "ps"])
def test_no_such_process(podsnap, ended_pid, verb, tmp_path):
    done = podsnap.run(verb, "--pid", ended_pid, expect=1, cwd=tmp_path)
    assert_one_error(done, str(ended_pid))
    assert os.listdir(tmp_path) == []


def test_kernel_thread_is_refused(podsnap, tmp_path):
    done = podsnap.run("capture", "--pid", 2, expect=1, cwd=tmp_path)
    assert_one_error(done, "2")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("args, texts", [
    (["capture"], ["no source"]),
    (["stacks"], ["no source"]),
    (["capture", "--pdi", "1"], ["--pdi"]),
    (["capture", "--pid", "x"], ["--pid"]),
    (["capture", "--pid", "99999999999999999999"], ["--pid"]),
    (["capture", "--pid", "0"], ["--pid"]),
    (["capture", "--pid", "1", "--max-pause", "ten"], ["--max-pause"]),
    (["capture", "--pid", "1", "--core", "half"], ["--core"]),
    (["verify"], ["BUNDLE"]),
    (["show", "a", "b"], ["BUNDLE"]),
    (["captrue"], ["captrue"]),
])
def test_wrong_use(podsnap, args, texts):
    assert_one_error(podsnap.run(*args, expect=2), *texts)


def test_misspelt_words_get_a_suggestion(podsnap):
    assert "--pid" in podsnap.run("capture", "--pdi", "1", expect=2).stderr.replace("--pdi", "")
    assert "capture" in podsnap.run("captrue", expect=2).stderr


@pytest.mark.parametrize("verb", ["show", "verify", "stacks"])
def test_no_such_file(podsnap, verb, tmp_path):
    done = podsnap.run(verb, tmp_path / "absent", expect=1)
    assert_one_error(done, "absent", "No such file")


@pytest.mark.parametrize("content", [b"", b"x", b"hello world\n" * 1000, b"\x7fELF",
                                     b"\x28\xb5\x2f\xfd", b"\0" * 5000], ids=repr)
@pytest.mark.parametrize("verb", ["show", "verify", "stacks"])
def test_neither_bundle_nor_core(podsnap, verb, content, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(content[:100000])
    done = podsnap.run(verb, path, expect=1)
    assert_one_error(done, str(path))


def test_program_is_not_a_core(podsnap):
    done = podsnap.run("stacks", "/bin/true", expect=1)
    assert_one_error(done, "/bin/true")


def test_evidence_is_not_captured_again(podsnap, whole, tmp_path):
    (tmp_path / "b").write_bytes(whole)
    assert_one_error(podsnap.run("capture", tmp_path / "b", expect=2), "evidence already")


def test_bundle_cut_anywhere_is_never_complete(podsnap, whole, rng, tmp_path):
    path = tmp_path / "cut"
    cuts = sorted({1, 4, len(whole) - 1, len(whole) - 9,
                   *(rng.randrange(1, len(whole)) for _ in range(CUTS - 4))})
    with_stacks = 0
    for cut in cuts:
        path.write_bytes(whole[:cut])
        done = podsnap.run("verify", path, expect=1)
        assert "whole: " not in done.text.replace("NOT WHOLE", "")
        done = podsnap.run("show", path, expect=None)
        assert done.status in (1, 3), (cut, done)
        assert ", complete\n" not in done.text
        done = podsnap.run("stacks", path, expect=None)
        assert done.status in (1, 3), (cut, done)
        if done.status == 3:
            with_stacks += 1
            assert "truncated" in done.stderr
    # Most of the bundle is the core; what is whole of it answers.
    assert with_stacks > 0


def test_changed_byte_is_found(podsnap, whole, rng, tmp_path):
    path = tmp_path / "damaged"
    for _ in range(FLIPS):
        at, bit = rng.randrange(len(whole)), 1 << rng.randrange(8)
        damaged = bytearray(whole)
        damaged[at] ^= bit
        path.write_bytes(damaged)
        done = podsnap.run("verify", path, expect=None)
        assert done.status == 1, f"byte {at} of {len(whole)}, bit {bit}:\n{done}"
        for verb in ("show", "stacks"):
            assert podsnap.run(verb, path, expect=None).status in (0, 1, 3), f"byte {at} bit {bit}"


def test_damaged_core_never_crashes(podsnap, targets, whole, rng, tmp_path):
    (tmp_path / "b").write_bytes(whole)
    core = bytearray(open(bundles.core(tmp_path / "b", tmp_path / "core"), "rb").read())
    path = tmp_path / "damaged"
    for _ in range(FLIPS):
        damaged = bytearray(core)
        # The headers and notes, where all the numbers are.
        for _ in range(rng.randrange(1, 20)):
            damaged[rng.randrange(64 if rng.random() < 0.3 else 40000)] = rng.randrange(256)
        if rng.random() < 0.3:
            del damaged[rng.randrange(1, len(damaged)):]
        path.write_bytes(damaged)
        assert podsnap.run("stacks", path, expect=None).status in (0, 1, 3)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB."""
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path], check=True)
    yield path
    subprocess.run(["umount", path], check=True)


def test_full_disk(podsnap, targets, small_disk):
    target = targets.start("memory", 64)
    done = podsnap.run("capture", "--pid", target.pid, "-o", small_disk / "b", expect=1)
    assert_one_error(done, "no space left", str(small_disk / "b"))
    # What came before is evidence, under a name that says that it is not all.
    assert os.listdir(small_disk) == ["b.partial"]
    assert "b.partial" in done.stderr
    podsnap.run("verify", small_disk / "b.partial", expect=1)
    assert target.state() != "t"


def test_destination_that_cannot_be_written(podsnap, targets, tmp_path):
    target = targets.start("deadlock")
    done = podsnap.run("capture", "--pid", target.pid, "-o", tmp_path / "no" / "such" / "b",
                       expect=1)
    assert_one_error(done, "No such file")
    assert "mkdir -p" in done.stderr
    done = podsnap.run("capture", "--pid", target.pid, "-o", "/dev/null", expect=1)
    assert_one_error(done, "not a regular file")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_reader_that_goes_away(podsnap, targets):
    target = targets.start("memory", 64)
    running = podsnap.start("capture", "--pid", target.pid, "-o", "-")
    running.stdout.read(1000)
    running.stdout.close()
    stderr = running.stderr.read().decode()
    assert running.wait(timeout=60) == 1
    assert stderr.count("podsnap: error: ") == 1 and "its reader went away" in stderr
    target = targets.start("threads", 2000, 50)
    running = podsnap.start("stacks", "--pid", target.pid, "--full")
    running.stdout.read(1000)
    running.stdout.close()
    # A pager that was left is no failure worth a word.
    assert running.stderr.read() == b""
    assert running.wait(timeout=60) == 1
