"""The line that the detectors read, against a slow oracle of regular expressions."""

import re
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from provenance import lines

UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
TOKENS = re.compile(rf"[{UNSPACED}]|[^\W_{UNSPACED}]+|[.,;:?!。、]")


def oracle(text: str) -> str:
    head = unicodedata.normalize("NFKC", text[: lines.READ])[: 2 * lines.READ].lower()
    return " ".join(TOKENS.findall("".join("0" if c.isdecimal() else c for c in head)))


def test_leaks_of_training_tables_are_gone():
    marked, plain = '# A **bold**\n\n"claim"  and “another”, it\'s 2015:\n- _one_', "A bold claim and another, it s 1999: one"
    assert lines.words(lines.line(marked)) == lines.words(lines.line(plain)) == "a bold claim and another , it s 0000 : one"
    assert lines.words(lines.line("是的，通过。")) == "是 的 , 通 过 。"
    assert lines.words(lines.line("")) == "" and lines.words(lines.line("\n\t-- ")) == ""


@settings(deadline=None)
@given(st.text(st.characters(max_codepoint=0x1FFFF, exclude_categories=["Cs"]), max_size=200))
def test_equals_the_oracle(text):
    assert lines.words(lines.line(text)) == oracle(text)


def test_what_is_beyond_the_table_is_no_word():
    assert lines.words(lines.line("a\U00030000b")) == "a b"


def test_reads_so_far_and_no_further():
    start = "word " * (lines.READ // 5)
    assert (lines.line(start + "x" * 10_000_000) == lines.line(start)).all()
    assert len(lines.line("\ufdfa" * 10_000)) <= 4 * lines.READ
