"""Java's ahead-of-time cache for the many Kafkas of a test run: each starts with half the CPU.

Made once on a machine, by one Kafka that is started and stopped (some ten seconds), and kept beside the jars. Java
takes it up by an environment variable, which every process of the run inherits; a cache that does not fit is passed
over. Measured on two shared cores: 2.7 s of CPU for a start and a stop instead of 5.4.
"""

import hashlib
import os
import tempfile
from pathlib import Path

from exchange.embedded.kafka import java
from exchange.embedded.kafka.cluster import EmbeddedKafka
from exchange.embedded.kafka.jars import JarCache
from exchange.errors import ExchangeError

_VARIABLE = "JDK_JAVA_OPTIONS"


def use_java_cache() -> None:
    """Let every Java that is started from now on use the cache, which is made when it is not there.

    Does nothing where there is no Java, where the jars cannot be had, or where the variable is set already.
    """
    if _VARIABLE in os.environ:
        return
    try:
        cache = _place()
        if not cache.exists():
            _make(cache)
    except ExchangeError:
        return
    os.environ[_VARIABLE] = f"-XX:AOTCache={cache}"


def _place() -> Path:
    """Its file: another Java or other jars need another one."""
    jars = JarCache()
    jars.fetch()
    runtime = Path(java.java())
    made_for = f"{runtime}:{runtime.stat().st_mtime_ns}:{jars.class_path()}"
    return jars.folder / f"tests-{hashlib.sha256(made_for.encode()).hexdigest()[:16]}.aot"


def _make(cache: Path) -> None:
    """Start and stop one Kafka that writes it; whole or not at all, as several runs may do so at once."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "new.aot"
        os.environ[_VARIABLE] = f"-XX:AOTCacheOutput={fresh}"
        try:
            with EmbeddedKafka(Path(folder) / "kafka").start():
                pass
        finally:
            del os.environ[_VARIABLE]
        if fresh.exists():
            beside = cache.with_suffix(f".{os.getpid()}")
            beside.write_bytes(fresh.read_bytes())
            beside.replace(cache)
