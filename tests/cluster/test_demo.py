"""The demos of the README, as a newcomer runs them: each brings up a cluster of its own and tells
its story to the end."""

import os
import re
import subprocess

import pytest

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))


@pytest.fixture(name="demo")
def fixture_demo(cluster):
    """demo(NAME): what scripts/NAME prints."""
    env = {**os.environ, "BUILD": cluster.build_dir, "PODSNAP_CLUSTER_STATE": cluster.state + "-demo"}

    def run(name):
        done = subprocess.run([os.path.join(ROOT, "scripts", name)], env=env, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=500)
        print(done.stdout, done.stderr)
        assert done.returncode == 0
        return done.stdout
    return run


def answers(text, verb):
    """What each call of that verb answered."""
    found = re.findall(rf"^\$ podsnap {verb} [^\n]*\n(.*?)(?=^\$ |^\x1b|\Z)", text, re.M | re.S)
    return [answer.strip() for answer in found]


@pytest.mark.timeout(600)
def test_deadlock_in_a_pod(demo):
    live, bundle = answers(demo("demo-cluster"), "stacks")
    assert live.count("pthread_mutex_lock") >= 2
    assert live == bundle


@pytest.mark.timeout(600)
def test_dotnet_flag_that_is_false(demo):
    text = demo("demo-dotnet")
    processes, = answers(text, "ps")
    assert [line.split()[0] for line in processes.splitlines()] == ["PID", "1"]
    payment, live, bundle, value = answers(text, "object")
    assert "State = Failed" in payment
    assert re.findall(r'\["(\w+)"\] = false', live) == ["EnableFallback"]
    assert len(re.findall(r'\["\w+"\] = true', live)) == 4
    assert live == bundle
    assert value.endswith("false")
    way, = answers(text, "roots")
    assert "static Shop.Program.orders" in way
