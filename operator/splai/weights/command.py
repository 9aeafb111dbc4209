"""``splai model fetch``: how it runs, and how it ends.

====  ================================================================
exit  meaning
====  ================================================================
0     the folder is there, and whole
1     it is not; the termination message says why, and another try may go well
143   asked to stop
====  ================================================================

The kubelet tries again, later each time, and goes on with the files that are whole. Credentials come from the
environment: HF_TOKEN, AWS_*, AUTHORIZATION.
"""

import contextlib
import errno
import logging
import os
import secrets
import signal
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

from splai.api.plain_url import plain_url
from splai.api.pod_contract import EXIT_DONE, EXIT_DRAINED, EXIT_RETRY, TERMINATION_LOG
from splai.inputs.errors import SourceUnavailable, SourceUnusable
from splai.inputs.http import new_client
from splai.inputs.resume import PATIENCE, Patience
from splai.logs import configure_logging
from splai.weights.folder import fill
from splai.weights.progress import Progress
from splai.weights.remote import Order, remote_files

LONGEST_MESSAGE: Final = 1500
"""Bytes, of the 4096 that a termination message may have."""
_log = logging.getLogger(__name__)


def run(order: Order, folder: Path) -> NoReturn:
    """The command."""
    configure_logging("model-fetch", level=os.environ.get("SPLAI_LOG_LEVEL", "INFO"))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    code = fetch(order, folder, os.environ)
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)  # the S3 client's threads may abort an interpreter that ends


def fetch(
    order: Order,
    folder: Path,
    environment: Mapping[str, str],
    *,
    patience: Patience = PATIENCE,
    termination_log: Path = Path(TERMINATION_LOG),
) -> int:
    """Fetch the order into the folder; the exit code."""
    name = plain_url(order.source)
    try:
        with new_client() as client:
            listing = partial(remote_files, order, environment, client, patience)
            size = fill(folder, listing, Progress(name), owner=secrets.token_hex(8))
    except (SourceUnavailable, SourceUnusable) as error:
        return _failed(str(error), termination_log)
    except OSError as error:
        full = " (spec.model.cache, or the node's disk)" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        return _failed(f"{name} cannot be kept: {error.strerror}{full}", termination_log)
    _log.info("the weights are there", extra={"source": name, "folder": str(folder), "bytes": size})
    return EXIT_DONE


def _failed(message: str, termination_log: Path) -> int:
    _log.error("the weights were not fetched", extra={"cause": message})
    with contextlib.suppress(OSError):  # no kubelet reads it outside of a pod
        termination_log.write_text(message.encode()[:LONGEST_MESSAGE].decode(errors="ignore"))
    return EXIT_RETRY


def _stop(_number: int, _frame: object) -> NoReturn:
    os._exit(EXIT_DRAINED)  # what is whole is on disk already
