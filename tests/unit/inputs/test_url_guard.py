"""What a job's status says of an input's URL that is refused, or is none."""

import pytest

from splai.inputs.errors import SourceUnusable
from splai.inputs.url_guard import URLGuard


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/a", "http://localhost/a", "http://169.254.169.254/latest"])
def test_a_refused_host_is_forbidden(url: str) -> None:
    with pytest.raises(SourceUnusable, match="may not lead to") as caught:
        URLGuard(allow_private=False).check_url(url)
    assert caught.value.reason == "InputForbidden"
    URLGuard(allow_private=True).check_url(url)


@pytest.mark.parametrize("url", ["http://", "http://[", "http://host:port/a", "http://host:99999/a", "http:///a"])
def test_what_is_no_url_is_not_found(url: str) -> None:
    for allow_private in (True, False):
        with pytest.raises(SourceUnusable, match="is not valid") as caught:
            URLGuard(allow_private=allow_private).check_url(url)
        assert caught.value.reason == "InputNotFound"


class Stream:
    def __init__(self, address: str) -> None:
        self._address = address

    def close(self) -> None:
        pass

    def get_extra_info(self, name: str) -> tuple[str, int] | None:
        return (self._address, 80) if name == "server_addr" else None


def test_a_refused_address_that_was_connected_to_is_forbidden() -> None:
    guard = URLGuard(allow_private=False)

    with pytest.raises(SourceUnusable) as caught:
        guard.trace("connection.connect_tcp.complete", {"return_value": Stream("169.254.169.254")})
    assert caught.value.reason == "InputForbidden"
    guard.trace("connection.connect_tcp.complete", {"return_value": Stream("10.0.0.1")})
