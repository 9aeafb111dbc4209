"""The node's network, away from the machine's own: an address on a bridge, and one table of packet rules.

Nothing listens on the network card. Pods reach each other and the node by routing; what they send elsewhere leaves
with the machine's address, by the one rule in the table.
"""

from __future__ import annotations

import json
import shutil

from local_cluster.command import run, succeeds
from local_cluster.errors import ClusterError

NODE_ADDRESS = "10.89.0.1"
POD_CIDR = "10.244.0.0/16"
BRIDGE = "splai-local"

_TABLE = "splai-local-cluster"
_KUBE_PROXY_TABLES = ("ip kube-proxy", "ip6 kube-proxy")


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
        for table in (f"ip {_TABLE}", *_KUBE_PROXY_TABLES):
            run("nft", "-f", "-", text=f"add table {table}\ndelete table {table}\n")


def _refuse_foreign_address() -> None:
    for interface in json.loads(run("ip", "-json", "-4", "address", "show")):
        addresses = {address["local"] for address in interface["addr_info"]}
        if NODE_ADDRESS in addresses and interface["ifname"] != BRIDGE:
            raise ClusterError(f"{NODE_ADDRESS}, the node's address, is in use on {interface['ifname']}")
