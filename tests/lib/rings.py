"""tests/targets/ring.c in bundles that hold all of its processes."""

import os
import re

from lib import bundle as bundles
from lib.debugger import gdb


def taken(path):
    """How each process in the bundle was taken, by the name of its folder."""
    return {item["dir"]: item for item in bundles.manifest(path)["processes"]}


def number_in(program, core):
    """The number that the process sent last, as gdb reads it."""
    said = gdb(program, core, "-ex", "print ring_last")
    return int(re.search(r"^\$1 = (\d+)$", said, re.M)[1])


def check_one_instant(path, program, processes, directory):
    """The cores of the ring, and of its parent, are those of one instant: the numbers are within
    one round of each other. Some hundred thousand rounds go by in a second."""
    bundles.extract(path, str(directory))
    assert len(taken(path)) == processes + 1
    cores = [os.path.join(directory, name, "core") for name in taken(path)]
    numbers = sorted(number_in(program, core) for core in cores)
    # The parent sent none.
    assert numbers[0] == 0 and numbers[1] > 0
    assert numbers[-1] - numbers[1] <= processes, numbers
