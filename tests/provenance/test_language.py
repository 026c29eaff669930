"""Language identification on texts of known languages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance import language


@pytest.fixture(scope="module")
def model():  # type: ignore[no-untyped-def]
    return language.load()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("This page is about old books\n\nand the people who read them.", "en"),
        ("Diese Seite handelt von alten Büchern und den Menschen, die sie lasen.", "de"),
        ("Эта страница о старых книгах и о людях, которые их читали.", "ru"),
        ("这是关于旧书以及读过它们的人的网页。", "zh"),
        ("古い本と、それを読んだ人々についてのページです。", "ja"),
    ],
)
def test_languages(model, text: str, code: str) -> None:  # type: ignore[no-untyped-def]
    named, score = language.identify(text, model)
    assert named == code and score is not None and 0.5 < score <= 1


@pytest.mark.parametrize("text", ["", " \n\t ", "12345 + 67 = ?", "--- *** ---"])
def test_a_text_without_letters_has_no_language(model, text: str) -> None:  # type: ignore[no-untyped-def]
    assert language.identify(text, model) == (None, None)


def test_only_the_start_counts(model) -> None:  # type: ignore[no-untyped-def]
    english = "This page is about old books and the people who read them. " * 5
    russian = "Эта страница о старых книгах и о людях, которые их читали. " * 50
    assert language.identify(english + russian, model, 200)[0] == "en"
    assert language.identify(english + russian, model, 4000)[0] == "ru"


@given(st.text(max_size=100))
def test_no_text_raises(text: str) -> None:
    model = test_no_text_raises.__dict__.setdefault("model", language.load())
    named, score = language.identify(text, model)
    assert (named is None) == (score is None)
