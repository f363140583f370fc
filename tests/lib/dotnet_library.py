"""Data-access libraries of .NET that do not do what they should."""

import os
import subprocess

from lib.dotnet import runtime_directory

HOSTILE = r"""
#include <stdint.h>
#include <string.h>
#include <fcntl.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
const char version[] = "%s";
const char *used = version;
static int misbehave(void) { %s }
int CLRDataCreateInstance(const void *id, void *target, void **ret) { return misbehave(); }
"""


def build_library(path, version, body):
    """At path: says to be of that version, and does this when it is asked for anything."""
    source = f"{path}.c"
    with open(source, "w", encoding="utf-8") as out:
        out.write(HOSTILE % (version, body))
    subprocess.run(["gcc", "-shared", "-fPIC", "-O0", "-w", "-o", path, source], check=True)
    return path


def version_of(dotnet, runtime):
    """What a library of that build says."""
    with open(os.path.join(runtime_directory(dotnet, runtime), "libcoreclr.so"), "rb") as file:
        data = file.read()
    start = data.index(b"@(#)Version ")
    return data[start:data.index(b"\0", start)].decode().strip()
