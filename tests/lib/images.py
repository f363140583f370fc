"""The images of the cluster tests, each put together by one function."""

import glob
import os
import shutil
import tempfile

from lib.dotnet import Dotnet
from lib.rootfs import Rootfs


def add_targets(rootfs, build_dir):
    """The static variants of tests/targets, under /targets."""
    programs = glob.glob(os.path.join(build_dir, "targets", "static", "*"))
    for program in programs:
        if not program.endswith((".d", ".o")):
            rootfs.add_file(program, "/targets/" + os.path.basename(program))


def busybox(rootfs, build_dir):
    """A shell and its tools, and the targets."""
    rootfs.add_busybox()
    add_targets(rootfs, build_dir)


def distroless(rootfs, build_dir):
    """The targets and nothing else: no shell, no tool."""
    add_targets(rootfs, build_dir)


def dynamic(rootfs, build_dir):
    """busybox, and the dynamic variants of the targets with the libraries they need."""
    rootfs.add_busybox()
    for program in glob.glob(os.path.join(build_dir, "targets", "*")):
        if os.path.isfile(program) and os.access(program, os.X_OK):
            rootfs.add_program(program, "/targets/" + os.path.basename(program))


def podsnap(rootfs, build_dir):
    """podsnap with the libraries that it needs, and a shell beside it."""
    rootfs.add_busybox()
    rootfs.add_program(os.path.join(build_dir, "podsnap"), "/bin/podsnap")


def probe(rootfs, build_dir):
    """images/probe.Containerfile without its entry point, which podsnap names anyway."""
    rootfs.add_file(os.path.join(build_dir, "podsnap-probe"), "/podsnap-probe")


def other_probe(rootfs, build_dir):
    """The same of another build: its SHA-256 differs."""
    probe(rootfs, build_dir)
    with open(rootfs.at("/podsnap-probe"), "ab") as file:
        file.write(b"\0")


def nginx(rootfs, _build_dir):
    """Debian's nginx, dynamic and stripped, with a shell beside it."""
    rootfs.add_busybox()
    rootfs.add_program(shutil.which("nginx", path="/usr/sbin:/usr/bin"), "/usr/sbin/nginx")
    for name in ("/var/log/nginx", "/var/lib/nginx"):
        os.makedirs(rootfs.at(name))
    rootfs.write("/etc/nginx/nginx.conf",
                 "daemon off; worker_processes 2; user root; error_log stderr;\n"
                 "events {}\n"
                 "http { access_log off; server { listen 8080; location / { return 200; } } }\n")


def add_dotnet(rootfs, name):
    """NAME.cs of tests/targets/dotnet with a runtime of its own, .NET 9, as /app/azmcp."""
    rootfs.add_busybox()
    with tempfile.TemporaryDirectory(prefix="podsnap-dotnet-") as directory:
        folder = os.path.dirname(Dotnet(directory).program(name, "9.0-alone")[0])
        rootfs.add_tree(folder, "/app")
        for name in ("azmcp", "libcoreclr.so", "libclrjit.so", "libSystem.Native.so"):
            rootfs.add_program(os.path.join(folder, name), f"/app/{name}")


def dotnet(rootfs, _build_dir):
    add_dotnet(rootfs, "Depot")


def dotnet_shop(rootfs, _build_dir):
    add_dotnet(rootfs, "Shop")


def dotnet_herd(rootfs, _build_dir):
    add_dotnet(rootfs, "Herd")


IMAGES = {"busybox": busybox, "dotnet": dotnet, "dotnet-shop": dotnet_shop,
          "dotnet-herd": dotnet_herd,
          "distroless": distroless, "dynamic": dynamic, "nginx": nginx,
          "podsnap": podsnap, "probe": probe, "other-probe": other_probe}
PREFIX = "podsnap-test/"


def load(cluster, name, build_dir):
    """Builds the image NAME of IMAGES and loads it; returns its full name for a pod."""
    with tempfile.TemporaryDirectory(prefix="podsnap-image-") as directory:
        IMAGES[name](Rootfs(directory), build_dir)
        os.chmod(directory, 0o755)
        cluster.script("image", PREFIX + name, directory)
    return PREFIX + name
