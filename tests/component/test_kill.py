"""podsnap dies at any moment of a snapshot, and the target goes on as if nothing had happened."""

import os
import re
import subprocess

import pytest

from lib import proc
from lib.podsnap import clean_environment
from lib.soak import LONG
from lib.wait import wait_until

MOMENTS = None if LONG else 60  # None: every one
RANDOM_KILLS = 1000 if LONG else 60

# A stop makes these calls return EINTR (signal(7)); no interface of the kernel stops a thread that
# sleeps in one without that. podsnap makes the call run again as soon as the thread stands, and
# stops such threads one by one: where it dies between the two, one thread sees it (or more, if they
# entered their calls at that very instant).
SEES_EINTR = re.compile(r"FAIL (epoll_wait|recv|accept|sigtimedwait|semtimedop|io_uring_enter) "
                        r"returned -1, errno Interrupted system call$"
                        r"|FAIL sigwaitinfo: Interrupted system call$"
                        r"|FAIL msgrcv returned -1: Interrupted system call$"
                        r"|FAIL epoll_pwait: Interrupted system call, but no signal came$")


class Killer:
    """Captures of a process that are killed at a moment of the thread that stops it."""

    def __init__(self, podsnap, build_dir, pid, directory):
        self.path = os.path.join(build_dir, "app/tests/component/killer")
        assert os.access(self.path, os.X_OK), f"{self.path} is not built; run: make test-programs"
        self.env = clean_environment(podsnap.home)
        self.argv = [podsnap.path, "capture", "--pid", str(pid), "--force", "-q",
                     "-o", str(directory / "b")]

    def run(self, moment, *options):
        """The moments there were, and the exit status: 137 if it was killed."""
        done = subprocess.run([self.path, str(moment), *self.argv, *options], env=self.env,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False,
                              timeout=120)
        said = re.search(rb"^killer: (\d+) (\d+)$", done.stderr, re.M)
        assert said, done.stderr
        return int(said[1]), done.returncode


def await_running(target):
    """Nobody traces it any more, and no thread of it stands."""
    def free():
        return proc.status(target.pid)["TracerPid"] == "0" and \
            not set(proc.thread_states(target.pid)) & set("tT")
    wait_until(free, "free run of the target", interval=0.005)


def check_unharmed(target, before, kills):
    """After another capture nothing of the killed ones is left, and no check failed but for the
    EINTR of a thread a kill."""
    status, lines = target.finish()
    failed = [line for line in lines if line.startswith("FAIL")]
    harmed = [line for line in failed if not SEES_EINTR.match(line)]
    print(f"{kills} kills, {len(failed)} of them seen as EINTR")
    assert not harmed
    assert len(failed) <= kills
    assert any(line.startswith(("ok ", f"failed {len(failed)}")) for line in lines), lines
    assert before


@pytest.mark.timeout(7200 if LONG else 600)
def test_killed_at_every_system_call(podsnap, targets, build_dir, tmp_path, rng):
    target = targets.start("selfcheck")
    killer = Killer(podsnap, build_dir, target.pid, tmp_path)
    descriptors = proc.descriptors(target.pid)
    whole, status = killer.run(0)
    assert status == 0
    moments = range(1, whole + 1)
    if MOMENTS:
        moments = sorted(rng.sample(moments, MOMENTS // 2)) + list(range(1, whole, 2 * whole // MOMENTS))
    killed = 0
    for moment in moments:
        _, status = killer.run(moment)
        assert status in (0, 137)
        killed += status == 137
        await_running(target)
    assert killed > len(list(moments)) // 2
    podsnap.run("capture", "--pid", target.pid, "-o", tmp_path / "last", "--force")
    wait_until(lambda: not proc.zombies(target.pid), "end of all zombies")
    assert proc.descriptors(target.pid) == descriptors
    check_unharmed(target, descriptors, killed)


@pytest.mark.timeout(7200 if LONG else 600)
def test_killed_at_random_moments(podsnap, targets, tmp_path, rng):
    target = targets.start("selfcheck")
    descriptors = proc.descriptors(target.pid)
    killed = 0
    for _ in range(RANDOM_KILLS):
        running = podsnap.start("capture", "--pid", target.pid, "--force", "-o", tmp_path / "b")
        try:
            running.wait(rng.uniform(0, 0.12))
        except subprocess.TimeoutExpired:
            running.kill()
        running.communicate(timeout=60)
        killed += running.returncode == -9
        await_running(target)
    assert killed > RANDOM_KILLS // 4
    podsnap.run("capture", "--pid", target.pid, "-o", tmp_path / "last", "--force")
    wait_until(lambda: not proc.zombies(target.pid), "end of all zombies")
    assert proc.descriptors(target.pid) == descriptors
    check_unharmed(target, descriptors, killed)


def test_the_target_is_waited_for_in_the_fork(podsnap, targets, build_dir, tmp_path):
    """The moment right after the fork: the child ends by itself, and the next run reaps it."""
    target = targets.start("memory", 64)
    killer = Killer(podsnap, build_dir, target.pid, tmp_path)
    whole, _ = killer.run(0)
    left = []
    for moment in range(1, whole + 1):
        _, status = killer.run(moment)
        await_running(target)
        if status == 137 and proc.children(target.pid):
            left = proc.children(target.pid)
            break
    assert left, "no kill came between the fork and the reaping"
    wait_until(lambda: proc.zombies(target.pid) == left, "end of the child")
    podsnap.run("capture", "--pid", target.pid, "-o", tmp_path / "last", "--force")
    assert proc.children(target.pid) == []
