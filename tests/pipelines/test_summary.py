"""The closing table: readable numbers, details left to --json."""

from typing import Any

import pytest

from pipelines.cards import closing
from pipelines.summary import SHOWN, notes, show
from tests.pipelines.test_cards import BODY, amounts, stratum


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


def mixed(**changes: Any) -> dict[str, Any]:
    """The summary of a mix."""
    return {
        "mix": "m",
        "id": "1",
        "line": "Human.",
        "realised": BODY["realised"],
        "counts": BODY["counts"],
        **BODY["stated"],
        **changes,
    }


def squeezed(out: str) -> list[str]:
    return [" ".join(line.split()) for line in out.splitlines()]


def test_a_mix_ends_with_tables_of_what_was_asked_for_and_what_was_taken(capsys: pytest.CaptureFixture[str]) -> None:
    show("mix", mixed())
    lines = squeezed(capsys.readouterr().out)
    assert lines[:3] == ["Human.", "mix m", "id 1"]
    assert "human bytes – 700 600" in lines and "bytes in all all that the floor admits 1,400 1,000" in lines
    assert "worth 1,000 bytes of text read once: 600 human, 400 other (D')" in lines
    assert "machine share not estimated: nothing to go by" in lines
    assert "human side alone 600 bytes read 1.6 times are 960, worth 950 read once, without any other text" in lines
    assert "human 8 4 50.00 % 3 37.50 %" in lines
    assert "human/en/2014 9 2 1.5 25.00 %" in lines, "what passed is left out where nothing was filtered"


def test_a_dry_run_of_a_mix_ends_with_the_same_tables_after_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    show("mix", mixed())
    tables = capsys.readouterr().out.partition("\n\n")[2]
    show("mix", {"dry_run": True, "config": {"mix": {"floor": "1/2"}}, **mixed()})
    out = capsys.readouterr().out
    assert out.startswith("dry_run: true\nconfig:\n  mix:\n    floor: 1/2\n") and out.endswith(tables)
    assert "available" not in out and "strata:" not in out
    assert "kept_out:\n  redacted: 2\n  near_copies: 3\n" in out and "near_human" not in out, "only what is above 0"


def test_hundreds_of_strata_are_a_dozen_lines(capsys: pytest.CaptureFixture[str]) -> None:
    found = {f"{origin}/en/{'x' * 60}{i}": stratum(i) for i in range(300) for origin in ("human", "unknown")}
    show("mix", mixed(strata=found, counts={"strata": dict.fromkeys(found, amounts(1, 1))}))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("human/", "unknown/"))]
    assert len(lines) == closing.STRATA and max(map(len, lines)) < closing.LINE
    assert all(line.split("  ")[0].endswith("…") for line in lines)


def test_a_mix_says_what_else_could_be_asked_for_what_the_filter_met_and_how_rare_words_fare(
    capsys: pytest.CaptureFixture[str],
) -> None:
    other = {"repeat": None, "shrink": {"total": 10, "human": 5, "effective": 10}, "lower_floor": None}
    line = {"types": 2000, "kept": 900, "share": 0.45, "expected": 0.5}
    rare = {
        "documents": {"before": 10, "after": 5},
        "frequencies": {"1": line, "5": line},
        "all": line,
        "types": {"before": 1, "kept": 1},
    }
    scores = {"where": "x", "scores": [{"rows": 10, "unmatched": 4, "candidates": 20, "without": 14}]}
    plan = BODY["stated"]["plan"] | {"alternatives": other}
    share = {"share": 0.25, "share_low": 0.2, "share_high": 0.3, "note": None}
    told = share | {"human_side": share | {"units": 1, "share": 0.0}, "other": share | {"units": 1}}
    show("mix", mixed(plan=plan, filter=scores, coverage=rare | {"expectation": "x"}, machine_share=told))
    out = " ".join(capsys.readouterr().out.split())
    assert "or shrink: 10 bytes with 5 human ones, each read once" in out
    assert "Of 10 rows of scores 4 are of no candidate; 14 of 20 candidates have none." in out
    assert "900 of 2,000 are kept (45.00 %), and of a uniform sample of 5 documents 50.00 % would be." in out
    assert "stratum offered after the filter chosen" in out
    assert "machine share 25.0 %" in out and "an estimate from detector scores, of the whole mix" in out
