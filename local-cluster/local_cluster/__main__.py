"""The command line: `PYTHONPATH=local-cluster python3 -m local_cluster COMMAND`."""

from __future__ import annotations

import argparse
import os
import sys
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
    match options.command:
        case "up":
            cluster.up(os.environ)
        case "down":
            cluster.down()
        case "status":
            print(cluster.status())
        case "build":
            for name in options.names or build.MODULES:
                print(build.programs(name))
        case "packages":
            host.install_test_packages()
        case "images":
            cluster.load_images(options.names, os.environ)
        case "install":
            cluster.install(options.name)
        case "load":
            cluster.load_archive(options.archive)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="local_cluster", description="A Kubernetes cluster on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start a cluster (CLUSTER=current|kind|local) and write .local/kubeconfig")
    commands.add_parser("down", help="remove the cluster and everything it left on the machine")
    commands.add_parser("status", help="show what runs")
    build_command = commands.add_parser("build", help="build the cluster's programs into the cache")
    build_command.add_argument("names", nargs="*", metavar="MODULE", help=f"of: {', '.join(build.MODULES)}")
    commands.add_parser("packages", help="install the Debian packages that the integration tests need")
    images_command = commands.add_parser("images", help="build SPLAI's images and load them into the cluster")
    images_command.add_argument("names", nargs="*", metavar="IMAGE")
    install_command = commands.add_parser("install", help="install a neighbour of SPLAI's into the cluster")
    install_command.add_argument("name", metavar="NEIGHBOUR", help=f"of: {', '.join(neighbours.NEIGHBOURS)}")
    load_command = commands.add_parser("load", help="load an image archive into the cluster")
    load_command.add_argument("archive", type=Path)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
