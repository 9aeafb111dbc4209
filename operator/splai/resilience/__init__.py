"""When to try again and how long to wait: policies without I/O, and steps for workflows that are built from them.

May import api and nothing else of SPLAI; inputs, worker, kube, controller and gateway use the policies. The steps are a
public library: their names, and those of their modules core, performance and recovery, are kept.
"""

from .core import ParallelPrimitive, RouterPrimitive, SequentialPrimitive, WorkflowContext, WorkflowPrimitive
from .errors import CircuitOpen, FallbacksFailed, UnknownRoute
from .performance import CachePrimitive, MeasuredPrimitive
from .recovery import CircuitBreakerPrimitive, FallbackPrimitive, RetryPrimitive, TimeoutPrimitive

__all__ = [
    "CachePrimitive",
    "CircuitBreakerPrimitive",
    "CircuitOpen",
    "FallbackPrimitive",
    "FallbacksFailed",
    "MeasuredPrimitive",
    "ParallelPrimitive",
    "RetryPrimitive",
    "RouterPrimitive",
    "SequentialPrimitive",
    "TimeoutPrimitive",
    "UnknownRoute",
    "WorkflowContext",
    "WorkflowPrimitive",
]
