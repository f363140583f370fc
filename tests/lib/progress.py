"""How far a capture has come, by the files that it writes."""

import os

from lib.wait import wait_until


def directory_bytes(directory):
    """Sizes of its files together, the temporary one included."""
    total = 0
    for entry in os.scandir(directory):
        try:
            total += entry.stat().st_size
        except FileNotFoundError:
            continue
    return total


def await_bytes(process, measure, wanted):
    """Waits until measure() is at least `wanted` while the process runs."""
    def reached():
        assert process.poll() is None, f"it ended first, with status {process.returncode}"
        return measure() >= wanted
    wait_until(reached, f"{wanted} bytes", timeout=120, interval=0.002)
