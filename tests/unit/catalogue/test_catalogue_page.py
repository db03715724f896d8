"""The catalogue as a page: complete, in both languages, on its own, and safe whatever stands in the catalogue."""

import re
import shutil
from collections import Counter
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest

from exchange.catalogue.code_sets import read_code_sets
from exchange.catalogue.load import DEPARTMENTS_FILE, RESOURCES_FILE, load
from exchange.catalogue.page import anchor, page
from exchange.catalogue.record_types import read_record_schemas
from exchange.catalogue.words import form_of, source
from exchange.errors import ExchangeError

SCHEMAS = Path(__file__).parents[3] / "schemas"
TODAY = date(2026, 11, 24)
VOID = {"meta", "input", "br", "link", "img", "hr"}
WORDS = ("name", "short_name", "name_en", "abstract", "abstract_zh", "conditions", "conditions_zh", "legal_basis")
HOSTILE = "<script>alert(1)</script>\"'&<b>"


class Outline(HTMLParser):
    """What a page is made of; a tag that is not closed, or closed twice, is refused."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def values(self, name: str) -> list[str]:
        return [value for _tag, found, value in self.attributes if found == name]


def made(folder: Path = SCHEMAS / "catalogue") -> str:
    return page(load(folder), read_record_schemas(SCHEMAS), read_code_sets(SCHEMAS / "code-sets"), TODAY)


def outline(text: str) -> Outline:
    found = Outline()
    found.feed(text)
    found.close()
    assert found.open == []
    return found


def test_page_needs_nothing_beside_itself() -> None:
    text = made()
    found = outline(text)
    assert not {"link", "img", "iframe", "base"} & set(found.tags)
    assert found.values("src") == []
    assert all(value.startswith("#") for value in found.values("href"))
    assert "url(" not in text and "@import" not in text
    (policy,) = [value for value in found.values("content") if "default-src" in value]
    assert policy.startswith("default-src 'none'")


def test_every_link_of_the_page_leads_somewhere() -> None:
    found = outline(made())
    names = Counter(found.values("id"))
    assert max(names.values()) == 1
    assert {value.removeprefix("#") for value in found.values("href")} <= set(names)


def test_every_field_says_what_it_means_where_it_comes_from_and_who_may_have_it() -> None:
    texts = set(outline(made()).texts)
    catalogue, schemas = load(SCHEMAS / "catalogue"), read_record_schemas(SCHEMAS)
    for resource in catalogue.resources.values():
        for name in resource.fields:
            rule, condition = schemas[resource.record_type].field(name), resource.condition(name)
            wanted = {name, rule.meaning, rule.meaning_zh, *source(rule.standard, catalogue.laws)}
            wanted |= {condition.en, condition.zh} if condition else set()
            wanted |= set(source(resource.not_shared_basis.get(name, resource.legal_basis), catalogue.laws))
            assert wanted <= texts, f"{resource.code} {name}"


def test_every_department_is_there_with_its_successors() -> None:
    found = outline(made())
    names = set(found.values("id"))
    for slug, one in load(SCHEMAS / "catalogue").departments.items():
        assert anchor("department", slug) in names
        assert {one.name, one.name_en, one.credit_code} <= set(found.texts)


def test_both_languages_say_the_same_number_of_things() -> None:
    text = made()
    assert text.count('<span class="zh" lang="zh-CN">') == text.count('<span class="en" lang="en">')
    assert not re.search(r'<span class="(zh|en)" lang="[^"]*"></span>', text)


def test_words_of_a_catalogue_cannot_become_markup(tmp_path: Path) -> None:
    plain = outline(made())
    folder = Path(shutil.copytree(SCHEMAS / "catalogue", tmp_path / "catalogue"))
    for file in (DEPARTMENTS_FILE, RESOURCES_FILE):
        text = (folder / file).read_text(encoding="utf-8")
        hostile = HOSTILE.replace('"', '\\"')
        for field in WORDS:
            value = r'"(?!(?:un)?conditional|not-shared)[^"]*"'
            text = re.sub(rf"^({field} = ){value}$", lambda one, to=hostile: f'{one[1]}"{to}"', text, flags=re.M)
        (folder / file).write_text(text, encoding="utf-8")
    found = outline(made(folder))
    assert found.tags["script"] == plain.tags["script"] == 1
    assert found.tags["b"] == 0
    assert not [name for _tag, name, _value in found.attributes if name.startswith("on")]
    assert HOSTILE in found.texts


def test_a_page_of_a_catalogue_with_faults_is_refused(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(SCHEMAS / "catalogue", tmp_path / "catalogue"))
    path = folder / RESOURCES_FILE
    path.write_text(
        path.read_text(encoding="utf-8").replace("population.resident", "population.ghost"), encoding="utf-8"
    )
    with pytest.raises(ExchangeError) as error:
        made(folder)
    assert error.value.code == "E_CATALOGUE"


@pytest.mark.parametrize(
    ("avro", "zh", "en", "xsd"),
    [
        ("string", "字符型", "text", "string"),
        (["null", "string"], "字符型", "text", "string"),
        ({"type": "int", "logicalType": "date"}, "日期型", "date", "date"),
        (["null", {"type": "long", "logicalType": "timestamp-millis"}], "日期时间型", "date and time", "dateTime"),
        ("boolean", "逻辑型", "yes or no", "boolean"),
        (
            {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
            "数值型，9位，小数2位",
            "number, 9 digits, 2 after the point",
            "decimal",
        ),
        ({"type": "array", "items": "string"}, "列表（字符型）", "list of text", "string"),
        ({"type": "record", "name": "A", "fields": []}, "通用型", "structure", "string"),
    ],
)
def test_form_of_a_field_is_told_in_words(avro: object, zh: str, en: str, xsd: str) -> None:
    form = form_of(avro)
    assert (form.name.zh, form.name.en, form.xsd) == (zh, en, xsd)


def test_articles_are_counted_as_each_language_does() -> None:
    laws = {"居民身份证法": "Law on Resident Identity Cards", "居民身份证": "resident identity card"}
    found = source("居民身份证法 art. 3, 5–7; 户口登记条例 art. 2", laws)
    assert found.zh == "居民身份证法第3、5–7条; 户口登记条例第2条"
    assert found.en == "Law on Resident Identity Cards, art. 3, 5–7; 户口登记条例 art. 2"
    assert source("GB/T 7408", laws) == ("GB/T 7408", "GB/T 7408")


def test_every_law_that_the_shipped_catalogue_names_has_an_english_title() -> None:
    catalogue, schemas = load(SCHEMAS / "catalogue"), read_record_schemas(SCHEMAS)
    named = {rule.standard for schema in schemas.values() for rule in schema.fields}
    for resource in catalogue.resources.values():
        named |= {resource.legal_basis, *resource.not_shared_basis.values()}
    assert [text for text in sorted(named) if re.search("[一-鿿]", source(text, catalogue.laws).en)] == []
