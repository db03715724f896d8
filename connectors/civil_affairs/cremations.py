"""Cremations, from the funeral homes' database (`source.sql`): each proves a death."""

from exchange.connect import Record, Row, source, table

_CIVIL_AFFAIRS = "11340000EXCH00069K"
_FUNERAL_SERVICE = "3"  # code set death-source
_CERTIFIED, _VERIFIED = "1", "2"  # code set death-confidence


@source("population.death", table("cremations", key="cremation_number", cursor="updated_at"))
def cremations(row: Row) -> Record:
    return {
        "provider_code": _CIVIL_AFFAIRS,
        "resident_id": row["deceased_id"],
        "name": row["deceased_name"],
        "sex": row["deceased_sex"],
        "death_date": row["died_on"],
        "source": _FUNERAL_SERVICE,
        "certificate_number": row["certificate_number"],
        "registered_at": row["cremated_on"],
        "reversed": row["mistaken_since"] is not None,
        "reversed_at": row["mistaken_since"],
        "confidence": _CERTIFIED if row["certificate_number"] else _VERIFIED,
    }
