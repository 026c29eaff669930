"""An S3 server on loopback for the tests: moto's, with the one property that it lacks, atomic conditional puts."""

import os
import threading
from collections.abc import Iterator
from typing import Any

import fsspec
import pytest

BUCKET = "lab"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The server's address. The environment names it, so that this process and its children find it."""
    from moto.s3.responses import S3Response
    from moto.server import ThreadedMotoServer

    patch = pytest.MonkeyPatch()
    patch.setattr(S3Response, "put_object", one_at_a_time(S3Response.put_object))
    made = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    made.start()
    host, port = made.get_host_and_port()
    address = f"http://{host}:{port}"
    for name, value in (KEYS | {"AWS_ENDPOINT_URL_S3": address}).items():
        patch.setenv(name, value)
    for name in ("AWS_PROFILE", "HTTP_PROXY", "http_proxy"):
        patch.delenv(name, raising=False)
    patch.setenv("NO_PROXY", "127.0.0.1")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    yield address
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    made.stop()
    patch.undo()


def one_at_a_time(put: Any) -> Any:
    """moto looks and then writes; S3 does both in one step, so here no other put comes between."""
    lock = threading.Lock()

    def locked(*arguments: Any, **named: Any) -> Any:
        with lock:
            return put(*arguments, **named)

    return locked


@pytest.fixture
def s3(server: str) -> Iterator[str]:
    """The URL of an empty folder of a bucket."""
    fs = fsspec.filesystem("s3")
    fs.invalidate_cache()
    if not fs.exists(BUCKET):
        fs.mkdir(BUCKET)
    name = os.environ.get("PYTEST_CURRENT_TEST", "test").split("::")[-1].split(" ")[0]
    base = f"s3://{BUCKET}/{''.join(c if c.isalnum() else '-' for c in name)}"
    yield base
    fs.invalidate_cache()
    if fs.exists(base):
        fs.rm(base, recursive=True)
