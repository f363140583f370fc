"""Waiting for conditions. The time-outs are bounds on a hang, never assertions about speed."""

import time


def wait_until(condition, what, timeout=60, interval=0.05):
    """Calls condition() until it returns something true, and returns that.

    Fails with "no WHAT within N s" and, if the last call raised AssertionError, with its text.
    """
    deadline = time.monotonic() + timeout
    while True:
        last = ""
        try:
            value = condition()
            if value:
                return value
        except AssertionError as error:
            last = f"; last: {error}"
        if time.monotonic() > deadline:
            raise AssertionError(f"no {what} within {timeout} s{last}")
        time.sleep(interval)
