"""What the ledger needs of an S3: of many who create the same object, one does and the others learn it."""

from concurrent.futures import ThreadPoolExecutor

import obstore
from obstore.exceptions import AlreadyExistsError

from tests.integration.minio import Minio

WRITERS = 8


def test_one_of_many_creates_an_object(minio: Minio) -> None:
    store = minio.store(minio.make_bucket())

    def create(writer: int) -> bool:
        try:
            obstore.put(store, "commit", str(writer).encode(), mode="create")
        except AlreadyExistsError:
            return False
        return True

    with ThreadPoolExecutor(WRITERS) as writers:
        created = list(writers.map(create, range(WRITERS)))

    assert created.count(True) == 1
    assert obstore.get(store, "commit").bytes() == str(created.index(True)).encode()


def test_buckets_are_apart(minio: Minio) -> None:
    one, other = (minio.store(minio.make_bucket()) for _ in range(2))

    obstore.put(one, "name", b"content")

    assert [entry["path"] for page in obstore.list(one) for entry in page] == ["name"]
    assert [entry["path"] for page in obstore.list(other) for entry in page] == []
