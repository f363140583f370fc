"""Makes an OCI image archive of a directory, without a registry or an image builder.

    python3 oci_image.py ARCHIVE NAME ROOTFS_DIR [ENTRYPOINT...]

Prints the image's full name. One layer, every file owned by root, so that no privilege is needed to make it. The format is the
OCI image layout (https://github.com/opencontainers/image-spec, image-layout.md) in a tar file,
which `ctr images import` and `skopeo copy oci-archive:` read.
"""

import hashlib
import io
import json
import os
import sys
import tarfile

# A fixed time: the same directory always gives the same image.
EPOCH = 0


def full_name(name):
    """The name as the kubelet spells it: with registry and tag."""
    first = name.split("/")[0]
    if "/" not in name:
        name = "docker.io/library/" + name
    elif "." not in first and ":" not in first:
        name = "docker.io/" + name
    return name if ":" in name.rsplit("/", 1)[1] else name + ":latest"


def layer_of(rootfs):
    """The directory as an uncompressed tar, in sorted order."""
    out = io.BytesIO()

    def as_root(info):
        info.uid = info.gid = 0
        info.uname = info.gname = "root"
        info.mtime = EPOCH
        return info

    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(os.listdir(rootfs)):
            tar.add(os.path.join(rootfs, name), arcname=name, filter=as_root)
    return out.getvalue()


class Layout:
    """An OCI image layout that is written into a tar as its blobs become known."""

    def __init__(self, tar):
        self.tar = tar
        self.add_file("oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())

    def add_file(self, path, data):
        info = tarfile.TarInfo(path)
        info.size = len(data)
        info.mode = 0o644
        self.tar.addfile(info, io.BytesIO(data))

    def add_blob(self, media_type, data):
        digest = hashlib.sha256(data).hexdigest()
        self.add_file("blobs/sha256/" + digest, data)
        return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(data)}

    def add_json(self, media_type, value):
        return self.add_blob(media_type, json.dumps(value).encode())


def write_image(archive, name, rootfs, entrypoint):
    """Writes the directory `rootfs` as the image `name` into the file `archive`."""
    vendor = "application/vnd.oci.image."
    with tarfile.open(archive, "w") as tar:
        layout = Layout(tar)
        layer = layout.add_blob(vendor + "layer.v1.tar", layer_of(rootfs))
        config = layout.add_json(vendor + "config.v1+json", {
            "architecture": "amd64",
            "os": "linux",
            "config": {
                "Entrypoint": list(entrypoint),
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            },
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        })
        manifest = layout.add_json(vendor + "manifest.v1+json", {
            "schemaVersion": 2,
            "mediaType": vendor + "manifest.v1+json",
            "config": config,
            "layers": [layer],
        })
        manifest["annotations"] = {"io.containerd.image.name": full_name(name)}
        layout.add_file("index.json", json.dumps({
            "schemaVersion": 2, "manifests": [manifest]}).encode())


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    write_image(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
    print(full_name(sys.argv[2]))


if __name__ == "__main__":
    main()
