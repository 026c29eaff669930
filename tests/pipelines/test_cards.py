"""The cards of a mix: what a loader reads of them, what they say, and that a program which knows Croissant reads the shards by them."""

import copy
import hashlib
import json
import math
import random
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import cards
from pipelines.cards import croissant, dataset, reading, supply, words
from provenance.schema import PACKED, SHARD
from store import shards
from store.shards import parquet
from store.verify_card import KEYS, check_card, check_croissant
from tests import mixes

SNAPSHOT, RUN, JOB = "a1" * 32, "b2" * 32, "c3" * 32


def amounts(documents: int, size: int, rows: int | None = None) -> dict[str, int]:
    return {"documents": documents, "rows": rows or documents, "bytes": size}


def held(documents: int, size: int) -> dict[str, int]:
    return {"documents": documents, "bytes": size}


def order(minimum: int = 0, whole: bool = False) -> dict[str, dict[str, Any]]:
    return {world: {"whole_shards": whole, "human": 300, "total": 601, "minimum_surplus": minimum} for world in ("2", "4", "8")}


BODY: dict[str, Any] = {
    "kind": "mix",
    "job": JOB,
    "config": {
        "mix": {
            "format": "parquet", "human_apart": False, "strata": ["language", "year"], "temperature": 1.0, "weights": {}, "where": None, "seed": 7,
            "min_attestation": "captured", "chunk_bytes": 16384, "sequence_length": 64, "chunk_tokens": 32, "tokenizer": None,
            "max_epochs": 4, "budget": None, "shortfall": "fail",
        }
    },
    "floor": "1/2",
    "units": ["bytes"],
    "snapshot": {"id": SNAPSHOT, "cutoff": "2022-01-01T00:00:00.000000Z"},
    "runs": [RUN],
    "scores": [],
    "requested": {"floor": "1/2", "units": ["bytes"], "budget": None, "shortfall": "fail", "max_epochs": 4, "min_attestation": "captured"},
    "realised": {"bytes": {"human": 600, "total": 1000}},
    "shards": [{"path": f"data/train-{i:05d}-of-00006.parquet", "rows": 2, "units": {}, "human": None} for i in range(6)],
    "counts": {
        "origins": {"human": amounts(3, 600), "unknown": amounts(1, 400)},
        "witnesses": {"archive file": {"documents": 3, "bytes": 600}},
        "attestations": {"captured": {"documents": 3, "bytes": 600}},
        "strata": {"human/en/2014": amounts(2, 400), "human/no/2016": amounts(1, 200), "unknown/none/2024": amounts(1, 400)},
        "years": {"2014": amounts(2, 400), "2016": amounts(1, 200)},
    },
    "orders": {
        "bytes": {"rows": 12, "longest_row": 300, "shuffle_buffer": 1, "strided": order(-41), "contiguous": order()},
    },
    "stated": {
        "human_epochs": 1.0,
        "alternative": {"what": "the human side alone", "unit": "bytes", "unique": 600, "epochs": 1.6, "total": 960, "effective": 950, "law": "D'"},
        "kept_out": {"redacted": 2, "near_copies": 3},
        "near_human": {"documents": 0, "bytes": 0},
        "plan": {
            "unit": "bytes",
            "requested": {"floor": "1/2", "budget": None, "human": None},
            "reachable": {"human": 700, "other": 900, "total": 1400},
            "effective": {"human": 600, "other": 400, "law": "D'"},
            "alternatives": None,
        },
        "strata": {
            label: {"available": held(9, 90), "passed": held(5, 50), "target": 0.25, "chosen": held(2, 20) | {"epochs": 1.5}}
            for label in ("human/en/2014", "human/no/2016", "unknown/none/2024")
        },
        "filter": None,
        "clusters": {"clusters": 0, "documents": 0, "largest": 0, "left_out": 0},
        "coverage": None,
        "survival": {
            "frozen": {"human": 9, "unknown": 0, "machine_generated": 0, "machine_translated": 0},
            "attested": {"human": 8, "unknown": 0, "machine_generated": 0, "machine_translated": 0},
            "may_enter": {"human": 0, "unknown": 20, "machine_generated": 0, "machine_translated": 0},
            "passed": {"human": 4, "unknown": 15, "machine_generated": 0, "machine_translated": 0},
            "in_shards": {"human": 3, "unknown": 1, "machine_generated": 0, "machine_translated": 0},
        },
        "estimated_against": [],
        "purity": {"share": None, "share_low": None, "documents": 0, "estimated": 0, "before_2020": 0, "placebo": None, "note": "no cells"},
        "machine_share": {"unit": "bytes", "share": None, "share_low": None, "share_high": None, "note": "nothing to go by"},
    },
}  # fmt: skip


def body(**changes: Any) -> dict[str, Any]:
    """A manifest's body; a change is named by its path with two underscores between the parts."""
    made = copy.deepcopy(BODY)
    for path, value in changes.items():
        *outer, last = path.split("__")
        inner = made
        for name in outer:
            inner = inner[name]
        inner[last] = value
    return made


def card(**changes: Any) -> str:
    return dataset.written(body(**changes)).decode()


def header(**changes: Any) -> dict[str, Any]:
    found = yaml.safe_load(card(**changes).split("---\n")[1])
    assert isinstance(found, dict)
    return found


ENTRIES = [
    {"path": "proof/train-00000-of-00006.hashes.bin", "size": 5, "sha256": "e" * 64},
    {"path": "data/train-00001-of-00006.parquet", "size": 12, "sha256": "d" * 64},
    {"path": "data/train-00000-of-00006.parquet", "size": 1234567, "sha256": "c" * 64},
]


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("name", sorted(shards.formats()))
def test_the_header_names_the_shards_and_nothing_else(name: str, apart: bool) -> None:
    form = shards.named(name)
    made = card(config__mix__format=name, config__mix__human_apart=apart)
    check_card(made.encode(), form, apart)
    found = header(config__mix__format=name, config__mix__human_apart=apart)
    assert found.keys() <= KEYS and ("configs" in found) == (form.pattern() is not None)
    assert ("dataset_info" in found) == (form.features() is not None and form.pattern() is not None)
    if "dataset_info" in found:
        with pytest.raises(ValueError, match="dataset_info"):
            check_card(made.replace("dtype: string", "dtype: binary", 1).encode(), form, apart)
        with pytest.raises(ValueError, match="dataset_info"):
            check_card(made.replace("config_name: default\n  features", "config_name: other\n  features", 1).encode(), form, apart)
    assert found["language"] == ["en", "no"]
    assert found["size_categories"] == ["n<1K"]


def test_no_language_is_named_where_the_strata_do_not_divide_by_it() -> None:
    assert "language" not in header(config__mix__strata=["year"], counts__strata={"human/2014": amounts(1, 2)})
    assert "language" not in header(counts__strata={"human/none/2014": amounts(1, 2), "human/<b>/2014": amounts(1, 2)})


@pytest.mark.parametrize(("rows", "name"), [(999, "n<1K"), (1000, "1K<n<10K"), (10**12 - 1, "100B<n<1T"), (10**12, "n>1T")])
def test_sizes_are_named_as_the_hub_names_them(rows: int, name: str) -> None:
    assert header(shards=[{"path": "data/x.parquet", "rows": rows, "human": None}])["size_categories"] == [name]


def stratum(documents: int, target: float = 0.0) -> dict[str, Any]:
    return {"available": held(documents, 1), "passed": held(documents, 1), "target": target, "chosen": held(1, 1) | {"epochs": 2.0}}


def test_the_rule_by_which_strata_are_drawn_is_said() -> None:
    assert "divided by language, year, and its strata are drawn by their size." in card()
    assert "drawn by their size to the power 1/2.5." in card(config__mix__temperature=2.5)
    assert "drawn with fixed shares (1/4 for year=2014) and the rest by their size." in card(
        config__mix__weights={"year=2014": "1/4"}
    )


def test_a_repeated_human_side_is_said_to_have_missed_the_targets_of_its_strata() -> None:
    assert "repeated by those targets" in card(config__mix__temperature=2.0, stated__human_epochs=2.3)
    assert "repeated by those targets" not in card(config__mix__temperature=2.0) + card(stated__human_epochs=2.3)


def test_many_strata_are_thirty_lines_half_of_each_class_and_two_sums() -> None:
    found = {f"{origin}/en/{year}": stratum(year, 0.01) for year in range(1000, 1100) for origin in ("human", "unknown")}
    counts = {label: amounts(1, 7) for label in found}
    lines = card(stated__strata=found, counts__strata=counts).split("## Strata")[1].split("\n## ")[0].splitlines()
    listed = [line for line in lines if "/en/" in line]
    assert [sum(origin in line for line in listed) for origin in ("human", "unknown")] == [15, 15] and dataset.SHOWN == 30
    assert listed[0] == "| human/en/1099 | 1,099 | 1,099 | 1 | 2 | 1.00 % | 1 | 7 |"
    rest = sum(range(1000, 1085))
    assert f"| 85 more human | {rest:,} | {rest:,} | 85 | 2 | 85.00 % | 85 | 595 |" in lines


def test_a_few_strata_of_one_class_leave_their_lines_to_the_other() -> None:
    found = {"human/en/2014": stratum(1)} | {f"unknown/{i}": stratum(i) for i in range(40)}
    head, rows = supply.strata(found, None, 30)
    assert len(rows) == 31 and rows[0][0] == "human/en/2014" and rows[-1][0] == "11 more other"
    assert head[-1] == "target", "amounts are told of what is written"
    assert len(supply.strata(found, None, 41)[1]) == 41
    many = {f"human/{i}": stratum(i) for i in range(40)} | {"unknown": stratum(1)}
    assert [row[0] for row in supply.strata(many, None, 30)[1]][-2:] == ["unknown", "11 more human"]


def test_a_label_cannot_leave_its_cell() -> None:
    label = "human/a|b<script>`[x](y)\\"
    made = card(stated__strata={label: stratum(1)}, counts__strata={label: amounts(1, 2)})
    line = next(line for line in made.splitlines() if line.startswith("| human/"))
    assert line == "| human/a\\|b&lt;script>\\`\\[x](y)\\\\ | 1 | 1 | 1 | 2 | 0.00 % | 1 | 2 |"


def test_what_is_left_of_each_origin_is_a_share_of_what_could_enter() -> None:
    made = card()
    assert "| human | 8 | 4 | 50.00 % | 3 | 37.50 % |" in made and "| unknown | 20 | 15 | 75.00 % | 1 | 5.00 % |" in made
    told = {
        "where": "x",
        "scores": [{"rows": 10, "unmatched": 4, "candidates": 20, "without": 14}],
        "barred": {"machine_generated": {"documents": 8, "passed": 6}},
    }
    assert "Of 10 rows of scores 4 are of no candidate; 14 of 20 candidates have none." in card(stated__filter=told)
    table = {"sha256": "d4" * 32, "rows": 10, "columns": ["quality", "`|"]}
    made = card(stated__filter=told, scores=[table])
    assert "| machine_generated, kept out | 8 | 6 | 75.00 % | 0 | 0.00 % |" in made
    assert f"Scores of 10 documents came from a table with the SHA-256 `{'d4' * 32}` and the columns `quality`, " in made


def test_what_was_asked_for_stands_beside_what_can_be_reached() -> None:
    assert "| bytes in all | all that the floor admits | 1,400 | 1,000 |" in card()
    plan = BODY["stated"]["plan"] | {
        "requested": {"floor": "1/2", "budget": 5000, "human": 2500},
        "alternatives": {
            "repeat": {"epochs": 3.5714, "total": 5000, "effective": 4800},
            "shrink": {"total": 1400, "human": 700, "effective": 1400},
            "lower_floor": {"floor": "7/50", "total": 5000, "effective": 5000},
        },
    }
    made = card(stated__plan=plan, requested__budget=5000)
    assert "| human bytes | 2,500 | 700 | 600 |" in made
    assert "- repeat: 3.5714 passes over the human side give 5,000 bytes, worth 4,800 read once" in made
    assert "- shrink: 1,400 bytes with 700 human ones" in made and "- lower the floor to 14 %: 5,000 bytes" in made
    none = plan | {"alternatives": {"repeat": None, "shrink": None, "lower_floor": None}}
    assert supply.alternatives(none) == []


def test_rare_words_are_told_where_documents_were_left_out() -> None:
    line = {"types": 1000, "kept": 500, "share": 0.5, "expected": 0.4567}
    found = {
        "documents": {"before": 10, "after": 5},
        "frequencies": {"1": line, "2": {"types": 0, "kept": 0, "share": None, "expected": None}},
        "all": line,
        "types": {"before": 3000, "kept": 2000},
        "expectation": "the hypergeometric law",
    }
    made = card(stated__coverage=found)
    assert "| 1 | 1,000 | 500 | 50.00 % | 45.67 % |" in made and "| 2 | 0 | 0 | – | – |" in made and "hypergeometric" in made
    none = line | {"types": 0, "kept": 0, "share": None, "expected": None}
    assert "Rare words" not in card() + card(stated__coverage=found | {"all": none})


def test_near_copies_among_the_human_side_are_counted_by_cluster() -> None:
    made = card(stated__clusters={"clusters": 1, "documents": 5, "largest": 5, "left_out": 1})
    assert "5 in 1 cluster, the largest of 5" in made and "in 1 cluster" not in card()


def test_the_histogram_has_each_year_between_and_what_has_no_date() -> None:
    made = dataset.histogram(
        body(counts__years={"2014": amounts(40, 9), "2017": amounts(1, 5), "none": amounts(10, 3)})
    ).splitlines()
    assert [line.split()[0] for line in made[1:-1]] == ["2014", "2015", "2016", "2017", "–"]
    assert [line.count("█") for line in made[1:-1]] == [40, 0, 0, 1, 10]
    assert "1 document, 5 bytes" in made[4]
    assert "a floor of old knowledge" in card() and "captured after 2016" in card()


def test_the_condition_of_a_filter_stands_as_text() -> None:
    made = card(config__mix__where="score > 1 AND\n note <> '</code><b>'")
    assert "<code>score &gt; 1 AND note &lt;&gt; &#x27;&lt;/code&gt;&lt;b&gt;&#x27;</code>" in made


def test_the_same_manifest_gives_the_same_cards() -> None:
    shuffled = json.loads(json.dumps(BODY))
    assert cards.written(body(), ENTRIES) == cards.written(shuffled, ENTRIES[::-1])


def test_ranks_are_told_what_they_miss_rounded_against_the_mix() -> None:
    made = card()
    assert (
        "| 2, bytes | least human share of a rank 49.91 %, 21 bytes short at worst | holds here; least human share 49.91 % |"
        in made
    )
    whole = card(orders__bytes__strided=order(0, whole=True))
    assert "| 8, bytes | whole shards: holds; least human share 49.91 % |" in whole
    assert "6 shards go evenly to 2, 3, 6 ranks" in made
    assert reading.worlds(1) == [] and reading.worlds(64) == [2, 4, 8, 16, 32, 64]


def test_shuffle_buffers_are_told_what_they_miss() -> None:
    made = card(realised__bytes={"human": 6_000_000, "total": 9_000_000}, orders__bytes__rows=30_000)
    assert "| a shuffle buffer of at most 1 row, bytes | holds exactly |" in made
    assert "| a shuffle buffer of 1,000 rows, bytes | may miss 150,000 bytes at most" in made
    assert "| a shuffle buffer of any size, bytes | holds exactly |" in card(orders__bytes__shuffle_buffer=12)
    assert "`datasets` holds back half as many again" in made
    assert "`datasets` holds back" not in card(config__mix__format="mds")


ROW = st.tuples(st.booleans(), st.integers(1, 50))


@settings(deadline=None, max_examples=200)
@given(st.lists(ROW, min_size=1, max_size=30), st.integers(1, 12), st.fractions(0, 1, max_denominator=7))
def test_no_reader_with_a_shuffle_buffer_misses_more_than_the_card_says(
    rows: list[tuple[bool, int]], held: int, floor: Fraction
) -> None:
    gains = [(1 - floor) * size if human else -floor * size for human, size in rows]
    kept = [sum(gains[: n + 1]) >= 0 for n in range(len(gains))]
    if not all(kept):
        return
    worst = min(sum(gains[:n]) - sum(sorted((g for g in gains[:n] if g > 0), reverse=True)[:held]) for n in range(len(gains) + 1))
    human = sum(size for is_human, size in rows if is_human)
    assert -worst <= reading.buffered(held, max(size for _, size in rows), human, floor)


def test_a_global_shuffle_misses_more_than_the_card_says_in_one_case_of_a_hundred_at_most() -> None:
    chance = random.Random(8)
    rows = [(chance.random() < 0.52, chance.randint(1, 100)) for _ in range(3000)]
    human, total = sum(size for is_human, size in rows if is_human), sum(size for _, size in rows)
    floor = Fraction(human, total)
    found = reading.shuffled(len(rows), 100, human, total, floor)
    assert found.drawn == 1500 and 0 < found.share < 0.1
    gains = [float((1 - floor) * size if is_human else -floor * size) for is_human, size in rows]
    over = sum(sum(chance.sample(gains, found.drawn)) < -found.units for _ in range(1000))
    assert over <= 10
    assert found.units < 100 * math.sqrt(found.drawn * math.log(100) / 2), "sharper than drawing with replacement"


def test_the_bound_of_a_global_shuffle_is_serflings() -> None:
    # t is what is missed, and what half of a surplus of 200 gives on average.
    found = reading.shuffled(20_000, 1_407, 50_200, 100_000, Fraction(1, 2))
    t = found.units + 10_000 * 200 / 20_000
    assert math.isclose(math.exp(-2 * t**2 / (10_000 * (1 - 9_999 / 20_000) * 1_407**2)), 0.01, rel_tol=1e-4)
    assert found.drawn == 10_000 and math.isclose(found.share, found.units / 50_000, rel_tol=1e-4)


@pytest.mark.parametrize("kept", [0, 1])
def test_the_bound_of_a_global_shuffle_is_none_for_a_mix_too_small_and_zero_for_a_rich_one(kept: int) -> None:
    made = [card(), card(floor="1/100", orders__bytes__rows=100_000, realised__bytes={"human": 10**7, "total": 10**7})][kept]
    assert ["the bound says nothing after 6 rows", "it holds after 10,000 rows too"][kept] in made


def test_texts_whose_tokens_count_name_the_tokenizer() -> None:
    said = "the SHA-256 of `proof/tokenizer.bin`"
    assert f"`{'f' * 64}`, {said}" in card(config__mix__tokenizer="f" * 64)
    assert said not in card()


def test_tokens_say_what_nobody_can_verify_without_the_snapshot() -> None:
    mix = {"config__mix__format": "tokens", "config__mix__tokenizer": "f" * 64}
    if "tokens" not in shards.formats():
        pytest.skip("the format tokens is not here")
    made = card(**mix, round_trip=False)
    assert "*Not verifiable without the snapshot*" in made and f"--anchor {SNAPSHOT} --texts SNAPSHOT" in made
    sure = card(**mix, round_trip=True)
    assert "not verifiable" not in sure.lower() and "--texts" not in sure and "64 token ids" in sure
    assert "*not verifiable without the snapshot*" in card(**mix), "unknown"
    assert "token ids" not in card()


def test_the_command_that_verifies_allows_the_cutoff_where_it_must() -> None:
    assert f"lowbackground verify MIX --anchor {SNAPSHOT}\n" in card()
    assert f"lowbackground verify MIX/data/train-00000-of-00006.parquet --anchor {SNAPSHOT}\n" in card()
    later = "2022-01-01T00:00:00.000001Z"
    assert f"lowbackground verify MIX --anchor {SNAPSHOT} --max-cutoff {later}\n" in card(snapshot__cutoff=later)


# Croissant


def described(**changes: Any) -> dict[str, Any]:
    found = json.loads(croissant.written(body(**changes), ENTRIES))
    assert isinstance(found, dict)
    return found


def test_croissant_lists_the_data_files_and_their_digests() -> None:
    data = {entry["path"]: (str(entry["sha256"]), int(entry["size"])) for entry in ENTRIES if entry["path"].startswith("data/")}
    check_croissant(croissant.written(body(), ENTRIES), data)
    files = [one for one in described()["distribution"] if one["@type"] == "cr:FileObject"]
    assert [one["contentUrl"] for one in files] == sorted(data)


def test_croissant_has_no_date_and_names_what_the_mix_was_made_from() -> None:
    found = described()
    assert not {name for name in found if "date" in name.lower()} - {name for name in found if name.startswith("rai:data")}
    assert [one["@id"] for one in found["prov:wasDerivedFrom"]] == [f"nih:sha-256;{SNAPSHOT}", f"nih:sha-256;{RUN}"]
    used = [{"@id": f"nih:sha-256;{SNAPSHOT}"}, {"@id": f"nih:sha-256;{RUN}"}]
    assert found["prov:wasGeneratedBy"]["prov:used"] == used
    scored = described(scores=[{"sha256": "d4" * 32, "rows": 10, "columns": ["quality"]}])
    assert scored["prov:wasGeneratedBy"]["prov:used"] == [*used, {"@id": f"nih:sha-256;{'d4' * 32}"}]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"counts__origins": {"human": amounts(1, 2), "machine_generated": amounts(1, 2)}}, True),
        ({"stated__machine_share": {"unit": "bytes", "share": 0.1, "share_low": None, "note": None, "human_side": {"share": None}, "other": {"share": None}}}, True),
        ({"counts__origins": {"human": amounts(1, 2)}}, None),
    ],
    ids=["unknown", "tagged", "estimated", "human alone"],
)  # fmt: skip
def test_synthetic_text_is_stated_where_tags_or_the_estimate_say_so_and_never_denied(
    changes: dict[str, Any], said: bool | None
) -> None:
    assert described(**changes).get("rai:hasSyntheticData") is said


def test_fields_are_described_by_the_schema() -> None:
    fields = described()["recordSet"][0]["field"]
    assert [one["name"] for one in fields] == SHARD.names and all(one["description"] for one in fields)
    if "tokens" in shards.formats():
        packed = described(config__mix__format="tokens")["recordSet"][0]["field"]
        assert [one["name"] for one in packed] == PACKED.names and packed[0]["arrayShape"] == "64"
    assert "recordSet" not in described(config__mix__format="jsonl"), "no reader of Croissant opens zstd"


def rows_of(shard: int) -> list[dict[str, Any]]:
    row: dict[str, Any] = dict.fromkeys(SHARD.names)
    return [
        row
        | {"text": f"naïve {shard} 東京\n{i}", "key": f"{i:032x}", "id": f"{i}", "origin": "human" if i % 2 else "unknown", "attestation": "captured",
           "chunk": i, "chunks": 3, "epoch": 0, "stratum": "human/en/2014", "url": None if i else "https://example.org/a",
           "date": datetime(2014, 1, 1, 2, 3, 4, 5678, tzinfo=UTC) + timedelta(days=i) if i != 1 else None}
        for i in range(3)
    ]  # fmt: skip


@pytest.fixture
def published(tmp_path: Path) -> tuple[Path, list[dict[str, Any]]]:
    """A folder with two Parquet shards, the same apart as the human side, and the cards; and the rows in order."""
    entries, listed = [], []
    plain = {"page_index": False, "content_defined_chunking": False}

    def create(path: str) -> BinaryIO:
        return (tmp_path / path).open("wb")

    for root in ("", shards.HUMAN):
        for number in range(2):
            name = shards.shard_name(number, 2)
            path = parquet.paths(name, root)[0]
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            rows = rows_of(number if not root else 7)
            parquet.write(create, name, [pa.RecordBatch.from_pylist(rows, SHARD)], plain, root)
            data = (tmp_path / path).read_bytes()
            entries.append({"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()})
            listed += rows if not root else []
    human = [{"path": entry["path"], "rows": 3, "human": {"path": "x", "rows": 3}} for entry in entries[:2]]
    for path, data in cards.written(body(config__mix__human_apart=True, shards=human), entries).items():
        (tmp_path / path).write_bytes(data)
    return tmp_path, listed


def test_datasets_loads_the_shards_that_the_card_names(
    published: tuple[Path, list[dict[str, Any]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    datasets = pytest.importorskip("datasets")
    folder, rows = published
    (folder / "data" / "other.parquet").write_bytes(b"what no card names")
    cache = str(tmp_path_factory.mktemp("cache"))
    assert datasets.load_dataset(str(folder), "default", split="train", cache_dir=cache)["text"][:] == [row["text"] for row in rows]
    assert datasets.load_dataset(str(folder), "human", split="train", cache_dir=cache).num_rows == 6


@pytest.mark.parametrize("shard_count", [1, 2, 3, 8])
def test_what_the_card_says_of_ranks_is_what_datasets_gives_them(shard_count: int, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    from datasets.distributed import split_dataset_by_node

    frozen, crawled = mixes.standard(tmp_path / "sources")
    opened = mixes.make(tmp_path / "mix", frozen, [crawled], shards=shard_count, units=("bytes", "documents"), chunk_bytes=1000)
    made = dict(zip(("head", "rows"), reading.ranks(opened.manifest), strict=True))
    said = {str(row[0]): row[1:] for row in made["rows"]}
    cache = str(tmp_path / "cache")
    streamed = datasets.load_dataset(opened.url, split="train", cache_dir=cache, streaming=True)
    mapped = datasets.load_dataset(opened.url, split="train", cache_dir=cache)
    for world in (2, 4, 8):
        for place, whole in enumerate((streamed, mapped)):
            ranks = [list(split_dataset_by_node(whole, rank, world)) for rank in range(world)]
            assert sum(map(len, ranks)) == mapped.num_rows
            for unit in ("bytes", "documents"):
                least, short = poorest([[length(row, unit) for row in rows] for rows in ranks])
                cell = str(said[f"{world}, {unit}"][place])
                assert f"least human share of a rank {least}, {short:,} {unit} short at worst" == cell or (
                    short == 0 and "holds" in cell and cell.endswith(f"least human share {least}")
                ), (world, place, unit, cell)
                if place == 0 and shard_count % world == 0:
                    assert short == 0 and cell.startswith("whole shards: holds")


def length(row: dict[str, Any], unit: str) -> tuple[int, int]:
    """Human and all units of a row. A document that is human counts in its last row, another one in its first."""
    human = row["origin"] == "human"
    units = len(row["text"].encode()) if unit == "bytes" else int(row["chunk"] == (row["chunks"] - 1 if human else 0))
    return units * human, units


def poorest(ranks: list[list[tuple[int, int]]]) -> tuple[str, int]:
    """The least human share of a rank at its end, rounded down, and the most that any misses of a floor of a half, rounded up."""
    least, short = [], Fraction(0)
    for rows in ranks:
        surplus, human, total = Fraction(0), 0, 0
        for ours, units in rows:
            human, total, surplus = human + ours, total + units, surplus + ours - Fraction(units, 2)
            short = max(short, -surplus)
        if total:
            least.append(Fraction(human, total))
    return words.share_at_least(min(least).numerator, min(least).denominator), math.ceil(short)


def test_datasets_loads_json_lines_whose_first_shard_has_only_nulls(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    form = shards.named("jsonl")

    def create(path: str) -> BinaryIO:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        return (tmp_path / path).open("wb")

    for number in range(2):
        rows = [
            row | {"url": None if not number else "https://example.org", "date": row["date"] if number else None}
            for row in rows_of(number)
        ]
        form.write(create, shards.shard_name(number, 2), [pa.RecordBatch.from_pylist(rows, SHARD)], {})
    (tmp_path / dataset.PATH).write_text(card(config__mix__format="jsonl"))
    found = datasets.load_dataset(str(tmp_path), split="train", cache_dir=str(tmp_path / "cache"), streaming=True)
    assert [row["metadata"]["url"] for row in found] == [None] * 3 + ["https://example.org"] * 3
    assert [row["created"] for row in found][3] == rows_of(1)[0]["date"]


def test_shares_that_hide_a_miss_are_rounded_down() -> None:
    assert words.share(49_999, 100_000) == "50.00 %" and words.share_at_least(49_999, 100_000) == "49.99 %"
    assert words.share_at_least(0, 0) == "none" and words.floor_text("1/3") == "1/3" and words.floor_text("37/100") == "37 %"
