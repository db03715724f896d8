"""Code sets as files."""

from pathlib import Path

import pytest

from exchange.catalogue.code_sets import load_code_sets, read_code_sets
from exchange.catalogue.record_types import read_record_schemas
from exchange.errors import ExchangeError

SHIPPED = Path(__file__).parents[3] / "schemas" / "code-sets"
GOOD = """
name = "a"
version = "1"
title = "A"
titleZh = "甲"
source = "here"
[codes]
"1" = { en = "one", zh = "一" }
"""


def test_shipped_code_sets_have_their_codes() -> None:
    code_sets = load_code_sets(SHIPPED)
    assert code_sets["GB/T 2261.1"] == {"0", "1", "2", "9"}
    assert {"CNY", "USD", "HKD", "EUR", "JPY", "SGD"} <= code_sets["GB/T 12406"]
    assert len(code_sets["GB/T 3304"]) == 58
    assert {"01", "02", "10", "99"} <= code_sets["GB/T 4761"]
    assert {"10", "60"} <= code_sets["GB/T 2261.3"]
    assert {"11", "27", "80", "90"} <= code_sets["GB/T 2261.4"]
    assert {"CHN", "HKG", "USA"} <= code_sets["GB/T 2659"]
    assert {"11", "21", "31", "61", "90"} <= code_sets["GB/T 4658"]
    assert {"A", "T", "01", "97"} <= code_sets["GB/T 4754"]
    assert len(code_sets["GB/T 4754"]) == 20 + 97
    assert {"11", "51", "71", "99"} <= code_sets["GB/T 20091"]
    assert code_sets["licence-status"] == {"01", "02", "03", "04", "05", "06", "07", "99"}


def test_every_code_set_names_its_version_and_source() -> None:
    for code_set in read_code_sets(SHIPPED).values():
        assert code_set.version and code_set.source and code_set.title_zh
        assert all(english for english, _ in code_set.meanings.values())


def test_every_shipped_code_set_is_the_list_of_some_field() -> None:
    schemas = read_record_schemas(SHIPPED.parent).values()
    assert {rule.code_set for schema in schemas for rule in schema.fields if rule.code_set} == set(
        load_code_sets(SHIPPED)
    )


@pytest.mark.parametrize(
    "content",
    [
        GOOD.replace('name = "a"\n', ""),
        GOOD.replace('version = "1"', "version = 1"),
        GOOD.replace('en = "one", ', ""),
        GOOD.replace('"1" = { en = "one", zh = "一" }', '"1" = "one"'),
        GOOD.replace('"1" = { en = "one", zh = "一" }', ""),
        GOOD.replace("[codes]", "[code"),
    ],
)
def test_code_set_of_wrong_form_is_refused_with_its_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "wrong.toml").write_text(content, encoding="utf-8")
    with pytest.raises(ExchangeError, match=r"wrong\.toml") as error:
        load_code_sets(tmp_path)
    assert error.value.code == "E_CATALOGUE"


def test_two_files_cannot_define_one_code_set(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "two.toml").write_text(GOOD, encoding="utf-8")
    with pytest.raises(ExchangeError, match="defined twice"):
        load_code_sets(tmp_path)
