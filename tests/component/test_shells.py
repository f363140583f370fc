"""The scripts for containers, in shells that a build machine need not have: their unit tests."""

import os
import subprocess

import pytest


@pytest.mark.parametrize("program", ["test_push", "test_session", "test_inside"])
def test_busybox(build_dir, program):
    path = os.path.join(build_dir, "test", "tests", "unit", "exec", program)
    done = subprocess.run([path], env={**os.environ, "PODSNAP_TEST_SHELL": "busybox ash"},
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout
