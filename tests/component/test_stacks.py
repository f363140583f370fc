"""stacks: the same frames from the live process, its core and its bundle."""

import shutil

import pytest

from lib import bundle as bundles
from lib import debugger


def frames_by_thread(answer):
    return {thread["tid"]: thread["frames"] for thread in answer["threads"]}


def symbols(frames):
    return [frame.get("symbol") for frame in frames]


@pytest.fixture
def target(targets):
    return targets.start("deadlock", 4)


@pytest.fixture
def bundle(podsnap, target, tmp_path):
    path = tmp_path / "b"
    podsnap.run("capture", "--pid", target.pid, "-o", path)
    return path


def test_deadlock_shows_who_waits_where(podsnap, target):
    answer = podsnap.run("stacks", "--pid", target.pid, "--json").json()
    stacks = {thread["name"]: symbols(thread["frames"]) for thread in answer["threads"]}
    inventory, payments = stacks["inventory"], stacks["payments"]
    at = inventory.index("lock_ledger")
    assert inventory[at:at + 3] == ["lock_ledger", "transfer_stock", "inventory"]
    assert inventory[at - 1].endswith("pthread_mutex_lock")
    at = payments.index("lock_stock")
    assert payments[at:at + 3] == ["lock_stock", "charge_card", "payments"]
    assert "main" in stacks["deadlock"]


def test_identical_stacks_are_folded_unless_asked(podsnap, target):
    text = podsnap.run("stacks", "--pid", target.pid).text
    assert text.startswith(f"pid {target.pid} (deadlock), 7 threads\n")
    assert text.count("wait_for_work") == 1 and "\n4 threads: " in text
    full = podsnap.run("stacks", "--pid", target.pid, "--full").text
    assert full.count("wait_for_work") == 4 and full.count("\nthread ") == 7


def test_text_of_the_bundle_is_that_of_the_capture(podsnap, bundle):
    captured = bundles.entry(bundle, bundles.find(bundle, "/stacks.txt")).decode()
    assert podsnap.run("stacks", bundle).text == captured
    assert "transfer_stock" in captured


def test_frames_are_equal_live_and_from_core_and_from_bundle(podsnap, target, bundle, tmp_path):
    core = bundles.core(bundle, tmp_path / "core")
    live = frames_by_thread(podsnap.run("stacks", "--pid", target.pid, "--json").json())
    assert len(live) == 7 and all(len(frames) >= 3 for frames in live.values())
    assert frames_by_thread(podsnap.run("stacks", bundle, "--json").json()) == live
    assert frames_by_thread(podsnap.run("stacks", core, "--json").json()) == live


def test_bundle_answers_after_the_process_and_its_files_are_gone(podsnap, targets, tmp_path):
    program = tmp_path / "service"
    shutil.copy(targets.path("deadlock"), program)
    target = targets.start_argv([program, "2"])
    podsnap.run("capture", "--pid", target.pid, "-o", tmp_path / "b")
    before = podsnap.run("stacks", "--pid", target.pid).text
    target.kill()
    program.unlink()
    assert podsnap.run("stacks", tmp_path / "b").text == before
    assert "transfer_stock" in before


def test_many_threads_in_many_calls(podsnap, targets, tmp_path):
    target = targets.start("threads", 100, 20)
    podsnap.run("capture", "--pid", target.pid, "-o", tmp_path / "b", "--no-modules")
    answer = podsnap.run("stacks", "--pid", target.pid, "--json").json()
    seen = set()
    for thread in answer["threads"]:
        names = symbols(thread["frames"])
        if thread["name"].startswith("w") and thread["name"][1:].isdigit():
            assert names.count("descend") == 21, thread
            seen.add(names[names.index("descend") - 1])
    assert seen == {"wait_in_" + call for call in
                    ("mutex", "condition", "sleep", "read", "epoll", "poll", "semaphore", "futex")}


def test_core_of_another_tool_is_answered_too(podsnap, target, tmp_path):
    core = debugger.gcore(target.pid, tmp_path / "gcore")
    live = frames_by_thread(podsnap.run("stacks", "--pid", target.pid, "--json").json())
    assert frames_by_thread(podsnap.run("stacks", core, "--json").json()) == live
