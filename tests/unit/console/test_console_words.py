"""What the console says: every word in both languages, and a word for everything that can stand on a page."""

import re
from pathlib import Path

import pytest

from exchange.broker.demands.dispute import LEVELS, OUTCOMES
from exchange.broker.grants.freshness import CAUSES
from exchange.catalogue.words import Text
from exchange.errors import TABLE, Action
from exchange.ledger.fold.corrections import CORRECTION_HANDLERS
from exchange.ledger.fold.demands import DEMAND_HANDLERS
from exchange.ledger.state.correction import ANSWERS
from exchange.ledger.state.ledger_state import DemandState
from exchange.stages import Stage
from exchange.web import console
from exchange.web.console.rows import MASKS
from exchange.web.console.steps import EVERY
from exchange.web.console.words.errors import ERRORS
from exchange.web.console.words.pages import WORDS

FOLDER = Path(console.__file__).parent
TEMPLATES = sorted((FOLDER / "templates").glob("*.jinja"))
CHINESE = re.compile(r"[\u4e00-\u9fff]")
SAME_IN_BOTH = {"comma", "isolation", "weighted_of", "of_counted", "html_lang", "other_html_lang", "other_language"}
"""Codes, bare figures, and what names the other language."""
FAMILIES = re.compile(r"t\('([a-z_]+\.)' ~")


def test_every_word_is_there_in_both_languages() -> None:
    for key in WORDS.keys() - SAME_IN_BOTH:
        words = WORDS[key]
        assert isinstance(words, Text), key
        assert CHINESE.search(words.zh), f"{key}: the Chinese is Chinese"
        assert words.en.strip() and not CHINESE.search(words.en), f"{key}: the English is English"
        assert sorted(re.findall(r"{(\w+)}", words.zh)) == sorted(re.findall(r"{(\w+)}", words.en)), key


def test_templates_use_the_words_that_there_are_and_every_one_of_them() -> None:
    text = "".join(
        one.read_text(encoding="utf-8") for one in (*TEMPLATES, *FOLDER.glob("*.py")) if "words" not in one.name
    )
    named = set(re.findall(r"\bt\('([\w.\-]+)'[,)]", text))
    assert named and not named - WORDS.keys()
    families = {*FAMILIES.findall(text), "end.", "event.", "role."}
    quoted = set(re.findall(r"""['"]([\w.\-]+)['"]""", text))
    assert not {key for key in WORDS if key not in quoted and not key.startswith(tuple(families))}


@pytest.mark.parametrize(
    ("family", "names"),
    [
        ("state", list(DemandState)),
        ("clock", ["review", "reply", "delivery", "correction"]),
        ("cause", CAUSES),
        ("cause_short", CAUSES),
        ("level", LEVELS),
        ("choice", [*OUTCOMES, *ANSWERS, "batch-exchange"]),
        ("mask", MASKS),
        ("event", [*DEMAND_HANDLERS, *CORRECTION_HANDLERS]),
        ("role", ["department", "supervisor", "operator", "auditor", "exchange"]),
        ("correction_state", ["submitted", "answered", "closed"]),
        ("sharing", ["unconditional", "conditional", "not-shared"]),
        ("operator", ["equals", "in", "prefix"]),
        *((part, list(EVERY)) for part in ("step", "about", "do", "done")),
        ("input", [one.name for form in EVERY.values() for one in form.inputs]),
        ("choice", [choice for form in EVERY.values() for one in form.inputs for choice in one.choices]),
    ],
)
def test_everything_that_can_stand_on_a_page_has_its_word(family: str, names: list[str]) -> None:
    assert not {f"{family}.{name}" for name in names} - WORDS.keys()


def test_what_a_command_or_the_api_refuses_is_told_in_chinese_too() -> None:
    met = {
        code for code, row in TABLE.items() if row.stage in (Stage.COMMAND, Stage.WEB) and row.action is Action.REFUSE
    }
    assert not met - ERRORS.keys()
    assert not ERRORS.keys() - TABLE.keys()
    assert all(CHINESE.search(text) for pair in ERRORS.values() for text in pair)
