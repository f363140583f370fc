"""Real .NET runtimes, and C# programs compiled for them: those of tests/targets/dotnet.

    depot = dotnet.start(targets, "Depot", "9.0", seed)   # a DotnetTarget
    depot.said("object")                                  # what it printed of itself, by kind
"""

import json
import os
import random
import shutil
import string
import subprocess

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
SOURCES = os.path.join(ROOT, "tests", "targets", "dotnet")

# An installation with a program beside it, or a program that brings its own runtime.
RUNTIMES = ("3.1", "9.0", "9.0-alone")
VERSIONS = {"3.1": "3.1.2", "9.0": "9.0.1", "9.0-alone": "9.0.1", "10.0-single": "10.0.9"}
ENVIRONMENT = {
    "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1", "DOTNET_CLI_TELEMETRY_OPTOUT": "1",
    "DOTNET_SKIP_FIRST_TIME_EXPERIENCE": "1", "DOTNET_NOLOGO": "1",
    "DOTNET_MULTILEVEL_LOOKUP": "0",
}


def fetch():
    """The directory that holds the runtimes; see scripts/fetch-dotnet."""
    return subprocess.run([os.path.join(ROOT, "scripts", "fetch-dotnet")], check=True,
                          stdout=subprocess.PIPE, text=True).stdout.strip()


class DotnetTarget:
    """A running C# program of tests/targets/dotnet and what it says of itself."""

    def __init__(self, target, tag):
        self.target, self.tag, self.pid = target, tag, target.pid
        lines = target.lines[:target.lines.index("ready")]
        self.lines = [json.loads(line) for line in lines]

    def said(self, what, **members):
        """The lines of that kind which have these members."""
        return [line for line in self.lines if line["what"] == what and
                all(line.get(name) == value for name, value in members.items())]

    def fields(self, type_name):
        """The fields of the first object that it describes of the type; _TAG is put in."""
        return self.said("object", type=type_name.replace("_TAG", f"_{self.tag}"))[0]["fields"]


class Dotnet:
    """Compiles and lays out programs in a directory of its own. `directory` should be short: the
    runtimes make a socket there."""

    def __init__(self, directory):
        self.directory = str(directory)
        self.cache = fetch()
        self.tags = {}
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("DOTNET", "COMPlus"))}
        self.env.update(ENVIRONMENT, HOME=self.directory, TMPDIR=self.directory)

    def tag(self, name):
        """The letters that stand for _TAG in the names of that program: others in each run."""
        letters = random.SystemRandom().choices(string.ascii_lowercase, k=8)
        return self.tags.setdefault(name, "".join(letters))

    def _source(self, name):
        path = os.path.join(self.directory, f"{name}.cs")
        with open(os.path.join(SOURCES, f"{name}.cs"), encoding="utf-8") as source:
            text = source.read().replace("_TAG", f"_{self.tag(name)}")
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        return path

    def assembly(self, name, file, optimize="-"):
        """tests/targets/dotnet/NAME.cs as the assembly FILE, with its portable PDB beside it;
        optimize is what the compiler is told: "-", for debugging, or "+"."""
        path = os.path.join(self.directory, f"assemblies{optimize}", file)
        if os.path.exists(path):
            return path
        os.makedirs(os.path.dirname(path), exist_ok=True)
        references = os.listdir(os.path.join(self.cache, "ref"))
        done = subprocess.run(
            [os.path.join(self.cache, "9.0", "dotnet"), "exec", "--fx-version", "9.0.1",
             os.path.join(self.cache, "csc", "csc.dll"), "-nologo", "-debug:portable",
             f"-optimize{optimize}", "-warnaserror", f"-out:{path}",
             *(f"-r:{self.cache}/ref/{file}" for file in references if file.endswith(".dll")),
             self._source(name)], env=self.env, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return path

    def program(self, name, runtime, optimize="-"):
        """The command that runs NAME.cs on that one of RUNTIMES; compiled when first asked for."""
        folder = os.path.join(self.directory, f"{name}{optimize}{runtime}")
        alone = runtime.endswith("-alone")
        file = "azmcp.dll" if alone else f"{name}.dll"
        command = [os.path.join(folder, "azmcp")] if alone else \
            [os.path.join(self.cache, runtime, "dotnet"), os.path.join(folder, file)]
        if os.path.exists(folder):
            return command
        assembly = self.assembly(name, file, optimize)
        if alone:
            shutil.copytree(os.path.join(self.cache, runtime), folder, copy_function=link_or_copy)
        else:
            os.makedirs(folder)
            with open(os.path.join(folder, f"{name}.runtimeconfig.json"), "w",
                      encoding="utf-8") as config:
                json.dump({"runtimeOptions": {"framework": {
                    "name": "Microsoft.NETCore.App", "version": VERSIONS[runtime]}}}, config)
        shutil.copy2(assembly, folder)
        shutil.copy2(assembly.replace(".dll", ".pdb"), folder)
        return command

    def start(self, targets, name, runtime, seed, *args, optimize="-"):
        """Starts it and waits until it is ready. The seed may be any number."""
        argv = [*self.program(name, runtime, optimize), seed & 0x7fffffff, *args]
        return DotnetTarget(targets.start_argv(argv, timeout=120, env=self.env, cwd=self.directory),
                            self.tag(name))

    def start_single(self, targets):
        """The program of .NET 10 that is one file; it serves on stdin, of which it gets none."""
        argv = [os.path.join(self.cache, "10.0-single", "azmcp"), "server", "start"]
        return targets.start_argv(argv, ready=None, env=self.env, cwd=self.directory)


def link_or_copy(source, destination):
    """A hard link where both are on one file system."""
    try:
        os.link(source, destination)
    except OSError:
        shutil.copy2(source, destination)


def runtime_directory(dotnet, runtime):
    """Where libcoreclr.so of that one of an installation's RUNTIMES is."""
    folder = os.path.join(dotnet.cache, runtime, "shared", "Microsoft.NETCore.App")
    return os.path.join(folder, os.listdir(folder)[0])


def createdump(dotnet, runtime, pid, path):
    """A core that the runtime's own tool makes."""
    program = os.path.join(runtime_directory(dotnet, runtime), "createdump")
    os.chmod(program, 0o755)
    done = subprocess.run([program, "--full", "-f", path, str(pid)], check=False,
                          capture_output=True, text=True)
    assert done.returncode == 0 and os.path.getsize(path) > 1 << 20, done.stdout + done.stderr
    return path
