"""Rows through the extractor: each text once, in no order of tables, with what was lost counted."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.training import rows

PROSE = "The committee met on Tuesday and heard what the two witnesses had to say about the bridge. Nobody asked for more time. "


def table(tmp_path, *given, name="t.parquet"):
    pq.write_table(pa.Table.from_pylist(list(given)), tmp_path / name)
    return tmp_path / name


def test_a_text_goes_through_the_extractor(tmp_path):
    text = PROSE * 3 + "\n\nA second paragraph with <tags> & entities says as much again, and then some more of it."
    path = table(tmp_path, {"text": text, "label": "machine", "source": "S (part)", "group": "g", "lang": "en-GB"})
    (row,) = rows.rows(rows.given(path)).rows
    assert row.machine and row.source == "S" and row.group == "g" and row.language == "en" and row.words > 60
    assert "<tags> & entities" in row.text and "Terms" not in row.text and "Home" not in row.text


def test_order_and_copies_have_no_say(tmp_path):
    given = [{"text": f"{PROSE * 2} Number {i}.", "label": "human"} for i in range(5)]
    one = rows.rows(rows.given(table(tmp_path, *given)))
    other = rows.rows(rows.given(table(tmp_path, *reversed(given), *given)))
    assert one == other and len(one.rows) == 5 and list(one.rows) == sorted(one.rows)


def test_what_is_lost_is_counted(tmp_path):
    path = table(
        tmp_path,
        {"text": PROSE, "label": "human", "source": "A"},
        {"text": PROSE, "label": "machine", "source": "B"},
        {"text": "<" * 3, "label": "human", "source": "A"},
        {"text": PROSE * 2, "label": "machine_translated", "source": "A"},
    )
    read = rows.rows(rows.given(path))
    assert sum(read.lost.values()) + len(read.rows) == 2
    assert any(reason.startswith("both labels") for reason in read.lost)


def test_a_table_without_text_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no column text"):
        list(rows.given(table(tmp_path, {"body": "x"})))


def test_sampled_is_even_and_human():
    given = [rows.Given(f"{i:03}", "t", i % 10 == 0, "AB"[i % 2], "en", "", "", "", "") for i in range(100)]
    found = rows.sampled(given, 7)
    assert len(found) == 14 and not any(one.machine for one in found)
    assert rows.sampled(reversed(given), 7) == found


def test_long_texts_are_cropped_by_their_digest():
    text = " ".join(f"Sentence {i} of a long text says that it is the one with number {i}." for i in range(400))
    crop = rows.crop(text, "a" * 64)
    assert len(crop) <= rows.LONGEST and crop in text and crop == rows.crop(text, "a" * 64)
    assert crop != rows.crop(text, "b" * 64) and rows.crop("short", "a") == "short"
    assert len(rows.crop("x" * 10_000, "a" * 64)) <= rows.LONGEST


def test_crops_are_whole_sentences():
    whole = rows.Row("d" * 64, PROSE * 20, "en", 440, False, "S", "g")
    found = [
        crop
        for i in range(30)
        for crop in rows.crops(
            [whole.__class__(f"{i:064}", *[getattr(whole, n) for n in "text language words machine source group".split()])]
        )
    ]
    assert found and all(rows.SHORT[0] <= crop.words <= 1.25 * rows.SHORT[1] and crop.text in PROSE * 20 for crop in found)
    assert all(crop.text.startswith(("The committee", "Nobody")) and crop.text.endswith(".") for crop in found)
    assert len({crop.words for crop in found}) > 3
    assert rows.crops([rows.Row("d", "Too short.", "en", 2, False, "S", "g")]) == []


def test_one_genre_is_one_family():
    speech = rows.Row("d", "t", "en", 1, False, "NLTK inaugural", "g")
    assert speech.family == rows.Row("e", "t", "en", 1, False, "NLTK state_union", "g").family != "NLTK inaugural"
