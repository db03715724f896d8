"""What commands of the API take. Unknown members are refused: a misspelt one must not be silently ignored."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from exchange.broker.commands_amend import LONGEST_OVERLAP_SECONDS, OVERLAP_SECONDS
from exchange.broker.tokens import MOST_TOKEN_DAYS
from exchange.ledger.state import Condition

_Name = Annotated[str, Field(min_length=1, max_length=128)]
_Text = Annotated[str, Field(max_length=2000)]
_Seconds = Annotated[int, Field(ge=1, le=10 * 366 * 86_400)]


class Body(BaseModel):
    """The form that all bodies share."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class ConditionBody(Body):
    """One part of a row scope."""

    field: _Name
    operator: Literal["equals", "in", "prefix"]
    values: Annotated[list[Annotated[str, Field(max_length=200)]], Field(min_length=1, max_length=1000)]


class DemandBody(Body):
    """A demand for fields of a resource, or of every resource of a record type."""

    resource: _Name | None = None
    record_type: _Name | None = None
    provider: _Name | None = None
    fields: Annotated[list[_Name], Field(max_length=200)] = []
    masks: dict[_Name, _Name] = {}
    scope: Annotated[list[ConditionBody], Field(max_length=20)] = []
    legal_basis: _Text = ""
    scenario: _Text = ""
    use_scope: _Text = ""
    mode: _Text = ""
    use_from: AwareDatetime | None = None
    use_until: AwareDatetime | None = None
    freshness_seconds: _Seconds | None = None
    request: _Name | None = None


class ConsentBody(Body):
    """A consent to all asked fields (`fields` left out) or to some, perhaps masked more, perhaps for fewer rows."""

    fields: Annotated[list[_Name], Field(max_length=200)] | None = None
    masks: dict[_Name, _Name] = {}
    scope: Annotated[list[ConditionBody], Field(max_length=20)] = []
    freshness_seconds: _Seconds | None = None


class AmendmentBody(ConsentBody):
    """What a grant is to give from now on, as in a consent; its present freshness when that is left out."""

    overlap_seconds: Annotated[int, Field(ge=0, le=LONGEST_OVERLAP_SECONDS)] = OVERLAP_SECONDS


class RefusalBody(Body):
    """A refusal: with a reason, and for a resource that is not shared its legal basis."""

    reason: _Text
    legal_basis: _Text = ""


class ReasonBody(Body):
    """Why something is done."""

    reason: _Text = ""


class DepartmentBody(Body):
    """Which department of the catalogue becomes a principal."""

    department: _Name


class TokenBody(Body):
    """For whom a token is issued, and for how many days (left out: as the settings say)."""

    role: _Name
    department: _Name | None = None
    days: Annotated[int, Field(ge=1, le=MOST_TOKEN_DAYS)] | None = None


class SchemaBody(BaseModel):
    """A schema as registry clients send it; what else they send is not needed."""

    schema_: Annotated[str, Field(alias="schema", max_length=200_000)]


def conditions(scope: list[ConditionBody]) -> tuple[Condition, ...]:
    """A scope as the commands take it."""
    return tuple(Condition(part.field, part.operator, tuple(part.values)) for part in scope)
