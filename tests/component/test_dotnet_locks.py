"""locks: who holds and who waits, as a .NET program says of itself; a deadlock and its healthy twin."""

import pytest

from lib import bundle as bundles
from lib import debugger
from lib.dotnet import createdump


@pytest.fixture
def healthy(dotnet, targets, runtime, seed):
    return dotnet.start(targets, "Depot", runtime, seed, "--healthy")


def locks_of(podsnap, *source):
    return podsnap.run("locks", *source, "--json").json()


def said_locks(depot):
    """{type: (owner, times, waiters)} as the program says it."""
    locks = {}
    for line in depot.said("lock"):
        _, _, waiters = locks.setdefault(line["type"], (line["owner"], line["times"], set()))
        if line["waiter"]:
            waiters.add(line["waiter"])
    return locks


def shown_locks(answer, depot):
    """The same as podsnap says it; the runtime itself may hold others."""
    return {lock["type"]: (lock["owner"]["name"], lock["times"],
                           {waiter["name"] for waiter in lock["waiters"]})
            for lock in answer["locks"] if lock["type"].startswith(f"Depot_{depot.tag}.")}


def test_owners_and_waiters_are_those_of_the_program(podsnap, depot):
    answer = locks_of(podsnap, "--pid", depot.pid)
    said = said_locks(depot)
    assert len(said) == 3 and sum(len(waiters) for _, _, waiters in said.values()) == 3
    assert shown_locks(answer, depot) == said
    assert answer["waits_not_known"] == [] and answer["lost_bytes"] == 0
    ids = {line["name"]: line["id"] for line in depot.said("thread")}
    tids = {thread["tid"]: thread["managed"]["name"]
            for thread in podsnap.run("stacks", "--pid", depot.pid, "--json").json()["threads"]
            if "managed" in thread}
    for lock in answer["locks"]:
        assert lock["held"] and lock["kind"] == "monitor"
        for thread in (lock["owner"], *lock["waiters"]):
            assert thread["managed"] == ids[thread["name"]]
            assert tids[thread["tid"]] == thread["name"]
        assert lock["waiting"] == len(lock["waiters"])
        one = podsnap.run("object", "--pid", depot.pid, lock["address"], "--json").json()
        assert one["objects"][0]["type"] == lock["type"]


def test_deadlock_is_named_first(podsnap, depot):
    answer = locks_of(podsnap, "--pid", depot.pid)
    circle, = answer["deadlocks"]
    type_of = {lock["address"]: lock["type"] for lock in answer["locks"]}
    owner_of = {kind: owner for kind, (owner, _, _) in said_locks(depot).items()}
    assert len(circle) == 2
    for member, following in zip(circle, circle[1:] + circle[:1]):
        assert owner_of[type_of[member["holds"]]] == member["thread"]["name"]
        assert member["waits_for"] == following["holds"] != member["holds"]
    text = podsnap.run("locks", "--pid", depot.pid).text
    assert text.startswith(f"deadlock: {circle[0]['thread']['tid']} ") and \
        text.count("deadlock") == 1
    holds, waits = (f"{type_of[circle[0][key]]} @{circle[0][key]}" for key in ("holds", "waits_for"))
    assert f" holds {holds}, waits for {waits} held by {circle[1]['thread']['tid']} " in text


def test_healthy_twin_is_in_no_deadlock(podsnap, healthy):
    answer = locks_of(podsnap, "--pid", healthy.pid)
    said = said_locks(healthy)
    assert len(said) == 2 and sum(len(waiters) for _, _, waiters in said.values()) == 1
    assert shown_locks(answer, healthy) == said
    assert answer["deadlocks"] == [] and answer["waits_not_known"] == []
    assert "deadlock" not in podsnap.run("locks", "--pid", healthy.pid).text


def test_who_sleeps_in_a_monitor_does_not_want_it(podsnap, depot):
    sleeper, = depot.said("thread", does="wait")
    assert f'"{sleeper["name"]}"' not in podsnap.run("locks", "--pid", depot.pid).text


def test_the_same_text_from_every_source(podsnap, dotnet, depot, runtime, tmp_path):
    bundle, small = tmp_path / "b", tmp_path / "small"
    podsnap.run("capture", "--pid", depot.pid, "-o", bundle)
    podsnap.run("capture", "--pid", depot.pid, "--core", "heap", "-o", small)
    expected = podsnap.run("locks", "--pid", depot.pid).text
    for source in (bundle, small, bundles.core(bundle, tmp_path / "core"),
                   createdump(dotnet, runtime, depot.pid, tmp_path / "createdump"),
                   debugger.gcore(depot.pid, tmp_path / "gcore")):
        assert podsnap.run("locks", source).text == expected, source
    depot.target.kill()
    assert podsnap.run("locks", bundle).text == expected
    assert "deadlock: " in expected


def test_not_a_dotnet_process(podsnap, targets):
    target = targets.start("deadlock", 2)
    assert "libcoreclr.so" in podsnap.run("locks", "--pid", target.pid, expect=1).stderr
