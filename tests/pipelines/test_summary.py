"""The closing table: readable numbers, details left to --json."""

import pytest

from pipelines.summary import SHOWN, notes, show


def test_numbers_lists_and_nested_counts_are_readable(capsys: pytest.CaptureFixture[str]) -> None:
    show(
        "curate",
        {"run": "r", "records": 1234567, "origins": {"human": 0}, "snapshots": [], "share": 0.123456, "exit_code": 0, "left": None},
    )
    assert capsys.readouterr().out.splitlines() == [
        f"{'run':<34} r",
        f"{'records':<34} 1,234,567",
        "origins",
        f"{'  human':<34} 0",
        f"{'snapshots':<34} none",
        f"{'share':<34} 0.1235",
    ]


def test_the_first_line_says_it_and_what_is_wrong_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    show("verify", {"result": "FAILED", "line": "All of it.", "wrong": ["a"], "why": {"a": "changed"}, "counts": {"rows": 3}})
    out, err = capsys.readouterr()
    assert out.splitlines() == ["All of it.", "FAILED", f"{'wrong':<34} a"]
    assert err == "wrong: a: changed\n"


def test_counts_of_the_match_are_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    show("curate", {"pairs_not_compared": 7, "samples_not_compared": 1200, "protected_kept": 2})
    assert capsys.readouterr().out.splitlines() == [
        f"{'full buckets: look-ups left out':<34} 7",
        f"{'common shingles: look-ups left out':<34} 1,200",
        f"{'protected copies kept':<34} 2",
    ]


NOTHING = "counts for nothing: the trust list names no index with its SHA-256, "


def test_notes_stand_on_lines_of_their_own_and_what_counted_first(capsys: pytest.CaptureFixture[str]) -> None:
    first, last = "index cc is the first witness of 7 documents, of 9", f"index a.gz {NOTHING}{'1' * 64}"
    show("freeze", {"notes": [last, first], "replay": {"differ": {}, "equal": 3}})
    assert capsys.readouterr().out.splitlines() == ["notes", f"  {first}", f"  {last}", "replay", f"{'  equal':<34} 3"]


def test_files_that_count_for_nothing_for_one_reason_are_one_note() -> None:
    lines = [f"index b/cdx 0{i}.gz {NOTHING}{i}{'a' * 63}" for i in range(5)]
    stamps = [f"timestamp s3://x/{i}.tsr: it is not what it says; it counts for nothing" for i in range(3)]
    kept = "checksums a: list (Archive) holds 3 files, published by 2019"
    assert notes([*lines, *stamps, kept]) == [
        kept,
        f"index, each of 5 files: {NOTHING[:-2]} (b/cdx 00.gz, b/cdx 01.gz, b/cdx 02.gz and 2 more; --json names all)",
        *stamps,
    ]
    assert notes(lines[:3]) == lines[:3]


def test_missing_files_are_called_missing_and_many_are_not_all_shown(capsys: pytest.CaptureFixture[str]) -> None:
    why = {f"documents/{i:02d}": "gone" for i in range(15)}
    show("verify", {"wrong": ["documents/01"], "missing": [path for path in why if path != "documents/01"], "why": why})
    told = capsys.readouterr().err.splitlines()
    assert told[:2] == ["missing: documents/00: gone", "wrong: documents/01: gone"]
    assert len(told) == SHOWN + 1 and told[-1] == "and 5 more; --json names all"


def test_documents_of_a_proof_are_rows_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    show("verify", {"documents": [{"key": "ab", "eligible": True}]})
    told = capsys.readouterr().out
    assert "{" not in told and "eligible" in told and "yes" in told
