"""The contract of a signal, over every file that the folder holds."""

import math
import re
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance import signals
from provenance.evidence import Calibration
from provenance.signals import INPUTS
from tests.provenance.signals.pages import batch

FILES = sorted(path.stem for path in Path(signals.__file__).parent.glob("[a-z]*.py"))
MODEL = SimpleNamespace(predict=lambda line, k: (("__label__machine", "__label__human"), (0.7, 0.3)))
TOOLS = signals.Tools(calibration=Calibration(), origin_model=MODEL)
WORDS = st.sampled_from(
    [
        "As an AI language model, I",
        "oaicite",
        '"',
        "<blockquote>",
        "</blockquote>",
        "<!--",
        "<script>",
        "\ufeff\U000e0133",
        '<div lang="fr-x-mtfrom-en">',
        "<meta name=ai-disclosure content=",
        "digitalSourceType",
        "<html class=translated-ltr>",
        "İ",
        "word ",
        "\n",
        "weglot",
        "trainedAlgorithmicMedia",
    ]
)
SOUP = st.lists(st.one_of(WORDS, st.text(max_size=8)), max_size=12).map("".join)


def test_every_file_is_found():
    assert list(signals.found()) == FILES


@pytest.mark.parametrize("name", FILES)
def test_declares_itself(name):
    module = signals.found()[name]
    assert name == module.NAME
    assert re.fullmatch(r"[\w.]+", module.VERSION)
    assert module.STAGE in signals.STAGES
    assert set(module.COLUMNS) <= set(INPUTS[module.STAGE].names)
    assert isinstance(module.STATISTICAL, bool)
    assert module.__doc__ and len(module.__doc__) > 100


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=60, deadline=None)
@given(
    text=SOUP,
    html=SOUP,
    headers=SOUP,
    url=SOUP,
    words=st.integers(0, 200),
    identical=st.booleans(),
    similarity=st.none() | st.floats(0, 1),
)
def test_rows_are_readings(name, text, html, headers, url, words, identical, similarity):
    module = signals.found()[name]
    schema = INPUTS[module.STAGE]
    row = {
        "text": text,
        "html": html,
        "http_headers": headers,
        "url": url,
        "language": "en",
        "word_count": words,
        "identical": identical,
        "similarity": similarity,
    }
    rows = batch(*[{k: v for k, v in row.items() if k in schema.names}] * 2, schema=schema)
    out = getattr(module, name)(rows.select(list(module.COLUMNS)), TOOLS)
    assert out.schema.names[:3] == ["key", "value", "detail"]
    assert out.schema.names[3:] in ([], ["group"])
    assert out.column("value").type == pa.float64() and out.column("detail").type == pa.string()
    assert len(set(out.column("key").to_pylist())) == out.num_rows
    assert all(v is not None and math.isfinite(v) for v in out.column("value").to_pylist())
    assert all(d for d in out.column("detail").to_pylist())
    assert out.to_pylist() == getattr(module, name)(rows.select(list(module.COLUMNS)), TOOLS).to_pylist()


@pytest.mark.parametrize("name", FILES)
def test_empty_batch_and_nulls(name):
    module = signals.found()[name]
    schema = INPUTS[module.STAGE]
    empty = pa.RecordBatch.from_pylist([], schema=schema)
    assert getattr(module, name)(empty, TOOLS).num_rows == 0
    nulls = pa.RecordBatch.from_pylist([{"key": "a"}], schema=schema)
    assert getattr(module, name)(nulls, TOOLS).num_rows == 0


@pytest.mark.parametrize(
    "name", [name for name in FILES if signals.found()[name].STAGE == "page" and name not in ("origin_model", "capture_time")]
)
def test_an_ordinary_page_says_nothing(name):
    page = {
        "text": "The river rises in the hills and reaches the sea at the old port. " * 20,
        "html": "<html lang=en><body><p>The river rises.</p></body></html>",
    }
    assert getattr(signals.found()[name], name)(batch(page), TOOLS).num_rows == 0


@pytest.mark.parametrize("name", ["disclosure", "residue", "translation_markup"])
@pytest.mark.parametrize(
    "piece",
    [
        "<script>",
        "<!--",
        '<div lang="fr-x-mtfrom-en">',
        "<font style='vertical-align: inherit'>",
        "<link ",
        "<meta name='",
        "oaicite ",
        'itemprop="digitalSourceType" ',
        "“",
    ],
)
def test_time_stays_linear(name, piece):
    """A page made to be slow is read in seconds at most, whatever it repeats (200 kB take milliseconds)."""
    import time

    page = "ai-disclosure digitalSourceType weglot x-mtfrom- As an AI language model, I " + piece * (200_000 // len(piece))
    start = time.process_time()
    getattr(signals.found()[name], name)(batch({"text": page, "html": page}), TOOLS)
    assert time.process_time() - start < 5
