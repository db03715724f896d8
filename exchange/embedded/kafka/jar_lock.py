"""The lock file of the jars: which files the embedded Apache Kafka consists of, each with its SHA-256 and size."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from exchange.errors import ExchangeError

LOCK_FILE = Path(__file__).with_name("kafka-jars.lock")
KAFKA_ARTIFACT = "kafka-clients"
"""The artifact whose version is the version of Kafka."""

_HEADER = """\
# The jars of the embedded Apache Kafka. Made by `python -m exchange.embedded.kafka.lock_jars VERSION`; do not edit.
# group artifact version sha256 bytes
"""


@dataclass(frozen=True, slots=True)
class LockedJar:
    """One jar: its Maven coordinates, the SHA-256 of its bytes in hexadecimal, its size in bytes."""

    group: str
    artifact: str
    version: str
    sha256: str
    size: int

    @property
    def file_name(self) -> str:
        """The name of the file in every Maven repository and in our cache."""
        return f"{self.artifact}-{self.version}.jar"

    @property
    def path(self) -> str:
        """Where every Maven repository keeps it, below its own address."""
        return f"{self.group.replace('.', '/')}/{self.artifact}/{self.version}/{self.file_name}"


def read_lock(file: Path = LOCK_FILE) -> tuple[LockedJar, ...]:
    """All jars of the lock file, in its order. Raises ExchangeError(E_JARS) when a line is not five words."""
    jars = []
    for line in file.read_text(encoding="ascii").splitlines():
        if line.startswith("#") or not line.strip():
            continue
        words = line.split()
        if len(words) != 5 or len(words[3]) != 64 or not words[4].isdigit():
            raise ExchangeError("E_JARS", f"{file.name} has a line that is not group artifact version sha256 bytes")
        jars.append(LockedJar(words[0], words[1], words[2], words[3], int(words[4])))
    return tuple(jars)


def write_lock(jars: Iterable[LockedJar], file: Path = LOCK_FILE) -> None:
    """Write the lock file, sorted by coordinates, so that a change of version is a readable difference."""
    rows = sorted((jar.group, jar.artifact, jar.version, jar.sha256, str(jar.size)) for jar in jars)
    file.write_text(_HEADER + "".join(" ".join(row) + "\n" for row in rows), encoding="ascii")


def kafka_version(jars: Iterable[LockedJar]) -> str:
    """The version of Apache Kafka among these jars. Raises ExchangeError(E_JARS) when there is none."""
    for jar in jars:
        if jar.artifact == KAFKA_ARTIFACT:
            return jar.version
    raise ExchangeError("E_JARS", f"the lock file names no {KAFKA_ARTIFACT}")
