"""What a user may set on the pods SPLAI makes: a typed subset of core/v1 PodSpec.

Field names and meanings are those of core/v1, passed through as they are; a subset, so that ``kubectl explain``
helps and a misspelt field is refused.
"""

from typing import Annotated, Literal

from pydantic import Field

from splai.api.base import APIModel, ObjectName, Quantity, keyed_by, rules

StringMap = Annotated[dict[str, str], Field(max_length=64)]


class ContainerResourceClaim(APIModel):
    """As core/v1 ResourceClaim: one of the pod's ``resourceClaims`` that the container uses."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    request: Annotated[str | None, Field(max_length=63)] = None


class ResourceRequirements(APIModel):
    """Compute resources of a container, as core/v1 ResourceRequirements."""

    limits: dict[str, Quantity] | None = None
    requests: dict[str, Quantity] | None = None
    claims: Annotated[list[ContainerResourceClaim] | None, Field(max_length=16, json_schema_extra=keyed_by("name"))] = (
        None
    )


class PodResourceClaim(APIModel):
    """As core/v1 PodResourceClaim: devices by Dynamic Resource Allocation."""

    model_config = {
        "json_schema_extra": rules(
            (
                "has(self.resourceClaimName) != has(self.resourceClaimTemplateName)",
                "set one of resourceClaimName and resourceClaimTemplateName",
            )
        )
    }

    name: Annotated[str, Field(min_length=1, max_length=63)]
    resource_claim_name: ObjectName | None = None
    resource_claim_template_name: ObjectName | None = None


class Toleration(APIModel):
    """As core/v1 Toleration."""

    key: str | None = None
    operator: Literal["Exists", "Equal"] | None = None
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: int | None = None


class SelectorRequirement(APIModel):
    """A key, an operator and values, as in node and label selectors."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    values: list[str] | None = None


class LabelSelector(APIModel):
    """As metav1 LabelSelector."""

    match_labels: StringMap | None = None
    match_expressions: list[SelectorRequirement] | None = None


class NodeSelectorTerm(APIModel):
    """As core/v1 NodeSelectorTerm."""

    match_expressions: list[SelectorRequirement] | None = None
    match_fields: list[SelectorRequirement] | None = None


class NodeSelector(APIModel):
    """As core/v1 NodeSelector: terms are ORed."""

    node_selector_terms: list[NodeSelectorTerm]


class PreferredSchedulingTerm(APIModel):
    """As core/v1 PreferredSchedulingTerm."""

    weight: Annotated[int, Field(ge=1, le=100)]
    preference: NodeSelectorTerm


class NodeAffinity(APIModel):
    """As core/v1 NodeAffinity."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: list[PreferredSchedulingTerm] | None = None


class PodAffinityTerm(APIModel):
    """As core/v1 PodAffinityTerm."""

    label_selector: LabelSelector | None = None
    topology_key: str


class WeightedPodAffinityTerm(APIModel):
    """As core/v1 WeightedPodAffinityTerm."""

    weight: Annotated[int, Field(ge=1, le=100)]
    pod_affinity_term: PodAffinityTerm


class PodAffinity(APIModel):
    """As core/v1 PodAffinity and PodAntiAffinity."""

    required_during_scheduling_ignored_during_execution: list[PodAffinityTerm] | None = None
    preferred_during_scheduling_ignored_during_execution: list[WeightedPodAffinityTerm] | None = None


class Affinity(APIModel):
    """As core/v1 Affinity."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAffinity | None = None


class TopologySpreadConstraint(APIModel):
    """As core/v1 TopologySpreadConstraint."""

    max_skew: Annotated[int, Field(ge=1)]
    topology_key: str
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"]
    label_selector: LabelSelector | None = None


class LocalObjectReference(APIModel):
    """The name of an object in the same namespace."""

    name: ObjectName


class KeySelector(APIModel):
    """One key of a ConfigMap or Secret in the same namespace."""

    name: ObjectName
    key: Annotated[str, Field(min_length=1, max_length=253)]
    optional: bool | None = None


class EnvVarSource(APIModel):
    """Where a variable's value comes from: exactly one."""

    model_config = {
        "json_schema_extra": rules(
            (
                "has(self.secretKeyRef) != has(self.configMapKeyRef)",
                "set one of secretKeyRef and configMapKeyRef",
            )
        )
    }

    secret_key_ref: KeySelector | None = None
    config_map_key_ref: KeySelector | None = None


class EnvVar(APIModel):
    """As core/v1 EnvVar; a credential is always a secretKeyRef, read by the kubelet and never by SPLAI."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    value: Annotated[str | None, Field(max_length=32768)] = None
    value_from: EnvVarSource | None = None


class KeyToPath(APIModel):
    """As core/v1 KeyToPath."""

    key: str
    path: str


class ConfigMapVolume(APIModel):
    """As core/v1 ConfigMapVolumeSource."""

    name: ObjectName
    items: list[KeyToPath] | None = None


class SecretVolume(APIModel):
    """As core/v1 SecretVolumeSource."""

    secret_name: ObjectName
    items: list[KeyToPath] | None = None


class EmptyDirVolume(APIModel):
    """As core/v1 EmptyDirVolumeSource."""

    medium: Literal["", "Memory"] | None = None
    size_limit: Quantity | None = None


class PersistentVolumeClaimVolume(APIModel):
    """As core/v1 PersistentVolumeClaimVolumeSource."""

    claim_name: ObjectName
    read_only: bool | None = None


class Volume(APIModel):
    """As core/v1 Volume, the kinds that Pod Security `restricted` allows and inference needs."""

    model_config = {
        "json_schema_extra": rules(
            (
                "[has(self.configMap), has(self.secret), has(self.emptyDir), has(self.persistentVolumeClaim)]"
                ".filter(x, x).size() == 1",
                "set exactly one of configMap, secret, emptyDir, persistentVolumeClaim",
            )
        )
    }

    name: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    config_map: ConfigMapVolume | None = None
    secret: SecretVolume | None = None
    empty_dir: EmptyDirVolume | None = None
    persistent_volume_claim: PersistentVolumeClaimVolume | None = None


class VolumeMount(APIModel):
    """As core/v1 VolumeMount."""

    name: str
    mount_path: str
    sub_path: str | None = None
    read_only: bool | None = None


class PodTemplate(APIModel):
    """An overlay on the pods that SPLAI makes."""

    labels: Annotated[StringMap | None, Field(description="Added to the pods' labels; SPLAI's own win.")] = None
    annotations: Annotated[StringMap | None, Field(description="Added to the pods' annotations.")] = None
    node_selector: Annotated[StringMap | None, Field(description="Labels a node must carry, e.g. the GPU product.")] = (
        None
    )
    tolerations: Annotated[
        list[Toleration] | None, Field(max_length=64, description="Taints the pods put up with, such as GPU nodes'.")
    ] = None
    affinity: Annotated[Affinity | None, Field(description="Nodes and neighbours the pods need or like.")] = None
    topology_spread_constraints: Annotated[
        list[TopologySpreadConstraint] | None, Field(max_length=16, description="How evenly the pods spread.")
    ] = None
    priority_class_name: Annotated[ObjectName | None, Field(description="An existing PriorityClass.")] = None
    runtime_class_name: Annotated[ObjectName | None, Field(description="An existing RuntimeClass.")] = None
    resource_claims: Annotated[
        list[PodResourceClaim] | None,
        Field(
            max_length=16,
            description="Devices by Dynamic Resource Allocation, which resources.claims then names.",
            json_schema_extra=keyed_by("name"),
        ),
    ] = None
    service_account_name: Annotated[
        ObjectName | None,
        Field(description="The pods' identity, e.g. for cloud storage; its token is not mounted for the apiserver."),
    ] = None
    image_pull_secrets: Annotated[
        list[LocalObjectReference] | None,
        Field(max_length=16, description="Secrets for private registries.", json_schema_extra=keyed_by("name")),
    ] = None
    termination_grace_period_seconds: Annotated[
        int | None, Field(ge=0, le=3600, description="Seconds between the request to end and the kill.")
    ] = None
    env: Annotated[
        list[EnvVar] | None,
        Field(
            max_length=128,
            description="Environment of the main container: the engine's, or the worker's in Shared mode.",
            json_schema_extra=keyed_by("name"),
        ),
    ] = None
    resources: Annotated[
        ResourceRequirements | None,
        Field(description="Resources of the main container; replaces, name by name, what the engine would get."),
    ] = None
    volumes: Annotated[
        list[Volume] | None,
        Field(max_length=32, description="Volumes added to the pods.", json_schema_extra=keyed_by("name")),
    ] = None
    volume_mounts: Annotated[
        list[VolumeMount] | None,
        Field(
            max_length=32, description="Volumes mounted in the main container.", json_schema_extra=keyed_by("mountPath")
        ),
    ] = None
