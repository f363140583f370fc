"""Programs to capture: those of tests/targets and any other, started and surely ended."""

import os
import queue
import signal
import subprocess
import threading


class Target:
    """A running program. Lines it prints are kept; it is ended by its own pid."""

    def __init__(self, argv, ready="ready", timeout=30, **popen):
        """Starts argv and waits for a line on stdout that begins with `ready` (None: does not
        wait)."""
        self.argv = [str(arg) for arg in argv]
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True, errors="replace", **popen)
        self.pid = self.process.pid
        self.lines = []
        self.queue = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.ready_line = self.wait_line(ready, timeout) if ready is not None else None

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            self.queue.put(line.rstrip("\n"))
        self.queue.put(None)

    def wait_line(self, start, timeout=30):
        """The next line that begins with `start`; lines before it are passed over."""
        while True:
            try:
                line = self.queue.get(timeout=timeout)
            except queue.Empty:
                line = None
            if line is None:
                self.kill()
                raise AssertionError(f"{self.argv[0]}: no line {start!r}; it printed {self.lines}")
            if line.startswith(start):
                return line

    @property
    def running(self):
        return self.process.poll() is None

    def state(self):
        """The state letter of /proc/PID/stat: R, S, T (stopped), t (traced), Z, ..."""
        with open(f"/proc/{self.pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0]

    def finish(self, sig=signal.SIGTERM, timeout=30):
        """Asks it to end; returns its exit status and all lines it printed."""
        if self.running:
            self.process.send_signal(sig)
        status = self.process.wait(timeout)
        self.reader.join(timeout)
        return status, self.lines

    def kill(self):
        if self.running:
            self.process.kill()
        self.process.wait()


class Targets:
    """Starts programs and remembers them, so that none outlives the test."""

    def __init__(self, build_dir):
        self.dir = os.path.join(os.path.abspath(build_dir), "targets")
        self.started = []

    def path(self, name):
        """The program of tests/targets/NAME.c; static/NAME for its static variant."""
        path = os.path.join(self.dir, name)
        assert os.access(path, os.X_OK), f"{path} is not built; run: make targets"
        return path

    def start(self, name, *args, **options):
        return self.start_argv([self.path(name), *args], **options)

    def start_argv(self, argv, **options):
        target = Target(argv, **options)
        self.started.append(target)
        return target

    def kill_all(self):
        for target in self.started:
            target.kill()
