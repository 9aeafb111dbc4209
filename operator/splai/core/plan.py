"""What a decision asks for: actions on the cluster and the store, a status, events, and when to look again.

A plan is a value. The loop that executes it knows nothing of jobs or backends, and what decides knows nothing of
clients: so every decision is tested without a cluster, and every action is carried out in one place.
"""

from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from splai.api.history import HistoryRecord
from splai.api.ledger import ReadingOrder, WorkOrder

StatusT_co = TypeVar("StatusT_co", covariant=True)


@dataclass(frozen=True, kw_only=True)
class ObjectReference:
    """Names one object; with ``uid`` it means that very object and none that took its name later."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str | None = None

    @classmethod
    def of(cls, body: dict[str, Any]) -> "ObjectReference":
        """The object that ``body`` describes."""
        metadata = body["metadata"]
        return cls(
            api_version=body["apiVersion"],
            kind=body["kind"],
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata.get("uid"),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True)
class Create:
    """POST once, never applied again; AlreadyExists is success only if the object's controller is ours."""

    body: dict[str, Any]


@dataclass(frozen=True)
class Apply:
    """Server-side apply, by force only when the object is missing or its controller is ours."""

    body: dict[str, Any]


@dataclass(frozen=True)
class Scale:
    """Patch parallelism and completions of an Indexed Job together; the apiserver allows them only as equals."""

    reference: ObjectReference
    parallelism: int


@dataclass(frozen=True)
class Delete:
    """Delete with its children in the background, with the reference's UID as precondition; NotFound is success."""

    reference: ObjectReference


@dataclass(frozen=True)
class WriteReadingOrder:
    """Create reading.json in the job's folder; one that is already there is success and stays as it is."""

    order: ReadingOrder


@dataclass(frozen=True)
class WriteWorkOrder:
    """Create plan.json in the job's folder; another one that is there already stays, and this one is refused."""

    order: WorkOrder


@dataclass(frozen=True)
class Archive:
    """Save the record in the history, and only then delete the resource, with its UID as precondition."""

    record: HistoryRecord
    reference: ObjectReference


TEMPLATE_TIMEOUT = "TemplateTimeout"
PLANNING_FAILED = "PlanningFailed"
ALREADY_PLANNED = "AlreadyPlanned"
STORE_REASONS = frozenset({"ArtifactStoreUnavailable", "ArtifactStoreFull", ALREADY_PLANNED})
"""Of refusals of what is to be written to the artifact store; the last: another order is there, and stands."""

Action = Create | Apply | Scale | Delete | WriteReadingOrder | WriteWorkOrder | Archive


@dataclass(frozen=True)
class Refusal:
    """An action that was refused for good: trying the same again will not help before something else changes.

    Reasons: ``QuotaExceeded``, ``Forbidden``, ``NameConflict`` (an object of another owner has the name), ``Invalid``,
    ``InternalError`` (a webhook failed), ``STORE_REASONS`` for an order that could not be written,
    ``HistoryUnavailable`` for a record, ``TEMPLATE_TIMEOUT`` for a decision that had to be stopped while it rendered
    the user's template: it must not be rendered again, and ``PLANNING_FAILED`` for one whose process keeps dying.
    """

    reference: ObjectReference
    reason: str
    message: str


@dataclass(frozen=True)
class Event:
    """A Kubernetes Event about the resource that was planned."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True)
class Plan(Generic[StatusT_co]):
    """A decision. Actions are carried out in order; the status is written once they all went well.

    When an action is refused, the plan is made again from the same snapshot with the refusals: then it has no actions,
    and waits for nothing that only they would have brought.
    """

    status: StatusT_co
    actions: tuple[Action, ...] = ()
    events: tuple[Event, ...] = ()
    """What the status tells; they follow from it again until it is written."""
    action_events: tuple[Event, ...] = ()
    """What the actions did, told once these are carried out."""
    requeue_after: float | None = None
    """Seconds until there may be something to do that no event tells."""
    poll_after: float | None = None
    """Seconds until there may be news for the status that no event tells: nobody asks while it must not be written."""
