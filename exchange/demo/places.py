"""Where everything of one demo lies: one folder, made for its owner only."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from exchange.embedded.ports import free_port
from exchange.embedded.state_folder import kept_secret, write_private


@dataclass(frozen=True, slots=True)
class Places:
    """The folder of a demo and what lies in it."""

    root: Path

    @classmethod
    def choose(cls, folder: Path | None) -> "Places":
        """The named folder, or a fresh one in the current folder, made when missing."""
        root = folder or Path(f"exchange-demo-{datetime.now().astimezone():%Y%m%d-%H%M%S}")
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        places = cls(root.absolute())
        for part in (places.secrets, places.logs, places.connectors):
            part.mkdir(exist_ok=True, mode=0o700)
        return places

    @property
    def secrets(self) -> Path:
        """One file a secret, readable by the owner only."""
        return self.root / "secrets"

    @property
    def logs(self) -> Path:
        """One file a process."""
        return self.root / "logs"

    @property
    def connectors(self) -> Path:
        """Where sources keep their cursors and their books."""
        return self.root / "connectors"

    def secret_file(self, name: str) -> Path:
        """The file of a secret; a random one is made when there is none."""
        file = self.secrets / name
        kept_secret(file)
        return file

    def principal_secret(self, principal: str) -> Path:
        """The file of a Kafka principal's secret, as `exchange serve --bootstrap` names it."""
        return self.secrets / f"{principal}.secret"

    def keep_secret(self, name: str, secret: str) -> None:
        """Put a secret that somebody else has made into its file."""
        write_private(self.secrets / name, secret + "\n")

    def has_secret(self, name: str) -> bool:
        """Whether there is such a file."""
        return (self.secrets / name).exists()

    def port(self, name: str) -> int:
        """The port of a process: the same at every start on this folder, so that addresses stay."""
        file = self.root / "ports" / name
        if not file.exists():
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"{free_port(self._ports())}\n", encoding="ascii")
        return int(file.read_text(encoding="ascii"))

    def _ports(self) -> frozenset[int]:
        return frozenset(int(file.read_text(encoding="ascii")) for file in (self.root / "ports").iterdir())
