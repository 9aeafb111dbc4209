"""SPLAI: LLM inference on Kubernetes as two custom resources, one operator and one gateway."""

from importlib.metadata import version

__version__ = version("splai")
