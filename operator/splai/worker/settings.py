"""What the operator tells a worker through its environment; all else stands in plan.json."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from splai.api.pod_contract import TERMINATION_LOG


class SettingsInvalid(Exception):
    """The environment lacks something or holds nonsense."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which pod this is: of which child Job, at which index."""

    child_job: str
    index: int
    pod_uid: str
    pod_name: str = ""

    @property
    def worker(self) -> str:
        """The worker's name in the ledger."""
        return self.place + self.pod_uid

    @property
    def place(self) -> str:
        """What the names of all pods of this child Job and index start with."""
        return f"{self.child_job}-{self.index}-"


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Where the job's folder is and who this worker is."""

    artifacts_url: str
    token_file: Path
    namespace: str
    job_uid: str
    identity: Identity
    closing_code: str = ""
    closing_message: str = ""
    termination_log: Path = Path(TERMINATION_LOG)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "WorkerSettings":
        """Read what the operator put there; raises SettingsInvalid."""

        def required(name: str) -> str:
            if not environment.get(name):
                raise SettingsInvalid(f"{name} is not set")
            return environment[name]

        index = environment.get("JOB_COMPLETION_INDEX") or "0"
        if not index.isdecimal():
            raise SettingsInvalid(f"JOB_COMPLETION_INDEX is {index!r}, not a number")
        return cls(
            artifacts_url=required("SPLAI_ARTIFACTS_URL"),
            token_file=Path(required("SPLAI_ARTIFACTS_TOKEN_FILE")),
            namespace=required("SPLAI_JOB_NAMESPACE"),
            job_uid=required("SPLAI_JOB_UID"),
            identity=Identity(
                child_job=required("SPLAI_CHILD_JOB"),
                index=int(index),
                pod_uid=required("SPLAI_POD_UID"),
                pod_name=environment.get("SPLAI_POD_NAME", ""),
            ),
            closing_code=environment.get("SPLAI_CLOSING_CODE", ""),
            closing_message=environment.get("SPLAI_CLOSING_MESSAGE", ""),
            termination_log=Path(environment.get("SPLAI_TERMINATION_LOG") or TERMINATION_LOG),
        )
