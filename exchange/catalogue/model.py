"""What the catalogue's files say: departments with validity and successors, resources with their sharing attributes."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from exchange.errors import ExchangeError
from exchange.moments import DAY, day
from exchange.names import Department, RecordType


class Sharing(StrEnum):
    """The three sharing attributes (Order 809, art. 14), from open to closed."""

    UNCONDITIONAL = "unconditional"
    CONDITIONAL = "conditional"
    NOT_SHARED = "not-shared"

    @property
    def rank(self) -> int:
        """0 for the most open."""
        return list(Sharing).index(self)


class UpdateCycle(StrEnum):
    """How often a resource is brought up to date (catalogue guide of 2017)."""

    REAL_TIME = "real-time"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"
    OTHER = "other"


_DAY = 86_400
_CYCLE_SECONDS = {
    UpdateCycle.DAILY: _DAY,
    UpdateCycle.WEEKLY: 7 * _DAY,
    UpdateCycle.MONTHLY: 31 * _DAY,
    UpdateCycle.QUARTERLY: 92 * _DAY,
    UpdateCycle.YEARLY: 366 * _DAY,
}


class Level(StrEnum):
    """The level of government a department belongs to."""

    PROVINCE = "province"
    CITY = "city"
    COUNTY = "county"


def _day(value: object) -> date:
    """A date of TOML, or its text; nothing that only looks like one. Raises ValueError."""
    if isinstance(value, datetime):
        raise ValueError(DAY)
    return day(value.isoformat() if isinstance(value, date) else value)


Day = Annotated[date, BeforeValidator(_day)]
"""A day of the catalogue."""


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DepartmentSpec(_Spec):
    """A department between two dates. Its slug is its Kafka principal."""

    slug: Department
    name: Annotated[str, Field(min_length=1)]
    short_name: str = ""
    """What everybody calls it, in Chinese; empty when that is its name."""
    name_en: Annotated[str, Field(min_length=1)]
    credit_code: str
    synthetic: bool = False
    """Whether the credit code was made up for this catalogue; a real installation puts the real one."""
    level: Level
    region: str
    owns: tuple[str, ...] = ()
    """First characters of the credit codes that it gives."""
    valid_from: Day
    valid_until: Day | None = None
    """The first day on which it no longer exists."""
    successors: tuple[Department, ...] = ()

    def exists(self, on: date) -> bool:
        """Whether the department exists on that day."""
        return self.valid_from <= on and (self.valid_until is None or on < self.valid_until)

    def overlaps(self, other: "DepartmentSpec") -> bool:
        """Whether there is a day on which both exist."""
        return self.valid_from < (other.valid_until or date.max) and other.valid_from < (self.valid_until or date.max)


class Condition(_Spec):
    """Under which condition data are shared, in both languages: scope and purpose (Order 809, art. 15)."""

    en: Annotated[str, Field(min_length=1)]
    zh: Annotated[str, Field(min_length=1)]


class ResourceSpec(_Spec):
    """What one provider offers of one record type."""

    code: str
    """`<class code>/<serial>` of the catalogue guide: class 1 digit, item 2, subject 3, detail any; then a serial."""
    record_type: RecordType
    provider: Department
    name: Annotated[str, Field(min_length=1)]
    name_en: Annotated[str, Field(min_length=1)]
    abstract: str = ""
    abstract_zh: str = ""
    sharing: Sharing
    conditions: str = ""
    """Scope and purpose for which conditional data are shared (Order 809, art. 15)."""
    conditions_zh: str = ""
    fields: Mapping[str, Sharing]
    """Every offered field and its own sharing attribute."""
    field_conditions: Mapping[str, Condition] = {}
    """The condition of a conditional field, where it is another one than that of the resource."""
    not_shared_basis: Mapping[str, str] = {}
    """The law that forbids sharing, for each field that is not shared, `*` for the resource as a whole."""
    review: bool = False
    """Whether the competent department looks at each demand before the provider does, within 2 working days."""
    consent: Literal["automatic", "person"] = "automatic"
    """Who grants what is shared without conditions: the exchange at once, or a person of the provider."""
    update_cycle: UpdateCycle
    update_cycle_seconds: Annotated[int, Field(gt=0, strict=True)]
    """Follows from the cycle; to be said for `real-time` and `other`."""
    legal_basis: Annotated[str, Field(min_length=1)]
    """The law by which the provider collects the data."""
    published: Day

    @model_validator(mode="before")
    @classmethod
    def _seconds_of_the_cycle(cls, data: dict[str, object]) -> dict[str, object]:
        seconds = _CYCLE_SECONDS.get(UpdateCycle(str(data["update_cycle"]))) if "update_cycle" in data else None
        return data if seconds is None else {"update_cycle_seconds": seconds, **data}

    @model_validator(mode="after")
    def _reasons_are_given(self) -> Self:
        conditional = Sharing.CONDITIONAL in (self.sharing, *self.fields.values())
        if conditional and not (self.conditions and self.conditions_zh):
            raise ValueError("conditional sharing needs its conditions in both languages (Order 809, art. 15)")
        closed = [name for name, sharing in self.fields.items() if sharing is Sharing.NOT_SHARED]
        unfounded = [name for name in closed if not self.not_shared_basis.get(name)]
        if self.sharing is Sharing.NOT_SHARED and not self.not_shared_basis.get("*"):
            unfounded.append("*")
        if unfounded:
            raise ValueError(f"not shared without a legal basis (Order 809, art. 15): {', '.join(unfounded)}")
        idle = [name for name in self.field_conditions if self.fields.get(name) is not Sharing.CONDITIONAL]
        if idle:
            raise ValueError(f"a condition of its own has only a conditional field: {', '.join(idle)}")
        return self

    def condition(self, field: str) -> Condition | None:
        """Under which condition a demand for `field` is granted; None when there is none or the field is not shared."""
        if self.fields.get(field) is not Sharing.CONDITIONAL:
            return None
        return self.field_conditions.get(field) or Condition(en=self.conditions, zh=self.conditions_zh)

    @property
    def shareable(self) -> tuple[str, ...]:
        """The fields that a demand may be granted, in the catalogue's order."""
        return tuple(name for name, sharing in self.fields.items() if sharing is not Sharing.NOT_SHARED)


class Catalogue(_Spec):
    """All departments and resources. Look-ups raise ExchangeError for what is not in it."""

    departments: Mapping[Department, DepartmentSpec]
    resources: Mapping[str, ResourceSpec]
    laws: Mapping[str, str] = {}
    """What laws and rules are called in English, by their Chinese title."""

    def department(self, slug: str) -> DepartmentSpec:
        """The department called `slug`. Raises ExchangeError(E_UNKNOWN_DEPARTMENT)."""
        found = self.departments.get(Department(slug))
        if found is None:
            raise ExchangeError("E_UNKNOWN_DEPARTMENT")
        return found

    def resource(self, code: str) -> ResourceSpec:
        """The resource with this code. Raises ExchangeError(E_UNKNOWN_RESOURCE)."""
        found = self.resources.get(code)
        if found is None:
            raise ExchangeError("E_UNKNOWN_RESOURCE")
        return found

    def resources_of(self, record_type: str) -> list[ResourceSpec]:
        """All resources of a record type, in the catalogue's order."""
        return [resource for resource in self.resources.values() if resource.record_type == record_type]

    def owner(self, first_character: str, on: date) -> DepartmentSpec | None:
        """Who gave credit codes with this first character on that day."""
        owners = (one for one in self.departments.values() if first_character in one.owns and one.exists(on))
        return next(owners, None)
