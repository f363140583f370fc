"""One call of boto3's S3 client, in a process of its own so that it can run in the cluster's
network: s3_call.py '{"endpoint": ..., "region": ..., "method": ..., "arguments": {...}}'."""

import json
import sys
import urllib.request


def main():
    request = json.loads(sys.argv[1])
    if request["method"] == "ready":
        urllib.request.urlopen(request["endpoint"] + "/minio/health/ready", timeout=5).close()
        return
    import boto3
    client = boto3.client("s3", endpoint_url=request["endpoint"], region_name=request["region"])
    answer = getattr(client, request["method"])(**request["arguments"])
    json.dump(answer, sys.stdout, default=str)


if __name__ == "__main__":
    main()
