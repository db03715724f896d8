"""Generated people and companies: valid, plausible, always the same, and nobody's."""

from datetime import date
from itertools import islice

import stdnum.numdb

from exchange.demo.province.people import NEVER_ASSIGNED_CITY, TODAY, Population
from exchange.identifiers import credit_code, resident_id

HEALTH = "11340000EXCH000341"


def test_the_city_of_generated_identifiers_was_never_assigned() -> None:
    """In a table that keeps the codes of all editions since 1980, abolished ones too."""
    table = stdnum.numdb.get("cn/loc")
    assert table.info("340103")[1][1], "the table knows counties of Anhui"
    for county in range(100):
        parts = table.info(f"{NEVER_ASSIGNED_CITY}{county:02d}")
        assert not any("county" in found for _, found in parts)


def test_generated_residents_are_valid_and_distinct() -> None:
    residents = Population(seed=7).residents(3000)
    assert len({one.resident_id for one in residents}) == 3000
    for one in residents:
        assert one.resident_id.startswith(NEVER_ASSIGNED_CITY)
        assert resident_id.error_code(one.resident_id, on=TODAY) is None
        assert resident_id.birth_date(one.resident_id) == one.birth_date
        assert int(one.resident_id[16]) % 2 == int(one.sex == "1")
        assert len(one.name) >= 2


def test_families_have_one_head_and_couples_name_each_other() -> None:
    for family in islice(Population(seed=2).families(), 300):
        assert [one.relation_to_head for one in family].count("02") == 1
        assert len({one.household_id for one in family}) == 1
        by_id = {one.resident_id: one for one in family}
        for one in family:
            if one.spouse_id:
                assert by_id[one.spouse_id].spouse_id == one.resident_id
                assert by_id[one.spouse_id].sex != one.sex


def test_same_seed_gives_the_same_people_and_fewer_are_the_first_of_more() -> None:
    assert Population(3).residents(200) == Population(3).residents(400)[:200]
    assert Population(3).companies(20, HEALTH) == Population(3).companies(50, HEALTH)[:20]
    assert Population(3).residents(5) != Population(4).residents(5)


def test_deaths_follow_birth_and_reach_the_household_register() -> None:
    population = Population(5)
    residents = {one.resident_id: one for one in population.residents(3000)}
    deaths = list(population.deaths(residents.values(), HEALTH))
    assert 10 < len(deaths) < 300
    for death in deaths:
        person = residents[death.resident_id]
        assert person.birth_date <= death.death_date <= death.registered_at <= TODAY
        assert person.after(death).death_date == death.death_date
    assert deaths[0].recalled(date(2026, 7, 1)).reversed


def test_generated_companies_are_valid_and_distinct() -> None:
    companies = Population(1).companies(2000, HEALTH)
    assert len({one.credit_code for one in companies}) == 2000
    for one in companies:
        assert one.credit_code[2:6] == NEVER_ASSIGNED_CITY
        assert credit_code.error_code(one.credit_code) is None
        assert credit_code.warnings(one.credit_code) == []
        assert one.established <= (one.approved or TODAY) <= TODAY
