"""Make the jar lock anew for another version of Kafka: `python -m exchange.embedded.kafka.lock_jars 4.4.0`.

For developers only, and the only place that needs Maven: `mvn` resolves the dependencies into a fresh local repository
(so it checks them against the checksums of the repository), and what it brought is written down.
"""

import hashlib
import subprocess
import tempfile
from pathlib import Path
from xml.sax.saxutils import escape

import typer

from exchange.embedded.kafka.jar_lock import LOCK_FILE, LockedJar, write_lock

# Kafka speaks slf4j 1.7; a binding of the 2.x line would stay silent.
_POM = """\
<project><modelVersion>4.0.0</modelVersion>
<groupId>exchange</groupId><artifactId>embedded-kafka</artifactId><version>1</version>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{version}</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
</dependencies></project>
"""


def resolve(version: str) -> list[LockedJar]:
    """The runtime jars of Apache Kafka `version` as Maven resolves them.

    Raises subprocess.CalledProcessError when Maven fails.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "pom.xml").write_text(_POM.format(version=escape(version)), encoding="utf-8")
        jars = folder / "jars"
        subprocess.run(
            [
                "mvn", "--batch-mode", "--quiet", "--strict-checksums",
                f"-Dmaven.repo.local={folder / 'repository'}",
                "dependency:copy-dependencies", f"-DoutputDirectory={jars}",
                "-DincludeScope=runtime", "-Dmdep.useRepositoryLayout=true",
            ],
            cwd=folder,
            check=True,
        )  # fmt: skip
        return [_locked(jar, jars) for jar in jars.rglob("*.jar")]


def _locked(file: Path, root: Path) -> LockedJar:
    *group, artifact, version, name = file.relative_to(root).parts
    jar = LockedJar(
        ".".join(group), artifact, version, hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_size
    )
    if jar.file_name != name:
        raise ValueError(f"{name} has a classifier, which the lock file cannot express")
    return jar


def main(version: str) -> None:
    """Resolve Apache Kafka VERSION and write the lock file."""
    jars = resolve(version)
    write_lock(jars)
    typer.echo(f"{LOCK_FILE.name}: {len(jars)} jars, {sum(jar.size for jar in jars) / 1e6:.0f} MB")


if __name__ == "__main__":
    typer.run(main)
