"""Which addresses a URL of a user's may lead to.

The planning pod reads URLs that whoever may create an InferenceJob has written, and shows what is behind them. Services
of the cluster and hosts of the private network are what many of them are for, so these are allowed. Refused are the
addresses that mean the pod or the machine itself: loopback, link-local (where clouds serve a node's credentials),
unspecified and multicast ones, and the metadata services that live elsewhere. ``SPLAI_ALLOW_PRIVATE_URLS=true``, in the
operator's configuration, lifts the refusal, for a proxy or a store on the node.

A name is resolved again when the connection is made. Over HTTP what counts is the address that was connected to; an S3
client does not tell it, so there it is what the name meant just before.
"""

import ipaddress
import socket
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from splai.inputs.errors import FORBIDDEN, NOT_FOUND, SourceUnusable

ALLOW: Final = "SPLAI_ALLOW_PRIVATE_URLS"
_METADATA: Final = frozenset(
    ipaddress.ip_address(address) for address in ("100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254")
)
_TRANSLATED: Final = ipaddress.ip_network("64:ff9b::/96")


def allows_private(environment: Mapping[str, str]) -> bool:
    """Whether the operator's configuration lifts the refusal."""
    return environment.get(ALLOW, "").lower() == "true"


def is_refused(address: str) -> bool:
    """Whether an IP address is one that no user's URL may lead to."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_refused(str(ip.ipv4_mapped))
        if ip in _TRANSLATED:
            return is_refused(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip.is_loopback or ip.is_link_local or ip.is_unspecified or ip.is_multicast or ip in _METADATA


def host_of(url: str) -> str:
    """The host that a URL leads to; raises SourceUnusable for what is no URL."""
    try:
        host, _ = urlsplit(url).hostname, urlsplit(url).port
        (host or "").encode("idna")
    except ValueError:  # UnicodeError, for a name that no host can have, is one
        host = None
    if not host:
        raise SourceUnusable(NOT_FOUND, "the URL is not valid: it has no host, or a port that is none")
    return host


class URLGuard:
    """Refuses addresses before and while a connection is made."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private

    def check_url(self, url: str) -> None:
        """Raise SourceUnusable for a URL whose host is known to have a refused address; a network failure is none."""
        host = host_of(url)
        if self._allow_private:
            return
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError:
            return
        if any(is_refused(str(address[0])) for *_, address in found):
            raise _refusal(host)

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """httpx's trace extension: the address that was really connected to, before anything is sent to it."""
        if self._allow_private or event != "connection.connect_tcp.complete":
            return
        connection = info["return_value"]
        address = connection.get_extra_info("server_addr")
        if is_refused(str(address[0])):
            connection.close()
            raise _refusal(str(address[0]))


def _refusal(host: str) -> SourceUnusable:
    return SourceUnusable(
        FORBIDDEN, f"{host} is this machine, link-local or a metadata service, which a URL may not lead to"
    )
