"""The closing table: readable numbers, details left to --json."""

import pytest

from pipelines.summary import show


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
