"""capture of .NET processes: what reading their heap elsewhere takes is in the bundle.

The oracle is what the program prints of itself, /proc/PID/maps, the files on the disk, and readelf.
"""

import hashlib
import json
import os
import re
import subprocess

import pytest

from lib import bundle as bundles
from lib import debugger
from lib.dotnet import RUNTIMES, VERSIONS
from lib.wait import wait_until

KINDS = {"3.1": "framework-dependent", "9.0": "framework-dependent", "9.0-alone": "self-contained"}


def mapped_assemblies(pid):
    """Paths of the .dll files that are mapped."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps:
        return {line.split(maxsplit=5)[5].rstrip("\n") for line in maps if ".dll" in line}


def build_id(path):
    notes = subprocess.run(["readelf", "-n", path], capture_output=True, text=True,
                           check=True).stdout
    return re.search(r"Build ID: ([0-9a-f]+)", notes).group(1)


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def capture(podsnap, pid, path, *options):
    """A complete bundle, unpacked: its directory and the document of the .NET process in it."""
    done = podsnap.run("capture", "--pid", pid, "-o", path, *options, expect=0)
    assert "complete bundle" in done.stderr
    podsnap.run("verify", path, expect=0)
    return dotnet_document(path)


def dotnet_document(bundle):
    document = json.loads(bundles.entry(bundle, bundles.find(bundle, "/runtime/dotnet.json")))
    assert document["schema"] == "podsnap.dotnet/1"
    return document


@pytest.mark.parametrize("core", ["full", "heap"])
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_bundle_carries_what_its_runtime_is_made_of(podsnap, dotnet, targets, tmp_path, seed,
                                                    runtime, core):
    depot = dotnet.start(targets, "Depot", runtime, seed)
    path = tmp_path / "b"
    document = capture(podsnap, depot.pid, path, f"--core={core}")
    directory = bundles.extract(path, tmp_path / "out")
    listed = bundles.check_digests(directory)

    assert document["version"] == depot.said("process")[0]["version"] == VERSIONS[runtime]
    assert document["kind"] == KINDS[runtime]
    assemblies = {file["path"]: file for file in document["assemblies"]}
    assert assemblies.keys() == mapped_assemblies(depot.pid) and len(assemblies) >= 10
    for path, file in assemblies.items():
        assert file["entry"] == f"modules/sha256-{sha256(path)}/{os.path.basename(path)}"
    native = [document["coreclr"], document["dac"]]
    for file, name in zip(native, ("libcoreclr.so", "libmscordaccore.so")):
        assert os.path.basename(file["path"]) == name
        assert file["build_id"] == build_id(file["path"])
        assert file["entry"] == f"modules/{file['build_id']}/{name}"
    for file in [*assemblies.values(), *native]:
        assert file["reason"] is None and listed[file["entry"]]["status"] == "ok"
        assert file["size"] == os.path.getsize(file["path"])
        assert sha256(os.path.join(directory, file["entry"])) == sha256(file["path"])


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_target_that_allocates_goes_on_and_gdb_reads_its_core(podsnap, dotnet, targets, tmp_path,
                                                              seed, runtime):
    """A thread makes garbage all the time, so the collector stops and moves things."""
    depot = dotnet.start(targets, "Depot", runtime, seed, "--allocate")
    path = tmp_path / "b"
    capture(podsnap, depot.pid, path)
    core = bundles.core(path, tmp_path / "core")
    named = {thread["name"] for thread in podsnap.run("stacks", path, "--json").json()["threads"]}
    exe = os.path.realpath(f"/proc/{depot.pid}/exe")
    traces = debugger.backtraces(exe, core)
    assert len(traces) >= 8 and all(traces.values())
    # .NET since 6 names its threads for the system, too.
    if runtime != "3.1":
        assert {thread["name"][:15] for thread in depot.said("thread")} <= named
    # It answers to SIGTERM as it always does: its own threads are well.
    assert depot.target.finish()[0] == 143


def test_without_modules_the_list_says_so(podsnap, dotnet, targets, tmp_path, seed):
    depot = dotnet.start(targets, "Depot", "9.0", seed)
    path = tmp_path / "b"
    document = capture(podsnap, depot.pid, path, "--no-modules")
    files = [document["coreclr"], document["dac"], *document["assemblies"]]
    assert all(file["entry"] is None and file["reason"] == "--modules=false" for file in files)
    assert {file["path"] for file in document["assemblies"]} == mapped_assemblies(depot.pid)
    assert not [name for name in bundles.names(path) if name.startswith("modules/")]


@pytest.mark.parametrize("instead", ["nothing", "fifo", "directory", "link-out"])
def test_what_is_not_the_data_access_library_is_not_read(podsnap, dotnet, targets, tmp_path, seed,
                                                         instead):
    """As in an image from which it was trimmed, or one that means harm."""
    depot = dotnet.start(targets, "Depot", "9.0-alone", seed)
    path = os.path.join(os.path.dirname(os.path.realpath(f"/proc/{depot.pid}/exe")),
                        "libmscordaccore.so")
    kept = f"{path}.kept"
    os.rename(path, kept)
    try:
        if instead == "fifo":
            os.mkfifo(path)
        elif instead == "directory":
            os.mkdir(path)
        elif instead == "link-out":
            os.symlink("/dev/zero", path)
        document = capture(podsnap, depot.pid, tmp_path / "b")
    finally:
        if os.path.isdir(path):
            os.rmdir(path)
        elif os.path.lexists(path):
            os.unlink(path)
        os.rename(kept, path)
    dac = document["dac"]
    assert dac["path"] == path and dac["entry"] is None and dac["size"] == 0
    wanted = "No such file" if instead == "nothing" else "is not a regular file"
    assert wanted in dac["reason"]
    assert document["coreclr"]["entry"] and all(a["entry"] for a in document["assemblies"])


def test_replaced_assembly_is_the_one_that_was_mapped(podsnap, dotnet, targets, tmp_path, seed):
    """As after a deployment over a running program."""
    depot = dotnet.start(targets, "Depot", "9.0", seed)
    path = next(path for path in mapped_assemblies(depot.pid) if path.endswith("/Depot.dll"))
    before = sha256(path)
    kept = f"{path}.kept"
    os.link(path, kept)
    try:
        with open(f"{path}.new", "wb") as other:
            other.write(b"another program")
        os.rename(f"{path}.new", path)
        document = capture(podsnap, depot.pid, tmp_path / "b")
    finally:
        os.rename(kept, path)
    depots = [file for file in document["assemblies"] if file["size"] and
              file["entry"] == f"modules/sha256-{before}/{os.path.basename(file['path'])}"]
    assert len(depots) == 1


@pytest.fixture(name="single")
def fixture_single(dotnet, targets):
    """The single-file program, once its runtime has opened its diagnostics port."""
    target = dotnet.start_single(targets)
    wait_until(lambda: any(name.startswith(f"dotnet-diagnostic-{target.pid}-")
                           for name in os.listdir(dotnet.directory)), "diagnostics socket")
    return target


def test_single_file_says_what_it_lacks(podsnap, single, tmp_path):
    path = tmp_path / "b"
    document = capture(podsnap, single.pid, path, "--core=heap")
    exe = os.path.realpath(f"/proc/{single.pid}/exe")
    assert (document["kind"], document["version"]) == ("single-file", VERSIONS["10.0-single"])
    assert document["coreclr"]["path"] == exe and document["coreclr"]["build_id"] == build_id(exe)
    assert bundles.manifest_entry(path, "/azmcp")["sha256"] == sha256(exe)
    assert document["assemblies"] == []
    dac = document["dac"]
    assert dac["path"] is None and dac["entry"] is None
    assert ".NET 10.0.9" in dac["reason"] and "libmscordaccore.so" in dac["reason"]
    # 48 bytes into what the program exports as DotNetRuntimeInfo: a length, and the build-id.
    symbols = subprocess.run(["readelf", "--dyn-syms", "-W", exe], capture_output=True, text=True,
                             check=True).stdout
    address = int(re.search(r":\s+([0-9a-f]+) .*DotNetRuntimeInfo", symbols).group(1), 16)
    dump = debugger.gdb(exe, "-ex", f"x/21xb {address + 48:#x}")
    found = [int(byte, 16) for byte in re.findall(r"\t(0x[0-9a-f]{2})", dump)]
    assert found[0] == 20 and bytes(found[1:]).hex() == dac["build_id"]


def test_ps_says_runtime_and_version(podsnap, dotnet, targets, single, seed):
    expected = {single.pid: VERSIONS["10.0-single"]}
    for runtime in RUNTIMES:
        expected[dotnet.start(targets, "Depot", runtime, seed).pid] = VERSIONS[runtime]
    for pid, version in expected.items():
        process, = podsnap.run("ps", "--pid", pid, "--json").json()["processes"]
        assert (process["runtime"]["name"], process["runtime"]["version"]) == ("dotnet", version)
        assert f"dotnet {version}" in podsnap.run("ps", "--pid", pid).text


def test_other_processes_have_no_list(podsnap, targets, tmp_path):
    path = tmp_path / "b"
    podsnap.run("capture", "--pid", targets.start("deadlock", 3).pid, "-o", path, expect=0)
    assert not [name for name in bundles.names(path) if "/runtime/" in name]


def runtime_folder(dotnet, runtime):
    version = VERSIONS[runtime]
    return os.path.join(dotnet.cache, runtime, "shared", "Microsoft.NETCore.App", version)


@pytest.mark.parametrize("of_runtime,of_library,refusal", [
    ("3.1", "3.1", None),
    ("9.0", "9.0", None),
    ("3.1", "9.0", "is of .NET 9.0.1 (files 9.0.124.61010), and the runtime is 3 (files 4.700."),
    ("9.0", "3.1", "is of .NET 3 (files 4.700.20.6602), and the runtime is 9.0.1 (files 9.0.124."),
])
def test_data_access_library_belongs_to_its_runtime_alone(build_dir, dotnet, of_runtime, of_library,
                                                          refusal):
    done = subprocess.run(
        [os.path.join(build_dir, "app/tests/component/dacpair"),
         os.path.join(runtime_folder(dotnet, of_runtime), "libcoreclr.so"),
         os.path.join(runtime_folder(dotnet, of_library), "libmscordaccore.so")],
        capture_output=True, text=True, check=False)
    assert done.returncode == (1 if refusal else 0), done.stdout
    assert (refusal or "") in done.stdout


def test_single_file_takes_the_library_that_it_names(build_dir, dotnet):
    done = subprocess.run(
        [os.path.join(build_dir, "app/tests/component/dacpair"),
         os.path.join(dotnet.cache, "10.0-single", "azmcp"),
         os.path.join(runtime_folder(dotnet, "9.0"), "libmscordaccore.so")],
        capture_output=True, text=True, check=False)
    named = build_id(os.path.join(runtime_folder(dotnet, "9.0"), "libmscordaccore.so"))
    assert done.returncode == 1 and f"has the build-id {named}, and the runtime takes" in done.stdout
