"""An API server that knows v5.channel.k8s.io and no other, as a program and as an object: in front of
`kubectl proxy`, it refuses a WebSocket that does not offer that.

    v5_server.py PORT

prints its own port and serves until its stdin ends.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading

# Run as a program, it finds lib/ where pytest does.
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from lib.connect_proxy import Relay, read_head  # noqa: E402 pylint: disable=wrong-import-position

REFUSAL = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def offered_protocols(head):
    """None: it is no WebSocket."""
    for line in head:
        name, _, value = line.partition(":")
        if name.lower() == "sec-websocket-protocol":
            return value.replace(" ", "").split(",")
    return None


def serve(client, port):
    with client, contextlib.suppress(OSError):
        head = read_head(client)
        offered = offered_protocols(head)
        if offered is not None and "v5.channel.k8s.io" not in offered:
            client.sendall(REFUSAL)
            return
        with socket.create_connection(("127.0.0.1", port)) as server:
            server.sendall("\r\n".join(head).encode("latin-1"))
            Relay(client, server).run()


def main():
    port = int(sys.argv[1])
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)

    def accept():
        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(client, port), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)  # whatever its threads wait for


class V5Server:
    """The two programs behind a prefix (Cluster.prefix), at self.url, without credentials."""

    def __init__(self, prefix):
        self.proxy = subprocess.Popen(
            [*prefix, "kubectl", "proxy", "--port=0", "--reject-paths=^$"],
            stdout=subprocess.PIPE, text=True)
        port = re.search(r":(\d+)$", self.proxy.stdout.readline().strip())[1]
        self.server = subprocess.Popen(
            [*prefix, sys.executable, os.path.abspath(__file__), port],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{int(self.server.stdout.readline())}"

    def stop(self):
        self.server.communicate(timeout=30)
        self.proxy.kill()
        self.proxy.communicate(timeout=30)


if __name__ == "__main__":
    main()
