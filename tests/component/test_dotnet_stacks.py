"""stacks: managed threads and methods among native frames, as a .NET program says them itself."""

import re

import pytest

from lib import bundle as bundles
from lib import debugger
from lib.dotnet import createdump
from lib.dotnet_library import build_library, version_of

UNNAMED = "managed names are missing: "


@pytest.fixture
def bundle(podsnap, depot, tmp_path):
    path = tmp_path / "b"
    podsnap.run("capture", "--pid", depot.pid, "-o", path)
    return path


def threads_of(podsnap, *source):
    return podsnap.run("stacks", *source, "--json").json()["threads"]


def by_name(threads):
    return {thread["managed"]["name"]: thread for thread in threads
            if thread.get("managed", {}).get("name")}


def own_frames(depot, thread):
    """Of the program's own methods."""
    return [frame for frame in thread["frames"]
            if frame.get("method", "").startswith(f"Depot_{depot.tag}.")]


def texts(podsnap, *source):
    """Of the threads that the program started, which stand still, by name."""
    parts = podsnap.run("stacks", *source, "--full").text.split("\nthread ")
    named = {re.search(r' \(managed \d+ "(.*)"\)$', part.splitlines()[0]): part for part in parts}
    return {match[1]: part for match, part in named.items() if match}


def frames_by_name(threads):
    """The same out of JSON, without what not every core knows of a thread."""
    return {name: (thread["tid"], thread["managed"], thread["frames"], thread.get("end"))
            for name, thread in by_name(threads).items()}


# --- what the program says ---------------------------------------------------------------------------

def test_threads_have_names_and_ids(podsnap, depot):
    named = by_name(threads_of(podsnap, "--pid", depot.pid))
    said = depot.said("thread")
    assert len(said) >= 7
    assert {name: thread["managed"]["id"] for name, thread in named.items()} == \
        {line["name"]: line["id"] for line in said}
    assert len({thread["tid"] for thread in named.values()}) == len(said)


def test_frames_are_those_of_the_program(podsnap, depot):
    named = by_name(threads_of(podsnap, "--pid", depot.pid))
    stacks = depot.said("stack")
    assert len(stacks) == len(depot.said("thread"))
    calls = 0
    for line in stacks:
        own = own_frames(depot, named[line["thread"]])
        if line["thread"].startswith("catch-"):
            # What threw is still below what catches.
            assert "Threads.Fail(System.String)" in " ".join(f["method"] for f in own)
            own = own[-len(line["frames"]):]
        assert [frame["method"] for frame in own] == [frame["method"] for frame in line["frames"]]
        for ours, theirs in zip(own[1:], line["frames"][1:]):
            assert len(theirs["calls"]) > 0
            assert ours["il_offset"] in theirs["calls"]
            calls += 1
    assert calls >= 4


def test_managed_frames_stand_between_native_ones(podsnap, depot):
    for name, thread in by_name(threads_of(podsnap, "--pid", depot.pid)).items():
        frames = thread["frames"]
        pointers = [int(frame["sp"], 16) for frame in frames if "pc" in frame]
        assert pointers == sorted(pointers) and len(set(pointers)) == len(pointers), name
        own = [i for i, frame in enumerate(frames)
               if frame.get("method", "").startswith(f"Depot_{depot.tag}.")]
        for part in (frames[:own[0]], frames[own[-1] + 1:]):
            assert any(frame.get("module", "").endswith("libcoreclr.so") for frame in part)
        assert frames[-1]["module"].endswith("libc.so.6") and "end" not in thread
        # What both ways found is there once.
        assert all("guessed" not in frame for frame in frames if "method" in frame)


def test_exception_that_is_being_handled(podsnap, depot):
    thrown, = depot.said("thrown")
    answer = threads_of(podsnap, "--pid", depot.pid)
    handling = {thread["managed"]["name"]: thread["managed"]["exception"]
                for thread in answer if "exception" in thread.get("managed", {})}
    assert handling == {thrown["thread"]: {"type": thrown["type"], "message": thrown["message"]}}
    text = podsnap.run("stacks", "--pid", depot.pid).text
    tid = by_name(answer)[thrown["thread"]]["tid"]
    assert f"  {tid} handles {thrown['type']}: {thrown['message']}\n" in text


def test_identical_stacks_are_folded(podsnap, depot):
    idle = {line["name"] for line in depot.said("thread", does="idle")}
    text = podsnap.run("stacks", "--pid", depot.pid).text
    head, = [line for line in text.splitlines() if f'"{min(idle)}"' in line]
    assert head.startswith(f"{len(idle)} threads: ")
    assert all(f' "{name}")' in head for name in idle)
    assert text.count(f"Depot_{depot.tag}.Threads.Idle()+IL_") == 1
    full = podsnap.run("stacks", "--pid", depot.pid, "--full").text
    assert full.count(f"Depot_{depot.tag}.Threads.Idle()+IL_") == len(idle)


# --- every kind of source ----------------------------------------------------------------------------

def test_the_same_from_every_source(podsnap, dotnet, depot, runtime, bundle, tmp_path):
    expected = texts(podsnap, bundle)
    assert set(expected) == {line["name"] for line in depot.said("thread")}
    small = tmp_path / "small"
    podsnap.run("capture", "--pid", depot.pid, "--core", "heap", "-o", small)
    for source in (("--pid", depot.pid), (bundles.core(bundle, tmp_path / "core"),), (small,)):
        assert texts(podsnap, *source) == expected, source
    # Other tools' cores have no names of threads, nor what they wait for.
    frames = frames_by_name(threads_of(podsnap, bundle))
    for core in (createdump(dotnet, runtime, depot.pid, tmp_path / "createdump"),
                 debugger.gcore(depot.pid, tmp_path / "gcore")):
        assert frames_by_name(threads_of(podsnap, core)) == frames, core


def test_bundle_answers_after_the_process_is_gone(podsnap, depot, bundle):
    before = texts(podsnap, "--pid", depot.pid)
    depot.target.kill()
    assert texts(podsnap, bundle) == before and len(before) >= 7


# --- without the library -------------------------------------------------------------------------------

@pytest.mark.parametrize("library, says", [
    ("crashes", "data-access library crashed (signal 11"),
    ("missing", "dac.so: No such file"),
    ("of another build", "data-access library is of"),
])
def test_native_stacks_come_without_names(podsnap, dotnet, targets, seed, tmp_path, library, says):
    depot = dotnet.start(targets, "Depot", "9.0", seed)
    given = str(tmp_path / "dac.so")
    if library == "crashes":
        build_library(given, version_of(dotnet, "9.0"), "*(volatile int *)8 = 1;")
    elif library != "missing":
        build_library(given, version_of(dotnet, "3.1"), "return 0;")
    done = podsnap.run("stacks", "--pid", depot.pid, "--dac", given)
    second = done.text.splitlines()[1]
    assert second.startswith(UNNAMED) and says in second
    assert done.text.count(UNNAMED) == 1 and f"Depot_{depot.tag}" not in done.text
    answer = podsnap.run("stacks", "--pid", depot.pid, "--dac", given, "--json").json()
    assert says in answer["unnamed"]
    bare = {thread["tid"]: thread["frames"] for thread in answer["threads"]}
    named = by_name(threads_of(podsnap, "--pid", depot.pid))
    assert len(named) == len(depot.said("thread"))
    for thread in named.values():
        pcs = [frame["pc"] for frame in bare[thread["tid"]]]
        assert len(pcs) > 8 and set(pcs) <= {frame.get("pc") for frame in thread["frames"]}
    assert depot.target.running


def test_truncated_cores_end_in_a_clear_word(podsnap, dotnet, targets, seed, rng, tmp_path):
    depot = dotnet.start(targets, "Depot", "9.0", seed)
    podsnap.run("capture", "--pid", depot.pid, "-o", tmp_path / "b")
    with open(bundles.core(tmp_path / "b", tmp_path / "core"), "rb") as file:
        whole = file.read()
    for part in [rng.uniform(0.05, 0.95) for _ in range(4)]:
        cut = tmp_path / "cut"
        cut.write_bytes(whole[:int(len(whole) * part)])
        done = podsnap.run("stacks", cut, "--dac-timeout", "20s")
        assert f"pid {depot.pid} (dotnet), " in done.text
        done = podsnap.run("locks", cut, "--dac-timeout", "20s", expect=None)
        assert done.status in (0, 1, 3), done
        assert done.status != 1 or done.stderr.startswith("podsnap: error: "), done
        assert done.status == 1 or "held" in done.text
