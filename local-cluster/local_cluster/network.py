"""The node's network, away from the machine's own: an address on a bridge, and one table of packet rules.

Nothing listens on the network card. Pods reach each other and the node by routing; what they send elsewhere leaves
with the machine's address, by the one rule in the table.
"""

from __future__ import annotations

import json
import shutil
from ipaddress import ip_address, ip_network

from local_cluster.command import run, succeeds
from local_cluster.errors import ClusterError

NODE_ADDRESS = "10.89.0.1"
POD_CIDR = "10.244.0.0/16"
BRIDGE = "splai-local"

_TABLE = "splai-local-cluster"
_TABLES = (f"ip {_TABLE}", "ip kube-proxy", "ip6 kube-proxy")
"""Ours and kube-proxy's."""


def up() -> None:
    """Make the node's address and the rule for what leaves the machine."""
    _refuse_foreign_address()
    if not succeeds("ip", "link", "show", BRIDGE):
        run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "address", "replace", f"{NODE_ADDRESS}/32", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    # `add` and `delete` first make the whole one transaction that gives the same result each time.
    rules = f"""
        add table ip {_TABLE}
        delete table ip {_TABLE}
        table ip {_TABLE} {{
            chain leaving {{
                type nat hook postrouting priority srcnat;
                ip saddr {POD_CIDR} ip daddr != {{ {POD_CIDR}, {NODE_ADDRESS} }} masquerade
            }}
        }}
    """
    run("nft", "-f", "-", text=rules)


def down() -> None:
    """Remove the address and all tables, kube-proxy's too."""
    if shutil.which("ip") and succeeds("ip", "link", "show", BRIDGE):
        run("ip", "link", "delete", BRIDGE)
    if shutil.which("nft"):
        for table in _TABLES:
            run("nft", "-f", "-", text=f"add table {table}\ndelete table {table}\n")


def existing() -> list[str]:
    """The interfaces of the node and of its pods, and the tables of packet rules, in words."""
    found = []
    if shutil.which("ip"):
        pods = ip_network(POD_CIDR)
        for name, addresses in _interfaces().items():
            if name == BRIDGE or any(ip_address(address) in pods for address in addresses):
                found.append(f"interface {name}")
    if shutil.which("nft"):
        listed = run("nft", "list", "tables").splitlines()
        found += [f"table {table}" for table in _TABLES if f"table {table}" in listed]
    return found


def _refuse_foreign_address() -> None:
    for name, addresses in _interfaces().items():
        if NODE_ADDRESS in addresses and name != BRIDGE:
            raise ClusterError(f"{NODE_ADDRESS}, the node's address, is in use on {name}")


def _interfaces() -> dict[str, set[str]]:
    """The IPv4 addresses of each interface, also of those that have none."""
    listed = json.loads(run("ip", "-json", "address", "show"))
    return {
        interface["ifname"]: {it["local"] for it in interface["addr_info"] if it["family"] == "inet"}
        for interface in listed
    }
