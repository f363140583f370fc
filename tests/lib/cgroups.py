"""Control groups (version 1) of a test's own."""

import os

from lib.possible import not_possible_here
from lib.wait import wait_until

MOUNTS = "/sys/fs/cgroup"


def mount_of(controller):
    mount = os.path.join(MOUNTS, controller)
    if not os.path.exists(os.path.join(mount, "cgroup.procs")):
        not_possible_here("cgroup-v1")
    return mount


class GroupOf:
    """The group of one controller that a process is in."""

    def __init__(self, pid, controller):
        with open(f"/proc/{pid}/cgroup", encoding="utf-8") as lines:
            paths = {name: line.rstrip("\n").split(":", 2)[2] for line in lines
                     for name in line.split(":")[1].split(",")}
        self.path = mount_of(controller) + paths[controller]

    def write(self, name, value):
        with open(os.path.join(self.path, name), "w", encoding="ascii") as file:
            file.write(str(value))

    def read(self, name):
        with open(os.path.join(self.path, name), encoding="ascii") as file:
            return file.read().strip()


class Group(GroupOf):
    """A group of one controller of our own, gone at the end of the with block."""

    def __init__(self, controller, **limits):
        self.path = os.path.join(mount_of(controller), f"podsnap-test-{os.getpid()}")
        os.mkdir(self.path)
        for name, value in limits.items():
            self.write(f"{controller}.{name}", value)

    @property
    def prefix(self):
        """A command that runs another one in the group."""
        return ["sh", "-c", f'echo $$ >{self.path}/cgroup.procs && exec "$@"', "sh"]

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        wait_until(lambda: not self.read("cgroup.procs"), "end of the group's processes")
        os.rmdir(self.path)
