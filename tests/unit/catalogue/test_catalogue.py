"""The catalogue that ships, and every way in which a catalogue can be wrong."""

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from exchange.catalogue.check import check, check_code_sets
from exchange.catalogue.code_sets import load_code_sets
from exchange.catalogue.load import DEPARTMENTS_FILE, LAWS_FILE, RESOURCES_FILE, load
from exchange.catalogue.model import Level, Sharing
from exchange.catalogue.record_types import read_record_schemas
from exchange.errors import ExchangeError
from exchange.identifiers import credit_code

SCHEMAS = Path(__file__).parents[3] / "schemas"
TODAY = date(2026, 11, 24)
Edit = Callable[[str, str, str], None]
BODIES_OF_THE_PLAN = """
省政府办公厅 省委宣传部 省网信办 省综治办 省高级人民法院 省检察院 省发展改革委 省经济和信息化委
省教育厅 省科技厅 省公安厅 省民政厅 省司法厅 省财政厅 省人力资源社会保障厅 省国土资源厅 省环境保护厅
省住房城乡建设厅 省交通运输厅 省农委 省水利厅 省林业厅 省商务厅 省文化厅 省卫生计生委 省国资委
省国税局 省地税局 省工商局 省质监局 省食品药品监管局 省安监局 省新闻出版广电局 省统计局 省旅游局
省能源局 省扶贫办 省测绘局 省气象局 省通信管理局 省邮政管理局 省证监局 省国防科工办 省供销社
省政务服务中心
"""
"""As the annex of the provincial plan of 2017 names them."""
CITIES = """
340100 340200 340300 340400 340500 340600 340700 340800 341000 341100 341200 341300 341500 341600 341700 341800
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SCHEMAS / "catalogue", tmp_path / "catalogue"))


@pytest.fixture
def edit(folder: Path) -> Edit:
    """Replaces the first occurrence of a text in a file of the catalogue."""

    def replace(file: str, old: str, new: str) -> None:
        text = (folder / file).read_text(encoding="utf-8")
        assert old in text
        (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")

    return replace


def findings(folder: Path) -> list[str]:
    return check(load(folder), read_record_schemas(SCHEMAS), today=TODAY)


def test_shipped_catalogue_has_nothing_wrong() -> None:
    assert findings(SCHEMAS / "catalogue") == []


@pytest.mark.parametrize(
    "odd", ["20181101", "0", '"20181101"', "true", "9999-12-31", "1949-10-01", "2018-11-01T00:00:00+08:00", '"now"']
)
def test_a_day_of_the_catalogue_is_a_date_of_our_time(folder: Path, edit: Edit, odd: str) -> None:
    edit(DEPARTMENTS_FILE, "valid_from = 2018-11-01", f"valid_from = {odd}")
    with pytest.raises(ExchangeError, match=r"valid_from: .*a day is written as 2026-12-31"):
        load(folder)


def test_shipped_departments_have_valid_codes_without_warnings() -> None:
    for one in load(SCHEMAS / "catalogue").departments.values():
        assert credit_code.validate(one.credit_code) == one.credit_code
        assert credit_code.warnings(one.credit_code) == []
        assert one.synthetic == ("EXCH" in one.credit_code)


def test_every_body_of_the_plan_is_there_and_somebody_has_its_duties_today() -> None:
    departments = load(SCHEMAS / "catalogue").departments
    by_name = {one.short_name: one for one in departments.values()}
    names = BODIES_OF_THE_PLAN.split()
    assert len(names) == 45
    for name in names:
        found = by_name[name]
        assert found.level is Level.PROVINCE and found.region == "340000"
        assert found.exists(date(2017, 6, 1))
        assert found.exists(TODAY) or all(departments[slug].exists(TODAY) for slug in found.successors)
        assert bool(found.successors) != found.exists(TODAY)


def test_every_city_of_the_plan_is_there() -> None:
    cities = [one for one in load(SCHEMAS / "catalogue").departments.values() if one.level is Level.CITY]
    assert [one.region for one in cities] == CITIES.split()
    assert all(one.credit_code[2:8] == one.region and one.exists(TODAY) for one in cities)


def test_every_shipped_record_type_is_offered_with_all_its_fields() -> None:
    catalogue = load(SCHEMAS / "catalogue")
    for name, schema in read_record_schemas(SCHEMAS).items():
        first, *others = catalogue.resources_of(name)
        fields = [rule.name for rule in schema.fields]
        assert list(first.fields) == fields
        for resource in others:
            assert set(resource.fields) <= set(fields)


def test_what_is_not_shared_is_not_shareable() -> None:
    resource = load(SCHEMAS / "catalogue").resource("101002/0001")
    assert resource.fields["cause_class"] is Sharing.NOT_SHARED
    assert "cause_class" not in resource.shareable
    assert "resident_id" in resource.shareable


def test_owner_of_credit_codes_changes_with_the_reform() -> None:
    catalogue = load(SCHEMAS / "catalogue")
    before, after = catalogue.owner("9", date(2018, 10, 31)), catalogue.owner("9", date(2018, 11, 1))
    assert before is not None and before.slug == "industry-and-commerce"
    assert after is not None and after.slug == "market-regulation"
    assert catalogue.owner("8", TODAY) is None


def test_update_cycle_gives_its_seconds() -> None:
    catalogue = load(SCHEMAS / "catalogue")
    assert catalogue.resource("102001/0001").update_cycle_seconds == 86_400
    assert catalogue.resource("101002/0001").update_cycle_seconds == 3_600


def test_unknown_names_are_refused_by_code() -> None:
    catalogue = load(SCHEMAS / "catalogue")
    with pytest.raises(ExchangeError) as error:
        catalogue.department("ministry-of-magic")
    assert error.value.code == "E_UNKNOWN_DEPARTMENT"
    with pytest.raises(ExchangeError) as error:
        catalogue.resource("1/1")
    assert error.value.code == "E_UNKNOWN_RESOURCE"


@pytest.mark.parametrize(
    ("file", "old", "new", "finding"),
    [
        (DEPARTMENTS_FILE, "11340000EXCH00018B", "11340000EXCH00018C", "credit code is invalid"),
        (DEPARTMENTS_FILE, "11340000EXCH00018B", "11340000EXCH000266", "the same credit code"),
        (DEPARTMENTS_FILE, "[health]", "[exchange-health]", "reserved for the exchange"),
        (DEPARTMENTS_FILE, 'region = "340000"', 'region = "910000"', "region is invalid"),
        (DEPARTMENTS_FILE, 'owns = ["5"]', 'owns = ["I"]', "no credit code begins with I"),
        (DEPARTMENTS_FILE, 'owns = ["5"]', 'owns = ["9"]', "own credit codes with 9 at the same time"),
        (DEPARTMENTS_FILE, 'owns = ["9"]', "owns = []", "no successor owns the credit codes that begin with 9"),
        (DEPARTMENTS_FILE, 'successors = ["health"]', 'successors = ["nobody"]', "successor nobody is not in"),
        (DEPARTMENTS_FILE, "valid_until = 2018-06-15", "valid_until = 2018-06-14", "the day it takes over"),
        (DEPARTMENTS_FILE, "valid_until = 2018-06-15", "", "has successors but no end"),
        (DEPARTMENTS_FILE, "valid_until = 2018-06-15", "valid_until = 2001-01-01", "ends before it begins"),
        (RESOURCES_FILE, '"102001/0001"', '"2001/1x"', "its code is not"),
        (RESOURCES_FILE, '"102001/0001"', '"101009/0001"', "item 01 of class 1 is not the registry"),
        (RESOURCES_FILE, 'provider = "health"', 'provider = "nobody"', "provider nobody is not in the catalogue"),
        (
            RESOURCES_FILE,
            'provider = "health"',
            'provider = "local-taxation"',
            "does not exist on the day of publication",
        ),
        (RESOURCES_FILE, 'provider = "market-regulation"', 'provider = "taxation"', "gives no credit codes"),
        (RESOURCES_FILE, "legal-entity.registration", "legal-entity.unheard-of", "there is no schema"),
        (RESOURCES_FILE, "legal-entity.registration", "Legal.Entity", "a record type is"),
        (RESOURCES_FILE, 'entity_type = "uncond', 'entity_sort = "uncond', "has no field entity_sort"),
        (
            RESOURCES_FILE,
            'resident_id = "conditional"',
            'resident_id = "unconditional"',
            "but the schema says conditional",
        ),
    ],
)
def test_catalogue_with_a_fault_is_found_out(
    folder: Path, edit: Edit, file: str, old: str, new: str, finding: str
) -> None:
    edit(file, old, new)
    assert any(finding in found for found in findings(folder)), findings(folder)


def test_resource_of_a_department_that_has_ended_has_to_move(folder: Path, edit: Edit) -> None:
    edit(RESOURCES_FILE, 'provider = "health"', 'provider = "health-and-family-planning"')
    text = (folder / RESOURCES_FILE).read_text(encoding="utf-8").replace("2018-12-01", "2018-01-01")
    (folder / RESOURCES_FILE).write_text(text, encoding="utf-8")
    assert any("a successor has to offer it" in found for found in findings(folder))


def test_a_record_type_of_one_provider_cannot_have_two(folder: Path) -> None:
    path = folder / RESOURCES_FILE
    resident = path.read_text(encoding="utf-8").split("[[resource]]")[2]
    second = resident.replace("101001/0001", "101001/0002").replace("public-security", "civil-affairs")
    path.write_text(path.read_text(encoding="utf-8") + "\n[[resource]]" + second, encoding="utf-8")
    assert any("only one may" in found for found in findings(folder))


def test_stricter_than_the_schema_is_allowed(folder: Path, edit: Edit) -> None:
    edit(RESOURCES_FILE, 'business_scope = "unconditional"', 'business_scope = "conditional"')
    assert findings(folder) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "detail"),
    [
        (DEPARTMENTS_FILE, 'level = "province"', 'level = "galaxy"', "market-regulation: level"),
        (DEPARTMENTS_FILE, "synthetic = true", "sinthetic = true", "market-regulation: sinthetic"),
        (
            DEPARTMENTS_FILE,
            "[market-regulation]",
            "health-office = 3\n[market-regulation]",
            "health-office is no table",
        ),
        (DEPARTMENTS_FILE, "[health]", "[health", "departments.toml"),
        (RESOURCES_FILE, 'update_cycle = "daily"', 'update_cycle = "hourly"', "resource 1"),
        (RESOURCES_FILE, "update_cycle_seconds = 3600", "", "resource 3: update_cycle_seconds"),
        (RESOURCES_FILE, "[resource.not_shared_basis]", "[resource.nothing]", "resource 3"),
        (RESOURCES_FILE, 'cause_class = "基本', 'cause = "基本', "not shared without a legal basis"),
        (RESOURCES_FILE, "conditions =", "abstracts =", "resource 1"),
        (LAWS_FILE, '"Civil Code"', "1949", "laws.toml"),
        (LAWS_FILE, '"Civil Code"', "Civil Code", "laws.toml"),
        (RESOURCES_FILE, "old_number = {", "name = {", "only a conditional field: name"),
        (RESOURCES_FILE, "old_number = {", "surname = {", "only a conditional field: surname"),
        (RESOURCES_FILE, '"101001/0001"', '"102001/0001"', "is there twice"),
    ],
)
def test_catalogue_of_wrong_form_is_refused_with_file_and_entry(
    folder: Path, edit: Edit, file: str, old: str, new: str, detail: str
) -> None:
    edit(file, old, new)
    with pytest.raises(ExchangeError) as error:
        load(folder)
    assert error.value.code == "E_CATALOGUE"
    assert detail in error.value.detail


def test_conditional_resource_needs_its_conditions(folder: Path) -> None:
    path = folder / RESOURCES_FILE
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(line for line in lines if not line.startswith("conditions")), encoding="utf-8")
    with pytest.raises(ExchangeError, match="needs its conditions"):
        load(folder)


def test_conditions_are_said_in_both_languages(folder: Path, edit: Edit) -> None:
    edit(RESOURCES_FILE, 'conditions_zh = "停发或者核查死者的待遇、登记或者资格"', "")
    with pytest.raises(ExchangeError, match="in both languages"):
        load(folder)


def test_condition_of_a_field_stands_before_that_of_its_resource() -> None:
    catalogue = load(SCHEMAS / "catalogue")
    companies, deaths = catalogue.resource("102001/0001"), catalogue.resource("101002/0001")
    own, general = companies.condition("old_number"), deaths.condition("death_date")
    assert own is not None and own.en != companies.conditions and own.zh != companies.conditions_zh
    assert general is not None and (general.en, general.zh) == (deaths.conditions, deaths.conditions_zh)
    assert companies.condition("name") is None
    assert deaths.condition("cause_class") is None


def test_catalogue_needs_no_english_titles_of_laws(folder: Path) -> None:
    (folder / LAWS_FILE).unlink()
    assert load(folder).laws == {}
    assert findings(folder) == []


def test_missing_catalogue_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExchangeError) as error:
        load(tmp_path / "nowhere")
    assert error.value.code == "E_CATALOGUE"


def test_every_code_set_that_a_schema_names_exists() -> None:
    schemas = read_record_schemas(SCHEMAS)
    assert check_code_sets(schemas, load_code_sets(SCHEMAS / "code-sets")) == []
    assert "population.death.source: there is no code set death-source" in check_code_sets(schemas, {})


@pytest.mark.parametrize("content", ["{", '{"type": "string"}', "[]", '{"type": "record", "name": "A", "fields": []}'])
def test_schema_that_is_no_record_type_is_refused_with_its_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "population").mkdir()
    (tmp_path / "population" / "broken.avsc").write_text(content, encoding="utf-8")
    with pytest.raises(ExchangeError, match=r"population/broken\.avsc") as error:
        read_record_schemas(tmp_path)
    assert error.value.code == "E_SCHEMA"
