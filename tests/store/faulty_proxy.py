"""An HTTP proxy before an object store that does one wrong thing at a chosen request."""

import dataclasses
import http.client
import http.server
import ssl
import threading
from typing import Callable

SLOW_DOWN = (503, b"<Error><Code>SlowDown</Code><Message>too fast</Message></Error>")
NOT_IMPLEMENTED = (501, b"<Error><Code>NotImplemented</Code><Message>no</Message></Error>")
ERROR_IN_200 = (200, b'<?xml version="1.0"?>\n  <Error><Code>InternalError</Code>'
                     b"<Message>sorry</Message></Error>")


@dataclasses.dataclass
class Fault:
    """What goes wrong, at the first `times` requests for which `at(method, path, headers)` holds.
    answer: (status, body) instead of the store's; lose: the store gets the request, but its answer
    is dropped with the connection; neither: the connection ends before the store sees anything."""

    at: Callable
    times: int = 1
    answer: tuple = None
    lose: bool = False
    happened: int = 0


def is_put(method, path, headers):
    return method == "PUT" and "partNumber" not in path


def is_part(method, path, headers):
    return method == "PUT" and "partNumber" in path


def is_complete(method, path, headers):
    return method == "POST" and "uploadId" in path


def is_conditional(method, path, headers):
    return "if-none-match" in headers


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        fault = self.server.take_fault(self.command, self.path, self.headers)
        if fault and fault.answer:
            self.answer(fault.answer[0], [], fault.answer[1])
        elif fault and not fault.lose:
            self.close_connection = True
        else:
            status, headers, data = self.server.forward(self.command, self.path, self.headers, body)
            if fault:
                self.close_connection = True
            else:
                self.answer(status, headers, data)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

    def answer(self, status, headers, data):
        self.send_response_only(status)
        names = {name.lower() for name, _ in headers}
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "connection"):
                self.send_header(name, value)
        if "content-length" not in names:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


class FaultyProxy(http.server.ThreadingHTTPServer):
    """Listens on loopback; requests pass with the Host they were signed for."""

    daemon_threads = True

    def __init__(self, store_port, faults=(), certificate=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.store_port = store_port
        self.faults = list(faults)
        self.seen = []
        self.lock = threading.Lock()
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.endpoint = f"{'https' if certificate else 'http'}://127.0.0.1:{self.server_port}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *args):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """Clients of these tests hang up, and refuse certificates, on purpose."""

    def take_fault(self, method, path, headers):
        with self.lock:
            self.seen.append((method, path))
            for fault in self.faults:
                if fault.happened < fault.times and fault.at(method, path, headers):
                    fault.happened += 1
                    return fault
        return None

    def count(self, at):
        """Requests seen so far for which at() holds."""
        with self.lock:
            return sum(1 for method, path in self.seen if at(method, path, {}))

    def forward(self, method, path, headers, body):
        store = http.client.HTTPConnection("127.0.0.1", self.store_port, timeout=60)
        store.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            store.putheader(name, value)
        store.endheaders(body or None)
        answer = store.getresponse()
        data = answer.read()
        store.close()
        return answer.status, answer.getheaders(), data
