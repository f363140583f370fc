"""A bundle as foreign tools see it: tar, zstd, sha256sum and Python's zstandard; never podsnap."""

import hashlib
import json
import os
import struct
import subprocess

import zstandard

SEEK_FOOTER_MAGIC = 0x8F92EAB1
SKIPPABLE_MASK, SKIPPABLE = 0xFFFFFFF0, 0x184D2A50


def tar(*args):
    done = subprocess.run(["tar", *map(str, args)], capture_output=True, check=False)
    assert done.returncode == 0, f"tar {args}: {done.stderr.decode()}"
    return done.stdout


def names(bundle):
    return tar("--zstd", "-tf", bundle).decode().splitlines()


def entry(bundle, name):
    """The bytes of one entry."""
    return tar("--zstd", "-xOf", bundle, name)


def find(bundle, end):
    """The one name in the bundle that ends so."""
    found = [name for name in names(bundle) if name.endswith(end)]
    assert len(found) == 1, f"{end}: {found}"
    return found[0]


def extract(bundle, directory):
    """Unpacks everything into a new directory; returns its path."""
    os.makedirs(directory)
    tar("--zstd", "-xf", bundle, "-C", directory)
    return str(directory)


def core(bundle, path):
    """Writes the one core to path; returns path."""
    with open(path, "wb") as file:
        done = subprocess.run(["tar", "--zstd", "-xOf", bundle, find(bundle, "/core")],
                              stdout=file, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return str(path)


def manifest(bundle):
    return json.loads(entry(bundle, "manifest.json"))


def only_kube_is_missing(bundle):
    """Nothing of the process: what is not there is what the cluster could not say of itself."""
    return all(entry["status"] in ("ok", "skipped") or entry["name"].startswith("kube/")
               for entry in manifest(bundle)["entries"])


def taken(bundle):
    """How the one process in it was taken."""
    process, = manifest(bundle)["processes"]
    return process


def manifest_entry(bundle, end):
    found = [item for item in manifest(bundle)["entries"] if item["name"].endswith(end)]
    assert len(found) == 1, f"{end}: {found}"
    return found[0]


def check_digests(directory):
    """Every entry on disk is in the manifest with its size and sha256sum, and the reverse."""
    with open(os.path.join(directory, "manifest.json"), encoding="utf-8") as file:
        listed = {item["name"]: item for item in json.load(file)["entries"] if "sha256" in item}
    on_disk = {os.path.relpath(os.path.join(path, name), directory)
               for path, _, files in os.walk(directory) for name in files}
    assert on_disk == {*listed, "manifest.json"}
    for name, item in listed.items():
        path = os.path.join(directory, name)
        done = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True)
        assert done.stdout.split()[0].lstrip("\\") == item["sha256"], name
        assert os.path.getsize(path) == item["size"], name
    return listed


def seek_table(data):
    """[(compressed, plain)] of zstd's seekable format, and where the table itself starts."""
    count, descriptor, magic = struct.unpack("<IBI", data[-9:])
    assert magic == SEEK_FOOTER_MAGIC and descriptor == 0
    start = len(data) - 9 - 8 * count - 8
    kind, length = struct.unpack_from("<II", data, start)
    assert kind & SKIPPABLE_MASK == SKIPPABLE and length == 8 * count + 9
    return [struct.unpack_from("<II", data, start + 8 + 8 * i) for i in range(count)], start


def decompress_by_seek_table(path):
    """Each frame by itself, where the seek table says it is; returns the plain tar."""
    with open(path, "rb") as file:
        data = file.read()
    table, end = seek_table(data)
    at, plain = 0, hashlib.sha256()
    for compressed, length in table:
        frame = data[at:at + compressed]
        at += compressed
        if length == 0:
            assert struct.unpack_from("<I", frame)[0] & SKIPPABLE_MASK == SKIPPABLE
            continue
        part = zstandard.ZstdDecompressor().decompress(frame, max_output_size=length)
        assert len(part) == length <= 1 << 20
        plain.update(part)
    assert at == end
    return plain.hexdigest()


def decompress_as_stream(path):
    """The SHA-256 of what `zstd -dc` gives."""
    done = subprocess.run(["zstd", "-dcq", str(path)], capture_output=True, check=True)
    return hashlib.sha256(done.stdout).hexdigest()
