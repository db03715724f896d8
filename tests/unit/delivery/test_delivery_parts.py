"""The pure parts of the delivery line: scopes, masks, pseudonyms, state records."""

from pathlib import Path

import pytest

from exchange.avro.compiled.slices import Slices
from exchange.delivery.cutting import masks
from exchange.delivery.cutting.masks import encoded, masker
from exchange.delivery.cutting.pseudonym import MasterSecret, keyed_digest, pseudonym, pseudonymous_id
from exchange.delivery.cutting.scopes import emit_scope
from exchange.delivery.permit import Share
from exchange.delivery.redact import emit_cut
from exchange.delivery.state import (
    UNIT_KEY,
    Counts,
    Joined,
    Totals,
    UnitState,
    decode_holders,
    encode_counts,
    encode_holders,
    encode_place,
    encode_totals,
)
from exchange.errors import ExchangeError
from exchange.ledger.state.ledger_state import Condition, Terms
from exchange.names import Department, RecordType, SchemaId, ShareName

DAYS = {"name": "days", "type": {"type": "int", "logicalType": "date"}}
SLICES = Slices.of({"type": "record", "name": "Entity", "fields": [{"name": "region", "type": "string"}, DAYS]})


@pytest.mark.parametrize(
    ("mask", "text", "shown"),
    [
        (masks.first, "张三丰", "张**"),
        (masks.first, "", "**"),
        (masks.ends, "340100199001011234", "3**4"),
        (masks.ends, "张三丰", "张**"),
    ],
)
def test_mask_shows_no_more_than_it_says(mask, text, shown):
    assert mask(text) == shown


@pytest.mark.parametrize(("days", "shown"), [(0, "1970"), (-1, "1969"), (-719162, "0001"), (2932896, "9999")])
def test_year_of_a_date(days, shown):
    assert masks.year(days) == shown


def test_unknown_mask_is_refused():
    with pytest.raises(ExchangeError, match="E_SHARE_TERMS"):
        masker("none", None)


def test_pseudonym_without_secret_is_refused():
    with pytest.raises(ExchangeError, match="E_SHARE_TERMS"):
        masker("pseudonym", None)


def test_long_text_is_encoded_with_a_long_length():
    assert encoded(b"x" * 100) == b"\xc8\x01" + b"x" * 100


@pytest.mark.parametrize(
    "condition",
    [
        Condition("region", "like", ("34",)),
        Condition("region", "equals", ()),
        Condition("region", "prefix", ("34", "35")),
        Condition("days", "equals", ("1",)),
    ],
)
def test_condition_that_cannot_be_tested_is_refused(condition):
    with pytest.raises(ExchangeError, match="E_SHARE_TERMS"):
        emit_scope((condition,), SLICES)


@pytest.mark.parametrize(
    "shown",
    [
        {"name": "days", "type": "string"},
        {"name": "region", "type": "long"},
        {"name": "region", "type": ["null", "string"]},
        {"name": "added", "type": "string"},
        {"name": "region", "type": "NoSuchType"},
    ],
)
def test_share_schema_that_is_no_cut_of_the_registry_is_refused(shown):
    terms = Terms(RecordType("legal-entity.registration"), Department("health"), (shown["name"],))
    schema = {"type": "record", "name": "Share", "fields": [shown]}
    share = Share(ShareName("s"), 1, terms, SchemaId(100_001), schema, personal=False)
    with pytest.raises(ExchangeError, match="E_SHARE_TERMS"):
        emit_cut(share, SLICES)


def test_pseudonyms_of_two_shares_or_versions_never_match():
    master = MasterSecret({1: b"a" * 32, 2: b"b" * 32})
    secrets = [
        master.of_share(ShareName("x"), 1),
        master.of_share(ShareName("y"), 1),
        master.of_share(ShareName("x"), 2),
    ]
    assert len({pseudonym(secret, b"key") for secret in secrets}) == 3
    assert len({keyed_digest(secret, b"cut") for secret in secrets}) == 3


def test_pseudonymous_id_is_no_pseudonym_of_a_value():
    secret = b"s" * 32
    assert pseudonymous_id(secret, b"same") != pseudonym(secret, b"same")


def test_pseudonyms_stay_when_the_process_starts_again(tmp_path: Path):
    file = tmp_path / "master"
    file.write_bytes(b"0123456789abcdef" * 2)
    (tmp_path / "master.2").write_bytes(b"fedcba9876543210" * 2)
    found = MasterSecret.read(file)
    assert set(found.versions) == {1, 2}
    assert pseudonym(found.of_share(ShareName("s"), 1), b"key") == b"c07be7b29f3f3c75e8c24d2bd084f978"
    assert "0123" not in repr(found)


def test_short_master_secret_is_refused(tmp_path: Path):
    file = tmp_path / "master"
    file.write_bytes(b"short\n")
    with pytest.raises(ExchangeError, match="E_MASTER_SECRET"):
        MasterSecret.read(file)


def test_missing_master_secret_is_refused():
    with pytest.raises(ExchangeError, match="E_MASTER_SECRET"):
        MasterSecret.read(None).of_share(ShareName("s"), 1)


def test_state_is_what_its_records_say():
    share, other = ShareName("a"), ShareName("b")
    totals, joined = Totals(7, 9, 2), Joined(3, 2, 1)
    state = UnitState()
    for key, value in [
        encode_totals(totals),
        encode_place(share, joined),
        encode_place(other, Joined(0, 0, 2)),
        encode_counts(share, Counts(5, 4, 1)),
        encode_holders(b"k1", [(1, None), (2, b"12345678")]),
        encode_holders(b"k2", [(2, b"87654321")]),
        encode_holders(b"k1", [(1, None)]),
    ]:
        state.apply(key, value)
    assert state.totals == totals
    assert state.taken == 7
    assert state.joins[share] == joined
    assert state.counts[share].difference == 0
    assert state.held == {1: {b"k1": None}, 2: {b"k2": b"87654321"}}


def test_books_with_an_entry_that_is_no_longer_kept_are_read():
    state = UnitState()
    state.apply(b"n|a", b'{"taken":5,"forwarded":4,"retracted":1,"out_of_scope":0,"unchanged":0,"quarantined":0}')
    assert state.counts[ShareName("a")] == Counts(5, 4, 1)


def test_who_holds_a_record_is_stored_in_twelve_bytes_a_share():
    packed = b"\0\0\0\1" + bytes(8) + b"\0\0\0\2" + b"12345678"
    assert encode_holders(b"k", [(1, None), (2, b"12345678")]) == (b"h|k", packed)
    assert decode_holders(packed) == [(1, None), (2, b"12345678")]


def test_share_that_was_let_go_holds_nothing():
    state = UnitState()
    records = [
        encode_place(ShareName("a"), Joined(0, 0, 1)),
        encode_counts(ShareName("a"), Counts(1, 1)),
        encode_holders(b"k", [(1, None)]),
        encode_place(ShareName("a"), None),
        encode_holders(b"late", [(1, None)]),
    ]
    for key, value in records:
        state.apply(key, value)
    state.forget_strangers()
    assert (state.joins, state.held) == ({}, {})
    assert state.counts[ShareName("a")].forwarded == 1


def test_nobody_holds_a_record_is_a_tombstone():
    assert encode_holders(b"k", []) == (b"h|k", None)
    assert encode_counts(ShareName("s"), Counts())[0] != UNIT_KEY
