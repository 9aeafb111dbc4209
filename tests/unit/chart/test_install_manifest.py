"""What manifests/install.yaml puts into a cluster; the integration tests prove that it is the chart, rendered."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from splai.controller.policies import parse_policies
from splai.core.inferencejob.child_job import PRIORITY_CLASSES
from splai.gateway.server import DRAIN_SECONDS, METRICS_DRAIN_SECONDS

INSTALL = Path(__file__).parents[3] / "manifests" / "install.yaml"
OBJECTS: list[dict[str, Any]] = list(yaml.safe_load_all(INSTALL.read_text()))
COMPONENTS = ["artifacts", "gateway", "operator"]


def objects(kind: str) -> dict[str, dict[str, Any]]:
    """The objects of a kind by their name."""
    return {found["metadata"]["name"]: found for found in OBJECTS if found["kind"] == kind}


def pod(component: str) -> dict[str, Any]:
    spec: dict[str, Any] = objects("Deployment")[f"splai-{component}"]["spec"]["template"]["spec"]
    return spec


def container(component: str) -> dict[str, Any]:
    (only,) = pod(component)["containers"]
    return dict(only)


def environment(component: str) -> dict[str, Any]:
    return {variable["name"]: variable.get("value") for variable in container(component)["env"]}


def test_namespace_enforces_pod_security() -> None:
    labels = objects("Namespace")["splai-system"]["metadata"]["labels"]

    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_namespaced_objects_are_in_it() -> None:
    cluster_scoped = {"Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "PriorityClass"}

    assert {found["metadata"].get("namespace") for found in OBJECTS if found["kind"] not in cluster_scoped} == {
        "splai-system"
    }


def test_there_is_no_secret() -> None:
    assert objects("Secret") == {}


def test_nothing_intercepts_requests_to_the_apiserver() -> None:
    kinds = {found["kind"] for found in OBJECTS}

    assert kinds.isdisjoint({"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "APIService"})
    assert all("conversion" not in found["spec"] for found in objects("CustomResourceDefinition").values())


@pytest.mark.parametrize("component", COMPONENTS)
def test_pod_is_restricted(component: str) -> None:
    security = pod(component)["securityContext"]

    assert security["runAsNonRoot"] is True
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(component)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


@pytest.mark.parametrize("component", COMPONENTS)
def test_container_is_probed_and_bounded(component: str) -> None:
    found = container(component)

    assert {"startupProbe", "livenessProbe", "readinessProbe"} <= found.keys()
    assert found["resources"]["requests"].keys() == {"cpu", "memory"}
    assert found["resources"]["limits"].keys() == {"memory"}


@pytest.mark.parametrize("component", COMPONENTS)
def test_probed_and_served_ports_exist(component: str) -> None:
    found = container(component)
    names = {port["name"] for port in found["ports"]}
    probed = {found[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    served = {
        port["targetPort"]
        for service in objects("Service").values()
        if service["spec"]["selector"]["app.kubernetes.io/component"] == component
        for port in service["spec"]["ports"]
    }

    assert probed | served | {"metrics"} <= names


@pytest.mark.parametrize("component", COMPONENTS)
def test_pod_has_an_identity_of_its_own(component: str) -> None:
    assert pod(component)["serviceAccountName"] == f"splai-{component}"
    assert f"splai-{component}" in objects("ServiceAccount")


@pytest.mark.parametrize("component", ["operator", "gateway"])
def test_pod_has_a_token_for_the_artifact_server(component: str) -> None:
    (volume,) = [found for found in pod(component)["volumes"] if "projected" in found]
    (mount,) = [found for found in container(component)["volumeMounts"] if found["name"] == volume["name"]]
    (source,) = volume["projected"]["sources"]

    assert source["serviceAccountToken"] == {"audience": "splai-artifacts", "path": "token"}
    assert environment(component)["SPLAI_ARTIFACTS_TOKEN_FILE"] == f"{mount['mountPath']}/token"


def test_artifact_server_lets_the_operator_write_and_the_gateway_read() -> None:
    variables = environment("artifacts")

    assert variables["SPLAI_TRUSTED_SERVICE_ACCOUNTS"] == "splai-system/splai-operator"
    assert variables["SPLAI_READER_SERVICE_ACCOUNTS"] == "splai-system/splai-gateway"


def test_addresses_name_services_that_exist() -> None:
    services = {
        f"http://{name}.splai-system.svc:{port['port']}"
        for name, service in objects("Service").items()
        for port in service["spec"]["ports"]
    }
    addresses = {
        environment("operator")["SPLAI_ARTIFACTS_URL"],
        environment("operator")["SPLAI_PUBLIC_URL"],
        environment("gateway")["SPLAI_ARTIFACTS_CLIENT_URL"],
    }

    assert addresses <= services


def test_gateway_takes_requests_until_its_leaving_is_known_and_then_has_time_for_its_replies() -> None:
    seconds = container("gateway")["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert seconds >= 5
    assert pod("gateway")["terminationGracePeriodSeconds"] >= seconds + DRAIN_SECONDS + METRICS_DRAIN_SECONDS + 5


def test_gateway_is_replaced_without_a_gap() -> None:
    assert objects("Deployment")["splai-gateway"]["spec"]["strategy"] == {
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}
    }


@pytest.mark.parametrize("name", ["splai-splai-api-gateway", "splai-api-gateway"])
def test_gateway_has_both_names_and_both_ports(name: str) -> None:
    spec = objects("Service")[name]["spec"]
    selected = (
        spec["selector"].items()
        <= objects("Deployment")["splai-gateway"]["spec"]["template"]["metadata"]["labels"].items()
    )

    assert selected
    assert spec.get("type", "ClusterIP") == "ClusterIP"
    assert [(port["port"], port["targetPort"]) for port in spec["ports"]] == [
        (8080, "http"),
        (4000, "http"),
        (9464, "metrics"),
    ]


def test_artifacts_lie_on_a_volume_of_the_default_class() -> None:
    (claim,) = objects("PersistentVolumeClaim").values()
    (volume,) = pod("artifacts")["volumes"]
    (mount,) = container("artifacts")["volumeMounts"]

    assert "storageClassName" not in claim["spec"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert mount["mountPath"] == environment("artifacts")["SPLAI_ARTIFACTS_ROOT"]


@pytest.mark.parametrize("component", ["operator", "artifacts"])
def test_what_must_be_alone_is_replaced_not_doubled(component: str) -> None:
    spec = objects("Deployment")[f"splai-{component}"]["spec"]

    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


@pytest.mark.parametrize(
    ("component", "ports"),
    [("operator", {"metrics"}), ("gateway", {"metrics", "http"}), ("artifacts", {"metrics", "http"})],
)
def test_network_policy_opens_the_documented_ports_to_the_cluster(component: str, ports: set[str]) -> None:
    spec = objects("NetworkPolicy")[f"splai-{component}"]["spec"]

    assert {port["port"] for rule in spec["ingress"] for port in rule["ports"]} == ports
    assert all(rule["from"] == [{"namespaceSelector": {}}] for rule in spec["ingress"])


def test_operator_reads_the_policies_of_the_config_map() -> None:
    config_map = objects("ConfigMap")["splai-policies"]
    (volume,) = [found for found in pod("operator")["volumes"] if "configMap" in found]
    (mount,) = [found for found in container("operator")["volumeMounts"] if found["name"] == volume["name"]]
    (key,) = config_map["data"]

    assert volume["configMap"] == {"name": "splai-policies"}
    assert environment("operator")["SPLAI_POLICIES_FILE"] == f"{mount['mountPath']}/{key}"
    assert "subPath" not in mount, "a file that is mounted alone never changes"


def test_a_fresh_installation_has_a_policy_that_jobs_can_name() -> None:
    policies = parse_policies(objects("ConfigMap")["splai-policies"]["data"]["policies.yaml"])
    policy = policies["enterprise-default"]

    assert policies.keys() == {"enterprise-default"}
    assert (policy.defaults.completion_window, policy.limits.max_records) == ("24h", 1_000_000)


def test_the_priorities_of_jobs_have_their_classes() -> None:
    classes = objects("PriorityClass")
    interactive, batch = (classes[PRIORITY_CLASSES[priority]] for priority in ("interactive", "batch"))

    assert classes.keys() == set(PRIORITY_CLASSES.values())
    assert interactive["value"] > 0 > batch["value"]
    assert batch["preemptionPolicy"] == "Never"
    assert "preemptionPolicy" not in interactive


def test_history_and_results_stay_in_the_cluster_and_end_after_a_month() -> None:
    assert environment("artifacts")["SPLAI_ARTIFACT_BACKEND"] == "local"
    assert environment("operator")["SPLAI_STORE"] == "artifacts"
    assert environment("operator")["SPLAI_ARTIFACT_RETENTION"] == "720h"
