"""From ``spec.output`` to the place that it means, in the pod that has its volume and its credentials."""

from pathlib import Path
from typing import Final

from splai.api.job_output import Output
from splai.api.pod_contract import OUTPUT_PATH
from splai.outputs.destination import Destination
from splai.outputs.volume import VolumeFolder

MOUNT: Final = Path(OUTPUT_PATH)


def open_destination(output: Output, job: str, *, expected_bytes: int, mount: Path = MOUNT) -> Destination | None:
    """The folder of the job's files; None for the artifact store. Raises OutputProblem.

    ``expected_bytes`` of the larger file decides how large the parts of an upload to a bucket are: their number has a
    limit.
    """
    folder_uri = output.folder_uri(job)
    if claim := output.persistent_volume_claim:
        return VolumeFolder(mount, mount / claim.path / job, folder_uri)
    if bucket := output.bucket:
        from splai.outputs.bucket import open_bucket  # the library is for those who use it

        return open_bucket(bucket, folder_uri, expected_bytes=expected_bytes)
    return None
