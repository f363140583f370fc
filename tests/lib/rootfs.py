"""Root filesystems for test images, put together from what Debian has installed."""

import os
import re
import shutil
import subprocess

PASSWD = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/tmp:/bin/sh\n"
GROUP = "root:x:0:\nuser:x:1000:\n"


class Rootfs:
    """A directory that becomes an image."""

    def __init__(self, path):
        self.path = str(path)
        for name in ("etc", "proc", "sys", "dev", "tmp", "root", "run", "var"):
            os.makedirs(self.at(name), exist_ok=True)
        os.chmod(self.at("tmp"), 0o1777)
        self.write("etc/passwd", PASSWD)
        self.write("etc/group", GROUP)

    def at(self, name):
        return os.path.join(self.path, name.lstrip("/"))

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.at(name)), exist_ok=True)
        with open(self.at(name), "w", encoding="utf-8") as file:
            file.write(text)

    def add_file(self, source, name=None):
        """Copies a file to the same path in the image, or to NAME; links are followed."""
        to = self.at(name or source)
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy(source, to)

    def add_tree(self, source, name=None):
        shutil.copytree(source, self.at(name or source), dirs_exist_ok=True)

    def add_program(self, source, name=None):
        """A program or shared object, and the loader and libraries that it names."""
        self.add_file(source, name)
        ldd = subprocess.run(["ldd", source], capture_output=True, text=True, check=False).stdout
        for library in re.findall(r"(/\S+) \(0x", ldd):
            if not os.path.exists(self.at(library)):
                self.add_file(library)

    def add_busybox(self):
        """Debian's static busybox, with a link for each applet."""
        self.add_file(shutil.which("busybox"), "/bin/busybox")
        applets = subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True,
                                 check=True).stdout.split()
        for applet in applets:
            if not os.path.lexists(self.at(f"bin/{applet}")):
                os.symlink("busybox", self.at(f"bin/{applet}"))
