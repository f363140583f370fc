"""Memory of podsnap and of the probe does not grow with the target."""

import pytest

from lib.pods import CapturePod, PeakWatch

MIB = 1 << 20
TARGET_MIB = 4096
PODSNAP_MAX_BYTES = 32 * MIB
# Its stream window of 16 MiB, and 4 for the second of the two compressors.
PROBE_MAX_BYTES = (16 + 16 + 4) * MIB


@pytest.mark.timeout(900)
def test_4_gib_target(cluster, cluster_podsnap, namespace, tmp_path):
    pod = CapturePod(cluster, namespace, "big", "memory", TARGET_MIB)
    path = tmp_path / "b.podsnap.tar.zst"
    process = cluster_podsnap.start("capture", *pod.where, "-o", path, "--max-pause", "10m",
                                    "--threads", 2)
    watch = PeakWatch(process, pod)
    _, stderr = process.communicate(timeout=600)
    watch.stop()
    print(stderr.decode("utf-8", "replace"))
    print(f"peak RSS: podsnap {watch.podsnap / MIB:.1f} MiB, probe {watch.probe / MIB:.1f} MiB")
    assert process.returncode == 0
    assert 0 < watch.podsnap <= PODSNAP_MAX_BYTES
    assert 0 < watch.probe <= PROBE_MAX_BYTES
    answer = cluster_podsnap.run("verify", path, "--json", timeout=300).json()
    assert answer["whole"] is True and answer["plain_bytes"] > TARGET_MIB * MIB
    pod.await_clean()
    path.unlink()
