"""A web server for sources that are read over HTTP."""

from collections.abc import Iterator

import httpx
import pytest

from splai.inputs.http import new_client
from tests.unit.inputs.file_server import FileServer, file_server


@pytest.fixture
def web() -> Iterator[FileServer]:
    with file_server() as server:
        yield server


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with new_client() as client:
        yield client
