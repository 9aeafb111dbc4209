"""The command line: `PYTHONPATH=local-cluster python3 -m local_cluster COMMAND`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from local_cluster import build, cluster, host, neighbours
from local_cluster.errors import ClusterError


def main(arguments: list[str]) -> int:
    """Run one command; what goes wrong is said in one paragraph, without a traceback."""
    options = _parser().parse_args(arguments)
    try:
        _run(options)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: the same command goes on from here, `make cluster-down` removes it", file=sys.stderr)
        return 130
    return 0


def _run(options: argparse.Namespace) -> None:
    commands: dict[str, Callable[[], object]] = {
        "up": lambda: cluster.up(os.environ),
        "down": cluster.down,
        "status": lambda: print(cluster.status()),
        "logs": lambda: print(cluster.logs()),
        "remains": cluster.require_no_remains,
        "build": lambda: _build(options.names or build.MODULES),
        "packages": host.install_test_packages,
        "images": lambda: cluster.load_images(options.names, os.environ),
        "install": lambda: cluster.install(options.name),
        "load": lambda: cluster.load_archive(options.archive),
    }
    commands[options.command]()


def _build(names: Iterable[str]) -> None:
    for name in names:
        print(build.programs(name))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="local_cluster", description="A Kubernetes cluster on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start a cluster (CLUSTER=current|kind|local) and write .local/kubeconfig")
    commands.add_parser("down", help="remove the cluster and everything it left on the machine")
    commands.add_parser("status", help="show what runs")
    commands.add_parser("logs", help="show what the pods said last")
    commands.add_parser("remains", help="fail when something of the local cluster is on the machine")
    build_command = commands.add_parser("build", help="build the cluster's programs into the cache")
    build_command.add_argument("names", nargs="*", metavar="MODULE", help=f"of: {', '.join(build.MODULES)}")
    commands.add_parser("packages", help="install the Debian packages that the tests need")
    images_command = commands.add_parser("images", help="build SPLAI's images and load them into the cluster")
    images_command.add_argument("names", nargs="*", metavar="IMAGE")
    install_command = commands.add_parser("install", help="install a neighbour of SPLAI's into the cluster")
    install_command.add_argument("name", metavar="NEIGHBOUR", help=f"of: {', '.join(neighbours.NEIGHBOURS)}")
    load_command = commands.add_parser("load", help="load an image archive into the cluster")
    load_command.add_argument("archive", type=Path)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
