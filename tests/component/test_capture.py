"""capture of a local process: what the bundle holds, and where it goes."""

import json
import os
import re
import stat

import pytest

from lib import bundle as bundles
from lib.cgroups import Group


@pytest.fixture
def target(targets):
    return targets.start("deadlock", 4)


@pytest.fixture
def bundle(podsnap, target, tmp_path):
    path = tmp_path / "b.podsnap.tar.zst"
    podsnap.run("capture", "--pid", target.pid, "-o", path, "--reason", "why it hangs")
    return path


def test_bundle_is_whole_and_foreign_tools_read_it(podsnap, bundle, tmp_path):
    done = podsnap.run("verify", bundle)
    assert ": whole: " in done.text
    listed = bundles.check_digests(bundles.extract(bundle, tmp_path / "out"))
    assert any(name.endswith("/core") for name in listed)
    assert bundles.decompress_by_seek_table(bundle) == bundles.decompress_as_stream(bundle)


def test_bundle_begins_with_meta_and_ends_with_the_manifest(bundle):
    names = bundles.names(bundle)
    assert names[0] == "meta.json" and names[-1] == "manifest.json"


def test_bundle_holds_what_the_capture_saw(bundle, target):
    directory = f"{target.pid}-deadlock/"
    meta = json.loads(bundles.entry(bundle, "meta.json"))
    assert meta["schema"] == "podsnap.meta/1" and meta["reason"] == "why it hangs"
    assert meta["target"]["pid"] == target.pid
    process = json.loads(bundles.entry(bundle, directory + "process.json"))
    assert process["pid"] == target.pid
    with open(f"/proc/{target.pid}/maps", "rb") as maps:
        assert bundles.entry(bundle, directory + "proc/maps") == maps.read()
    stacks = json.loads(bundles.entry(bundle, directory + "stacks.json"))
    assert {thread["tid"] for thread in stacks["threads"]} == \
        set(map(int, os.listdir(f"/proc/{target.pid}/task")))
    assert bundles.entry(bundle, directory + "core")[:4] == b"\x7fELF"


def test_modules_are_the_files_that_are_mapped(bundle, target):
    modules = {name: name.split("/") for name in bundles.names(bundle)
               if name.startswith("modules/")}
    with open(f"/proc/{target.pid}/exe", "rb") as exe:
        own = [name for name, parts in modules.items() if parts[2] == "deadlock"]
        assert len(own) == 1 and bundles.entry(bundle, own[0]) == exe.read()
    assert re.fullmatch("[0-9a-f]{40}", modules[own[0]][1])
    assert any(parts[2].startswith("libc.so") for parts in modules.values())


def test_parts_can_be_left_out(podsnap, target, tmp_path):
    path = tmp_path / "small"
    podsnap.run("capture", "--pid", target.pid, "-o", path, "--core", "none", "--no-modules")
    names = bundles.names(path)
    assert not any(name.endswith("/core") or name.startswith("modules/") for name in names)
    assert bundles.find(path, "/stacks.txt")
    podsnap.run("verify", path)


def test_bundle_is_for_its_owner_alone(bundle):
    assert stat.S_IMODE(os.stat(bundle).st_mode) == 0o600


def test_existing_bundle_is_replaced_by_force_only(podsnap, target, bundle):
    before = bundle.read_bytes()
    done = podsnap.run("capture", "--pid", target.pid, "-o", bundle, expect=1)
    assert "exists already" in done.stderr and "--force" in done.stderr
    assert bundle.read_bytes() == before
    assert os.listdir(bundle.parent) == [bundle.name]
    podsnap.run("capture", "--pid", target.pid, "-o", bundle, "--force")
    assert bundle.read_bytes() != before
    podsnap.run("verify", bundle)


def test_directory_gets_a_name_that_tells_what_it_is(podsnap, target, tmp_path):
    done = podsnap.run("capture", "--pid", target.pid, "-o", tmp_path)
    (name,) = os.listdir(tmp_path)
    assert re.fullmatch(r"local_deadlock_\d{8}T\d{6}Z\.podsnap\.tar\.zst", name)
    assert done.text == f"{tmp_path}/{name}\n"


def test_standard_output_gets_the_bundle_and_nothing_else(podsnap, target, tmp_path):
    done = podsnap.run("capture", "--pid", target.pid, "-o", "-")
    path = tmp_path / "from-pipe"
    path.write_bytes(done.stdout)
    podsnap.run("verify", path)
    bundles.check_digests(bundles.extract(path, tmp_path / "out"))


def test_user_is_told_of_secrets_and_of_the_pause(podsnap, target, tmp_path):
    done = podsnap.run("capture", "--pid", target.pid, "-o", tmp_path / "b")
    assert "secret" in done.stderr
    assert re.search(r"complete bundle: .*paused for \d", done.stderr)


def test_json_answers_have_a_schema(podsnap, target, tmp_path):
    path = tmp_path / "b"
    answer = podsnap.run("capture", "--pid", target.pid, "-o", path, "--json").json()
    assert answer["schema"] == "podsnap.capture/1" and answer["bundle"] == str(path)
    assert answer["bytes"] == path.stat().st_size
    answer = podsnap.run("verify", path, "--json").json()
    assert answer["schema"] == "podsnap.verify/1" and answer["whole"] and not answer["problems"]
    answer = podsnap.run("show", path, "--json").json()
    assert answer["schema"] == "podsnap.show/1" and answer["complete"]
    listed = {item["name"] for item in bundles.manifest(path)["entries"]}
    assert {item["name"] for item in answer["entries"]} >= listed
    answer = podsnap.run("stacks", path, "--json").json()
    assert answer["schema"] == "podsnap.stacks/1" and answer["pid"] == target.pid
    assert podsnap.run("version", "--json").json()["schema"].startswith("podsnap.version/")
    assert podsnap.run("ps", "--pid", target.pid, "--json").stdout.count(b'"pid"') >= 1
    podsnap.run("config", "show", "--json").json()


def test_pause_is_in_the_manifest(bundle):
    head = bundles.taken(bundle)
    assert head["pause_ns"] > 0 and head["mode"] == "cow" and head["released_early"] is False
    assert head["mode_reason"] and head["predicted_pause_ns"] > 0
    assert head["threads"] == 7


def test_secrets_of_the_environment_are_redacted_unless_asked(podsnap, targets, tmp_path):
    env = {**os.environ, "DB_PASSWORD": "hunter2hunter2", "PLAIN": "visible"}
    pid = targets.start("deadlock", env=env).pid
    for name, args, seen in (("a", [], False), ("b", ["--show-secrets"], True)):
        podsnap.run("capture", "--pid", pid, "-o", tmp_path / name, "--core", "none", *args)
        text = bundles.entry(tmp_path / name, f"{pid}-deadlock/process.json").decode()
        assert "DB_PASSWORD" in text and "visible" in text
        assert ("hunter2hunter2" in text) == seen


def test_process_that_is_not_stopped_is_said_to_be_torn(podsnap, target, tmp_path):
    path = tmp_path / "b"
    podsnap.run("capture", "--pid", target.pid, "-o", path, "--max-pause", "0", expect=3)
    assert bundles.taken(path)["mode"] == "nostop"
    core = bundles.manifest_entry(path, "/core")
    assert core["status"] == "partial" and "while the process ran" in core["reason"]
    podsnap.run("verify", path)


def test_compressors_follow_the_cpu_quota(podsnap, targets, tmp_path):
    """A quota of one CPU and a half gives two threads, one of a tenth one; a number asked for is
    taken as it is."""
    pid = targets.start("deadlock", 2).pid
    with Group("cpu", cfs_period_us=100000, cfs_quota_us=10000) as group:
        for quota, options, want in ((10000, [], 1), (150000, [], min(2, os.cpu_count())),
                                     (10000, ["--threads", "3"], 3)):
            group.write("cpu.cfs_quota_us", quota)
            done = podsnap.inside(group.prefix).run(
                "capture", "--pid", pid, "-o", tmp_path / "b", "--force", "-v", *options)
            assert f"threads that compress: {want}\n" in done.stderr
