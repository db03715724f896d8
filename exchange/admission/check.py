"""Step 3: the inside of a record: canonical Avro, the key it says of itself, and the validity of what it says.

From the rules of a schema one function is generated, as `dataclasses` does: a line a rule, no walk over rules a record.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from exchange import record
from exchange.avro.compiled.checker import compile_check
from exchange.avro.record_schema import FieldRule, RecordSchema, quoted
from exchange.errors import ExchangeError
from exchange.identifiers import IDENTIFIERS

Check = Callable[[bytes, bytes, int], None]
"""check(key, framed value, today in days since 1970). Raises ExchangeError for what must not pass."""

EARLIEST_DAY = -47_482
"""1840-01-01: nobody and nothing in the registries is older."""
_REPEATED = frozenset({"credit-code", "region", "organisation-code"})
"""Identifiers that recur in a field that is not the key: what was found valid is remembered. Never those of persons."""
_REMEMBERED = 4_096

_SEEN = bytes(0x21 <= byte <= 0x7E or 0xE4 <= byte <= 0xE9 for byte in range(256))
"""By the first byte of a text: 1 when that alone shows that there is something to see: printable ASCII, U+4000 to
U+9FFF. Of all others `_is_blank` says."""
_UNSEEN_CATEGORIES = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf", "Mn", "Me"})
"""Unicode: separators, controls, format characters, and marks that stand on another character. Private use (Co) and
characters that Unicode did not know yet (Cn) are rare names, and somebody sees them."""
_FILLERS = frozenset("\u115f\u1160\u2800\u3164\uffa0\ufffe\uffff")
"""Letters and symbols without ink: the fillers of Hangul, the empty Braille pattern; and two that are no characters."""


class _Remembered(dict[bytes, str | None]):
    """Verdicts on identifiers that recur, bounded."""

    def __init__(self, verdict: Callable[[str], str | None]) -> None:
        super().__init__()
        self._verdict = verdict

    def __missing__(self, text: bytes) -> str | None:
        code = self._verdict(text.decode())
        if code is None:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[text] = None
        return code


def compile_checks(
    schema: RecordSchema, code_sets: Mapping[str, frozenset[str]], newest: RecordSchema | None = None
) -> Check:
    """The check of one version of a schema. Raises ExchangeError(E_SCHEMA) for a code set that does not exist.

    newest: the version whose rules hold for the fields of `schema` instead of its own.
    """
    if newest is not None:
        schema = _ruled_by(schema, newest)
    probed = [rule for rule in schema.fields if rule.name in schema.natural_key or _is_checked(rule)]
    names = {rule.name: f"v{number}" for number, rule in enumerate(probed)}
    scope: dict[str, Any] = {
        "refuse": _refuse,
        "avro": compile_check(schema.schema, [rule.name for rule in probed], raw=True, nul=False),
        "quoted": quoted,
        "text": _judge_text,
        "seen": _SEEN,
    }
    lines = ["def check(key, value, today):"]
    lines.append(f" {''.join(name + ', ' for name in names.values())}= avro(value, {record.FRAME_BYTES})")
    lines += _key_lines(schema, names)
    for rule in probed:
        if rule.name in schema.uuids:
            continue  # there is no rule beyond that of Avro
        recurs = rule.identifier in _REPEATED and not rule.personal and schema.natural_key != (rule.name,)
        lines += _rule_lines(rule, names[rule.name], recurs, code_sets, scope)
    exec("\n".join(lines), scope)  # noqa: S102 - generated from our own reviewed schemas
    check: Check = scope["check"]
    return check


def _refuse(code: str, field: str, wanted: str = "") -> None:
    """`wanted` names what the schema asks for: a code set. Never the value."""
    raise ExchangeError(code, f"field {field}: {wanted}" if wanted else f"field {field}")


def _ruled_by(schema: RecordSchema, newest: RecordSchema) -> RecordSchema:
    """`schema` with the rules that `newest` has for its fields. Avro types and the key stay: they never change."""
    rules = {rule.name: rule for rule in newest.fields}
    return replace(schema, fields=tuple(replace(rules.get(own.name, own), type=own.type) for own in schema.fields))


def _judge_text(value: bytes, field: str) -> None:
    """What a text that must say something may not be. Raises ExchangeError."""
    if not value:
        _refuse("E_FIELD_REQUIRED", field)
    if 0 in value:
        _refuse("E_TEXT_NUL", field)
    if _is_blank(value.decode()):
        _refuse("E_TEXT_BLANK", field)


def _is_blank(text: str) -> bool:
    return all(one in _FILLERS or unicodedata.category(one) in _UNSEEN_CATEGORIES for one in text)


def _key_lines(schema: RecordSchema, names: Mapping[str, str]) -> list[str]:
    parts = [
        # no character of an identifier or a uuid needs percent-encoding
        names[field]
        if schema.field(field).identifier in IDENTIFIERS
        else f"{names[field]}[1:]"  # behind its length
        if field in schema.uuids
        else f"quoted({names[field]})"
        for field in schema.natural_key
    ]
    own = parts[0] if len(parts) == 1 else f"b'/'.join(({', '.join(parts)}))"
    return [f" if key != {own}: refuse('E_KEY_MISMATCH', {'/'.join(schema.natural_key)!r})"]


def _is_checked(rule: FieldRule) -> bool:
    has_rule = rule.identifier or rule.code_set or rule.form or _is_date(rule.type)
    return bool(has_rule) or (rule.required and _is_text(rule.type))


def _rule_lines(
    rule: FieldRule, value: str, recurs: bool, code_sets: Mapping[str, frozenset[str]], scope: dict[str, Any]
) -> list[str]:
    """Lines that check one field. An identifier or a code is never empty, so one test does for both."""
    there = f"{value} is not None and " if _is_nullable(rule.type) else ""
    lines = []
    if rule.required and _is_nullable(rule.type):
        lines = [f" if {value} is None: refuse('E_FIELD_REQUIRED', {rule.name!r})"]
    if rule.identifier:
        scope[f"verdict_{value}"] = verdict = IDENTIFIERS[rule.identifier].error_code
        found = f"verdict_{value}({value}.decode())"
        if recurs:
            scope[f"known_{value}"] = _Remembered(verdict)
            found = f"known_{value}[{value}]"
        return [*lines, f" if {there}(code := {found}): refuse(code, {rule.name!r})"]
    if rule.code_set:
        if rule.code_set not in code_sets:
            raise ExchangeError("E_SCHEMA", f"field {rule.name}: there is no code set {rule.code_set}")
        scope[f"codes_{value}"] = frozenset(code.encode() for code in code_sets[rule.code_set])
        said = f"{rule.name!r}, {f'not in {rule.code_set}'!r}"
        return [*lines, f" if {there}{value} not in codes_{value}: refuse('E_CODE_UNKNOWN', {said})"]
    if rule.form:
        scope[f"form_{value}"] = re.compile(rule.form).fullmatch
        lines.append(f" if {there}not form_{value}({value}.decode()): refuse('E_FIELD_FORM', {rule.name!r})")
        if not rule.required:
            return [*lines, f" if {there}0 in {value}: refuse('E_TEXT_NUL', {rule.name!r})"]
    elif _is_date(rule.type):
        latest = "" if rule.future else " <= today"
        plausible = f"{EARLIEST_DAY} <= {value}{latest}"
        return [*lines, f" if {there}not {plausible}: refuse('E_DATE_IMPLAUSIBLE', {rule.name!r})"]
    return [*lines, f" if not {value} or 0 in {value} or not seen[{value}[0]]: text({value}, {rule.name!r})"]


def _branches(type_: Any) -> list[Any]:
    return type_ if isinstance(type_, list) else [type_]


def _is_nullable(type_: Any) -> bool:
    return "null" in _branches(type_)


def _is_date(type_: Any) -> bool:
    return any(isinstance(branch, dict) and branch.get("logicalType") == "date" for branch in _branches(type_))


def _is_text(type_: Any) -> bool:
    return all(branch in ("null", "string") or branch == {"type": "string"} for branch in _branches(type_))
