"""The push script in shells that a build machine need not have: the unit tests of it once more."""

import os
import subprocess

import pytest


@pytest.mark.parametrize("program", ["test_push", "test_session"])
def test_busybox(build_dir, program):
    path = os.path.join(build_dir, "test", "tests", "unit", "exec", program)
    done = subprocess.run([path], env={**os.environ, "PODSNAP_TEST_SHELL": "busybox ash"},
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout
