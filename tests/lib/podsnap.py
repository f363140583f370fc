"""Running the podsnap that was built."""

import dataclasses
import json
import os
import subprocess


@dataclasses.dataclass
class Result:
    """What one run of podsnap left: exit status (negative: killed by that signal) and output."""

    argv: list
    status: int
    stdout: bytes
    stderr: str

    @property
    def text(self):
        return self.stdout.decode("utf-8")

    def json(self):
        return json.loads(self.stdout)

    def json_lines(self):
        return [json.loads(line) for line in self.stdout.splitlines()]

    def __str__(self):
        return (f"$ {' '.join(self.argv)}\nstatus {self.status}\n"
                f"stdout: {self.stdout[-4000:].decode('utf-8', 'replace')}\n"
                f"stderr: {self.stderr[-4000:]}")


def clean_environment(home, extra=None):
    """The caller's environment without what would configure podsnap, kubectl or S3."""
    drop = ("PODSNAP_", "AWS_", "KUBE", "NO_COLOR", "XDG_", "LC_", "LANG")
    env = {k: v for k, v in os.environ.items() if not k.startswith(drop)}
    env["HOME"] = str(home)
    env["LC_ALL"] = "C.UTF-8"
    # Where the cluster script finds its programs.
    if "PODSNAP_CACHE" in os.environ:
        env["PODSNAP_CACHE"] = os.environ["PODSNAP_CACHE"]
    env.update(extra or {})
    return env


class Podsnap:
    """The built program. `prefix` is a command that runs it elsewhere (Cluster.prefix)."""

    def __init__(self, build_dir, home, prefix=(), env=None):
        self.build_dir = os.path.abspath(build_dir)
        self.path = os.path.join(self.build_dir, "podsnap")
        self.probe = os.path.join(self.build_dir, "podsnap-probe")
        self.home = home
        self.prefix = list(prefix)
        self.env = dict(env or {})

    def inside(self, prefix, env=None):
        """The same program behind another prefix, with more environment."""
        return Podsnap(self.build_dir, self.home, prefix, {**self.env, **(env or {})})

    def argv(self, args):
        return [*self.prefix, self.path, *map(str, args)]

    def run(self, *args, expect=0, env=None, stdin=None, cwd=None, timeout=120):
        """Runs it to its end. Asserts the exit status `expect`, unless that is None."""
        argv = self.argv(args)
        # Without input of its own it reads an empty one, never the terminal.
        done = subprocess.run(argv, input=stdin or b"", capture_output=True, cwd=cwd, check=False,
                              timeout=timeout,
                              env=clean_environment(self.home, {**self.env, **(env or {})}))
        result = Result(argv, done.returncode, done.stdout,
                        done.stderr.decode("utf-8", "replace"))
        print(result if result.status else f"$ {' '.join(argv)}")
        assert expect is None or result.status == expect, f"expected status {expect}:\n{result}"
        return result

    def start(self, *args, env=None, **popen):
        """Starts it and returns the Popen, whose pid is podsnap's own (prefixes exec)."""
        popen.setdefault("stdin", subprocess.DEVNULL)
        popen.setdefault("stdout", subprocess.PIPE)
        popen.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen(self.argv(args), **popen,
                                env=clean_environment(self.home, {**self.env, **(env or {})}))


def refused(podsnap, *args, status=1, **options):
    """Runs a command that must fail with one error; returns what it said."""
    done = podsnap.run(*args, expect=status, **options)
    assert done.stdout == b""
    errors = [line for line in done.stderr.splitlines() if line.startswith("podsnap: error: ")]
    assert len(errors) == 1, done.stderr
    return done.stderr
