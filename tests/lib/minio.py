"""A real object store: MinIO on a port of its own, with its data in a temporary directory."""

import json
import os
import secrets
import socket
import subprocess

from lib.wait import wait_until

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
CALL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "s3_call.py")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Minio:
    """A running server. Behind Cluster.prefix it runs in the cluster's network, where pods reach
    it by the node's address; `host` is the address in its endpoint."""

    def __init__(self, directory, prefix=(), host="127.0.0.1"):
        self.prefix = list(prefix)
        self.access_key = "test" + secrets.token_hex(8)
        self.secret_key = secrets.token_hex(20)
        self.port = free_port()
        self.endpoint = f"http://{host}:{self.port}"
        self.region = "us-east-1"
        self.directory = str(directory)
        self.log = open(os.path.join(self.directory, "minio.log"), "wb")
        self.process = self._start()
        wait_until(self._ready, "answer of MinIO", interval=0.2)

    def _start(self):
        server = subprocess.run([os.path.join(ROOT, "scripts", "build-test-servers"), "minio"],
                                capture_output=True, text=True, check=True).stdout.strip()
        env = {**os.environ, "MINIO_ROOT_USER": self.access_key,
               "MINIO_ROOT_PASSWORD": self.secret_key, "MINIO_BROWSER": "off",
               "MINIO_UPDATE": "off", "MINIO_CI_CD": "1", "HOME": self.directory}
        data = os.path.join(self.directory, "data")
        os.makedirs(data)
        return subprocess.Popen([*self.prefix, server, "server", data, "--quiet",
                                 "--address", f":{self.port}"], env=env,
                                stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def _ready(self):
        assert self.process.poll() is None, f"MinIO ended: {self.read_log()}"
        return self._call({"method": "ready"}, check=False).returncode == 0

    def read_log(self):
        with open(self.log.name, encoding="utf-8", errors="replace") as log:
            return log.read()[-4000:]

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def environment(self, **more):
        """What configures an S3 client for this store by the usual variables."""
        return {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key,
                "AWS_ENDPOINT_URL": self.endpoint, "AWS_REGION": self.region, **more}

    def _call(self, request, check=True):
        request = {"endpoint": self.endpoint, "region": self.region, **request}
        done = subprocess.run([*self.prefix, "/usr/bin/python3", CALL, json.dumps(request)],
                              env={**os.environ, **self.environment()}, check=False,
                              capture_output=True, stdin=subprocess.DEVNULL)
        assert not check or done.returncode == 0, done.stderr.decode("utf-8", "replace")
        return done

    def call(self, method, **arguments):
        """A method of boto3's S3 client, by keyword arguments; returns its answer as JSON."""
        return json.loads(self._call({"method": method, "arguments": arguments}).stdout)

    def make_bucket(self, name):
        self.call("create_bucket", Bucket=name)
        return name

    def keys(self, bucket):
        return [entry["Key"] for entry in
                self.call("list_objects_v2", Bucket=bucket).get("Contents", [])]

    def uploads(self, bucket):
        """Multipart uploads that were begun and neither completed nor aborted."""
        return self.call("list_multipart_uploads", Bucket=bucket).get("Uploads", [])

    def fetch(self, bucket, key, path):
        """Downloads an object into a file."""
        self.call("download_file", Bucket=bucket, Key=key, Filename=str(path))
