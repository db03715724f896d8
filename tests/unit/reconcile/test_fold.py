"""The tree of digests: independent of order, different for whatever differs, and gone down in few steps."""

import random
from contextlib import closing
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from exchange.reconcile.desk import answer
from exchange.reconcile.fold import FEW, Branch, Entry, Fold, differing, key_hash


def entry(key: str, content: str, place: int = 0) -> Entry:
    return Entry(key_hash(key.encode()), key_hash(content.encode()), key.encode(), 0, place)


def tree(fold: Fold) -> dict[int, Branch]:
    return fold.branches()


@given(st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=30), st.randoms())
def test_digests_do_not_depend_on_the_order(records: dict[str, str], order: random.Random) -> None:
    with closing(Fold()) as one, closing(Fold()) as other:
        entries = [entry(*record) for record in records.items()]
        one.put(entries)
        order.shuffle(entries)
        for each in entries:
            other.put([each])
        assert tree(one) == tree(other)
        assert one.contents() == other.contents()
        assert one.count() == len(records)


@given(
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), min_size=1, max_size=30),
    st.data(),
)
def test_any_single_change_changes_exactly_its_branch(records: dict[str, str], data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(records)))
    with closing(Fold()) as one, closing(Fold()) as other:
        one.put(entry(*record) for record in records.items())
        other.put(entry(*record) for record in records.items())
        if data.draw(st.booleans()):
            other.put([entry(key, records[key] + "!")])
        else:
            other.remove([key_hash(key.encode())])
        assert differing(tree(one), tree(other)) == [key_hash(key.encode())[0]]


def test_the_newest_place_of_a_key_stays() -> None:
    with closing(Fold()) as fold:
        fold.put([entry("k", "new", 7)], newer_only=True)
        fold.put([entry("k", "old", 3)], newer_only=True)
        assert fold.get(key_hash(b"k")) == entry("k", "new", 7)
        fold.put([entry("k", "same", 7)], newer_only=True)
        assert fold.get(key_hash(b"k")) == entry("k", "same", 7)


def test_two_records_of_one_content_do_not_cancel_out() -> None:
    with closing(Fold()) as fold:
        fold.put([entry("a", "x"), entry("b", "x")])
        twice = fold.contents()
        fold.remove([key_hash(b"a"), key_hash(b"b")])
        assert twice.digest != fold.contents().digest


def test_many_keys_are_given_as_branches_and_few_one_by_one() -> None:
    with closing(Fold()) as fold:
        fold.put(entry(str(number), "x") for number in range(FEW + 1))
        root = answer(fold, b"", False)
        assert set(root) == {"records", "branches"}
        assert sum(number for number, _ in root["branches"].values()) == FEW + 1
        prefix = bytes.fromhex(next(iter(root["branches"])))
        below = answer(fold, prefix, False)
        assert len(below["entries"]) == root["branches"][prefix.hex()][0]
        assert all(key.startswith(prefix.hex()) for key in below["entries"])


def test_a_key_is_given_for_its_whole_hash_only() -> None:
    with closing(Fold()) as fold:
        fold.put([entry("the key", "x")])
        shown: dict[str, Any] = answer(fold, b"", False)
        assert "the key" not in str(shown)
        assert answer(fold, key_hash(b"the key"), False) == {"key": "the key"}
        assert answer(fold, key_hash(b"another"), False) == {"key": None}


def test_a_pseudonymous_share_gives_no_hash_of_a_single_record() -> None:
    with closing(Fold()) as fold:
        fold.put([entry("a", "x")])
        assert set(answer(fold, b"", True)) == {"records", "contents"}


def test_an_entry_shows_no_key() -> None:
    assert "secret" not in repr(entry("secret", "x"))
