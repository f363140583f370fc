"""Memory of podsnap and of the probe does not grow with the target."""

import threading

import pytest

from lib.pods import CapturePod, peak_rss_bytes

MIB = 1 << 20
TARGET_MIB = 4096
RSS_MAX_BYTES = 64 * MIB


class PeakWatch(threading.Thread):
    """The highest VmHWM of podsnap and of the probe in a pod while podsnap runs."""

    def __init__(self, process, pod):
        super().__init__(daemon=True)
        self.process, self.pod = process, pod
        self.podsnap = self.probe = 0
        self.done = threading.Event()
        self.start()

    def run(self):
        while not self.done.wait(0.05):
            self.podsnap = max(self.podsnap, peak_rss_bytes(self.process.pid))
            self.probe = max([self.probe, *map(peak_rss_bytes, self.pod.probes())])

    def stop(self):
        self.done.set()
        self.join()


@pytest.mark.timeout(900)
def test_4_gib_target(cluster, cluster_podsnap, namespace, tmp_path):
    pod = CapturePod(cluster, namespace, "big", "memory", TARGET_MIB)
    path = tmp_path / "b.podsnap.tar.zst"
    process = cluster_podsnap.start("capture", *pod.where, "-o", path, "--max-pause", "10m")
    watch = PeakWatch(process, pod)
    _, stderr = process.communicate(timeout=600)
    watch.stop()
    print(stderr.decode("utf-8", "replace"))
    print(f"peak RSS: podsnap {watch.podsnap / MIB:.1f} MiB, probe {watch.probe / MIB:.1f} MiB")
    assert process.returncode == 0
    assert 0 < watch.podsnap < RSS_MAX_BYTES
    assert 0 < watch.probe < RSS_MAX_BYTES
    answer = cluster_podsnap.run("verify", path, "--json", timeout=300).json()
    assert answer["whole"] is True and answer["plain_bytes"] > TARGET_MIB * MIB
    pod.await_clean()
    path.unlink()
