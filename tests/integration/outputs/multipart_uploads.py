"""Uploads that were begun and neither completed nor aborted: obstore has no call that lists them."""

import hashlib
import hmac
import re
from datetime import UTC, datetime

import httpx

from tests.integration.minio import REGION, Minio


def unfinished_uploads(minio: Minio, bucket: str) -> list[str]:
    """Their keys, by a request that is signed by hand (AWS Signature Version 4)."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    host, empty = minio.endpoint.removeprefix("http://"), hashlib.sha256(b"").hexdigest()
    headers = {"host": host, "x-amz-content-sha256": empty, "x-amz-date": now}
    names = ";".join(headers)
    canonical = "\n".join(
        ["GET", f"/{bucket}", "uploads=", *(f"{name}:{value}" for name, value in headers.items()), "", names, empty]
    )
    scope = f"{now[:8]}/{REGION}/s3/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{minio.secret_key}".encode()
    for part in (*scope.split("/"), to_sign):
        key = hmac.digest(key, part.encode(), "sha256")
    credential = f"Credential={minio.access_key}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
    reply = httpx.get(
        f"{minio.endpoint}/{bucket}?uploads=", headers=headers | {"Authorization": f"AWS4-HMAC-SHA256 {credential}"}
    )
    reply.raise_for_status()
    return re.findall(r"<Upload><Key>(.*?)</Key>", reply.text)
