"""What a child Job was made from and its InferenceJob may ask for otherwise later, in labels of the child.

A Job that exists cannot follow such a change, its successor can. The labels are ours, because others change theirs:
in a namespace that has a LocalQueue named ``default``, Kueue puts every Job that names no queue into that one.
"""

from splai.api.inference_job import InferenceJob
from splai.core.content_hash import content_hash
from splai.core.inferencejob.snapshot import QUEUE_LABEL, QUEUE_PRIORITY_LABEL
from splai.core.observed import ObservedJob

TEMPLATE_LABEL = "splai.dev/template"
PRIORITY_LABEL = "splai.dev/priority"
ASKED_QUEUE_LABEL = "splai.dev/queue-name"
ASKED_QUEUE_PRIORITY_LABEL = "splai.dev/queue-priority-class"


def template_label(job: InferenceJob) -> dict[str, str]:
    """Of every child that is made now: a hash of ``spec.workers.template``."""
    template = job.spec.workers.template
    return {TEMPLATE_LABEL: content_hash(template.to_wire() if template else {})}


def has_another_template(job: InferenceJob, child: ObservedJob) -> bool:
    """Nobody saw the suspension that let it change; a child of an earlier release does not tell its own."""
    wanted = template_label(job)[TEMPLATE_LABEL]
    return child.labels.get(TEMPLATE_LABEL, wanted) != wanted


def place_labels(job: InferenceJob) -> dict[str, str]:
    """Of a child for workers that is made now."""
    return {label: value for label, value in _place(job).items() if value}


def is_placed_otherwise(job: InferenceJob, child: ObservedJob) -> bool:
    """Another queue or priority is asked for since."""
    return any(child.labels.get(label, "") != value for label, value in _place(job).items())


def _place(job: InferenceJob) -> dict[str, str]:
    asked = job.metadata.get("labels") or {}
    queue = asked.get(QUEUE_LABEL, "")
    return {
        PRIORITY_LABEL: _as_label(job.spec.priority or ""),
        ASKED_QUEUE_LABEL: queue,
        ASKED_QUEUE_PRIORITY_LABEL: asked.get(QUEUE_PRIORITY_LABEL, "") if queue else "",
    }


def _as_label(name: str) -> str:
    """A label's value may have to be shorter than the name of a PriorityClass."""
    return name[:63].rstrip("-.")
