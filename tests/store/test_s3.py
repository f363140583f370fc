"""The S3 sink against a real store, through tests/unit/upload/s3_cat.c (standard input into a
sink). Its exit status, its message and what is in the bucket are looked at, nothing else."""

import collections
import hashlib
import os
import secrets
import signal
import subprocess

import pytest

from lib.minio import Minio, free_port
from lib.podsnap import clean_environment
from lib.wait import wait_until
from store.faulty_proxy import (ERROR_IN_200, NOT_IMPLEMENTED, SLOW_DOWN, FaultyProxy, Fault,
                                is_complete, is_conditional, is_part, is_put)

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
MIB = 1 << 20
PART = 8 * MIB
Done = collections.namedtuple("Done", "status stdout stderr")


@pytest.fixture(scope="session")
def s3_cat(build_dir):
    program = os.path.join(build_dir, "test", "tests", "unit", "upload", "s3_cat")
    subprocess.run(["make", "-s", f"BUILD={build_dir}", program], cwd=ROOT, check=True)
    return program


@pytest.fixture
def bucket(minio):
    return minio.make_bucket("b-" + secrets.token_hex(8))


@pytest.fixture
def start(s3_cat, minio, tmp_path):
    """Starts s3_cat with the store's environment and waits until the sink is open."""
    running = []

    def run(*args, **env):
        values = {**minio.environment(), **env}
        process = subprocess.Popen(
            [s3_cat, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=clean_environment(tmp_path, {k: v for k, v in values.items() if v is not None}))
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.wait()


@pytest.fixture
def put(start, minio):
    """Runs s3_cat over data to its end. No run may ever print the secret."""

    def run(data, *args, **env):
        process = start(*args, **env)
        out, err = process.communicate(data, timeout=120)
        done = Done(process.returncode, out.decode(), err.decode())
        print(done.stderr)
        assert minio.secret_key not in done.stdout + done.stderr
        return done

    return run


def await_open(process):
    for line in process.stderr:
        if line == b"open\n":
            return
    pytest.fail("the sink did not open")


def fetch(minio, bucket, key, tmp_path):
    path = tmp_path / "fetched"
    minio.fetch(bucket, key, path)
    return path.read_bytes()


def failed(done, code, *texts):
    assert done.status == 1, done.stderr
    assert f"code={code}\n" in done.stderr
    for text in texts:
        assert text in done.stderr


def is_multipart(minio, bucket, key):
    return "-" in minio.call("head_object", Bucket=bucket, Key=key)["ETag"]


# --- what arrives --------------------------------------------------------------------------------

@pytest.mark.parametrize("size, multipart", [(0, False), (1, False), (PART, False),
                                             (PART + 1, True), (40 * MIB, True)])
@pytest.mark.parametrize("flags", [(), ("-t",)], ids=["plain", "thread"])
def test_bytes_arrive_whole(put, minio, bucket, tmp_path, rng, size, multipart, flags):
    data = rng.randbytes(size)
    done = put(data, *flags, f"s3://{bucket}/dir/object.zst")
    assert (done.status, done.stdout) == (0, f"s3://{bucket}/dir/object.zst\n"), done.stderr
    got = fetch(minio, bucket, "dir/object.zst", tmp_path)
    assert hashlib.sha256(got).digest() == hashlib.sha256(data).digest()
    assert is_multipart(minio, bucket, "dir/object.zst") == multipart
    assert minio.uploads(bucket) == []


@pytest.mark.parametrize("destination", ["s3://{}", "s3://{}/", "s3://{}/a/b/"])
def test_prefix_gets_the_suggested_name(put, minio, bucket, destination):
    done = put(b"x", destination.format(bucket))
    prefix = destination[len("s3://{}/"):]
    assert done.stdout == f"s3://{bucket}/{prefix}suggested.podsnap.tar.zst\n"
    assert minio.keys(bucket) == [prefix + "suggested.podsnap.tar.zst"]


@pytest.mark.parametrize("key", ["sp ace+plus", "%41=&?#;:@", "ümläut/日本", "~tilde'(*)!"])
@pytest.mark.parametrize("size", [3, PART + 3])
def test_any_key_is_signed_right(put, minio, bucket, key, size):
    assert put(b"k" * size, f"s3://{bucket}/{key}").status == 0
    assert minio.keys(bucket) == [key]
    assert minio.uploads(bucket) == []


def test_credentials_from_a_profile(put, minio, bucket, tmp_path):
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        f"[shop]\naws_access_key_id = {minio.access_key}\n"
        f"aws_secret_access_key = {minio.secret_key}\n")
    (tmp_path / ".aws" / "config").write_text(
        f"[profile shop]\nregion = us-east-1\nendpoint_url = {minio.endpoint}\n")
    done = put(b"x", f"s3://{bucket}/k", AWS_PROFILE="shop", AWS_ACCESS_KEY_ID=None,
               AWS_SECRET_ACCESS_KEY=None, AWS_ENDPOINT_URL=None, AWS_REGION=None)
    assert done.status == 0, done.stderr
    assert minio.keys(bucket) == ["k"]


# --- what is refused -----------------------------------------------------------------------------

def test_wrong_access_key(put, minio, bucket):
    done = put(b"x", f"s3://{bucket}/k", AWS_ACCESS_KEY_ID="AKIAWRONGWRONGWRONG1")
    failed(done, "auth", "InvalidAccessKeyId", "AWS_ACCESS_KEY_ID")
    assert "open\n" not in done.stderr
    assert minio.keys(bucket) == []


def test_wrong_secret_key(put, minio, bucket):
    done = put(b"x", f"s3://{bucket}/k", AWS_SECRET_ACCESS_KEY="hunter2hunter2")
    failed(done, "auth", "SignatureDoesNotMatch", "secret key")
    assert "hunter2" not in done.stderr and "open\n" not in done.stderr
    assert minio.keys(bucket) == []


def test_no_bucket(put, minio):
    done = put(b"x", "s3://no-such-bucket-here/k")
    failed(done, "not_found", "NoSuchBucket",
           f"aws s3 mb s3://no-such-bucket-here --region us-east-1 --endpoint-url {minio.endpoint}")
    assert "open\n" not in done.stderr


def test_wrong_region(put, tmp_path, monkeypatch):
    directory = tmp_path / "store"
    directory.mkdir()
    monkeypatch.setenv("MINIO_SITE_REGION", "eu-west-3")
    store = Minio(directory)
    try:
        done = put(b"x", "s3://bucket/k", **store.environment(AWS_REGION="us-east-1"))
        failed(done, "usage", "AWS_REGION=eu-west-3")
        assert store.secret_key not in done.stderr
    finally:
        store.stop()


def test_key_that_the_store_refuses(put, bucket):
    failed(put(b"x", f"s3://{bucket}/a//b"), "usage", "XMinioInvalidObjectName", "another key")


def test_no_credentials(put, bucket):
    done = put(b"x", f"s3://{bucket}/k", AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)
    failed(done, "auth", "AWS_ACCESS_KEY_ID", ".aws/credentials", "aws configure")


def test_nothing_listens(put, bucket):
    endpoint = f"http://127.0.0.1:{free_port()}"
    done = put(b"x", "-r", "1", f"s3://{bucket}/k", AWS_ENDPOINT_URL=endpoint)
    failed(done, "network", endpoint, "can be reached")


def test_endpoint_is_no_s3(put, bucket):
    with FaultyProxy(1, [Fault(lambda *a: True, 99, (400, b"<html>Hello</html>"))]) as proxy:
        done = put(b"x", f"s3://{bucket}/k", AWS_ENDPOINT_URL=proxy.endpoint)
    failed(done, "server", "HTTP 400", f"{proxy.endpoint} speaks S3")


def test_existing_object_needs_force(put, minio, bucket, tmp_path):
    assert put(b"old", f"s3://{bucket}/k").status == 0
    failed(put(b"new", f"s3://{bucket}/k"), "exists", f"s3://{bucket}/k", "--force")
    assert fetch(minio, bucket, "k", tmp_path) == b"old"
    assert put(b"new", "-f", f"s3://{bucket}/k").status == 0
    assert fetch(minio, bucket, "k", tmp_path) == b"new"


@pytest.mark.parametrize("size", [3, PART + 3])
def test_rival_during_the_upload_wins(start, put, minio, bucket, tmp_path, size):
    process = start(f"s3://{bucket}/k")
    await_open(process)
    assert put(b"rival", f"s3://{bucket}/k").status == 0
    _, err = process.communicate(b"n" * size, timeout=60)
    failed(Done(process.returncode, "", err.decode()), "exists")
    assert fetch(minio, bucket, "k", tmp_path) == b"rival"
    assert minio.uploads(bucket) == []


# --- what breaks ---------------------------------------------------------------------------------

def stop_after_parts(process, minio, bucket, rng):
    """Feeds 20 MiB and returns when the store holds at least one part."""
    await_open(process)
    process.stdin.write(rng.randbytes(20 * MIB))
    process.stdin.flush()
    wait_until(lambda: minio.uploads(bucket), "an upload in the store")


def test_store_killed_in_the_middle(start, tmp_path, rng):
    directory = tmp_path / "store"
    directory.mkdir()
    store = Minio(directory)
    try:
        bucket = store.make_bucket("bucket")
        process = start("-r", "2", "-t", f"s3://{bucket}/k", **store.environment())
        stop_after_parts(process, store, bucket, rng)
    finally:
        store.stop()
    _, err = process.communicate(rng.randbytes(20 * MIB), timeout=120)
    failed(Done(process.returncode, "", err.decode()), "network", "abort-multipart-upload")
    assert store.secret_key not in err.decode()


@pytest.mark.parametrize("fault", [
    Fault(is_part, 2, SLOW_DOWN), Fault(is_part, 2), Fault(is_part, 1, lose=True),
    Fault(is_put, 2, SLOW_DOWN), Fault(is_put, 2), Fault(is_put, 1, lose=True),
    Fault(is_complete, 2, SLOW_DOWN), Fault(is_complete, 2), Fault(is_complete, 1, lose=True),
    Fault(is_complete, 2, ERROR_IN_200), Fault(is_conditional, 1, NOT_IMPLEMENTED),
], ids=["part-slow-down", "part-dropped", "part-answer-lost", "put-slow-down", "put-dropped",
        "put-answer-lost", "complete-slow-down", "complete-dropped", "complete-answer-lost",
        "complete-error-in-200", "no-conditional-writes"])
@pytest.mark.parametrize("size", [5, 2 * PART + 5])
def test_passing_faults_are_survived(put, minio, bucket, tmp_path, rng, fault, size):
    data = rng.randbytes(size)
    fault.happened = 0
    with FaultyProxy(minio.port, [fault]) as proxy:
        done = put(data, "-r", "4", f"s3://{bucket}/k", AWS_ENDPOINT_URL=proxy.endpoint)
    assert done.status == 0, done.stderr
    assert fault.happened == (fault.times if (fault.at is is_put) == (size == 5)
                              or fault.at is is_conditional else 0)
    assert fetch(minio, bucket, "k", tmp_path) == data
    assert minio.uploads(bucket) == []


@pytest.mark.parametrize("at, answer, size", [
    (is_part, SLOW_DOWN, PART + 1), (is_put, SLOW_DOWN, 5), (is_complete, ERROR_IN_200, PART + 1)])
def test_lasting_faults_leave_nothing(put, minio, bucket, rng, at, answer, size):
    with FaultyProxy(minio.port, [Fault(at, 1000, answer)]) as proxy:
        done = put(rng.randbytes(size), "-r", "2", f"s3://{bucket}/k",
                   AWS_ENDPOINT_URL=proxy.endpoint)
        assert proxy.count(at) == 3
    failed(done, "server")
    assert minio.keys(bucket) == []
    assert minio.uploads(bucket) == []


@pytest.mark.parametrize("flags", [(), ("-t",)], ids=["plain", "thread"])
def test_cancelled_while_it_waits_to_try_again(start, minio, bucket, rng, flags):
    with FaultyProxy(minio.port, [Fault(is_complete, 1000, SLOW_DOWN)]) as proxy:
        process = start("-r", "1000", *flags, f"s3://{bucket}/k", AWS_ENDPOINT_URL=proxy.endpoint)
        await_open(process)
        process.stdin.write(rng.randbytes(PART + 1))
        process.stdin.close()
        process.stdin = None
        wait_until(lambda: proxy.count(is_complete) >= 2, "a second try")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    failed(Done(process.returncode, "", err.decode()), "cancelled")
    assert minio.keys(bucket) == []
    assert minio.uploads(bucket) == []


def test_refusals_are_not_tried_again(put, minio, bucket):
    denied = (403, b"<Error><Code>AccessDenied</Code><Message>no &lt;way&gt;</Message></Error>")
    with FaultyProxy(minio.port, [Fault(is_put, 1000, denied)]) as proxy:
        done = put(b"x", "-r", "5", f"s3://{bucket}/k", AWS_ENDPOINT_URL=proxy.endpoint)
        assert proxy.count(is_put) == 1
    failed(done, "forbidden", "no <way>", f"arn:aws:s3:::{bucket}/*")


def test_write_only_credentials_suffice(put, minio, bucket, tmp_path):
    def is_read(method, path, headers):
        return method in ("HEAD", "GET")

    denied = (403, b"<Error><Code>AccessDenied</Code></Error>")
    with FaultyProxy(minio.port, [Fault(is_read, 1000, denied)]) as proxy:
        done = put(b"x", f"s3://{bucket}/k", AWS_ENDPOINT_URL=proxy.endpoint)
    assert done.status == 0, done.stderr
    assert fetch(minio, bucket, "k", tmp_path) == b"x"


def test_wrong_size_in_the_store_is_an_error(put, minio, bucket):
    done_puts = []

    def is_last_look(method, path, headers):
        if method == "PUT":
            done_puts.append(path)
        return method == "HEAD" and done_puts

    with FaultyProxy(minio.port, [Fault(is_last_look, 1, (200, b""))]) as proxy:
        done = put(b"four", f"s3://{bucket}/k", AWS_ENDPOINT_URL=proxy.endpoint)
    failed(done, "io", "0 bytes, 4 were sent")


# --- TLS -----------------------------------------------------------------------------------------

@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tls")
    cert, key = str(directory / "cert.pem"), str(directory / "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=store",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                   check=True, capture_output=True)
    return cert, key


def test_tls_needs_a_trusted_certificate(put, minio, bucket, certificate, tmp_path):
    with FaultyProxy(minio.port, certificate=certificate) as proxy:
        done = put(b"x", f"s3://{bucket}/k", AWS_ENDPOINT_URL=proxy.endpoint)
        failed(done, "auth", "certificate")
        assert minio.keys(bucket) == []
        done = put(b"x", f"s3://{bucket}/k", AWS_ENDPOINT_URL=proxy.endpoint,
                   AWS_CA_BUNDLE=certificate[0])
        assert done.status == 0, done.stderr
    assert fetch(minio, bucket, "k", tmp_path) == b"x"
