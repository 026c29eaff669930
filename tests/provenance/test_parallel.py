"""Which pairs are parallel, and the groups that they make."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance import parallel
from provenance.parallel import ADDRESS, ALTERNATES, ANCHORS, LEAST, PAGES, Groups


@pytest.mark.parametrize(
    ("agree", "left", "right", "ways", "found"),
    [
        (32, LEAST, LEAST, ANCHORS, ANCHORS),
        (31, 40, 40, ANCHORS, 0),
        (64, LEAST - 1, LEAST, ANCHORS, 0),
        (0, LEAST - 1, 500, ADDRESS, ADDRESS),
        (6, 40, 40, ADDRESS | ALTERNATES, 0),
        (7, 40, 40, ALTERNATES, ALTERNATES),
        (40, 40, 40, ADDRESS | ANCHORS, ADDRESS | ANCHORS),
    ],
)
def test_decision(agree: int, left: int, right: int, ways: int, found: int) -> None:
    columns = [np.array([value]) for value in (agree, left, right, ways)]
    assert parallel.parallel(*columns).tolist() == [found]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=40), st.randoms())
def test_groups_are_connected_parts_in_any_order(pairs: list[tuple[int, int]], random: object) -> None:
    first = list(range(20))
    for _ in range(20):
        for a, b in pairs:
            first[a] = first[b] = min(first[a], first[b])
    shuffled = list(pairs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    groups = Groups(20)
    for start in range(0, len(shuffled), 7):
        left, right = np.array(shuffled[start : start + 7], np.int64).reshape(-1, 2).T
        groups.join(left, right)
    assert groups.first().tolist() == first


def test_pages() -> None:
    link = '<link rel="alternate" hreflang="{}" href="/{}/a">'
    html = link.format("en", "en") + link.format("fr", "fr")
    rows = [
        {"url": "https://www.example.org/en/a", "text": "listen on 8080 in httpd.conf", "html": html},
        {"url": "https://www.example.org/fr/a", "text": "", "html": html},
        {"url": None, "text": None, "html": None},
    ]
    kind = pa.schema([(name, pa.string()) for name in ("url", "text", "html")])
    found = parallel.pages(pa.RecordBatch.from_pylist(rows, schema=kind))
    assert found.schema == PAGES
    english, french, nothing = found.to_pylist()
    assert english["site"] == french["site"] == "example.org" and english["anchors"] == 2
    assert (
        english["address"] == french["address"] and english["named"] and english["alternates"] == french["alternates"] is not None
    )
    assert (nothing["site"], nothing["anchors"], nothing["address"], nothing["named"], nothing["alternates"]) == (
        None,
        0,
        None,
        False,
        None,
    )


def test_words() -> None:
    assert parallel.words(ADDRESS | ANCHORS) == "address and anchors" and parallel.words(ALTERNATES) == "hreflang"
