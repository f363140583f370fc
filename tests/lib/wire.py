"""The wire to a probe (bundle/wire.h), spoken by hand: what the tests say of it is not podsnap's."""

import os
import struct
import subprocess

HELLO, REQUEST, LOG, PING, CANCEL, END = 1, 2, 6, 10, 11, 12
HEADER = struct.Struct("<4sBBHIIQ")
MAGIC, VERSION = b"PSW1", 1


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def encode(kind, payload=b""):
    """A frame that is not of the stream."""
    def head(crc):
        return HEADER.pack(MAGIC, VERSION, kind, 0, len(payload), crc, 0)
    return head(crc32c(head(0) + payload)) + payload


class Probe:
    """A probe that this process is the client of. `prefix` is a command that starts it."""

    def __init__(self, path, prefix=()):
        # pylint: disable-next=consider-using-with # __exit__ ends it
        self.process = subprocess.Popen([*prefix, path, "serve"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()

    def send(self, kind, payload=b""):
        self.process.stdin.write(encode(kind, payload))
        self.process.stdin.flush()

    def request(self, **options):
        text = "".join(f"{name.replace('_', '-')}={value}\0" for name, value in options.items())
        self.send(REQUEST, text.encode())

    def receive(self, kind):
        """The payload of the next frame of that kind; pings and the log are passed over."""
        while True:
            head = self.process.stdout.read(HEADER.size)
            assert len(head) == HEADER.size, f"the probe ended: {self.process.stderr.read()}"
            magic, version, got, flags, length, crc, offset = HEADER.unpack(head)
            payload = self.process.stdout.read(length)
            assert (magic, version, flags, len(payload)) == (MAGIC, VERSION, 0, length)
            assert crc == crc32c(HEADER.pack(magic, version, got, 0, length, 0, offset) + payload)
            if got not in (PING, LOG) or got == kind:
                assert got == kind, (got, payload)
                return payload

    def receive_end(self):
        """(error code, text, hint) of END."""
        payload = self.receive(END)
        code, = struct.unpack_from("<i", payload)
        texts, at = [], 4 + 8 + 32
        for _ in range(2):
            length, = struct.unpack_from("<H", payload, at)
            texts.append(payload[at + 2:at + 2 + length].decode())
            at += 2 + length
        return code, *texts

    def wait(self):
        """Exit status and stderr."""
        self.process.stdin.close()
        return self.process.wait(timeout=30), self.process.stderr.read().decode()


def user_without_processes(uid):
    """A command that runs another as a user that may start no process or thread."""
    return ["prlimit", "--nproc=1", "setpriv", f"--reuid={uid}", "--clear-groups", "--inh-caps=-all",
            "--bounding-set=-all"]


def executable_for_all(path, directory):
    """A copy of the program that any user can run."""
    os.chmod(directory, 0o755)
    copy = os.path.join(directory, os.path.basename(path))
    subprocess.run(["install", "-m", "755", path, copy], check=True)
    return copy
