"""Whether there are traces, as the environment says.

Only what decides about that is read here. All the rest of OTEL_* is the SDK's own reading: sampler, resource
attributes, headers, certificates, batches, limits.
"""

import os
from collections.abc import Mapping
from typing import Final

from splai.tracing.span import Tracing

BUILT_IN_PROTOCOL: Final = "http/protobuf"
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_HANDED_ON: Final = (
    *_ENDPOINTS,
    *_PROTOCOLS,
    *("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"),
    *("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"),
    *("OTEL_TRACES_EXPORTER", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"),
    *("OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT", "OTEL_BSP_MAX_QUEUE_SIZE"),
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
)


class TracingInvalid(Exception):
    """Traces are asked for in a way that cannot be; the message names the variable, or the extra that is missing."""


def tracing_from_environment(component: str) -> Tracing | None:
    """What makes the spans of ``splai-<component>``; None where nobody asks for any. Raises TracingInvalid."""
    environment = os.environ
    if not is_asked_for(environment):
        return None
    protocol = _first(environment, _PROTOCOLS) or BUILT_IN_PROTOCOL
    if protocol != BUILT_IN_PROTOCOL:
        name = next(name for name in _PROTOCOLS if environment.get(name))
        raise TracingInvalid(f"{name} is {protocol!r}: only {BUILT_IN_PROTOCOL} is built in, usually on port 4318")
    try:
        from splai.tracing.otlp import OtlpTracing
    except ImportError as error:
        raise TracingInvalid(f"traces need the packages of splai[tracing]: {error.name} is missing") from error
    try:
        return OtlpTracing(component)
    except ValueError as error:
        raise TracingInvalid(f"OTEL_*: {error}") from error


def is_asked_for(environment: Mapping[str, str]) -> bool:
    """An endpoint is enough; OTEL_TRACES_EXPORTER may say so too, or deny it. Raises TracingInvalid."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    asked = environment.get("OTEL_TRACES_EXPORTER", "")
    match {name.strip() for name in asked.split(",") if name.strip()}:
        case exporters if not exporters:
            return bool(_first(environment, _ENDPOINTS))
        case exporters if exporters == {"none"}:
            return False
        case exporters if exporters == {"otlp"}:
            return True
        case _:
            raise TracingInvalid(f"OTEL_TRACES_EXPORTER is {asked!r}: only otlp and none are built in")


def handed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """What pods in the namespaces of others may be told, so that their spans reach the same collector.

    Not who this process is, no path of a file that is in this pod alone, and no secret: headers often hold a token, and
    an address may hold a password. Where it does, nothing is handed on. Raises TracingInvalid.
    """
    if not is_asked_for(environment) or any("@" in environment.get(name, "") for name in _ENDPOINTS):
        return {}
    return {name: environment[name] for name in _HANDED_ON if environment.get(name)}


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> str:
    """The special variable wins over the general one."""
    return next((value for name in names if (value := environment.get(name))), "")
