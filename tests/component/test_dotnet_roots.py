"""roots: why an object is alive, by what a .NET program says of itself."""

import os
import re
import subprocess

import pytest

from lib import bundle as bundles


@pytest.fixture
def keeper(dotnet, targets, runtime, seed):
    return dotnet.start(targets, "Keeper", runtime, seed)


@pytest.fixture
def bundle(podsnap, keeper, tmp_path):
    path = tmp_path / "b"
    podsnap.run("capture", "--pid", keeper.pid, "-o", path)
    return path


def roots(podsnap, source, type_name):
    """The answer for the only object of the type."""
    source = source if isinstance(source, tuple) else (source,)
    answer = podsnap.run("roots", *source, "--type", f"^{re.escape(type_name)}$", "--json").json()
    assert answer["found"] == 1 and len(answer["objects"]) == 1
    assert answer["objects"][0]["type"] == type_name
    return answer["objects"][0]


def test_each_way_to_keep_an_object(podsnap, keeper, bundle):
    held = keeper.said("held")
    assert len(held) >= 17
    for line in held:
        one = roots(podsnap, bundle, line["type"])
        assert one["root"], line["type"]
        assert one["root"]["kind"] == line["kind"], (line, one)
        name, path = one["root"]["name"], [step["via"] for step in one["path"][1:]]
        assert one["path"][0]["via"] == name
        assert one["path"][-1]["address"] == one["address"]
        assert one["path"][-1]["type"] == line["type"]
        if line["kind"] == "stack":
            assert name.endswith(f"Keeper_{keeper.tag}.Program.{line['root']}()")
        elif line["root"]:
            assert name == line["root"]
        if line["path"] is not None:
            path = [re.sub(" 0x[0-9a-f]+$", "", via) for via in path]
            assert path == line["path"], line["type"]


def test_a_thread_and_an_assembly_are_named(podsnap, keeper, bundle, runtime):
    """What the program cannot say of itself: threads' ids, the way through a loader."""
    tids = {int(tid) for tid in os.listdir(f"/proc/{keeper.pid}/task")}
    stack = roots(podsnap, bundle, f"Keeper_{keeper.tag}.OnStack")
    assert stack["root"]["thread"] in tids
    assert stack["root"]["name"].startswith(f"stack of thread {stack['root']['thread']}, ")
    if runtime == "9.0":
        static = roots(podsnap, bundle, f"Keeper_{keeper.tag}.OnThread")
        assert static["root"]["thread"] in tids - {stack["root"]["thread"]}
        assert static["root"]["name"] == f"thread static Keeper_{keeper.tag}.Shelf.PerThread of " \
            f"thread {static['root']['thread']}"
    assembly = roots(podsnap, bundle, f"Keeper_{keeper.tag}.ByAssembly")
    assert assembly["path"][1]["via"] == "loader of its assembly"
    assert assembly["path"][1]["type"] == "System.Reflection.LoaderAllocator"


def test_what_nothing_holds_is_garbage(podsnap, keeper, bundle):
    loose = [line["type"] for line in keeper.said("loose")]
    assert len(loose) == 3
    for name in loose:
        one = roots(podsnap, bundle, name)
        assert one["root"] is None and one["path"] == [], name
        text = podsnap.run("roots", bundle, one["address"]).text
        assert text.splitlines()[1] == "  no root found: garbage not yet collected"


def referred(value, found):
    """All addresses that a value of object --json shows."""
    if isinstance(value, dict):
        if "address" in value:
            found.add(value["address"])
        for inner in value.values():
            referred(inner, found)
    elif isinstance(value, list):
        for inner in value:
            referred(inner, found)
    return found


def test_every_step_is_a_reference_that_the_object_shows(podsnap, depot, tmp_path, rng):
    """Nothing that the program holds is called garbage, and objects show the next of the way."""
    path = tmp_path / "b"
    podsnap.run("capture", "--pid", depot.pid, "-o", path)
    answer = podsnap.run("roots", path, "--type", f"Depot_{depot.tag}", "--limit", 0,
                         "--json").json()
    counts = {line["type"]: line["objects"] for line in depot.said("count")}
    for name, count in counts.items():
        ways = [one for one in answer["objects"] if one["type"] == name]
        assert len(ways) == count
        assert all(one["root"] for one in ways), name
    checked = 0
    for one in rng.sample([one for one in answer["objects"] if len(one["path"]) > 1], 12):
        for step, following in zip(one["path"], one["path"][1:]):
            if step["type"].startswith("System.") and not step["type"].endswith("[]"):
                continue  # a collection shows what it holds, not its inside
            if following["via"].startswith("kept by") or "type" not in following:
                continue
            shown = podsnap.run("object", path, step["address"], "--limit", 0, "--json").json()
            assert following["address"] in referred(shown, set()), (step, following)
            checked += 1
    assert checked >= 12


def test_the_same_text_from_every_source(podsnap, dotnet, keeper, runtime, bundle, tmp_path):
    small, dump = tmp_path / "small", tmp_path / "createdump"
    podsnap.run("capture", "--pid", keeper.pid, "--core", "heap", "-o", small)
    folder = os.path.join(dotnet.cache, runtime, "shared", "Microsoft.NETCore.App")
    program = os.path.join(folder, os.listdir(folder)[0], "createdump")
    os.chmod(program, 0o755)
    subprocess.run([program, "--full", "-f", dump, str(keeper.pid)], check=True,
                   stdout=subprocess.DEVNULL)
    subprocess.run(["gcore", "-o", tmp_path / "gcore", str(keeper.pid)], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    sources = {"live": ("--pid", keeper.pid), "core": (bundles.core(bundle, tmp_path / "core"),),
               "heap core": (small,), "createdump": (dump,),
               "gcore": (tmp_path / f"gcore.{keeper.pid}",)}
    kinds = [line["type"] for line in keeper.said("held") + keeper.said("loose")]
    question = ("--type", f"^({'|'.join(re.escape(kind) for kind in kinds)})$")
    expected = podsnap.run("roots", bundle, *question).text
    assert expected.count(" bytes at 0x") == len(kinds)
    for name, source in sources.items():
        assert podsnap.run("roots", *source, *question).text == expected, name


def test_limit_and_where(podsnap, keeper, bundle):
    one = f"^Keeper_{keeper.tag}[.]Node$"
    length = len(keeper.said("held", type=f"Keeper_{keeper.tag}.InChain")[0]["path"])
    answer = podsnap.run("roots", bundle, "--type", one, "--limit", 3, "--json").json()
    assert answer["found"] == length and len(answer["objects"]) == 3
    text = podsnap.run("roots", bundle, "--type", one, "--limit", 3).text
    assert f"and {length - 3} more objects" in text
    last = podsnap.run("roots", bundle, "--type", one, "--where", "Next=null", "--json").json()
    assert last["found"] == 1 and len(last["objects"][0]["path"]) == length


def test_no_object_is_there(podsnap, keeper, bundle):
    at = int(roots(podsnap, bundle, f"Keeper_{keeper.tag}.InChain")["address"], 16)
    for address in (at + 8, at + 1, 0x1000, 0xffffffffffffffff):
        done = podsnap.run("roots", bundle, hex(address), expect=1)
        assert "no object" in done.stderr
    done = podsnap.run("roots", bundle, "--type", "^Nothing$", expect=1)
    assert "no such object" in done.stderr


@pytest.mark.parametrize("args, says", [
    ((), "which object"),
    (("0x10", "--type", "x"), "which object"),
    (("0x10.path",), "not an address"),
])
def test_usage(podsnap, args, says):
    done = podsnap.run("roots", *args, "--pid", os.getpid(), expect=2)
    assert says in done.stderr
