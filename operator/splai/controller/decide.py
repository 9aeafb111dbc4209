"""Which decision is made where: most in this very loop, those about unproven input in a process of their own.

Input is unproven until the work is planned. A template may take any time; a ConfigMap of a mebibyte takes a tenth of a
second to check, in which nothing else would be watched, renewed or answered.
"""

from collections import Counter
from datetime import datetime

from splai.api.inference_job import InferenceJobStatus
from splai.api.model_backend import ModelBackendStatus
from splai.controller.planning_process import PlanningDied, PlanningProcess, PlanningTimeout
from splai.controller.reconcile import DecisionFailed, DecisionRefused
from splai.core.inferencejob.plan import plan as plan_job
from splai.core.inferencejob.snapshot import ConfigMapText, JobSnapshot, planning_failure, template_timeout
from splai.core.modelbackend.plan import plan as plan_backend
from splai.core.modelbackend.snapshot import BackendSnapshot
from splai.core.plan import PLANNING_FAILED, TEMPLATE_TIMEOUT, Plan

SMALL_INPUT = 64 * 1024
"""Characters that are checked in a few milliseconds: as many as an InferenceJob itself can hold."""
SECOND_TRY = 30.0
"""Seconds after which a template that did not finish is rendered once more: the machine may have been too busy."""
DEATHS = 3
"""Of the process in a row, after which the job's status tells of them: one or two may be nobody's fault here."""


class Decider:
    """Makes plans of snapshots."""

    def __init__(self, process: PlanningProcess) -> None:
        self._process = process
        self._unfinished: set[str] = set()  # UIDs of jobs whose template did not finish at the last try
        self._deaths: Counter[str] = Counter()  # of the process, since it planned for the job with this UID

    async def job(self, snapshot: JobSnapshot, now: datetime) -> Plan[InferenceJobStatus]:
        """In this process once the work is planned: from then on nothing of the user's is read or rendered."""
        if not _is_unproven(snapshot):
            return plan_job(snapshot, now)
        uid = snapshot.job.metadata["uid"]
        try:
            plan = await self._process.plan(snapshot, now)
        except PlanningDied as error:
            self._deaths[uid] += 1
            if self._deaths[uid] < DEATHS:
                raise DecisionFailed(str(error)) from error
            raise DecisionRefused(PLANNING_FAILED, f"{error}, {self._deaths[uid]} times; it is tried again") from error
        except PlanningTimeout as error:
            if snapshot.job.spec.prompt is None:
                raise DecisionFailed("the input was not checked in time", retry_after=SECOND_TRY) from error
            if uid in self._unfinished:
                raise DecisionRefused(TEMPLATE_TIMEOUT, f"spec.prompt: {error}") from error
            self._unfinished.add(uid)
            raise DecisionFailed(f"{error}, and is tried once more", retry_after=SECOND_TRY) from error
        self._unfinished.discard(uid)
        self._deaths.pop(uid, None)
        return plan

    async def backend(self, snapshot: BackendSnapshot, now: datetime) -> Plan[ModelBackendStatus]:
        return plan_backend(snapshot, now)


def _is_unproven(snapshot: JobSnapshot) -> bool:
    job = snapshot.job
    if job.spec.suspend or job.spec.cancel or not job.spec.input.is_read_by_operator:
        return False
    if job.status.spec_hash is not None or template_timeout(snapshot) is not None:
        return False
    if planning_failure(snapshot) is not None:
        return False
    if job.status.completion_time is not None:
        return False
    config_map = snapshot.config_map
    return job.spec.prompt is not None or (isinstance(config_map, ConfigMapText) and len(config_map.text) > SMALL_INPUT)
