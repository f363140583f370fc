"""Bundles looked at with tools that are not podsnap's."""

import json
import subprocess


def unpack(bundle, directory):
    """Extracts a bundle with tar; returns its manifest."""
    directory.mkdir()
    subprocess.run(["tar", "--zstd", "-xf", bundle, "-C", directory], check=True)
    return json.loads((directory / "manifest.json").read_text("utf-8"))


def check_with_tar_and_sha256sum(bundle, directory):
    """Asserts that the files tar finds are those of the manifest and have its checksums. Returns
    the manifest's entries by name; the files stay in `directory`."""
    entries = {entry["name"]: entry for entry in unpack(bundle, directory)["entries"]}
    stored = {name: entry for name, entry in entries.items() if "size" in entry}
    found = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    assert found == {*stored, "manifest.json"}
    sums = "".join(f"{entry['sha256']}  {name}\n" for name, entry in stored.items())
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "-"], input=sums, text=True,
                   cwd=directory, check=True)
    return entries
