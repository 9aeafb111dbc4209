"""Finding the apiserver and our credential: the same order for the client and for kopf.

A kubeconfig named by KUBECONFIG wins, then the pod's ServiceAccount, then ~/.kube/config.
"""

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from kubernetes.aio import config
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import ConfigException

__all__ = ["ConfigException", "Configuration", "default_namespace", "load_configuration"]

MAX_CONNECTIONS = 20  # a burst of reconciles must not become a burst of TLS handshakes and 429s

_loaders: Any = config  # its functions are untyped


async def load_configuration() -> Configuration:
    """The connection's settings; tokens in it refresh themselves. Raises ConfigException when there is none."""
    configuration = Configuration()
    if "KUBECONFIG" not in os.environ and "KUBERNETES_SERVICE_HOST" in os.environ:
        _loaders.load_incluster_config(client_configuration=configuration)
    else:
        await _loaders.load_kube_config(
            config_file=os.environ.get("KUBECONFIG"),  # which the library itself reads only when it is imported
            client_configuration=configuration,
            persist_config=False,
        )
    configuration.connection_pool_maxsize = MAX_CONNECTIONS
    configuration.proxy = configuration.proxy or _proxy_from_environment(configuration.host)
    # Else aiohttp reads the environment and ~/.netrc again with each request: a seventh of the operator's CPU.
    configuration.client_session_kwargs = {"trust_env": False}
    return configuration


def _proxy_from_environment(server: str) -> str | None:
    """What HTTPS_PROXY, HTTP_PROXY and NO_PROXY say about the apiserver."""
    address = urlsplit(server)
    return None if proxy_bypass(address.netloc) else getproxies().get(address.scheme)


def default_namespace() -> str:
    """Where this process runs: the pod's namespace, or ``default`` outside a cluster."""
    mounted = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
    return mounted.read_text().strip() if mounted.is_file() else "default"
