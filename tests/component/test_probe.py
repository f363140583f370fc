"""The probe on its own: that its client hears of whatever kept it from the work."""

import tempfile

import pytest

from lib import wire

NOBODYS_UID = 48123


@pytest.fixture(name="probe_of_all")
def fixture_probe_of_all(podsnap):
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        yield wire.executable_for_all(podsnap.probe, directory)


def test_no_thread_for_the_work(probe_of_all):
    """The user may have one task, which is the probe's main thread."""
    with wire.Probe(probe_of_all, wire.user_without_processes(NOBODYS_UID)) as probe:
        probe.receive(wire.HELLO)
        probe.request(verb="ps")
        code, text, hint = probe.receive_end()
        assert code != 0
        assert text == "starting a thread: Resource temporarily unavailable"
        assert "ulimit -u" in hint
        probe.send(wire.CANCEL)
        assert probe.wait() == (1, "")


def test_malformed_request(probe_of_all):
    with wire.Probe(probe_of_all) as probe:
        probe.receive(wire.HELLO)
        probe.request(verb="ps", nonsense="1")
        code, text, _ = probe.receive_end()
        assert code != 0 and "nonsense" in text
        probe.send(wire.CANCEL)
        assert probe.wait() == (1, "")
