"""What commands of the API take. Unknown members are refused: a misspelt one must not be silently ignored."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from exchange.broker.demands.clocks import LONGEST_EXTENSION_DAYS
from exchange.broker.departments.tokens import MOST_LABEL_CHARACTERS, MOST_TOKEN_DAYS
from exchange.broker.grants.amend import LONGEST_OVERLAP_SECONDS, OVERLAP_SECONDS
from exchange.identifiers.resident_id import holds_one
from exchange.ledger.state.ledger_state import Condition
from exchange.web.moments import Moment

_Name = Annotated[str, Field(min_length=1, max_length=128)]


def _of_nobody(text: str) -> str:
    if holds_one(text):
        raise ValueError("the text holds a resident id, and the ledger keeps it for ever")
    return text


_Text = Annotated[str, Field(max_length=2000), AfterValidator(_of_nobody)]
"""Words that come to stand in the ledger, which forgets nothing: they name no person by number."""
_Seconds = Annotated[int, Field(ge=1, le=10 * 366 * 86_400)]


class Body(BaseModel):
    """The form that all bodies share. A truth value is no number, and a text is neither."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


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
    use_from: Moment | None = None
    use_until: Moment | None = None
    freshness_seconds: _Seconds | None = None
    request: Annotated[_Name, AfterValidator(_of_nobody)] | None = None
    replaces: _Name | None = None


class ConsentBody(Body):
    """A consent to all asked fields (`fields` left out) or to some, perhaps masked more, perhaps for fewer rows."""

    fields: Annotated[list[_Name], Field(max_length=200)] | None = None
    masks: dict[_Name, _Name] = {}
    scope: Annotated[list[ConditionBody], Field(max_length=20)] = []
    freshness_seconds: _Seconds | None = None
    conditions: _Text = ""
    until: Moment | None = None


class AmendmentBody(Body):
    """What a grant is to give from now on. What is left out stays as it is.

    A mask of `null` shows the field as it was asked for; an empty `scope` gives all rows that were asked for.
    """

    reason: _Text
    fields: Annotated[list[_Name], Field(max_length=200)] | None = None
    masks: dict[_Name, _Name | None] | None = None
    scope: Annotated[list[ConditionBody], Field(max_length=20)] | None = None
    freshness_seconds: _Seconds | None = None
    overlap_seconds: Annotated[
        int | None,
        Field(ge=0, le=LONGEST_OVERLAP_SECONDS, description=f"left out: as agreed last, or {OVERLAP_SECONDS}"),
    ] = None


class SupplementBody(Body):
    """What was missing or asked for. What is asked for can only be named while the demand is incomplete."""

    legal_basis: _Text = ""
    scenario: _Text = ""
    use_scope: _Text = ""
    mode: _Text = ""
    answer: _Text = ""
    fields: Annotated[list[_Name], Field(max_length=200)] | None = None
    masks: dict[_Name, _Name] = {}
    scope: Annotated[list[ConditionBody], Field(max_length=20)] = []


class MissingBody(Body):
    """Everything that is missing, at once."""

    missing: Annotated[list[_Text], Field(min_length=1, max_length=50)]


class ReviewBody(Body):
    """What the competent department found: it passes, or everything that is missing, at once."""

    passed: bool = True
    missing: Annotated[list[_Text], Field(max_length=50)] = []
    note: _Text = ""


class ExtensionBody(Body):
    """By how many working days the reply is to be extended, and why; who gives it may leave out what was asked."""

    days: Annotated[int, Field(ge=1, le=LONGEST_EXTENSION_DAYS)] | None = None
    reason: _Text = ""


class RenewalBody(Body):
    """Until when the demand goes on after its use period; open when left out."""

    use_until: Moment | None = None
    legal_basis: _Text = ""


class GroundsBody(Body):
    """Why something is disputed."""

    grounds: _Text


class SettlementBody(Body):
    """How a dispute ended."""

    outcome: Literal["upheld", "agreed", "reply-again"]
    reason: _Text


class RefusalBody(Body):
    """A refusal: with a reason. The legal basis of what is not shared is the catalogue's when left out."""

    reason: _Text
    legal_basis: _Text = ""


class UseBody(Body):
    """A record of how granted data were used."""

    scenario: _Text
    process: _Text
    effect: _Text = ""
    storage: _Text = ""


class DisposalBody(Body):
    """How data were disposed of."""

    how: _Text


class ReasonBody(Body):
    """Why something is done."""

    reason: _Text = ""


class DepartmentBody(Body):
    """Which department of the catalogue becomes a principal."""

    department: _Name


class TokenBody(Body):
    """For whom a token is issued, what it is called, and for how many days (left out: as the settings say)."""

    role: _Name
    department: _Name | None = None
    label: Annotated[str, Field(max_length=MOST_LABEL_CHARACTERS)] = ""
    days: Annotated[int, Field(ge=1, le=MOST_TOKEN_DAYS)] | None = None


class SchemaBody(BaseModel):
    """A schema as registry clients send it; what else they send is not needed."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    schema_: Annotated[str, Field(alias="schema", max_length=200_000)]
    schema_type: Annotated[str | None, Field(alias="schemaType", max_length=40)] = None
    references: Annotated[list[Any] | None, Field(max_length=100)] = None


def conditions(scope: list[ConditionBody]) -> tuple[Condition, ...]:
    """A scope as the commands take it."""
    return tuple(Condition(part.field, part.operator, tuple(part.values)) for part in scope)
