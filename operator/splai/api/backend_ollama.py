"""What the engine type Ollama demands of a ModelBackend's other fields."""

from splai.api.backend_source import ONE_FILE

# https://github.com/ollama/ollama/blob/v0.9.0/types/model/name.go: [[host/]namespace/]model[:tag]
_HOST = "[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}"
_NAMESPACE = "[A-Za-z0-9_][A-Za-z0-9_-]{0,79}"
_PART = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}"
_NAME = f"(({_HOST}/)?{_NAMESPACE}/)?{_PART}(:{_PART})?"

OLLAMA_RULES = (
    (
        "self.engine.type != 'Ollama' || has(self.model.source) && "
        f"(self.model.source.matches('^ollama://{_NAME}$') || self.model.source.matches('{ONE_FILE}'))",
        "engine type Ollama needs a model.source: ollama://name:tag, or one GGUF file as "
        "hf://owner/name[@revision]/file, file:///path, pvc://claim/path, s3://bucket/key, http(s)://host/file or "
        "oci://registry/repository:tag#path",
    ),
    (
        "self.engine.type == 'Ollama' || !has(self.model.source) || !self.model.source.startsWith('ollama://')",
        "a model.source ollama:// needs engine type Ollama",
    ),
    (
        f"self.engine.type != 'Ollama' || self.model.id.matches('^{_NAME}$') && "
        f"self.model.aliases.all(alias, alias.matches('^{_NAME}$'))",
        "with engine type Ollama model.id and model.aliases are names as Ollama has them: "
        "[[host/]namespace/]model[:tag], parts of at most 80 letters, digits and _-. (no dot in the namespace)",
    ),
    (
        "self.engine.type != 'Ollama' || size(self.engine.args) == 0",
        "engine type Ollama takes no args: set its OLLAMA_ variables in template.env",
    ),
)
"""CEL rules of a ModelBackend's spec, each with the message for who breaks it."""
