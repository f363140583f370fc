"""podsnap's own way into the store: what capture sends there is a whole bundle."""

import secrets

import pytest


@pytest.fixture
def bucket(minio):
    return minio.make_bucket("c-" + secrets.token_hex(8))


@pytest.fixture
def target(targets):
    return targets.start("deadlock")


def test_captured_bundle_verifies(podsnap, minio, bucket, target, tmp_path):
    podsnap.run("capture", "--pid", target.pid, "-o", f"s3://{bucket}/dumps/",
                env=minio.environment())
    keys = minio.keys(bucket)
    assert len(keys) == 1 and keys[0].startswith("dumps/"), keys
    assert keys[0].endswith(".podsnap.tar.zst")
    path = tmp_path / "bundle.podsnap.tar.zst"
    minio.fetch(bucket, keys[0], path)
    podsnap.run("verify", path)
    assert minio.uploads(bucket) == []


@pytest.mark.parametrize("env, texts", [
    ({"AWS_SECRET_ACCESS_KEY": "hunter2hunter2"}, ["SignatureDoesNotMatch", "secret key"]),
    ({"AWS_ACCESS_KEY_ID": "AKIAWRONGWRONGWRONG1"}, ["InvalidAccessKeyId"]),
])
def test_wrong_keys_fail_and_store_nothing(podsnap, minio, bucket, target, env, texts):
    done = podsnap.run("capture", "--pid", target.pid, "-o", f"s3://{bucket}/k", expect=1,
                       env=minio.environment(**env))
    for text in texts:
        assert text in done.stderr
    assert "hunter2" not in done.stderr and minio.secret_key not in done.stderr
    assert minio.keys(bucket) == []


def test_no_bucket(podsnap, minio, target):
    done = podsnap.run("capture", "--pid", target.pid, "-o", "s3://no-such-bucket-here/k",
                       expect=1, env=minio.environment())
    assert "NoSuchBucket" in done.stderr
    assert "aws s3 mb s3://no-such-bucket-here" in done.stderr


def test_existing_object_needs_force(podsnap, minio, bucket, target, tmp_path):
    destination = f"s3://{bucket}/k"
    podsnap.run("capture", "--pid", target.pid, "-o", destination, env=minio.environment())
    before = minio.call("head_object", Bucket=bucket, Key="k")["ETag"]
    done = podsnap.run("capture", "--pid", target.pid, "-o", destination, expect=1,
                       env=minio.environment())
    assert "exists already" in done.stderr
    assert minio.call("head_object", Bucket=bucket, Key="k")["ETag"] == before
    podsnap.run("capture", "--pid", target.pid, "-o", destination, "--force",
                env=minio.environment())
