"""Which collection of the apiserver a call is about, as a value."""

from dataclasses import dataclass
from urllib.parse import quote

from splai.api import API_GROUP, API_VERSION


@dataclass(frozen=True)
class Resource:
    """A collection, as ``kubectl api-resources`` names it; the core group is the empty string."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def name(self) -> str:
        """``plural.group``: unique, and what RBAC messages and metrics show."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path of the collection, of one object, or of one object's subresource."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name is not None:
            parts.append(name)
        if subresource is not None:
            parts.append(subresource)
        return "/" + "/".join(quote(part, safe="") for part in parts)


INFERENCE_JOBS = Resource(API_GROUP, API_VERSION, "inferencejobs", "InferenceJob")
MODEL_BACKENDS = Resource(API_GROUP, API_VERSION, "modelbackends", "ModelBackend")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
LEADER_WORKER_SETS = Resource("leaderworkerset.x-k8s.io", "v1", "leaderworkersets", "LeaderWorkerSet")
SERVICES = Resource("", "v1", "services", "Service")
JOBS = Resource("batch", "v1", "jobs", "Job")
PODS = Resource("", "v1", "pods", "Pod")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
EVENTS = Resource("events.k8s.io", "v1", "events", "Event")
CORE_EVENTS = Resource("", "v1", "events", "Event")
WORKLOADS = Resource("kueue.x-k8s.io", "v1beta1", "workloads", "Workload")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
ACCESS_REVIEWS = Resource(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False
)

_BY_KIND = {
    (resource.api_version, resource.kind): resource
    for resource in (INFERENCE_JOBS, MODEL_BACKENDS, DEPLOYMENTS, LEADER_WORKER_SETS, SERVICES, JOBS, PODS)
}


def resource_of(api_version: str, kind: str) -> Resource:
    """The collection of a kind that plans may name; raises KeyError for any other."""
    return _BY_KIND[api_version, kind]
