"""The object store itself: what the other store tests rely on."""


def test_object_comes_back_as_it_went(minio, tmp_path, rng):
    data = rng.randbytes(100000)
    (tmp_path / "in").write_bytes(data)
    bucket = minio.make_bucket("harness")
    minio.call("upload_file", Bucket=bucket, Key="a/b", Filename=str(tmp_path / "in"))
    minio.fetch(bucket, "a/b", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == data
    assert minio.keys(bucket) == ["a/b"]
    assert minio.uploads(bucket) == []
