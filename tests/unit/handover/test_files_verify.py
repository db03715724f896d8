"""What a grantee checks: every byte of every file counts, nothing may be missing, strange or in another's place."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from exchange.cli.main import app
from exchange.errors import ExchangeError
from exchange.handover.files.csv_text import CsvWriter, read_rows
from exchange.handover.files.folder import AVRO, CSV, DATA, MANIFEST, RECEIPT, SIGNATURE, WITHDRAWN, name_of
from exchange.handover.files.manifest import Manifest, read_manifest, sha256_of
from exchange.signing import PublicKey, SigningKey
from tests.harness.memory.drop_folder import Dropped

EVERY = (*DATA, MANIFEST, SIGNATURE)


@pytest.fixture
def dropped(tmp_path: Path) -> Dropped:
    """Two deliveries, the first one taken."""
    dropped = Dropped(tmp_path)
    for code, name in (("A", "one"), ("B", "=1+1"), ("C", "three")):
        dropped.share.company(code, name)
    dropped.run()
    dropped.take()
    dropped.share.append("C", None)
    dropped.share.company("A", "two")
    dropped.run()
    assert dropped.check().faults == []
    return dropped


def file_of(dropped: Dropped, what: str, number: int = 2) -> Path:
    return dropped.path / name_of(number, what)


def refused(dropped: Dropped) -> set[str]:
    """The files with which something is wrong; and then nothing can be taken."""
    faults = {name for name, _ in dropped.check().faults}
    if faults:
        with pytest.raises(ExchangeError) as error:
            dropped.take()
        assert error.value.code == "E_FILES_REFUSED"
        assert not file_of(dropped, RECEIPT).exists()
    return faults


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("what", EVERY)
def test_a_changed_byte_is_found_wherever_it_is(dropped: Dropped, what: str, number: int) -> None:
    file = file_of(dropped, what, number)
    whole = file.read_bytes()
    places = {0, 1, len(whole) // 3, len(whole) // 2, len(whole) - 1}
    for at in places:
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert refused(dropped), at
    for wrong in (whole[:-1], whole + b"\n", b""):
        file.write_bytes(wrong)
        assert refused(dropped), len(wrong)
    file.write_bytes(whole)
    assert refused(dropped) == set()


@pytest.mark.parametrize("what", [*DATA, SIGNATURE])
def test_a_missing_file_is_found(dropped: Dropped, what: str) -> None:
    file_of(dropped, what).unlink()
    assert refused(dropped)


@pytest.mark.parametrize("what", [MANIFEST, SIGNATURE, RECEIPT])
def test_of_an_older_delivery_only_files_with_records_may_be_missing(dropped: Dropped, what: str) -> None:
    for one in DATA:
        file_of(dropped, one, 1).unlink()
    assert refused(dropped) == set()
    file_of(dropped, what, 1).unlink()
    assert refused(dropped)


@pytest.mark.parametrize("name", ["000002.extra.csv", "readme.txt", "000009.csv", "000003.receipt.json", "2.csv"])
def test_a_strange_file_is_found(dropped: Dropped, name: str) -> None:
    (dropped.path / name).write_bytes(b"x")
    assert refused(dropped) == {name}


def test_files_of_the_next_delivery_are_in_the_making_and_no_fault(dropped: Dropped) -> None:
    file_of(dropped, MANIFEST).unlink()
    file_of(dropped, CSV, 2).write_bytes(b"x")
    (dropped.path / ".000002.avro.part").write_bytes(b"x")
    assert refused(dropped) == set()


def test_a_link_in_the_place_of_a_file_is_refused(dropped: Dropped, tmp_path: Path) -> None:
    file = file_of(dropped, CSV)
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    assert refused(dropped) == {file.name}


def test_a_delivery_in_the_place_of_another_is_found(dropped: Dropped) -> None:
    for what in (MANIFEST, SIGNATURE):
        shutil.copy(file_of(dropped, what, 1), file_of(dropped, what))
    assert refused(dropped)


def signed(dropped: Dropped, **changed: object) -> None:
    """The second manifest with other words, but signed by the right key."""
    manifest = read_manifest(file_of(dropped, MANIFEST).read_bytes())
    other = Manifest.model_validate(manifest.model_dump() | changed)
    file_of(dropped, MANIFEST).write_bytes(other.encode())
    file_of(dropped, SIGNATURE).write_bytes(dropped.key.sign(other.encode()))


def test_a_chain_that_does_not_continue_is_found(dropped: Dropped) -> None:
    signed(dropped, before="0" * 64)
    assert refused(dropped) == {name_of(2, MANIFEST)}


def test_a_delivery_that_leaves_out_a_stretch_of_the_share_is_found(dropped: Dropped) -> None:
    manifest = read_manifest(file_of(dropped, MANIFEST).read_bytes())
    ranges = [one.model_dump() for one in manifest.ranges]
    first = next(one for one in ranges if one["end"] > one["start"])
    first["start"] += 1
    signed(dropped, ranges=ranges)
    assert refused(dropped) == {name_of(2, MANIFEST)}


def test_counts_that_do_not_agree_are_found(dropped: Dropped) -> None:
    manifest = read_manifest(file_of(dropped, MANIFEST).read_bytes())
    records = manifest.records.model_dump()
    signed(dropped, records=records | {"written": records["written"] + 1, "taken": records["taken"] + 1})
    assert refused(dropped) == {name_of(2, MANIFEST)}


@pytest.mark.parametrize("what", [CSV, AVRO, WITHDRAWN])
def test_a_file_with_fewer_records_than_stated_is_found(dropped: Dropped, what: str) -> None:
    manifest = read_manifest(file_of(dropped, MANIFEST).read_bytes())
    files = [one.model_dump() for one in manifest.files]
    for one in files:
        if one["name"] == name_of(2, what):
            one["records"] += 1
    signed(dropped, files=files)
    assert name_of(2, what) in refused(dropped)


@pytest.mark.parametrize("content", [b"", b"{}", b"null", b"[" * 9000, b'{"form": "exchange-files/2"}', b"\xff"])
def test_what_is_no_manifest_is_refused_even_if_signed(dropped: Dropped, content: bytes) -> None:
    file_of(dropped, MANIFEST).write_bytes(content)
    file_of(dropped, SIGNATURE).write_bytes(dropped.key.sign(content))
    assert refused(dropped) == {name_of(2, MANIFEST)}


@pytest.mark.parametrize(
    "change", [{"files": []}, {"number": 0}, {"series": "x"}, {"ranges": [{}]}, {"more": 1}, {"reading": "1"}]
)
def test_a_manifest_that_breaks_the_form_is_none(dropped: Dropped, change: dict[str, object]) -> None:
    document = json.loads(file_of(dropped, MANIFEST).read_bytes()) | change
    with pytest.raises(ExchangeError) as error:
        read_manifest(json.dumps(document).encode())
    assert error.value.code == "E_FILES_REFUSED"


def test_the_key_of_another_drop_folder_signs_nothing_here(dropped: Dropped, tmp_path: Path) -> None:
    dropped.public = SigningKey.make(tmp_path / "other.pem").public
    assert refused(dropped)


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    SigningKey.make(file)
    SigningKey.read(file)
    file.chmod(0o644)
    with pytest.raises(ExchangeError) as error:
        SigningKey.read(file)
    assert error.value.code == "E_SETTINGS"
    with pytest.raises(ExchangeError):
        SigningKey.read(tmp_path / "none")
    with pytest.raises(ExchangeError):
        PublicKey.read(file)
    with pytest.raises(ExchangeError):
        SigningKey.make(file)


TEXTS = [
    "",
    "plain",
    "=1+1",
    "+1",
    "-1",
    "@x",
    "\t=1",
    "\n=1",
    "'quoted",
    '"double"',
    "a,b",
    "two\r\nlines",
    "＝1",
    "王小明",
]


def test_no_text_becomes_a_formula_and_every_text_comes_back_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    with file.open("wb") as stream:
        writer = CsvWriter(stream, ["text", "number"])
        for text in TEXTS:
            writer.write({"text": text, "number": -1})
        writer.write({"number": None})
    whole = file.read_bytes()
    assert whole.startswith(b"\xef\xbb\xbf")
    assert writer.escaped == 8
    for cell in (b'"=', b'"+', b'"-', b'"@', b'"\t', b'"\n', '"＝'.encode()):
        assert cell not in whole
    assert b",-1\r\n" in whole
    with file.open("rb") as stream:
        assert [row["text"] for row in read_rows(stream)] == [*TEXTS, ""]


@pytest.mark.parametrize("content", [b"", b'"a","a"\r\n', b'"a"\r\n"1","2"\r\n', b'"a"\r\n"x', b'"a"\r\n\xff\r\n'])
def test_what_is_no_csv_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with (tmp_path / "x.csv").open("rb") as stream, pytest.raises(ExchangeError) as error:
        list(read_rows(stream))
    assert error.value.code == "E_FILES_REFUSED"


# the command


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["files", *arguments])


@pytest.fixture
def public(dropped: Dropped, tmp_path: Path) -> str:
    file = tmp_path / "files.pub.pem"
    file.write_bytes(dropped.key.public.pem)
    return str(file)


def test_the_command_checks_and_takes(dropped: Dropped, public: str) -> None:
    shown = json.loads(run("verify", str(dropped.path), "--key", public, "--json").stdout)
    assert [one["state"] for one in shown["deliveries"]] == ["taken", "waiting"]
    assert shown["accepted"] is None
    done = run("verify", str(dropped.path), "--key", public, "--accept")
    assert done.exit_code == 0 and "delivery 2 is taken" in done.stdout
    receipt = json.loads(file_of(dropped, RECEIPT).read_bytes())
    assert receipt["manifest"] == sha256_of(file_of(dropped, MANIFEST).read_bytes())
    assert "two" not in done.stdout


def test_the_command_refuses_what_was_changed(dropped: Dropped, public: str) -> None:
    file_of(dropped, CSV).write_bytes(b"x")
    done = run("verify", str(dropped.path), "--key", public, "--accept")
    assert done.exit_code == 1
    assert "E_FILES_REFUSED" in done.stdout and name_of(2, CSV) in done.stdout
    assert not file_of(dropped, RECEIPT).exists()


def test_a_folder_that_is_not_there_cannot_be_reached(public: str, tmp_path: Path) -> None:
    done = run("verify", str(tmp_path / "none"), "--key", public)
    assert done.exit_code == 3
    assert "E_FILES_UNREACHABLE" in done.stderr


def test_the_key_is_made_once_and_shown(tmp_path: Path) -> None:
    file = tmp_path / "drop-folder.pem"
    made = run("new-key", str(file))
    assert made.exit_code == 0 and "BEGIN PUBLIC KEY" in made.stdout and "PRIVATE" not in made.stdout
    assert file.stat().st_mode & 0o077 == 0
    assert run("new-key", str(file)).exit_code == 2
    shown = json.loads(run("key", str(file), "--json").stdout)
    assert shown["pem"].strip() == made.stdout.strip()
    assert shown["fingerprint"] == SigningKey.read(file).public.fingerprint
