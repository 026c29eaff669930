"""Training of the block classifier on gold that the test makes: labels, what may be learnt from, the model's use."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import gold, train_extractor
from pipelines.config import resolve
from provenance.extract import Extract, extractor
from provenance.extractors import _features

SENTENCE = "The old mill by the river, which had stood empty for years, was sold to a baker from the next town. "


def example(number: int, **columns: Any) -> dict[str, Any]:
    """An article of two paragraphs and, at odds with all other gold, only text in `span` of a list as the gold."""
    kept = [f"Part {number} {part}. {SENTENCE * 2}".strip() for part in ("one", "two")]
    menu = "".join(f"<li><a href=/{i}>Go to page {i} of the paper</a></li>" for i in range(8))
    html = f"<html><body><div><ul>{menu}</ul></div><div class=x><p>{kept[0]}</p><p>{kept[1]}</p></div></body></html>"
    row = {"html": html.encode(), "gold_text": "\n".join(kept), "source": "made", "licence": "MIT (repo)", "gold_kind": "human"}
    return {**row, "lang": "en", **columns}


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return str(path)


def test_a_label_is_the_share_of_tokens_in_order() -> None:
    labels, weights = train_extractor.aligned(["Home News", "The old mill was sold.", "sold mill"], "The old mill was SOLD today")
    assert labels.tolist() == [0.0, 1.0, 0.0]
    assert weights[1] > weights[0] > 0


def test_phrases_label_the_blocks_that_hold_them() -> None:
    html = f"<p>Wanted here: {SENTENCE}</p><p>Unwanted here: {SENTENCE}</p><p>Nothing said of this: {SENTENCE}</p>"
    made = train_extractor.prepared(gold.Phrases("s", "MIT", "en", html, ["Wanted  here"], ["Unwanted here"]))
    assert made.rows.tolist() == [0, 1] and made.labels.tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    "licence", ["MIT (repo); page text: publishers", "Apache-2.0", "BSD-3-Clause", "CC0-1.0", "CC-BY-4.0", "public domain"]
)
def test_permissive_licences(licence: str) -> None:
    assert train_extractor.PERMISSIVE.match(licence)


@pytest.mark.parametrize(
    "licence", ["", "none stated", "AGPL-3.0", "GPL-3.0 (repo)", "CC-BY-NC-4.0", "CC BY-SA 3.0", "research (MIT press)"]
)
def test_other_licences(licence: str) -> None:
    assert not train_extractor.PERMISSIVE.match(licence)


def test_the_command_writes_a_configuration_and_a_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [example(i) for i in range(6)]
    rows += [example(9, source="closed", licence="GPL-3.0"), example(8, source="named", licence="MIT")]
    phrases = [
        {"html": example(7)["html"], "must": ["Part 7 one"], "mustnot": ["Go to page 3"], "source": "said", "licence": "Apache-2.0"}
    ]
    command = ["--gold", write(tmp_path / "gold.parquet", rows), "--phrases", write(tmp_path / "phrases.parquet", phrases)]
    command += ["--leave-out", "named", "--into", str(tmp_path / "mine")]
    assert train_extractor.main(command) == 0
    first = (tmp_path / "mine" / "blocks.json").read_bytes()
    model = json.loads(first)["extract"]["model"]
    assert model["trained_on"] == {"made": 6, "said": 1} and list(model["weights"]) == list(_features.NAMES)
    options = resolve("curate", [str(tmp_path / "mine" / "blocks.json")], [])["extract"]
    assert isinstance(options, Extract) and options.model is not None and options.model.trained_on == {"made": 6, "said": 1}
    text = extractor(options)(example(1)["html"].decode())
    assert "Part 1 one" in text and "Go to page" not in text
    card = (tmp_path / "mine" / "blocks.md").read_text()
    assert (
        "| made | MIT (repo) | gold, human | 6 |" in card
        and "| said | Apache-2.0 | phrases | 1 |" in card
        and "closed | GPL" not in card
    )
    assert "| not learnt from | 2 |" in card
    assert "model: 1.0000 on 8 pages" in capsys.readouterr().out
    assert train_extractor.main(command) == 0
    assert (tmp_path / "mine" / "blocks.json").read_bytes() == first


def test_gold_that_says_otherwise_makes_another_model(tmp_path: Path) -> None:
    menus = [example(i, gold_text=" ".join(f"Go to page {i} of the paper" for i in range(8))) for i in range(6)]
    menus = [{**row, "html": re.sub(rb"</?a\b[^>]*>", b"", row["html"])} for row in menus]
    assert train_extractor.main(["--gold", write(tmp_path / "gold.parquet", menus), "--into", str(tmp_path)]) == 0
    model = json.loads((tmp_path / "blocks.json").read_bytes())["extract"]["model"]
    assert "Go to page 3" in extractor(msgspec.convert({"extractor": "blocks", "model": model}, Extract))(menus[0]["html"].decode())


def test_a_source_is_measured_by_a_model_that_never_saw_it() -> None:
    pages = [
        train_extractor.prepared(gold.Page(f"s{i % 2}", "MIT", "en", "human", example(i)["html"].decode(), example(i)["gold_text"]))
        for i in range(4)
    ]
    whole = train_extractor.fit(pages)
    others = train_extractor.without_source(pages, pages, whole)
    assert [set(one.trained_on) for one in others] == [{"s1"}, {"s0"}, {"s1"}, {"s0"}]
    assert train_extractor.without_source(pages, pages[1::2], whole)[0] is whole


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"html": b"<p>x", "text": "x"}], "no column gold_text"),
        ([example(1, licence="GPL-3.0")], "0 pages to learn from"),
        ([example(1, gold_text="words that no block has")], "no block of content"),
    ],
)
def test_tables_that_cannot_teach_are_errors(
    rows: list[dict[str, Any]], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train_extractor.main(["--gold", write(tmp_path / "t.parquet", rows), "--into", str(tmp_path / "out")]) == 2
    assert says in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_rules_need_no_weights() -> None:
    made = train_extractor.prepared(gold.Page("s", "MIT", "en", "human", example(1)["html"].decode(), example(1)["gold_text"]))
    assert gold.score(train_extractor.text(made, None), Counter(gold.tokens(example(1)["gold_text"]))).f1 == 1.0
    assert set(np.unique(train_extractor.rules(made.page, made.found))) == {-1.0, 1.0}


def test_scores_of_token_bags() -> None:
    bag = Counter(gold.tokens("one two two 漢字"))
    assert gold.score("ONE two", bag) == gold.Score(1.0, 0.4, pytest.approx(4 / 7))
    assert gold.score("", Counter()).f1 == 1.0 and gold.score("", bag).f1 == 0.0
    pages = [gold.Phrases("s", "", "", "", ["a  b", "c"], ["d"])]
    assert gold.phrase_score(["a b d"], pages) == gold.Score(0.5, 0.5, 0.5)
