"""Where the jars come from: a mirror by setting, else the mirror of the user's Maven settings, else Maven Central."""

from pathlib import Path
from xml.etree import ElementTree

from exchange.errors import ExchangeError

USER_SETTINGS = Path("~/.m2/settings.xml")


def repository(setting: str = "", user_settings: Path = USER_SETTINGS) -> str:
    """The address of the Maven repository to use, without a slash at its end.

    `setting` is EXCHANGE_MAVEN_URL and wins; then a mirror of Central in the Maven settings of this user, which is how
    a closed network usually announces one; then Maven Central, whose address jgo keeps.
    Raises ExchangeError(E_JARS) when jgo is not installed and nothing else names an address.
    """
    address = setting or _mirror(user_settings.expanduser()) or _central()
    return address.rstrip("/")


def _central() -> str:
    try:
        from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415 - belongs to the extra `embedded`
    except ImportError:
        raise ExchangeError("E_JARS", "the extra is missing: pip install 'exchange-bus[embedded]'") from None
    return str(MAVEN_CENTRAL_URL)


def _mirror(file: Path) -> str | None:
    try:
        # The user's own file on the user's own machine, as trusted as the user.
        root = ElementTree.parse(file).getroot()  # noqa: S314
    except (OSError, ElementTree.ParseError):
        return None
    for mirror in root.iterfind(".//{*}mirrors/{*}mirror"):
        url = (mirror.findtext("{*}url") or "").strip()
        if _covers_central((mirror.findtext("{*}mirrorOf") or "").strip()) and url.startswith(("http://", "https://")):
            return url
    return None


def _covers_central(mirror_of: str) -> bool:
    """Maven's rule for `mirrorOf`: a list in which `!central` excludes and `*`, `external:*` or the name include."""
    words = {word.strip() for word in mirror_of.split(",")}
    return "!central" not in words and not words.isdisjoint({"*", "external:*", "central"})
