"""The images of the engines that bring one by default."""

from dataclasses import dataclass

from splai import __version__


@dataclass(frozen=True, kw_only=True)
class EngineImages:
    """Part of the installation's settings; a ModelBackend's ``engine.image`` wins over them."""

    llamacpp: str
    vllm: str
    ollama: str = "ollama/ollama:0.9.0"
    sglang: str = "lmsysorg/sglang:v0.5.18"
    # Later ones have Python in the home of root, where no other user may look.
    tgi: str = "ghcr.io/huggingface/text-generation-inference:3.0.1"
    splai: str = f"splai/splai:{__version__}"
    """SPLAI's own, for the engines that are commands of it."""
