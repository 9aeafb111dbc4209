"""What the chart makes of values other than the defaults, and that the checked-in manifest is the chart."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts import engine_rules, render
from splai.api.backend_remote import SecretKey
from splai.api.model_backend import ModelBackend
from splai.controller.policies import parse_policies
from splai.core.modelbackend.deployment import build_deployment
from splai.core.settings import OperatorSettings
from splai.engines import EngineImages

Objects = list[dict[str, Any]]

SETTINGS = OperatorSettings(image="splai", engine_images=EngineImages(llamacpp="llamacpp", vllm="vllm"))
TWO_TEAMS = "--set=watchNamespaces={team-a,team-b}"


def rendered(helm: Path, *arguments: str, **where: str) -> Objects:
    return [found for found in yaml.safe_load_all(render.template(helm, *arguments, **where)) if found]


def named(objects: Objects, kind: str) -> dict[str, dict[str, Any]]:
    """The objects of a kind by `namespace/name`, or by name where there is no namespace."""
    return {
        "/".join(filter(None, [found["metadata"].get("namespace"), found["metadata"]["name"]])): found
        for found in objects
        if found["kind"] == kind
    }


def pods(objects: Objects) -> dict[str, dict[str, Any]]:
    """The pod templates' specs by component."""
    return {
        name.partition("/splai-")[2]: found["spec"]["template"]["spec"]
        for name, found in named(objects, "Deployment").items()
    }


def environment(objects: Objects, component: str) -> dict[str, Any]:
    (container,) = pods(objects)[component]["containers"]
    return {variable["name"]: variable.get("value", variable.get("valueFrom")) for variable in container["env"]}


def key_of(secret: str, key: str) -> dict[str, Any]:
    """A variable's value that the kubelet takes out of a Secret."""
    return {"secretKeyRef": {"name": secret, "key": key}}


def test_checked_in_manifest_is_the_chart(helm: Path) -> None:
    assert render.INSTALL.read_text() == render.install_manifest(helm), "run `make generate`"


@pytest.mark.parametrize("arguments", [[], [TWO_TEAMS], ["--set=gateway.replicas=3,metrics.podMonitor=true"]])
def test_no_secret_and_no_wildcard_in_any_mode(helm: Path, arguments: list[str]) -> None:
    objects = rendered(helm, *arguments)
    rules = [
        rule for kind in ("Role", "ClusterRole") for role in named(objects, kind).values() for rule in role["rules"]
    ]
    words = {word for rule in rules for names in rule.values() for word in names}

    assert named(objects, "Secret") == {}
    assert rules
    assert not {"*", "secrets", "escalate", "bind", "impersonate"} & words


OWN_ROLES = {"splai-system/splai-operator-lease", "splai-system/splai-operator-gateways"}
"""For what the operator does in its own namespace, in both modes."""


def test_cluster_mode_binds_one_cluster_role_a_component(helm: Path) -> None:
    objects = rendered(helm)

    assert named(objects, "ClusterRole").keys() == {"splai-operator", "splai-gateway"}
    assert named(objects, "ClusterRoleBinding").keys() == {"splai-operator", "splai-gateway"}
    assert named(objects, "Role").keys() == OWN_ROLES


def test_namespaced_mode_has_no_cluster_role(helm: Path) -> None:
    objects = rendered(helm, TWO_TEAMS)
    expected = {f"{team}/splai-{component}" for team in ("team-a", "team-b") for component in ("operator", "gateway")}

    assert named(objects, "ClusterRole") == {}
    assert named(objects, "ClusterRoleBinding") == {}
    assert named(objects, "Role").keys() == expected | OWN_ROLES
    assert named(objects, "RoleBinding").keys() == expected | OWN_ROLES


def test_both_modes_grant_the_same_rules(helm: Path) -> None:
    everywhere = named(rendered(helm), "ClusterRole")
    in_one = named(rendered(helm, TWO_TEAMS), "Role")

    for component in ("operator", "gateway"):
        assert in_one[f"team-a/splai-{component}"]["rules"] == everywhere[f"splai-{component}"]["rules"]


def test_every_binding_leads_from_a_role_to_a_service_account(helm: Path) -> None:
    for arguments in ([], [TWO_TEAMS]):
        objects = rendered(helm, *arguments)
        for kind in ("RoleBinding", "ClusterRoleBinding"):
            for name, binding in named(objects, kind).items():
                (subject,) = binding["subjects"]
                role = "/".join([*name.split("/")[:-1], binding["roleRef"]["name"]])
                assert role in named(objects, binding["roleRef"]["kind"])
                assert f"{subject['namespace']}/{subject['name']}" in named(objects, "ServiceAccount")


def test_namespaced_mode_tells_operator_and_gateway(helm: Path) -> None:
    objects = rendered(helm, TWO_TEAMS)

    for component in ("operator", "gateway"):
        assert environment(objects, component)["SPLAI_WATCH_NAMESPACES"] == "team-a,team-b"


def test_gateway_service_is_called_after_the_release_and_by_its_short_name(helm: Path) -> None:
    services = named(rendered(helm, release="llm", namespace="ai"), "Service")

    assert services.keys() == {"ai/llm-splai-api-gateway", "ai/splai-api-gateway", "ai/splai-artifacts"}


def test_another_namespace_is_followed_everywhere(helm: Path) -> None:
    assert "splai-system" not in render.template(helm, namespace="ai")


@pytest.mark.parametrize(("replicas", "budgets"), [(1, set()), (2, {"splai-system/splai-gateway"})])
def test_several_gateways_are_not_evicted_at_once(helm: Path, replicas: int, budgets: set[str]) -> None:
    objects = rendered(helm, f"--set=gateway.replicas={replicas}")

    assert named(objects, "PodDisruptionBudget").keys() == budgets


@pytest.mark.parametrize(
    ("argument", "component", "variable", "value"),
    [
        ("image.tag=9.9.9", "operator", "SPLAI_IMAGE", "splai/splai:9.9.9"),
        ("image.repository=example.org/splai", "operator", "SPLAI_IMAGE", "example.org/splai:0.1.0"),
        ("image.pullPolicy=Always", "operator", "SPLAI_IMAGE_PULL_POLICY", "Always"),
        ("engines.llamaCppImage=a/b:c", "operator", "SPLAI_LLAMACPP_IMAGE", "a/b:c"),
        ("engines.vllmImage=a/b:c", "operator", "SPLAI_VLLM_IMAGE", "a/b:c"),
        ("engines.sglangImage=a/b:c", "operator", "SPLAI_SGLANG_IMAGE", "a/b:c"),
        ("engines.tgiImage=a/b:c", "operator", "SPLAI_TGI_IMAGE", "a/b:c"),
        ("engines.ollamaImage=a/b:c", "operator", "SPLAI_OLLAMA_IMAGE", "a/b:c"),
        ("gateway.publicURL=https://example.org", "operator", "SPLAI_PUBLIC_URL", "https://example.org"),
        ("logLevel=DEBUG", "artifacts", "SPLAI_LOG_LEVEL", "DEBUG"),
        ("metrics.port=9000", "gateway", "SPLAI_METRICS_PORT", "9000"),
        ("inputs.allowPrivateURLs=true", "operator", "SPLAI_ALLOW_PRIVATE_URLS", "true"),
        ("artifacts.retention=48h", "operator", "SPLAI_ARTIFACT_RETENTION", "48h"),
    ],
)
def test_value_reaches_its_process(helm: Path, argument: str, component: str, variable: str, value: str) -> None:
    assert environment(rendered(helm, f"--set={argument}"), component)[variable] == value


def test_pods_go_where_they_are_sent(helm: Path) -> None:
    objects = rendered(
        helm,
        "--set=nodeSelector.pool=system,tolerations[0].operator=Exists,imagePullSecrets[0].name=registry",
        "--set=image.tag=9.9.9,image.pullPolicy=Always",
    )

    for pod in pods(objects).values():
        (container,) = pod["containers"]
        assert pod["nodeSelector"] == {"pool": "system"}
        assert pod["tolerations"] == [{"operator": "Exists"}]
        assert pod["imagePullSecrets"] == [{"name": "registry"}]
        assert (container["image"], container["imagePullPolicy"]) == ("splai/splai:9.9.9", "Always")


def test_volume_is_as_told(helm: Path) -> None:
    objects = rendered(
        helm, "--set=artifacts.storage.className=fast,artifacts.storage.size=5Gi,artifacts.storage.fsGroup=null"
    )
    (claim,) = named(objects, "PersistentVolumeClaim").values()

    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["spec"]["resources"]["requests"]["storage"] == "5Gi"
    assert "fsGroup" not in pods(objects)["artifacts"]["securityContext"]


def test_store_may_be_a_bucket_instead_of_a_volume(helm: Path) -> None:
    objects = rendered(
        helm,
        "--set=artifacts.backend=minio,artifacts.minio.secretName=keys,artifacts.minio.useSSL=true",
        "--set=artifacts.minio.endpoint=minio.minio.svc:9000,artifacts.minio.bucket=results",
        "--set=artifacts.minio.accessKeyKey=rootUser,artifacts.minio.secretKeyKey=rootPassword",
    )
    variables = environment(objects, "artifacts")

    assert {name: value for name, value in variables.items() if "MINIO" in name or "BACKEND" in name} == {
        "SPLAI_ARTIFACT_BACKEND": "minio",
        "SPLAI_MINIO_ENDPOINT": "minio.minio.svc:9000",
        "SPLAI_MINIO_BUCKET": "results",
        "SPLAI_MINIO_USE_SSL": "true",
        "SPLAI_MINIO_ACCESS_KEY": key_of("keys", "rootUser"),
        "SPLAI_MINIO_SECRET_KEY": key_of("keys", "rootPassword"),
    }
    assert named(objects, "PersistentVolumeClaim") == {}
    assert pods(objects)["artifacts"].keys() & {"volumes"} == set()
    assert "fsGroup" not in pods(objects)["artifacts"]["securityContext"]


@pytest.mark.parametrize(
    ("backend", "bucket"), [("s3", "s3://results/a"), ("gcs", "gs://results"), ("azure", "az://account/results")]
)
def test_store_may_be_a_clouds(helm: Path, backend: str, bucket: str) -> None:
    objects = rendered(helm, f"--set=artifacts.backend={backend},artifacts.bucket={bucket},artifacts.secretName=keys")
    variables = environment(objects, "artifacts")
    (container,) = pods(objects)["artifacts"]["containers"]

    assert (variables["SPLAI_ARTIFACT_BACKEND"], variables["SPLAI_ARTIFACT_BUCKET"]) == (backend, bucket)
    assert container["envFrom"] == [{"secretRef": {"name": "keys"}}]
    assert named(objects, "PersistentVolumeClaim") == {}


def test_store_may_be_reached_by_the_clouds_own_identity(helm: Path) -> None:
    objects = rendered(
        helm,
        "--set=artifacts.backend=s3,artifacts.bucket=s3://results",
        '--set-json=artifacts.serviceAccountAnnotations={"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/a"}',
        '--set-json=artifacts.podLabels={"azure.workload.identity/use": "true"}',
    )
    deployment = named(objects, "Deployment")["splai-system/splai-artifacts"]
    account = named(objects, "ServiceAccount")["splai-system/splai-artifacts"]

    assert account["metadata"]["annotations"] == {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/a"}
    assert deployment["spec"]["template"]["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    assert "envFrom" not in pods(objects)["artifacts"]["containers"][0]


@pytest.mark.parametrize("component", ["operator", "gateway"])
def test_traces_are_set_up_by_variables_and_a_secret(helm: Path, component: str) -> None:
    endpoint = "http://collector:4318"
    objects = rendered(helm, f"--set=tracing.env.OTEL_EXPORTER_OTLP_ENDPOINT={endpoint},tracing.secretName=traces")

    (container,) = pods(objects)[component]["containers"]
    assert environment(objects, component)["OTEL_EXPORTER_OTLP_ENDPOINT"] == endpoint
    assert container["envFrom"] == [{"secretRef": {"name": "traces"}}]


def test_history_may_be_kept_in_postgres(helm: Path) -> None:
    objects = rendered(helm, "--set=history.store=postgres,history.postgres.secretName=database")
    variables = environment(objects, "operator")

    assert (variables["SPLAI_STORE"], variables["SPLAI_POSTGRES_DSN"]) == ("postgres", key_of("database", "dsn"))
    assert "SPLAI_POSTGRES_DSN" not in environment(rendered(helm), "operator")


@pytest.mark.parametrize("argument", ["artifacts.backend=minio", "history.store=postgres"])
def test_what_needs_a_secret_says_so(helm: Path, argument: str) -> None:
    with pytest.raises(render.HelmError, match="secretName"):
        render.template(helm, f"--set={argument}")


@pytest.mark.parametrize("arguments", ["priorityClasses.create=false", "watchNamespaces={team-a}"])
def test_priority_classes_are_left_to_the_administrator(helm: Path, arguments: str) -> None:
    assert named(rendered(helm, f"--set={arguments}"), "PriorityClass") == {}


def test_priority_classes_have_the_values_they_are_given(helm: Path) -> None:
    objects = rendered(helm, "--set=priorityClasses.interactiveValue=1000000,priorityClasses.batchValue=-5")
    values = {name: found["value"] for name, found in named(objects, "PriorityClass").items()}

    assert values == {"splai-interactive": 1_000_000, "splai-batch": -5}


def test_policies_are_added_and_taken_away(helm: Path) -> None:
    night = '{"limits": {"maxRecords": 10000000}, "defaults": {"completionWindow": "12h"}}'
    objects = rendered(helm, f"--set-json=policies.night={night}", "--set=policies.enterprise-default=null")
    policies = parse_policies(named(objects, "ConfigMap")["splai-system/splai-policies"]["data"]["policies.yaml"])

    assert policies.keys() == {"night"}
    assert policies["night"].limits.max_records == 10_000_000


def test_network_policy_can_be_narrowed_and_left_out(helm: Path) -> None:
    narrowed = named(rendered(helm, '--set-json=networkPolicy.gatewayFrom=[{"podSelector":{}}]'), "NetworkPolicy")[
        "splai-system/splai-gateway"
    ]
    callers = [rule["from"] for rule in narrowed["spec"]["ingress"] if rule["ports"][0]["port"] == "http"]

    assert callers == [[{"podSelector": {}}]]
    assert named(rendered(helm, "--set=networkPolicy.enabled=false"), "NetworkPolicy") == {}


def test_pod_monitor_finds_every_pod_by_the_port_they_all_have(helm: Path) -> None:
    objects = rendered(helm, "--set=metrics.podMonitor=true,metrics.port=9000")
    (monitor,) = named(objects, "PodMonitor").values()
    ports = {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]}

    assert ports == {"metrics"}
    for deployment in named(objects, "Deployment").values():
        template = deployment["spec"]["template"]
        assert monitor["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        (container,) = template["spec"]["containers"]
        assert {"name": "metrics", "containerPort": 9000} in container["ports"]
    assert named(rendered(helm), "PodMonitor") == {}


@pytest.mark.parametrize(
    ("arguments", "namespaces"), [([], {"any": True}), ([TWO_TEAMS], {"matchNames": ["team-a", "team-b"]})]
)
def test_engines_are_monitored_where_backends_are(helm: Path, arguments: list[str], namespaces: dict[str, Any]) -> None:
    objects = rendered(helm, "--set=metrics.engines=true", *arguments)
    (monitor,) = named(objects, "PodMonitor").values()
    (rule,) = named(objects, "PrometheusRule").values()
    backend = ModelBackend.model_validate(
        {"metadata": {"name": "a", "namespace": "b", "uid": "c"}, "spec": {"model": {"id": "d"}}}
    )
    pod = build_deployment(backend, SETTINGS)["spec"]["template"]

    assert monitor["spec"]["namespaceSelector"] == namespaces
    assert monitor["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] in {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
    # As Prometheus's discovery writes the names of labels and annotations.
    known = {
        re.sub(r"\W", "_", f"__meta_kubernetes_pod_{kind[:-1]}_{name}")
        for kind in pod["metadata"]
        for name in pod["metadata"][kind]
    }
    assert {source for rule in endpoint["relabelings"] for source in rule["sourceLabels"]} <= known
    assert rule["spec"] == engine_rules.groups()
    assert not named(rendered(helm), "PodMonitor").keys() | named(rendered(helm), "PrometheusRule").keys()


def test_a_misspelt_value_is_refused_by_its_name(helm: Path) -> None:
    with pytest.raises(render.HelmError, match="gatway"):
        render.template(helm, "--set=gatway.replicas=2")


OLLAMA = "--set=bootstrap.SPLAI_OLLAMA_BASE_URL=http://ollama:11434,bootstrap.ollamaModels={llama3.1:8b,qwen-coder}"
VLLM = "--set=bootstrap.SPLAI_VLLM_BASE_URL=http://vllm:8000,bootstrap.vllmModels={llama2-13b-vllm}"
REMOTE_API = "--set=bootstrap.SPLAI_REMOTE_API_BASE_URL=https://api.openai.com,bootstrap.remoteModels={gpt-4o-mini}"


def backends(objects: Objects) -> dict[str, ModelBackend]:
    return {name: ModelBackend.model_validate(found) for name, found in named(objects, "ModelBackend").items()}


def test_servers_that_exist_become_backends_of_every_job(helm: Path) -> None:
    found = backends(rendered(helm, OLLAMA, VLLM))

    assert {name: (it.spec.model.id, it.spec.remote and it.spec.remote.base_url) for name, it in found.items()} == {
        "splai-system/ollama-llama3-1-8b": ("llama3.1:8b", "http://ollama:11434"),
        "splai-system/ollama-qwen-coder": ("qwen-coder", "http://ollama:11434"),
        "splai-system/vllm-llama2-13b-vllm": ("llama2-13b-vllm", "http://vllm:8000"),
    }
    assert all(it.spec.access.admits("another") and it.spec.engine.type == "Remote" for it in found.values())


def test_a_key_among_the_values_becomes_the_secret_that_the_backend_names(helm: Path) -> None:
    objects = rendered(helm, REMOTE_API, "--set=bootstrap.SPLAI_REMOTE_API_KEY=sk-1")
    (backend,) = backends(objects).values()
    (secret,) = named(objects, "Secret").values()

    assert backend.spec.remote is not None
    assert backend.spec.remote.api_key_secret_ref is not None
    reference = backend.spec.remote.api_key_secret_ref
    assert secret["stringData"] == {reference.key: "sk-1"}
    assert (secret["metadata"]["name"], secret["metadata"]["namespace"]) == (reference.name, "splai-system")
    assert "sk-1" not in str([found for found in objects if found["kind"] != "Secret"])


def test_a_secret_that_exists_is_named_and_not_made(helm: Path) -> None:
    key = "--set=bootstrap.apiKeySecretName=openai,bootstrap.apiKeySecretKey=token"
    objects = rendered(helm, REMOTE_API, OLLAMA, key)
    references = {
        name: it.spec.remote.api_key_secret_ref for name, it in backends(objects).items() if it.spec.remote is not None
    }

    assert named(objects, "Secret") == {}
    assert references.pop("splai-system/remote-gpt-4o-mini") == SecretKey(name="openai", key="token")
    assert set(references.values()) == {None}, "a key of one server is not for another"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set=bootstrap.SPLAI_OLLAMA_BASE_URL=http://ollama:11434"], "bootstrap.ollamaModels must name the models"),
        (["--set=bootstrap.vllmModels={a}"], "bootstrap.vllmModels needs the server's base URL"),
        ([OLLAMA, TWO_TEAMS], "bootstrap.namespace must be one of watchNamespaces"),
    ],
)
def test_half_of_a_server_is_refused(helm: Path, arguments: list[str], words: str) -> None:
    with pytest.raises(render.HelmError, match=words):
        render.template(helm, *arguments)


def test_backends_of_servers_are_where_they_are_watched(helm: Path) -> None:
    objects = rendered(helm, OLLAMA, TWO_TEAMS, "--set=bootstrap.namespace=team-b")

    assert backends(objects).keys() == {"team-b/ollama-llama3-1-8b", "team-b/ollama-qwen-coder"}
