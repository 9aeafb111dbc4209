"""What the adapter is told by its command line: nothing by variables, which a pod template may overlay."""

from dataclasses import dataclass
from pathlib import Path

from splai.api.backend_remote import Provider as ProviderName
from splai.providers.protocol import Provider
from splai.providers.selection import provider


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One field an option."""

    provider: ProviderName
    served: tuple[str, ...]
    """The ids that callers may ask for, the model's own first."""
    base_url: str | None = None
    model: str | None = None
    """The provider's id of the model, where it is another one."""
    deployment: str | None = None
    api_version: str | None = None
    api_key_file: Path | None = None
    """Where the kubelet puts the key; None: the provider wants none."""
    allow_private_urls: bool = False
    port: int = 8000
    log_level: str = "INFO"

    def open_provider(self) -> Provider:
        """Raises ValueError for options that do not go together."""
        return provider(
            self.provider,
            model=self.model or self.served[0],
            base_url=self.base_url,
            deployment=self.deployment,
            api_version=self.api_version,
        )
