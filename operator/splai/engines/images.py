"""The images of the engines that bring one by default."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EngineImages:
    """Part of the installation's settings; a ModelBackend's ``engine.image`` wins over them."""

    llamacpp: str
    vllm: str
    ollama: str = "ollama/ollama:0.9.0"
