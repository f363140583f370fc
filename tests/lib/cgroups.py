"""Control groups (version 1) of a test's own."""

import os

from lib.possible import not_possible_here
from lib.wait import wait_until

MOUNTS = "/sys/fs/cgroup"


class Group:
    """A group of one controller, gone at the end of the with block."""

    def __init__(self, controller, **limits):
        mount = os.path.join(MOUNTS, controller)
        if not os.path.exists(os.path.join(mount, "cgroup.procs")):
            not_possible_here("cgroup-v1")
        self.path = os.path.join(mount, f"podsnap-test-{os.getpid()}")
        os.mkdir(self.path)
        for name, value in limits.items():
            self.write(f"{controller}.{name}", value)

    def write(self, name, value):
        with open(os.path.join(self.path, name), "w", encoding="ascii") as file:
            file.write(str(value))

    def read(self, name):
        with open(os.path.join(self.path, name), encoding="ascii") as file:
            return file.read().strip()

    @property
    def prefix(self):
        """A command that runs another one in the group."""
        return ["sh", "-c", f'echo $$ >{self.path}/cgroup.procs && exec "$@"', "sh"]

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        wait_until(lambda: not self.read("cgroup.procs"), "end of the group's processes")
        os.rmdir(self.path)
