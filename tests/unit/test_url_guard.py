"""A user's URL may lead into the cluster and the private network, and not to the machine itself."""

from typing import Any

import pytest

from splai.url_guard import AddressRefused, URLGuard, allows_private, host_of, is_refused

CONNECTED = "connection.connect_tcp.complete"


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "169.254.169.254", "169.254.170.2", "224.0.0.1", "100.100.100.200"),
        *("168.63.129.16", "::1", "::", "fe80::1", "fe80::1%eth0", "ff02::1", "fd00:ec2::254", "fd20:ce::254"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::169.254.169.254"),
    ],
)
def test_addresses_of_the_machine_and_of_metadata_are_refused(address: str) -> None:
    assert is_refused(address)


@pytest.mark.parametrize(
    "address",
    ["10.96.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "8.8.8.8", "fd00::1", "2001:db8::1", "::ffff:10.0.0.1"],
)
def test_services_of_the_cluster_and_other_hosts_are_allowed(address: str) -> None:
    assert not is_refused(address)


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1:8080/a", "http://localhost/a", "http://[::1]/a", "http://169.254.169.254/latest/meta-data"),
        *("http://2130706433/a", "http://0x7f.1/a", "http://017700000001/a", "http://[::ffff:7f00:1]/a"),
    ],
)
def test_a_url_with_such_a_host_is_refused_however_it_is_written(url: str) -> None:
    with pytest.raises(AddressRefused):
        URLGuard(allow_private=False).check_url(url)
    URLGuard(allow_private=True).check_url(url)


@pytest.mark.parametrize("url", ["http://10.1.2.3/a", "http://no-such-host.invalid/a"])
def test_other_urls_are_left_to_the_network(url: str) -> None:
    URLGuard(allow_private=False).check_url(url)


@pytest.mark.parametrize("url", ["http://", "http://[", "http://host:port/a", "http://host:99999/a", "http:///a"])
def test_what_is_no_url_has_no_host(url: str) -> None:
    with pytest.raises(ValueError, match="not valid"):
        host_of(url)


class Stream:
    """A connection, as httpx's trace shows it."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.closed = False

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True

    def get_extra_info(self, name: str) -> tuple[str, int] | None:
        return (self._address, 80) if name == "server_addr" else None


async def traced(guard: URLGuard, event: str, info: dict[str, Any], *, asynchronous: bool) -> None:
    if asynchronous:
        await guard.trace_async(event, info)
    else:
        guard.trace(event, info)


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_what_counts_is_the_address_that_was_connected_to(asynchronous: bool) -> None:
    guard, refused = URLGuard(allow_private=False), Stream("169.254.169.254")

    with pytest.raises(AddressRefused):
        await traced(guard, CONNECTED, {"return_value": refused}, asynchronous=asynchronous)

    assert refused.closed
    await traced(guard, CONNECTED, {"return_value": Stream("10.0.0.1")}, asynchronous=asynchronous)
    await traced(guard, "http11.send_request_headers.started", {}, asynchronous=asynchronous)
    lifted = URLGuard(allow_private=True)
    await traced(lifted, CONNECTED, {"return_value": Stream("127.0.0.1")}, asynchronous=asynchronous)


@pytest.mark.parametrize(
    ("value", "want"), [(None, False), ("", False), ("false", False), ("true", True), ("True", True)]
)
def test_the_operators_configuration_lifts_the_refusal(value: str | None, want: bool) -> None:
    assert allows_private({} if value is None else {"SPLAI_ALLOW_PRIVATE_URLS": value}) is want
