"""Which Maven repository is asked: the setting, the user's mirror, Central, in this order."""

from pathlib import Path

import pytest
from jgo.constants import MAVEN_CENTRAL_URL

from exchange.embedded.kafka.maven_address import repository

_MIRRORS = """<settings xmlns="urn:any"><mirrors>
<mirror><id>m</id><mirrorOf>{mirror_of}</mirrorOf><url>http://127.0.0.1:8081/mirror/</url></mirror>
</mirrors></settings>"""


@pytest.fixture
def user_settings(tmp_path: Path) -> Path:
    return tmp_path / "settings.xml"


def test_without_anything_it_is_central(user_settings: Path) -> None:
    assert repository("", user_settings) == MAVEN_CENTRAL_URL.rstrip("/")


def test_the_setting_wins(user_settings: Path) -> None:
    user_settings.write_text(_MIRRORS.format(mirror_of="*"))
    assert repository("http://127.0.0.1:9999/m2/", user_settings) == "http://127.0.0.1:9999/m2"


@pytest.mark.parametrize("mirror_of", ["*", "central", "external:*", "other, central", "*,!snapshots"])
def test_a_mirror_of_central_in_the_maven_settings_is_used(user_settings: Path, mirror_of: str) -> None:
    user_settings.write_text(_MIRRORS.format(mirror_of=mirror_of))
    assert repository("", user_settings) == "http://127.0.0.1:8081/mirror"


@pytest.mark.parametrize("mirror_of", ["other", "*,!central", "external:http:*", ""])
def test_a_mirror_of_something_else_is_not_used(user_settings: Path, mirror_of: str) -> None:
    user_settings.write_text(_MIRRORS.format(mirror_of=mirror_of))
    assert repository("", user_settings) == MAVEN_CENTRAL_URL.rstrip("/")


@pytest.mark.parametrize("text", ["", "<settings>", "<settings/>"])
def test_maven_settings_that_say_nothing_are_passed_over(user_settings: Path, text: str) -> None:
    user_settings.write_text(text)
    assert repository("", user_settings) == MAVEN_CENTRAL_URL.rstrip("/")
