"""The files of a job's input, whatever kind of source it is."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from splai.api.job_input import Input
from splai.api.pod_contract import INPUT_PATH
from splai.inputs.errors import FORBIDDEN, SourceUnusable
from splai.inputs.failed_records import failed_records
from splai.inputs.http import http_file, new_client
from splai.inputs.hugging_face import dataset_files
from splai.inputs.resume import PATIENCE, Patience
from splai.inputs.s3 import open_bucket, s3_objects
from splai.inputs.source import SourceFile
from splai.inputs.url_guard import URLGuard, allows_private
from splai.inputs.volume import volume_files

VOLUME: Final = Path(INPUT_PATH)


def open_source(
    source: Input,
    environment: Mapping[str, str],
    *,
    earlier: Callable[[str], bytes | None] | None = None,
    volume: Path = VOLUME,
    patience: Patience = PATIENCE,
) -> Sequence[SourceFile]:
    """The files, in order; raises SourceUnavailable and SourceUnusable.

    Credentials come from ``environment``, as secretRef puts them there; ``earlier`` reads the folder of the job that
    ``failedOf`` names.
    """
    guard = URLGuard(allow_private=allows_private(environment))
    if source.persistent_volume_claim:
        return volume_files(source.persistent_volume_claim, volume)
    if source.s3:
        return s3_objects(open_bucket(source.s3, environment, guard), source.s3.uri, patience)
    if source.http:
        authorization = _credential(environment, "AUTHORIZATION")
        http = source.http
        client = new_client()
        return [http_file(client, guard, http.url, authorization=authorization, sha256=http.sha256, patience=patience)]
    if source.hugging_face:
        return dataset_files(source.hugging_face, new_client(), guard, _credential(environment, "HF_TOKEN"), patience)
    if source.failed_of and earlier:
        return [failed_records(source.failed_of.name, earlier)]
    raise SourceUnusable(FORBIDDEN, "the input is none that a planning pod can read")


def _credential(environment: Mapping[str, str], name: str) -> str | None:
    """What goes into a header, without the line feed that files which Secrets are made of like to end with."""
    value = environment.get(name, "").strip()
    if not (value.isascii() and value.isprintable()):
        raise SourceUnusable(FORBIDDEN, f"the value of the Secret's key {name} cannot be sent in a header")
    return value or None
