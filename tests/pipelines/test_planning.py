"""The plan of a mix: strata, scores and conditions, quotas, near copies, and the lead for a shuffle buffer, over small sources."""

import collections
import itertools
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import near_copies, planning
from provenance import floor as floors
from provenance import locales
from provenance.mixture import Mix
from store import files, shards, sql, strata
from store.errors import CheckFailed, UsageError
from store.manifest import Opened
from tests import mixes

LANGUAGES = {"en": 24, "de": 12, "日本 / 語": 6, None: 3}
"""Human documents by what their rows say of the language."""


def key(name: str) -> str:
    return str(mixes.document(name, 1)["key"])


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[Opened, Opened]:
    folder = tmp_path_factory.mktemp("planned")
    documents = []
    for language, count in LANGUAGES.items():
        for i in range(count):
            date = datetime(2010 + i % 3, 1, 1, tzinfo=UTC)
            url = f"https://{'www.' if i % 2 else ''}site{i % 4}.example:80/{i}"
            documents.append(mixes.document(f"{language}-{i}", 400 + 37 * i, language=language, date=date, date_end=date, url=url))
    frozen = mixes.snapshot(folder / "snapshot", documents)
    crawl: list[tuple[dict[str, Any], str, str | None]] = [
        (mixes.document(f"new-{i}", 500, language="de" if i % 5 else "en"), "unknown", None) for i in range(90)
    ]
    crawl += [(mixes.document(f"machine-{i}", 500, language="en"), "machine_generated", None) for i in range(4)]
    return frozen, mixes.run(folder / "run", [frozen], crawl)


def planned(tmp_path: Path, sources: tuple[Opened, Opened], scored: list[str] | None = None, **options: Any) -> planning.Planned:
    from store import scores

    mix = Mix(**({"min_attestation": "captured", "coverage": False} | options))
    return planning.plan(mix, sources[0], [sources[1]], str(tmp_path / "work"), mixes.Here(), None, scores.opened(scored or []))


def rows(plan: planning.Planned) -> list[list[dict[str, Any]]]:
    """The plan of each shard."""
    return [pq.read_table(f"{plan.folder}/shards/{job['name']}.parquet").to_pylist() for job in plan.shard_jobs]


def scores_of(path: Path, table: dict[str, list[Any]]) -> str:
    pq.write_table(pa.table(table), path)
    return str(path)


def test_labels_name_origin_and_values_and_stand_in_every_row(sources: tuple[Opened, Opened], tmp_path: Path) -> None:
    plan = planned(tmp_path, sources, strata=("language", "year", "domain", "source"), shards=2)
    labels = {row["stratum"] for shard in rows(plan) for row in shard}
    frozen, crawled = (opened.id[:12] for opened in sources)
    assert f"human/日本 _ 語/2010/site0.example/{frozen}" in labels
    assert f"human/none/2012/site2.example/{frozen}" in labels
    assert any(label.startswith("unknown/de/201") and label.endswith(f"/example.org/{crawled}") for label in labels)
    assert labels <= plan.stated["strata"].keys()
    assert all(row["stratum"].partition("/")[0] == row["origin"] for shard in rows(plan) for row in shard)
    chosen: collections.Counter[str] = collections.Counter()
    for row in {row["key"]: row for shard in rows(plan) for row in shard}.values():
        chosen[row["stratum"]] += 1
    assert {label: of["chosen"]["documents"] for label, of in plan.stated["strata"].items() if of["chosen"]["documents"]} == chosen


def test_without_strata_a_class_is_one(sources: tuple[Opened, Opened], tmp_path: Path) -> None:
    plan = planned(tmp_path, sources, strata=())
    assert plan.stated["strata"].keys() == {"human", "unknown"}
    ordered = [row["rank"] for row in rows(plan)[0] if row["origin"] == "human"]
    assert ordered == sorted(ordered)


@pytest.mark.parametrize("value", ["", "a/b", "line\nbreak\u2028x\x7f", "é" * 100, "none", "'; DROP TABLE offered; --"])
def test_values_of_any_kind_make_labels(sources: tuple[Opened, Opened], tmp_path: Path, value: str) -> None:
    table = scores_of(tmp_path / "s.parquet", {"key": [key("en-1")], "topic": [value]})
    plan = planned(tmp_path, sources, [table], strata=("topic",))
    expected = "".join("_" if char in "/\n\u2028\x7f" else char for char in value)[:80]
    assert plan.stated["strata"].keys() == {f"human/{expected}", "human/none", "unknown/none"} and "\n" not in expected


def test_too_many_strata_are_refused_with_their_number(
    sources: tuple[Opened, Opened], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strata, "MOST", 9)
    with pytest.raises(UsageError, match=r"language x year x domain divides the candidates into \d\d strata, and .* 9 at most"):
        planned(tmp_path, sources, strata=("language", "year", "domain"))


def test_a_column_that_nothing_has_is_refused(sources: tuple[Opened, Opened], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'topic', which is none of source, language"):
        planned(tmp_path, sources, strata=("topic",))


@given(
    st.text("abcXYZ01.-:/?#@[]%\\ \tüwww", max_size=30)
    | st.from_regex(r"https?://(www\.)?[a-zA-Z0-9.-]{1,12}(:[0-9]{0,4})?([/?#].{0,8})?", fullmatch=True)
)
@settings(max_examples=300, deadline=None)
def test_the_domain_is_the_site_of_the_address(url: str) -> None:
    con = sql.connect("memory://")
    con.execute("CREATE TABLE offered AS SELECT 0 AS part, 0 AS row, 'k' AS key, 'human' AS origin, 'en' AS language, $url AS url, "
        "NULL::TIMESTAMPTZ AS date, 1 AS byte_count, NULL::VARCHAR AS attestation", {"url": url})  # fmt: skip
    con.execute("CREATE TABLE parts AS SELECT 0 AS part, 'abc' AS source")
    strata.facts(con, [], locales.site, None)
    assert con.execute("SELECT domain FROM facts").fetchall() == [(locales.site(url),)]


def order_of(plan: planning.Planned, origin: str) -> list[tuple[str, int]]:
    return [(row["stratum"].split("/")[1], row["byte_count"]) for row in rows(plan)[0] if row["origin"] == origin]


def test_weights_set_the_shares_of_a_class_as_long_as_documents_last(sources: tuple[Opened, Opened], tmp_path: Path) -> None:
    options = {"strata": ("language",), "shards": 1, "floor": "0.5", "budget": 12_000}
    plan = planned(tmp_path, sources, **options, weights={"language=de": "0.5"})
    units: collections.Counter[str] = collections.Counter()
    for language, size in order_of(plan, "human"):
        units[language] += size
    assert units["de"] / sum(units.values()) == pytest.approx(0.5, abs=0.15)
    assert plan.stated["strata"]["human/de"]["target"] == 0.5 == plan.stated["strata"]["unknown/de"]["target"]
    natural = planned(tmp_path / "natural", sources, **options)
    assert natural.stated["strata"]["human/de"]["target"] < 0.3
    with pytest.raises(UsageError, match=r"language=fr a share.*language=de, language=en, language=none"):
        planned(tmp_path / "other", sources, **options, weights={"language=fr": "0.5"})


def test_every_beginning_of_a_class_has_the_shares_of_the_shard(tmp_path: Path) -> None:
    documents = [
        mixes.document(f"{language}-{i}", 300, language=language) for language, n in (("en", 90), ("de", 30)) for i in range(n)
    ]
    frozen = mixes.snapshot(tmp_path / "snapshot", documents)
    crawled = mixes.run(tmp_path / "run", [frozen], [(mixes.document("new", 300), "unknown", None)])
    plan = planned(tmp_path, (frozen, crawled), strata=("language",), shards=2)
    for shard in rows(plan):
        languages = [row["stratum"] for row in shard if row["origin"] == "human"]
        share = languages.count("human/de") / len(languages)
        for end in range(len(languages)):
            # In its turn a document is drawn from its part of the pass: off by two at most.
            assert abs(languages[:end].count("human/de") - share * end) <= 2


def test_a_condition_is_for_both_sides_and_what_it_leaves_is_said(sources: tuple[Opened, Opened], tmp_path: Path) -> None:
    table = scores_of(
        tmp_path / "s.parquet",
        {"key": [key(f"new-{i}") for i in range(90)] + ["f" * 32], "quality": [i / 90 for i in range(90)] + [1.0]},
    )
    plan = planned(tmp_path, sources, [table], where="origin = 'human' OR quality > 0.5", strata=(), floor="0.1")
    told = plan.stated["strata"]["unknown"]
    assert (told["available"]["documents"], told["passed"]["documents"], told["chosen"]["documents"]) == (90, 44, 44)
    assert plan.stated["strata"]["human"]["passed"]["documents"] == 45
    assert plan.stated["filter"] == {
        "where": "origin = 'human' OR quality > 0.5",
        "scores": [{"rows": 91, "unmatched": 1, "candidates": 135, "without": 45}],
        "barred": {"machine_generated": {"documents": 4, "passed": 0}},
    }
    assert plan.stated["survival"]["may_enter"]["unknown"] == 90 and plan.stated["survival"]["passed"]["unknown"] == 44
    assert plan.stated["left_over"] == {}
    with pytest.raises(CheckFailed, match=r"leaves no human document.*of 91 rows of scores 1 are of no candidate, and 45 of 135"):
        planned(tmp_path / "both", sources, [table], where="quality > 0.5", strata=())


@pytest.mark.parametrize("options", [{"shuffle_buffer": 10, "shards": 2}, {"units": ("bytes", "documents")}], ids=["lead", "units"])
def test_a_budget_is_filled_with_more_human_text_where_others_are_kept_out(tmp_path: Path, options: dict[str, Any]) -> None:
    frozen = mixes.snapshot(tmp_path / "snapshot", [mixes.document(f"old-{i}", 900) for i in range(200)])
    crawled = mixes.run(tmp_path / "run", [frozen], [(mixes.document(f"new-{i}", 300), "unknown", None) for i in range(300)])
    plan = planned(tmp_path, (frozen, crawled), strata=(), budget=100_000, floor="1/2", **options)
    made = plan.realised["bytes"]
    assert 98_000 < made["total"] <= 100_000 and made["human"] > 52_000


def test_what_a_filter_would_pass_of_origins_without_a_place_is_said(tmp_path: Path) -> None:
    frozen = mixes.snapshot(tmp_path / "snapshot", [mixes.document(f"old-{i}", 300) for i in range(20)])
    new = [(mixes.document(f"new-{i}", 300), "unknown" if i % 3 else "machine_generated", None) for i in range(30)]
    odd = [(mixes.document("odd", 300, url="http://[bad"), "machine_translated", None)]
    crawled = mixes.run(tmp_path / "run", [frozen], [*new, *odd])
    table = scores_of(
        tmp_path / "s.parquet",
        {"key": [key(f"new-{i}") for i in range(30)], "quality": [1.0 if i % 3 == 0 else i / 30 for i in range(30)]},
    )
    where = "origin = 'human' OR quality > 0.5 OR domain = 'nowhere.example'"
    plan = planned(tmp_path, (frozen, crawled), [table], where=where, strata=(), floor="0.1")
    assert plan.stated["filter"]["barred"] == {
        "machine_generated": {"documents": 10, "passed": 10},
        "machine_translated": {"documents": 1, "passed": 0},
    }
    assert plan.stated["survival"]["passed"] == {"human": 20, "machine_generated": 0, "machine_translated": 0, "unknown": 10}
    assert {row["origin"] for shard in rows(plan) for row in shard} == {"human", "unknown"}


@pytest.mark.parametrize(
    ("where", "left"),
    [
        ("origin = 'human' AND language = 'en' OR origin <> 'human'", 24),
        ("year = 2011 OR origin <> 'human'", 15),
        ("date < TIMESTAMPTZ '2011-01-01' OR origin <> 'human'", 15),
        ("domain = 'site1.example' OR origin <> 'human'", 12),
        ("url LIKE '%/7' OR origin <> 'human'", 2),
        ("byte_count > 1000 OR origin <> 'human'", 7),
        ("attestation = 'captured' OR origin <> 'human'", 45),
        ("attestation IS NULL OR language = 'de'", 12),
        ("source = '{frozen}' OR origin <> 'human'", 45),
        (f"key = '{key('en-1')}' OR origin <> 'human'", 1),
    ],
)
def test_conditions_know_the_columns_of_a_candidate(sources: tuple[Opened, Opened], tmp_path: Path, where: str, left: int) -> None:
    plan = planned(tmp_path, sources, where=where.replace("{frozen}", sources[0].id[:12]), strata=())
    assert plan.stated["strata"]["human"]["passed"]["documents"] == left
    assert plan.stated["strata"]["unknown"]["passed"]["documents"] in (90, 72)


def test_a_stratum_that_the_filter_empties_is_an_error_unless_allowed(sources: tuple[Opened, Opened], tmp_path: Path) -> None:
    options: dict[str, Any] = {"strata": ("language",), "where": "language = 'en' OR origin <> 'human'"}
    with pytest.raises(
        CheckFailed,
        match=r"the filter leaves nothing of human/de \(12 documents\), human/none \(3 documents\), human/日本 _ 語 \(6",
    ):
        planned(tmp_path, sources, **options)
    plan = planned(tmp_path / "allowed", sources, **options, allow_empty=True)
    assert plan.stated["strata"]["human/de"] | {"available": None} == {
        "available": None,
        "passed": {"documents": 0, "bytes": 0},
        "target": 0.0,
        "chosen": {"documents": 0, "bytes": 0, "epochs": 0.0},
    }


def test_the_quota_keeps_every_stratum_where_a_budget_leaves_documents_out(sources: tuple[Opened, Opened], tmp_path: Path) -> None:
    options: dict[str, Any] = {"strata": ("language", "year"), "floor": "0.5", "budget": 20_000}
    human = {
        label
        for label in planned(tmp_path / "all", sources, strata=("language", "year")).stated["strata"]
        if label.startswith("human")
    }
    plan = planned(tmp_path, sources, **options)
    assert {row["stratum"] for shard in rows(plan) for row in shard if row["origin"] == "human"} == human
    with pytest.raises(CheckFailed, match=r"fall to zero|documents of each stratum"):
        planned(tmp_path / "small", sources, **options | {"budget": 2_000})
    with pytest.raises(CheckFailed, match=r"the budget, or near copies .* leave nothing of human/"):
        planned(tmp_path / "none", sources, **options | {"budget": 6_000, "quota": 0})


def clustered(monkeypatch: pytest.MonkeyPatch, *groups: list[str]) -> None:
    """Says which human documents are near copies of each other."""
    pairs = [(key(name), key(group[0])) for group in groups for name in group]
    table = pa.table({"key": [one for one, _ in pairs], "cluster": [of for _, of in pairs]})
    monkeypatch.setattr(near_copies, "clusters", lambda frozen, scratch: table)


def test_near_copies_pass_as_often_as_one_document(
    sources: tuple[Opened, Opened], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = [f"en-{i}" for i in range(7)]
    clustered(monkeypatch, group, ["de-0", "de-1"])
    options: dict[str, Any] = {"strata": (), "shards": 1, "floor": "0.9"}
    plan = planned(tmp_path, sources, **options, max_epochs=4)
    assert plan.stated["kept_out"]["near_copies"] == 3
    assert plan.stated["clusters"] == {"clusters": 2, "documents": 9, "largest": 7, "left_out": 3}
    drawn = [row["key"] for row in rows(plan)[0] if row["origin"] == "human"]
    keys = {key(name) for name in group}
    assert len(drawn) == 42 and len(keys & set(drawn)) == 4 and key("en-0") in drawn
    places = sorted(place for place, one in enumerate(drawn) if one in keys)
    assert min(np.diff([*places, places[0] + len(drawn)])) >= 5
    repeated = planned(tmp_path / "repeat", sources, **options, max_epochs=3, shortfall="repeat", budget=90_000)
    passes = collections.Counter(row["key"] for row in rows(repeated)[0] if row["origin"] == "human")
    assert sum(passes[one] for one in keys) == 3 and passes[key("de-0")] + passes[key("de-1")] == 3
    assert max(passes.values()) == 3


def test_copies_never_stand_side_by_side_where_something_else_is_there(
    sources: tuple[Opened, Opened], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clustered(monkeypatch, [f"en-{i}" for i in range(24)])
    for seed in range(6):
        plan = planned(tmp_path / str(seed), sources, strata=(), shards=4, floor="0.9", max_epochs=24, seed=seed)
        copies = {key(f"en-{i}") for i in range(24)}
        for shard in rows(plan):
            drawn = [row["key"] in copies for row in shard if row["origin"] == "human"]
            alone = max(0, drawn.count(True) - drawn.count(False) - 1)
            assert sum(a and b for a, b in itertools.pairwise(drawn)) <= alone


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 400)), min_size=1, max_size=30),
    st.integers(1, 12),
    st.integers(4, 90),
    st.data(),
)
@settings(max_examples=300, deadline=None)
def test_what_a_buffer_may_hold_back_is_bounded(
    documents: list[tuple[int, int]], rows: int, size: int, data: st.DataObject
) -> None:
    owner = np.array([shard for shard, _ in documents])
    units = np.array([[length, 1] for _, length in documents], np.int64)
    bound = planning.held_back(Mix(units=("bytes", "documents"), shuffle_buffer=rows, chunk_bytes=size), owner, units, 4)
    for shard in range(4):
        pieces = []
        for length in units[owner == shard, 0].tolist():
            while length > size:  # a chunk ends before a character, at most three bytes early
                cut = data.draw(st.integers(max(1, size - 3), size))
                pieces.append([cut, 0])
                length -= cut
            pieces.append([length, 1])
        actual = floors.longest(np.array(pieces, np.int64).reshape(-1, 2), Fraction(1, 2), rows)
        assert all(have <= most for have, most in zip(actual, bound[shard].tolist(), strict=True))
        assert bound[shard][0] <= units[owner == shard, 0].sum()


def test_the_lead_of_a_buffer_is_left_free_and_one_that_leaves_nothing_is_refused(
    sources: tuple[Opened, Opened], tmp_path: Path
) -> None:
    plain = planned(tmp_path / "plain", sources, shards=2)
    plan = planned(tmp_path, sources, shards=2, shuffle_buffer=4)
    assert plan.realised["bytes"]["total"] < plain.realised["bytes"]["total"]
    for shard in rows(plan):
        human = sorted(row["byte_count"] for row in shard if row["origin"] == "human")
        other = sum(row["byte_count"] for row in shard if row["origin"] != "human")
        assert sum(human) - other >= sum(human[-4:])
    with pytest.raises(CheckFailed, match=r"a shuffle buffer of 100 rows may hold back all .* 2 shards"):
        planned(tmp_path / "large", sources, shards=2, shuffle_buffer=100)


@pytest.mark.parametrize("budget", [4_000, 15_000, 30_000, 60_000])
@pytest.mark.parametrize("shortfall", ["shrink", "repeat"])
def test_a_budget_is_never_exceeded(sources: tuple[Opened, Opened], tmp_path: Path, budget: int, shortfall: str) -> None:
    plan = planned(tmp_path, sources, strata=("language",), budget=budget, shortfall=shortfall, floor="0.6", temperature=3.0)
    assert plan.realised["bytes"]["total"] <= budget
    assert plan.realised["bytes"]["human"] >= 0.6 * plan.realised["bytes"]["total"]
    told = plan.stated["plan"]
    assert told["requested"]["budget"] == budget and told["reachable"]["human"] == sum(
        of["passed"]["bytes"] for label, of in plan.stated["strata"].items() if label.startswith("human")
    )


def test_the_same_settings_give_the_same_plan(sources: tuple[Opened, Opened], tmp_path: Path) -> None:
    table = scores_of(tmp_path / "s.parquet", {"key": [key(f"new-{i}") for i in range(90)], "topic": ["x", "y", "z"] * 30})
    options: dict[str, Any] = {
        "strata": ("topic", "language"),
        "weights": {"topic=x": "0.5"},
        "temperature": 2.0,
        "where": "topic <> 'z' OR origin = 'human'",
        "budget": 60_000,
        "shortfall": "repeat",
        "floor": "0.8",
        "shards": 3,
    }
    found = []
    for name in ("a", "b"):
        plan = planned(tmp_path / name, sources, [table], **options)
        base = files.join(plan.folder)
        found.append(({path: files.read_bytes(files.join(base, path)) for path in files.list_files(base)}, plan.stated))
    assert found[0] == found[1]


def test_mixes_of_nothing(tmp_path: Path) -> None:
    frozen = mixes.snapshot(tmp_path / "snapshot", [mixes.document(f"old-{i}", 300) for i in range(4)])
    empty = mixes.run(tmp_path / "run", [frozen], [])
    plan = planned(tmp_path, (frozen, empty), where="byte_count > 0")
    assert plan.realised["bytes"]["human"] == plan.realised["bytes"]["total"] > 0
    assert plan.shards == 1 and shards.shard_name(0, 1) == "train-00000-of-00001"
    bare = mixes.snapshot(tmp_path / "bare", [])
    nobody = planned(tmp_path / "none", (bare, mixes.run(tmp_path / "again", [bare], [])), floor="0")
    assert nobody.realised == {"bytes": {"human": 0, "total": 0}} and nobody.stated["strata"] == {}


def test_rarity_divides_and_is_a_column_of_conditions(sources: tuple[Opened, Opened], tmp_path: Path) -> None:
    plan = planned(tmp_path, sources, strata=("rarity",), where="rarity >= 0", floor="0.5")
    human = {label: of["available"]["documents"] for label, of in plan.stated["strata"].items() if label.startswith("human/")}
    assert sum(human.values()) == 45 and len(human) > 1
    assert human.keys() <= {f"human/{decile}" for decile in range(10)}
    lower = planned(tmp_path / "lower", sources, strata=("rarity",), where="rarity < 5", floor="0.5", allow_empty=True)
    assert 0 < lower.stated["strata"]["human/0"]["passed"]["documents"] < 45


def test_what_a_budget_leaves_out_is_counted_in_rare_words(sources: tuple[Opened, Opened], tmp_path: Path) -> None:
    whole = planned(tmp_path / "whole", sources, coverage=True)
    assert whole.stated["coverage"] is None
    plan = planned(tmp_path, sources, strata=("language",), budget=30_000, coverage=True)
    found = plan.stated["coverage"]
    assert found["documents"]["before"] == 45 > found["documents"]["after"] > 0


def test_a_budget_counts_tokens_of_whole_documents(sources: tuple[Opened, Opened], tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0, "<eos>": 1, "stone": 2}, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.add_special_tokens(["<eos>"])
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"eos_token": "<eos>", "tokenizer_class": "PreTrainedTokenizerFast"}')
    options: dict[str, Any] = {"format": "tokens", "units": ("tokens",), "tokenizer": str(folder), "sequence_length": 32}
    opened = mixes.make(
        tmp_path / "mix",
        sources[0],
        [sources[1]],
        **options,
        shards=2,
        budget=6_000,
        floor="0.5",
        chunk_tokens=20,
        shuffle_buffer=3,
    )
    made_of = opened.manifest["realised"]["tokens"]
    assert 5_000 < made_of["total"] <= 6_000 and made_of["human"] * 2 >= made_of["total"]
    assert opened.manifest["orders"]["tokens"]["shuffle_buffer"] >= 3
    assert opened.manifest["stated"]["plan"]["unit"] == "tokens"
