"""object with a path to a value, heap --diff, and a data-access library that crashes over a question."""

import os
import re
import shutil

import pytest

from lib import bundle as bundles
from lib.dotnet import link_or_copy


@pytest.fixture
def bundle(podsnap, depot, tmp_path):
    path = tmp_path / "b"
    podsnap.run("capture", "--pid", depot.pid, "-o", path)
    return path


def value(podsnap, bundle, kind, path):
    """What the path leads to from the only object of the type."""
    answer = podsnap.run("object", bundle, "--type", kind, "--path", path, "--json").json()
    assert len(answer["objects"]) == 1
    return answer["objects"][0]


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# --- paths -----------------------------------------------------------------------------------------

def test_a_path_to_each_kind_of_value(podsnap, depot, bundle):
    kind = f"^Depot_{depot.tag}.Everything$"
    said = depot.fields("Depot_TAG.Everything")

    def at(path):
        return value(podsnap, bundle, kind, path)

    for index, number in enumerate(said["Ints"]["items"]):
        assert at(f".Ints[{index}]") == number
    for index, number in enumerate(said["List"]["items"]):
        assert at(f".List[{index}]") == number
    for index, place in enumerate(said["Places"]["items"]):
        assert at(f".Places[{index}].Name") == place["fields"]["Name"]
    for key, text in said["Names"]["entries"]:
        assert at(f".Names[{key}]") == text
    for key, number in said["Stock"]["entries"]:
        assert at(f".Stock[{quoted(key)}]") == number
    assert at(".Place.Row") == said["Place"]["fields"]["Row"]
    assert at(".BoxedPlace.Row") == said["BoxedPlace"]["value"]["fields"]["Row"]
    assert at(".Marks")["value"] == said["Marks"]["value"]
    assert at(".Null") is None
    lid = depot.said("object", type=said["Lid"]["ref"])[0]["fields"]
    key, number = lid["Under"]["entries"][0]
    assert at(f".Lid.Under[{quoted(key)}]") == number
    assert at(".List._size") == len(said["List"]["items"])


def test_the_flag_by_its_key(podsnap, depot, bundle):
    flags = depot.fields("Depot_TAG.FeatureFlags_TAG")["FeatureFlags"]["entries"]
    found = podsnap.run("objects", bundle, "--type", "[.]FeatureFlags_", "--json").json()
    address = found["objects"][0]["address"]
    for key, on in flags:
        text = podsnap.run("object", bundle, f"{address}.FeatureFlags[{quoted(key)}]").text
        assert text == ("true\n" if on else "false\n")
    # By a static, and to an object, which is shown as it is by its address.
    whole = podsnap.run("object", bundle, address).text
    assert podsnap.run("object", bundle, f"{address}.Instance").text == whole


def test_a_path_that_leads_nowhere_says_what_there_is(podsnap, depot, bundle):
    kind = f"^Depot_{depot.tag}.Everything$"
    said = depot.fields("Depot_TAG.Everything")
    key = said["Names"]["entries"][0][0]
    missing = next(n for n in range(100) if n not in [k for k, _ in said["Names"]["entries"]])
    for path, says in ((".Nope", "has no field Nope"), (".Ints[99]", "no index 99"),
                       (f".Names[{missing}]", f"no key {missing}"), (".Names[x]", "no key x"),
                       (".Null.Length", "it is null"), (".Int[0]", "holds no items"),
                       (".Ints[x]", "no index"), (".Text.Length", "no field Length")):
        done = podsnap.run("object", bundle, "--type", kind, "--path", path, expect=1)
        assert says in done.stderr, path
        if path == ".Nope":
            assert all(name in done.stderr for name in said)
        if path.startswith(".Names"):
            assert str(key) in done.stderr


def test_a_path_from_several_objects(podsnap, depot, bundle):
    """One parcel has no next: that is said in its place."""
    count = sum(line["objects"] for line in depot.said("count") if "Parcel" in line["type"] and
                "Crate" not in line["type"])
    args = ("object", bundle, "--type", f"^Depot_{depot.tag}.(Fragile)?Parcel$", "--limit", 0,
            "--path", ".Next.Id")
    done = podsnap.run(*args, "--json", expect=3)
    values = done.json()["objects"]
    assert len(values) == count
    assert [one for one in values if not isinstance(one, str)] == \
        [{"unknown": ".Next: it is null, and has no Id"}]


@pytest.mark.parametrize("path", ["x", ".", ".a[", ".a]", '.a["x]', ".a[]", "[1]x", ".a..b"])
def test_no_path(podsnap, path):
    done = podsnap.run("object", "--pid", os.getpid(), "--type", "x", "--path", path, expect=2)
    assert "not a path" in done.stderr
    done = podsnap.run("object", "--pid", os.getpid(), "0x10.a", "--path", ".b", expect=2)
    assert "either" in done.stderr


# --- what changed ----------------------------------------------------------------------------------

def test_what_changed_between_two_heaps(podsnap, dotnet, targets, runtime, seed, tmp_path):
    """Two runs of the program stand for two instants: what it counts is what differs."""
    before, now = (dotnet.start(targets, "Depot", runtime, seed + i) for i in (0, 1))
    podsnap.run("capture", "--pid", before.pid, "-o", tmp_path / "before")
    podsnap.run("capture", "--pid", now.pid, "-o", tmp_path / "now")
    args = ("heap", tmp_path / "now", "--diff", tmp_path / "before")
    answer = podsnap.run(*args, "--limit", 0, "--json").json()
    types = {entry["type"]: entry["objects"] for entry in answer["types"]}
    counted = 0
    for line in now.said("count"):
        old = before.said("count", type=line["type"])[0]["objects"]
        if old == line["objects"]:
            continue
        assert types[line["type"]] == {"before": old, "now": line["objects"]}, line
        counted += 1
    assert counted >= 4
    growths = [entry["bytes"]["now"] - entry["bytes"]["before"] for entry in answer["types"]]
    assert growths == sorted(growths, reverse=True)
    heaps = [podsnap.run("heap", tmp_path / name, "--json").json() for name in ("before", "now")]
    assert answer["bytes"] == {"before": heaps[0]["bytes"], "now": heaps[1]["bytes"]}
    assert sum(growths) == heaps[1]["bytes"] - heaps[0]["bytes"]
    text = podsnap.run(*args, "--limit", 3).text
    first = answer["types"][0]
    grown = first["objects"]["now"] - first["objects"]["before"]
    assert re.search(rf"^ *{re.escape(f'{grown:+d}')} +{re.escape(f'{growths[0]:+d}')} .* "
                     rf"{re.escape(first['type'])}$", text, re.MULTILINE)
    assert f"and {answer['type_count'] - 3} more types" in text


def test_nothing_changed(podsnap, bundle, tmp_path):
    core = bundles.core(bundle, tmp_path / "core")
    answer = podsnap.run("heap", core, "--diff", bundle, "--json").json()
    assert answer["types"] == [] and answer["bytes"]["before"] == answer["bytes"]["now"] > 0


# --- a library that crashes over one question --------------------------------------------------------

def test_what_the_library_crashes_over_is_unknown(podsnap, dotnet, targets, seed, tmp_path):
    """.NET 9's crashes over types of an assembly whose file is not there."""
    depot = dotnet.start(targets, "Depot", "9.0", seed)
    podsnap.run("capture", "--pid", depot.pid, "--no-modules", "-o", tmp_path / "b")
    core = bundles.core(tmp_path / "b", tmp_path / "core")
    folder = os.path.join(dotnet.cache, "9.0", "shared", "Microsoft.NETCore.App")
    folder = os.path.join(folder, os.listdir(folder)[0])
    root = tmp_path / "root"
    shutil.copytree(folder, f"{root}{folder}", copy_function=link_or_copy)
    done = podsnap.run("heap", core, "--sysroot", root, "--limit", 0, expect=3)
    assert "unknown is what was asked for when the runtime's data-access library crashed" in \
        done.text
    assert re.search(r"crashed \(signal \d+, .*\) when it was asked for the type at 0x", done.text)
    assert "  System.Int32[]\n" in done.text and "segments could not be read" in done.text
    assert f"Depot_{depot.tag}" not in done.text
    answer = podsnap.run("heap", core, "--sysroot", root, "--json", expect=3).json()
    assert answer["unanswered"]["count"] >= 1 and not answer["whole"]
    # With the file all is there, and nothing is unknown.
    program = os.path.dirname(dotnet.program("Depot", "9.0")[-1])
    shutil.copytree(program, f"{root}{program}")
    answer = podsnap.run("heap", core, "--sysroot", root, "--json", "--limit", 0).json()
    assert "unanswered" not in answer and answer["whole"]
    counts = {line["type"]: line["objects"] for line in depot.said("count")}
    types = {entry["type"]: entry["objects"] for entry in answer["types"]}
    assert {name: types[name] for name in counts} == counts
