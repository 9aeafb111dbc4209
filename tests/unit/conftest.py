"""What all unit tests share: they speak plain HTTP, and spare themselves the world's certificate authorities."""

from collections.abc import Iterator

import certifi
import pytest

from tests.unit.certificates import self_signed


@pytest.fixture(scope="session", autouse=True)
def one_certificate_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every HTTP client reads all authorities when it is made, for 30 ms: hundreds of tests make one."""
    authority = tmp_path_factory.mktemp("authority") / "ca.pem"
    _, certificate = self_signed("nobody")
    authority.write_bytes(certificate)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certifi, "where", lambda: str(authority))
        yield
