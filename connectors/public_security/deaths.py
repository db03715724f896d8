"""Household registrations that were cancelled because of a death, from the police's database (`source.sql`)."""

from exchange.connect import Record, Row, source, table

_PUBLIC_SECURITY = "11340000EXCH000266"
_POLICE = "2"  # code set death-source
_VERIFIED = "2"  # code set death-confidence


@source("population.death", table("death_cancellations", key="resident_id", cursor="updated_at"))
def deaths(row: Row) -> Record:
    return {
        "provider_code": _PUBLIC_SECURITY,
        "resident_id": row["resident_id"],
        "name": row["name"],
        "sex": row["sex"],
        "death_date": row["died_on"],
        "source": _POLICE,
        "registered_at": row["cancelled_on"],
        "reversed": row["restored_on"] is not None,
        "reversed_at": row["restored_on"],
        "confidence": _VERIFIED,
    }
