"""heap, objects, object: what a .NET program says of itself, from every kind of source."""

import os
import shutil
import struct

import pytest

from lib import bundle as bundles
from lib.dotnet import createdump, link_or_copy, runtime_directory
from lib.dotnet_library import build_library, version_of


@pytest.fixture
def bundle(podsnap, depot, tmp_path):
    path = tmp_path / "b"
    podsnap.run("capture", "--pid", depot.pid, "-o", path)
    return path


# --- two ways to write a value, made one -----------------------------------------------------------

def single(number):
    return struct.pack("f", number)


def said(value):
    """A value as the program prints it."""
    if not isinstance(value, dict):
        return value
    if "entries" in value:
        return ("entries", sorted((repr(said(k)), repr(said(v))) for k, v in value["entries"]))
    if "items" in value:
        return ("items", [said(item) for item in value["items"]])
    if "boxed" in value:
        return ("boxed", value["boxed"], said(value["value"]))
    if "struct" in value:
        return ("struct", value["struct"], {k: said(v) for k, v in value["fields"].items()})
    if "enum" in value:
        return ("enum", value["enum"], value["value"])
    return ("ref", value["ref"])


def shown(value):
    """The same value as podsnap prints it."""
    if not isinstance(value, dict):
        return value
    if "entries" in value:
        assert value["count"] == len(value["entries"])
        return ("entries", sorted((repr(shown(k)), repr(shown(v))) for k, v in value["entries"]))
    if "items" in value:
        assert value["count"] == len(value["items"])
        return ("items", [shown(item) for item in value["items"]])
    if "struct" in value:
        return ("struct", value["struct"], {k: shown(v) for k, v in value["fields"].items()})
    if "enum" in value:
        return ("enum", value["enum"], value["value"])
    if "value" in value:
        return ("boxed", value["type"], shown(value["value"]))
    assert "unknown" not in value
    return ("ref", value["type"])


def is_same(ours, theirs):
    """64-bit integers are strings in podsnap's JSON; a float is what its bytes are."""
    if isinstance(theirs, int) and not isinstance(theirs, bool) and isinstance(ours, str):
        return int(ours) == theirs
    if isinstance(theirs, float) or isinstance(ours, float):
        return float(ours) == theirs or single(float(ours)) == single(theirs)
    return ours == theirs


def assert_same_fields(ours, theirs, sets=()):
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        expected, actual = said(value), shown(ours[name])
        if name in sets:
            expected, actual = sorted(expected[1]), sorted(actual[1])
        assert is_same(actual, expected), f"{name}: {actual} is not {expected}"


# --- what the program says --------------------------------------------------------------------------

def test_heap_counts_what_the_program_holds(podsnap, depot, bundle):
    answer = podsnap.run("heap", bundle, "--json", "--limit", 0).json()
    types = {entry["type"]: entry for entry in answer["types"]}
    counts = {line["type"]: line["objects"] for line in depot.said("count")}
    assert len(counts) >= 7
    assert {name: types[name]["objects"] for name in counts} == counts
    assert answer["whole"] and answer["lost_bytes"] == 0
    assert sum(entry["objects"] for entry in answer["types"]) == answer["objects"]
    assert sum(entry["bytes"] for entry in answer["types"]) == answer["bytes"]
    generations = answer["generations"]
    assert sum(entry["bytes"] for entry in generations) == answer["bytes"]
    # It collected at its end, so what it holds is not young.
    young = [entry["bytes"] for entry in generations if entry["generation"] == "0"]
    assert sum(young) < answer["bytes"] / 2


def test_objects_of_a_type_by_the_value_of_a_field(podsnap, depot, bundle):
    parcel = depot.fields("Depot_TAG.FragileParcel")
    kind = f"^Depot_{depot.tag}.FragileParcel$"
    count = depot.said("count", type=f"Depot_{depot.tag}.FragileParcel")[0]["objects"]
    listed = podsnap.run("objects", bundle, "--type", kind, "--limit", 5, "--json").json()
    assert listed["found"] == count and len(listed["objects"]) == 5
    assert {entry["type"] for entry in listed["objects"]} == {f"Depot_{depot.tag}.FragileParcel"}
    # An id is one object's alone.
    found = podsnap.run("objects", bundle, "--type", kind, "--where", f"Id={parcel['Id']}",
                        "--json").json()
    assert found["found"] == 1
    address = found["objects"][0]["address"]
    one = podsnap.run("object", bundle, address, "--json").json()["objects"][0]
    assert one["address"] == address and one["size"] == found["objects"][0]["size"]
    assert_same_fields(one["fields"], parcel)
    both = podsnap.run("objects", bundle, "--type", kind, "--where", f"Id={parcel['Id']}",
                       "--where", f"Label={parcel['Label']}", "--json").json()
    assert both["found"] == 1
    other = podsnap.run("objects", bundle, "--type", kind, "--where", f"Id={parcel['Id']}",
                        "--where", "Label=", "--json").json()
    assert other["found"] == 0


def test_every_kind_of_field(podsnap, depot, bundle):
    answer = podsnap.run("object", bundle, "--type", f"^Depot_{depot.tag}.Everything$", "--limit",
                         0, "--json").json()
    assert len(answer["objects"]) == 1
    fields = answer["objects"][0]["fields"]
    assert_same_fields(fields, depot.fields("Depot_TAG.Everything"), sets=("Set",))
    # Of a type with arguments, and what is behind the references.
    deeper = podsnap.run("object", bundle, fields["Lid"]["address"], "--json").json()
    assert_same_fields(deeper["objects"][0]["fields"],
                       depot.said("object", type=fields["Lid"]["type"])[0]["fields"])


def test_times_and_decimals_are_written_out(podsnap, depot, bundle):
    kind = f"^Depot_{depot.tag}.Timetable$"
    answer = podsnap.run("object", bundle, "--type", kind, "--json").json()
    expected = depot.fields("Depot_TAG.Timetable")
    assert_same_fields(answer["objects"][0]["fields"], expected)
    text = podsnap.run("object", bundle, "--type", kind, "--where", f"Cents={expected['Cents']}").text
    assert f"  Universal = {expected['Universal']}\n" in text


def test_the_one_flag_that_is_off(podsnap, depot, bundle):
    flags = depot.fields("Depot_TAG.FeatureFlags_TAG")
    answer = podsnap.run("object", bundle, "--type", "[.]FeatureFlags_", "--json").json()
    assert len(answer["objects"]) == 1
    one = answer["objects"][0]
    assert_same_fields(one["fields"], flags)
    off = [key for key, value in one["fields"]["FeatureFlags"]["entries"] if value is False]
    assert off == [key for key, value in flags["FeatureFlags"]["entries"] if value is False]
    assert len(off) == 1
    assert one["statics"]["Instance"]["address"] == one["address"]
    text = podsnap.run("object", bundle, one["address"]).text
    assert text.count(" = false\n") == 1 and f'["{off[0]}"] = false\n' in text
    assert "Gone" not in text


def test_depth_follows_references(podsnap, depot, bundle):
    kind = f"^Depot_{depot.tag}.Crate`1\\[Depot_{depot.tag}.Parcel\\]$"
    args = ("object", bundle, "--type", kind, "--limit", 1, "--json")
    shallow = podsnap.run(*args).json()["objects"][0]["fields"]["Content"]
    assert "fields" not in shallow
    deep = podsnap.run(*args, "--depth", 1).json()["objects"][0]["fields"]["Content"]
    assert deep["address"] == shallow["address"]
    own = podsnap.run("object", bundle, shallow["address"], "--json").json()["objects"][0]
    assert deep["fields"] == own["fields"] and "Label" in own["fields"]


# --- every kind of source ----------------------------------------------------------------------------

def test_the_same_text_from_every_source(podsnap, dotnet, depot, runtime, bundle, tmp_path):
    small = tmp_path / "small"
    podsnap.run("capture", "--pid", depot.pid, "--core", "heap", "-o", small)
    sources = {
        "live": ("--pid", depot.pid),
        "core": (bundles.core(bundle, tmp_path / "core"),),
        "heap core": (small,),
        "createdump": (createdump(dotnet, runtime, depot.pid, tmp_path / "createdump"),),
    }
    questions = (("heap", "--limit", 0), ("objects", "--type", f"Depot_{depot.tag}"),
                 ("object", "--type", f"Depot_{depot.tag}.(Everything|FeatureFlags_)"))
    expected = [podsnap.run(verb, bundle, *rest).text for verb, *rest in questions]
    assert "Marks = Cold, Secret" in expected[2]
    for name, source in sources.items():
        answers = [podsnap.run(verb, *source, *rest).text for verb, *rest in questions]
        assert answers == expected, name


def test_bundle_answers_after_the_process_is_gone(podsnap, depot, bundle):
    before = podsnap.run("heap", "--pid", depot.pid).text
    depot.target.kill()
    assert podsnap.run("heap", bundle).text == before
    podsnap.run("heap", "--pid", depot.pid, expect=1)


def test_an_address_is_of_one_instant(podsnap, depot):
    found = podsnap.run("objects", "--pid", depot.pid, "--type", "FeatureFlags_", "--json").json()
    address = found["objects"][0]["address"]
    live = podsnap.run("object", "--pid", depot.pid, address)
    assert "another instant" in live.stderr and "Revision" in live.text
    by_type = podsnap.run("object", "--pid", depot.pid, "--type", "[.]FeatureFlags_")
    assert "instant" not in by_type.stderr and by_type.text == live.text


# --- what is not as it should be -----------------------------------------------------------------------

@pytest.fixture
def recent(dotnet, targets, seed):
    return dotnet.start(targets, "Depot", "9.0", seed)


@pytest.mark.parametrize("body, says", [
    ("*(volatile int *)8 = 1;", "data-access library crashed (signal 11"),
    ("__builtin_trap();", "data-access library crashed (signal 4"),
    ("_exit(3);", "data-access library ended early"),
    ("for (;;) used++;", "did not answer in 0.5 s"),
    ("pause(); for (;;) ;", "did not answer in 0.5 s"),
    ("return 0x80131c78;", "does not accept the process: 0x80131c78"),
])
def test_a_library_that_does_not_answer(podsnap, dotnet, recent, tmp_path, body, says):
    library = build_library(str(tmp_path / "dac.so"), version_of(dotnet, "9.0"), body)
    allowed = "500ms" if "0.5 s" in says else "60s"
    done = podsnap.run("heap", "--pid", recent.pid, "--dac", library, "--dac-timeout", allowed,
                       expect=1)
    assert says in done.stderr
    assert recent.target.running


def test_the_library_is_confined(podsnap, dotnet, recent, tmp_path):
    """It says in its result which of the things that it tries went well."""
    secret = tmp_path / "secret"
    secret.write_text("not for it")
    tries = [f'open("{secret}", O_WRONLY) >= 0', f'open("{tmp_path}/new", O_CREAT|O_RDWR, 0600) >= 0',
             "socket(AF_INET, SOCK_STREAM, 0) >= 0", "socket(AF_UNIX, SOCK_STREAM, 0) >= 0",
             "fork() >= 0", f"kill({recent.pid}, 0) == 0",
             f"syscall(SYS_ptrace, 16, {recent.pid}, 0, 0) == 0",
             'execl("/bin/true", "true", (char *)0) == 0', f'unlink("{secret}") == 0']
    bits = " ".join(f"done |= ({what} ? 1 << {i} : 0);" for i, what in enumerate(tries))
    library = build_library(str(tmp_path / "dac.so"), version_of(dotnet, "9.0"),
                            f"unsigned done = 0x80000000u; {bits} return done;")
    done = podsnap.run("heap", "--pid", recent.pid, "--dac", library, expect=1)
    assert "does not accept the process: 0x80000000" in done.stderr
    assert secret.read_text() == "not for it" and not (tmp_path / "new").exists()


def test_a_library_of_another_build(podsnap, dotnet, recent):
    other = os.path.join(runtime_directory(dotnet, "3.1"), "libmscordaccore.so")
    done = podsnap.run("heap", "--pid", recent.pid, "--dac", other, expect=1)
    assert "data-access library is of" in done.stderr and "9.0.1" in done.stderr


def test_no_library_at_hand(podsnap, dotnet, recent, tmp_path):
    """A core, and a root that has all of the runtime but the library."""
    podsnap.run("capture", "--pid", recent.pid, "--no-modules", "-o", tmp_path / "b")
    core = bundles.core(tmp_path / "b", tmp_path / "core")
    folder = runtime_directory(dotnet, "9.0")
    root = tmp_path / "root"
    shutil.copytree(folder, f"{root}{folder}", copy_function=link_or_copy)
    os.unlink(f"{root}{folder}/libmscordaccore.so")
    program = os.path.dirname(dotnet.program("Depot", "9.0")[-1])
    shutil.copytree(program, f"{root}{program}")
    done = podsnap.run("heap", core, "--sysroot", root, expect=1)
    assert "libmscordaccore.so" in done.stderr and "--dac FILE" in done.stderr
    given = ("--dac", os.path.join(folder, "libmscordaccore.so"))
    assert "System.String" in podsnap.run("heap", core, "--sysroot", root, *given).text
    # Without the runtime itself the library is of no use.
    done = podsnap.run("heap", tmp_path / "b", *given, expect=1)
    assert "libcoreclr.so is not at hand either" in done.stderr


def test_not_a_dotnet_process(podsnap, targets):
    target = targets.start("deadlock", 2)
    assert "libcoreclr.so" in podsnap.run("heap", "--pid", target.pid, expect=1).stderr


def test_truncated_cores_end_in_a_clear_word(podsnap, recent, tmp_path, rng):
    path = tmp_path / "b"
    podsnap.run("capture", "--pid", recent.pid, "-o", path)
    whole = bundles.core(path, tmp_path / "core")
    size = os.path.getsize(whole)
    for part in [rng.uniform(0.05, 0.95) for _ in range(6)]:
        cut = tmp_path / "cut"
        with open(whole, "rb") as file, open(cut, "wb") as out:
            out.write(file.read(int(size * part)))
        done = podsnap.run("heap", cut, "--dac-timeout", "20s", expect=None, timeout=60)
        assert done.status in (0, 1, 3), done
        assert done.status != 1 or done.stderr.startswith("podsnap: error: "), done
        assert done.status == 1 or "generation" in done.text


@pytest.mark.parametrize("args, says", [
    (("object",), "which object"),
    (("object", "0x10", "--type", "x"), "which object"),
    (("object", "0xzz"), "not an address"),
    (("objects", "--type", "("), "not a regular expression"),
    (("objects", "--type", "x", "--where", "y"), "not FIELD=VALUE"),
])
def test_usage(podsnap, args, says):
    done = podsnap.run(*args, "--pid", os.getpid(), expect=2)
    assert says in done.stderr
