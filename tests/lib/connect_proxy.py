"""A proxy that knows CONNECT, as a program and as an object: what was asked of it is in a file.

    connect_proxy.py LOG [--login USER:PASSWORD] [--first COMMAND]

prints its port and serves until its stdin ends; COMMAND is run before the first answer. Lines on
stdin do something to the connections that there are: "reset" ends them with RST on both sides,
"silence" forwards nothing more and leaves them open; "refuse" takes no more of them. Each is
answered by a line when it is done.
"""

import argparse
import base64
import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading


class Relay:
    """Bytes both ways until one side ends, or until it is told to do something else."""

    all = []

    def __init__(self, one, other):
        self.peers = {one: other, other: one}
        self.done = threading.Event()
        self.order, self.wakes = os.pipe()
        Relay.all.append(self)

    def run(self):
        try:
            while True:
                for ready in select.select([*self.peers, self.order], [], [])[0]:
                    if ready == self.order:
                        return self.obey(os.read(self.order, 64).decode())
                    data = ready.recv(65536)
                    if not data:
                        return None
                    self.peers[ready].sendall(data)
        finally:
            Relay.all.remove(self)
            self.done.set()

    def obey(self, order):
        if order == "silence":
            self.done.set()
            threading.Event().wait()
        for end in self.peers:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    @classmethod
    def order_all(cls, order):
        for relay in list(cls.all):
            os.write(relay.wakes, order.encode())
            relay.done.wait()


def read_head(client):
    head = b""
    while b"\r\n\r\n" not in head and len(head) < 65536:
        data = client.recv(1)
        if not data:
            break
        head += data
    return head.decode("latin-1").split("\r\n")


def serve(client, log, wanted, first_commands):
    with client:
        first, *headers = read_head(client)
        words = first.split()
        if wanted and f"Proxy-Authorization: Basic {wanted}" not in headers:
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                           b"Proxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n")
            return
        if len(words) != 3 or words[0] != "CONNECT":
            client.sendall(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
            return
        os.write(log, f"{words[1]}\n".encode())
        while first_commands:
            subprocess.run(first_commands.pop(), shell=True, check=True, timeout=30)
        host, _, port = words[1].rpartition(":")
        # What its ends do to a connection is no fault of the proxy's.
        with contextlib.suppress(OSError), \
                socket.create_connection((host.strip("[]"), int(port))) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            Relay(client, server).run()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("log")
    parser.add_argument("--login")
    parser.add_argument("--first")
    options = parser.parse_args()
    log = os.open(options.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    wanted = base64.b64encode(options.login.encode()).decode() if options.login else None
    commands = [options.first] if options.first else []
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)

    def accept():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(client, log, wanted, commands),
                             daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    for order in sys.stdin:
        if order.strip() == "refuse":
            listener.shutdown(socket.SHUT_RDWR)
        else:
            Relay.order_all(order.strip())
        print("done", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)  # whatever its threads wait for


class ConnectProxy:
    """The program behind a prefix (Cluster.prefix), at self.address."""

    def __init__(self, directory, prefix=(), **options):
        self.log = os.path.join(directory, "connects")
        self.process = subprocess.Popen(
            [*prefix, sys.executable, os.path.abspath(__file__), self.log,
             *(f"--{name}={value}" for name, value in options.items())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address = f"127.0.0.1:{int(self.process.stdout.readline())}"

    def asked(self):
        """The addresses it was asked for."""
        with open(self.log, encoding="utf-8") as log:
            return log.read().split()

    def order(self, order):
        """"reset", "silence" or "refuse": see above."""
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def stop(self):
        self.process.communicate(timeout=30)


if __name__ == "__main__":
    main()
