"""The mix: who may enter, how often, and what the shards then keep, read back with the libraries that trainers use."""

import json
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import cli, pieces, planning
from pipelines import mix as verb
from pipelines.cli import Job
from provenance.mixture import Mix
from store import checkpoint, files, manifest, notes, revocation, shards
from store.errors import CheckFailed, UsageError
from store.revocation import Item, Revocations
from store.verify_mix import verify_mix
from tests import mixes


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    return folder, *mixes.standard(folder)


def rows(opened):
    """The rows of each shard, in order."""
    options = opened.manifest["config"]["mix"]
    form, number = shards.named(options["format"]), len(opened.manifest["shards"])

    def read(path):
        return files.open_input(files.join(opened.url, path))

    names = [shards.shard_name(shard, number) for shard in range(number)]
    return [[row for batch in form.read(read, name, options) for row in batch.to_pylist()] for name in names]


def joined(shard):
    """Texts of a shard's documents, by key and epoch."""
    found = {}
    for row in shard:
        found[row["key"], row["epoch"]] = found.get((row["key"], row["epoch"]), "") + row["text"]
    return found


def kept_out(opened):
    """The reasons that kept documents out, with their numbers."""
    return {reason: number for reason, number in opened.manifest["stated"]["kept_out"].items() if number}


def bytes_of(tree):
    return {path: files.read_bytes(files.join(tree, path)) for path in files.list_files(tree)}


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize(
    ("floor", "chunk", "units"),
    [
        ("0.5", 16384, ("bytes",)),
        ("2/7", 100, ("documents", "bytes")),
        ("0.9", 1000, ("bytes", "documents")),
        ("1", 9, ("bytes",)),
        ("0", 300, ("documents",)),
    ],
)
def test_every_prefix_keeps_the_floor_and_verifies(sources, tmp_path, form, units, floor, chunk):
    _, frozen, crawled = sources
    opened = mixes.make(
        tmp_path / "mix", frozen, [crawled], floor=floor, units=units, chunk_bytes=chunk, format=form, shards=3, seed=5
    )
    share = Fraction(floor)
    for shard in rows(opened):
        human = total = 0
        for row in shard:
            size = len(row["text"].encode())
            human, total = human + size * (row["origin"] == "human"), total + size
            assert human >= share * total or "bytes" not in units
            assert size <= chunk
    assert verify_mix(str(tmp_path / "mix"), frozen.id)["anchored"]


def test_only_who_may_enter_enters_and_whole(sources, tmp_path):
    _, frozen, crawled = sources
    opened = mixes.make(tmp_path / "mix", frozen, [crawled], floor="0.1", chunk_bytes=700, shards=2)
    known = {row["key"]: row for of in (frozen, crawled) for url in of.files("documents") for row in pq.read_table(url).to_pylist()}
    found = [row for shard in rows(opened) for row in shard]
    names = {known[row["key"]]["id"]: row["origin"] for row in found}
    assert {name for name, origin in names.items() if origin == "human"} == {f"human-{i}" for i in range(30)}
    assert {name for name, origin in names.items() if origin != "human"} == {f"new-{i}" for i in range(60)}
    for shard in rows(opened):
        for (key, epoch), text in joined(shard).items():
            assert (text, epoch) == (known[key]["text"], 0)
    for row in found:
        assert (row["url"], row["date"], row["language"], row["id"]) == tuple(
            known[row["key"]][name] for name in ("url", "date", "language", "id")
        )


def test_what_the_floor_does_not_admit_is_left_over_and_said(sources, tmp_path):
    opened = mixes.make(tmp_path / "mix", sources[1], [sources[2]])
    stated, counts = opened.manifest["stated"], opened.manifest["counts"]
    assert counts["origins"]["human"]["documents"] == 30
    assert stated["left_over"]["unknown"]["documents"] == 60 - counts["origins"]["unknown"]["documents"] > 0
    assert stated["supply"]["captured"]["documents"] == 30
    assert stated["alternative"]["unique"] == counts["origins"]["human"]["bytes"]
    assert stated["alternative"]["epochs"] == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize("options", [{}, {"shards": 3}, {"format": "jsonl", "shards": 2}])
def test_the_same_input_gives_the_same_bytes(sources, tmp_path, options):
    for name in ("a", "b"):
        mixes.make(tmp_path / name, sources[1], [sources[2]], **options)
    assert bytes_of(str(tmp_path / "a")) == bytes_of(str(tmp_path / "b"))
    other = mixes.make(tmp_path / "c", sources[1], [sources[2]], **options, seed=1)
    assert rows(other) != rows(mixes.make(tmp_path / "d", sources[1], [sources[2]], **options))


def test_a_weaker_level_lets_more_in_and_the_line_says_so(sources, tmp_path):
    opened = mixes.make(tmp_path / "mix", sources[1], [sources[2]], min_attestation="declared")
    assert opened.manifest["counts"]["attestations"]["declared"]["documents"] == 1
    assert "declaration" in verify_mix(str(tmp_path / "mix"), sources[1].id)["line"]


def test_no_human_document_at_the_level_is_an_error_with_the_numbers(sources, tmp_path):
    with pytest.raises(
        CheckFailed,
        match=r"corroborated.*declared 1 human documents, 600 bytes; captured 30 human documents, 47,297 bytes; released 0",
    ) as error:
        mixes.make(tmp_path / "mix", sources[1], [sources[2]], min_attestation="corroborated")
    assert "--min-attestation captured" in str(error.value)


def test_a_run_of_another_snapshot_is_refused(sources, tmp_path):
    _, frozen, crawled = sources
    other = mixes.snapshot(tmp_path / "other", [mixes.document("a", 500)])
    with pytest.raises(UsageError, match="curated against"):
        verb.open_sources(other.url, [crawled.url])
    assert verb.open_sources(frozen.url, [crawled.url])[0].id == frozen.id


def test_ceilings_hold_per_origin(sources, tmp_path):
    opened = mixes.make(
        tmp_path / "mix",
        sources[1],
        [sources[2]],
        floor="0.2",
        ceilings=verb.Mix().ceilings.__class__(machine_generated="0.01", unknown="0.3"),
    )
    origins = opened.manifest["counts"]["origins"]
    total = opened.manifest["counts"]["bytes"]
    assert 0 < origins["machine_generated"]["bytes"] <= total * Fraction("0.01")
    assert 0 < origins["unknown"]["bytes"] <= total * Fraction("0.3")


def test_a_budget_that_the_human_side_meets_is_met(sources, tmp_path):
    opened = mixes.make(tmp_path / "mix", sources[1], [sources[2]], budget=60_000)
    made = opened.manifest["realised"]["bytes"]
    assert 55_000 <= made["total"] <= 60_000
    assert made["human"] < 40_000


def test_a_budget_beyond_the_human_side_fails_with_the_numbers(sources, tmp_path):
    with pytest.raises(
        CheckFailed, match=r"needs 90,000 human bytes, and 47,297 reach .*captured 30 documents.*shrink gives a mix of 94,594"
    ):
        mixes.make(tmp_path / "mix", sources[1], [sources[2]], budget=180_000)


def test_a_dry_run_of_what_fail_would_refuse_shows_all_numbers_and_exits_1(sources, tmp_path, capsys):
    _, frozen, crawled = sources
    command = ["mix", crawled.url, "--snapshot", frozen.url, "--into", str(tmp_path / "mix"), "--min-attestation", "captured"]
    command += ["--mix.budget=180000", "--dry-run", "--quiet"]
    assert cli.main([*command, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["result"].startswith("SHORT") and found["plan"]["requested"]["shortfall"] == "fail"
    assert found["plan"]["alternatives"]["shrink"]["total"] == 94_594 and found["realised"]["bytes"]["total"] <= 94_594
    assert found["machine_share"] and found["alternative"]["total"]
    assert cli.main(command) == 1
    printed = capsys.readouterr().out
    assert "shrink" in printed and "94,594" in printed and "human side alone" in printed
    assert cli.main([*command, "--mix.shortfall=shrink"]) == 0
    assert not (tmp_path / "mix").exists()


def test_shrink_makes_the_largest_mix_there_is(sources, tmp_path):
    opened = mixes.make(tmp_path / "mix", sources[1], [sources[2]], budget=200_000, shortfall="shrink")
    made = opened.manifest["realised"]["bytes"]
    assert made["human"] == 47_297
    assert 90_000 < made["total"] <= 94_594
    assert opened.manifest["requested"]["budget"] == 200_000


def test_repeat_repeats_epoch_by_epoch_and_never_side_by_side(sources, tmp_path):
    opened = mixes.make(tmp_path / "mix", sources[1], [sources[2]], budget=250_000, shortfall="repeat", shards=3, floor="0.7")
    made = opened.manifest["realised"]["bytes"]
    assert made["human"] >= 0.7 * made["total"]
    assert 240_000 <= made["total"] <= 250_000
    for shard in rows(opened):
        human = [(row["key"], row["epoch"]) for row in shard if row["origin"] == "human"]
        assert len(set(human)) == len(human)
        assert [epoch for _, epoch in human] == sorted(epoch for _, epoch in human)
        assert max(epoch for _, epoch in human) == 3
        assert all(a != b for (a, _), (b, _) in pairwise(human))
        for key in {key for key, _ in human}:
            at = [i for i, (other, _) in enumerate(human) if other == key]
            assert all(b - a >= 8 for a, b in pairwise(at))
    assert verify_mix(str(tmp_path / "mix"), sources[1].id)["anchored"]


def test_repeat_stops_at_the_cap(sources, tmp_path):
    with pytest.raises(CheckFailed, match=r"epochs of at most 2"):
        mixes.make(tmp_path / "mix", sources[1], [sources[2]], budget=250_000, shortfall="repeat", floor="0.9", max_epochs=2)


def test_more_shards_than_human_documents_are_refused(sources, tmp_path):
    with pytest.raises(UsageError, match="30 shards or fewer"):
        mixes.make(tmp_path / "mix", sources[1], [sources[2]], shards=31)


def test_shards_are_cut_by_size(sources, tmp_path):
    opened = mixes.make(tmp_path / "mix", sources[1], [sources[2]], shard_bytes=20_000)
    # Five would do, and eight are what two, four or eight readers divide.
    assert len(opened.manifest["shards"]) == 8


def test_a_snapshot_that_changed_is_not_mixed(tmp_path):
    frozen, crawled = mixes.standard(tmp_path)
    path = frozen.files("documents")[0]
    table = pq.read_table(path)
    texts = [text.replace(" ", "_", 1) for text in table["text"].to_pylist()]
    pq.write_table(table.set_column(table.column_names.index("text"), table.schema.field("text"), pa.array(texts)), path)
    with pytest.raises(CheckFailed, match="leaf binds"):
        mixes.make(tmp_path / "mix", frozen, [crawled])


def test_a_snapshot_that_lost_a_leaf_is_not_mixed(tmp_path):
    frozen, crawled = mixes.standard(tmp_path)
    path = frozen.files("leaves")[0]
    held = pq.read_table(path)
    swapped = held.take([1, 0, *range(2, held.num_rows)])
    misplaced = held.set_column(0, held.schema.field("index"), swapped["index"])
    for table in (held.slice(1), held.slice(0, 0), swapped, misplaced):
        pq.write_table(table, path)
        with pytest.raises(CheckFailed, match="tree root"):
            mixes.make(tmp_path / "mix", frozen, [crawled])


def test_wildcards_in_a_path_stand_for_themselves(tmp_path):
    mixes.standard(tmp_path / "a1", humans=9)
    frozen, crawled = mixes.standard(tmp_path / "a[1]*")
    opened = mixes.make(tmp_path / "b[?]" / "mix", frozen, [crawled])
    plain, run = mixes.standard(tmp_path / "plain")
    twin = mixes.make(tmp_path / "twin", plain, [run])
    assert opened.manifest["counts"] == twin.manifest["counts"]


@pytest.mark.parametrize("rows", [[0], [4999], [1023, 1024, 2499, 2500], list(range(0, 5000, 3)), [], list(range(5000))])
def test_the_rows_of_a_file_are_read_wherever_its_groups_begin(tmp_path, rows):
    url = str(tmp_path / "documents.parquet")
    pq.write_table(pa.table({"text": [f"text {i}" for i in range(5000)]}), url, row_group_size=2500)
    found = [text for table in pieces.read_rows(url, np.array(rows, np.int64)) for text in table["text"].to_pylist()]
    assert found == [f"text {i}" for i in rows]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0, "stone": 1, "café": 2}, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.enable_truncation(3)
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    made.save(str(path))
    return path


def test_the_floor_holds_in_tokens_of_a_named_tokenizer(sources, tmp_path, tokenizer):
    opened = mixes.make(
        tmp_path / "mix",
        sources[1],
        [sources[2]],
        units=("tokens", "bytes"),
        tokenizer=str(tokenizer),
        chunk_bytes=800,
        shards=2,
        floor="0.4",
    )
    assert (
        opened.manifest["config"]["mix"]["tokenizer"]
        == opened.manifest["files"][[f["path"] for f in opened.manifest["files"]].index("proof/tokenizer.bin")]["sha256"]
    )
    import re

    for shard in rows(opened):
        human = total = 0
        for row in shard:
            size = len(re.findall(r"\w+|[^\w\s]+", row["text"]))
            human, total = human + size * (row["origin"] == "human"), total + size
            assert human >= Fraction("0.4") * total
    assert verify_mix(str(tmp_path / "mix"), sources[1].id)["anchored"]
    assert "tokens" in opened.manifest["counts"]["origins"]["human"]


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_datasets_opens_the_shards_and_nothing_else(sources, tmp_path, form, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    datasets = pytest.importorskip("datasets")
    into = str(tmp_path / "mix")
    opened = mixes.make(tmp_path / "mix", sources[1], [sources[2]], shards=3, format=form, chunk_bytes=1000)
    expected = [row for shard in rows(opened) for row in shard]
    builder = {"parquet": "parquet", "jsonl": "json"}[form]
    cache, pattern = str(tmp_path / "cache"), files.join(into, str(shards.named(form).pattern()))
    for arguments in ((into, {}), (builder, {"data_files": pattern})):
        loaded = datasets.load_dataset(arguments[0], **arguments[1], split="train", cache_dir=cache)
        assert loaded["text"][:] == [row["text"] for row in expected]
        keys = loaded["key"][:] if form == "parquet" else [row["key"] for row in loaded["metadata"][:]]
        assert keys == [row["key"] for row in expected]


def test_the_verb_writes_ends_and_changes_nothing_when_repeated(sources, tmp_path):
    _, frozen, crawled = sources
    into, job = str(tmp_path / "mix"), Job(quiet=True, overrides=(("mix.shards", "2"),))
    dry = verb.run([crawled.url], frozen.url, into, "0.5", "captured", Job(quiet=True, dry_run=True))
    assert dry["realised"]["bytes"]["human"] == 47_297
    assert not files.exists(into)
    done = verb.run([crawled.url], frozen.url, into, "0.5", "captured", job)
    before = bytes_of(into)
    assert json.loads(json.dumps(done))["realised"] == done["realised"]
    assert verify_mix(into, frozen.id)["anchored"]
    again = verb.run([crawled.url], frozen.url, into, "1/2", "captured", job)
    assert "nothing was written" in again.pop("unchanged")
    assert again == done
    assert bytes_of(into) == before
    with pytest.raises(UsageError, match="other settings"):
        verb.run([crawled.url], frozen.url, into, "0.4", "captured", job)


def test_a_budget_counts_in_the_first_unit(sources, tmp_path):
    opened = mixes.make(tmp_path / "mix", sources[1], [sources[2]], units=("documents", "bytes"), budget=20)
    assert opened.manifest["realised"]["documents"]["total"] <= 20
    assert Mix().units == ("bytes",)
    assert tuple(Mix().ceilings.shares()) == planning.ORIGINS


def test_a_mix_without_a_floor_needs_no_human_document(sources, tmp_path):
    frozen = mixes.snapshot(tmp_path / "snapshot", [])
    crawled = mixes.run(tmp_path / "run", [frozen], [(mixes.document(f"new-{i}", 500), "unknown", None) for i in range(9)])
    opened = mixes.make(tmp_path / "mix", frozen, [crawled], floor="0", shards=2)
    assert opened.manifest["counts"]["documents"] == 9
    assert verify_mix(str(tmp_path / "mix"), frozen.id)["anchored"]


def manifested(folder, **options):
    frozen, _ = mixes.standard(folder / "plain")
    rows = [row for url in frozen.files("documents") for row in pq.read_table(url).to_pylist()]
    return mixes.snapshot(folder / "snapshot", rows, **options)


def test_a_further_witness_raises_a_document_and_is_what_the_mix_proves(tmp_path):
    """The later leaf has another date and witness; one that is weaker than the first changes nothing."""
    when = datetime(2016, 1, 2, tzinfo=UTC)
    better = {"attestation": "corroborated", "witness": "an index", "date": when, "date_end": when}
    weaker = {"attestation": "declared", "witness": "somebody"}
    again = better | {"witness": "another index", "date_end": datetime(2017, 1, 1, tzinfo=UTC)}
    further = [("human-0", again), ("human-0", better), ("human-1", weaker), ("weak", better)]
    frozen = manifested(tmp_path, further=further)
    crawled = mixes.run(tmp_path / "run", [frozen], [(mixes.document(f"new-{i}", 500), "unknown", None) for i in range(40)])
    opened = mixes.make(tmp_path / "mix", frozen, [crawled], min_attestation="captured", shards=2)
    found = {row["id"]: row for shard in rows(opened) for row in shard}
    assert (found["human-0"]["attestation"], found["human-0"]["date"]) == ("corroborated", when)
    assert (found["weak"]["attestation"], found["human-1"]["attestation"]) == ("corroborated", "captured")
    said = verify_mix(str(tmp_path / "mix"), frozen.id)
    assert said["anchored"] and "'an index'" in said["line"] and "another index" not in said["line"]
    assert said["counts"]["witnesses"]["an index"]["documents"] == 2
    only = mixes.make(tmp_path / "only", frozen, [crawled], min_attestation="corroborated")
    assert (
        only.manifest["stated"]["supply"]["corroborated"]["documents"]
        == 2
        == only.manifest["counts"]["origins"]["human"]["documents"]
    )
    assert verify_mix(str(tmp_path / "only"), frozen.id)["anchored"]


def test_a_redacted_document_is_never_drawn_and_is_counted(tmp_path):
    frozen = manifested(
        tmp_path, redact={"human-1": "erasure", "human-4": "take-down"}, further=[("human-4", {"witness": "an index"})]
    )
    crawled = mixes.run(tmp_path / "run", [frozen], [(mixes.document("new", 500), "unknown", None)])
    opened = mixes.make(tmp_path / "mix", frozen, [crawled])
    assert drawn(opened).keys() == {f"human-{i}" for i in range(30)} - {"human-1", "human-4"}
    assert kept_out(opened) == {"redacted": 2}
    assert "2 because their texts were removed" in (tmp_path / "mix/README.md").read_text()
    assert verify_mix(str(tmp_path / "mix"), frozen.id)["anchored"]


def test_an_index_only_snapshot_is_refused_with_what_to_do(tmp_path):
    frozen = manifested(tmp_path, index_only=True)
    crawled = mixes.run(tmp_path / "run", [frozen], [(mixes.document("new", 500), "unknown", None)])
    with pytest.raises(UsageError, match=r"index-only.*no texts.*without --index-only"):
        verb.open_sources(frozen.url, [crawled.url])


def test_a_version_whose_files_redaction_removed_says_so(tmp_path):
    frozen = manifested(tmp_path)
    crawled = mixes.run(tmp_path / "run", [frozen], [(mixes.document("new", 500), "unknown", None)])
    path = frozen.entries("documents")[0]["path"]
    body = {key: value for key, value in frozen.manifest.items() if key != "kind"}
    body |= {"parent": frozen.id, "redacted": {"leaves": 1, "removed": [path]}}
    body["files"] = [entry for entry in body["files"] if entry["path"] != path]
    newer = manifest.write_snapshot(frozen.url, body)
    assert verb.open_sources(f"{frozen.url}@{frozen.id}", [crawled.url])[0].id == frozen.id
    (tmp_path / "snapshot" / path).unlink()
    with pytest.raises(CheckFailed, match=rf"version {newer.id} redacted texts.*{path}.*@{newer.id}"):
        verb.open_sources(f"{frozen.url}@{frozen.id}", [crawled.url])


def revoked(*items):
    return Revocations("*", tuple(sorted(Item(kind, value, "why") for kind, value in items)))


def drawn(opened):
    return {row["id"]: row for shard in rows(opened) for row in shard if row["origin"] == "human"}


def test_revoked_documents_never_enter(sources, tmp_path):
    _, frozen, crawled = sources
    keys = {mixes.document(name, 1)["key"] for name in ("human-0", "human-7", "new-1", "nobody")}
    opened = mixes.make(
        tmp_path / "mix", frozen, [crawled], revoked(*(("key", key) for key in keys)), min_attestation="declared", floor="0.1"
    )
    # The weaker copy of a revoked text is another document, and nobody revoked it.
    assert drawn(opened).keys() == {f"human-{i}" for i in range(30)} - {"human-0", "human-7"} | {"copy", "weak"}
    others = {row["id"] for shard in rows(opened) for row in shard if row["origin"] != "human"}
    assert others == {f"new-{i}" for i in range(60)} - {"new-1"}
    stated = opened.manifest["stated"]
    # One of the list's keys is a document of the run.
    assert kept_out(opened) == {"revoked": 2, "crawled_revoked": 1, "origin_not_allowed": 6}
    assert stated["revoked"]["items"] == 4
    assert "2 because all that proves them was revoked" in (tmp_path / "mix/README.md").read_text()
    assert verify_mix(str(tmp_path / "mix"), frozen.id)["anchored"]


def test_a_document_keeps_what_its_other_leaves_prove(tmp_path):
    better = {"attestation": "corroborated", "witness": "an-index"}
    frozen = manifested(tmp_path, further=[("human-0", better), ("human-1", better | {"witness": "another-index"})])
    crawled = mixes.run(tmp_path / "run", [frozen], [(mixes.document("new", 500), "unknown", None)])
    first = {row["key"]: row["leaf"] for row in pq.read_table(frozen.files("leaves")[0]).to_pylist()}
    items = [
        ("witness", "an-index"),
        ("leaf", first[mixes.document("human-1", 1)["key"]]),
        ("leaf", first[mixes.document("human-2", 1)["key"]]),
    ]
    found = drawn(mixes.make(tmp_path / "mix", frozen, [crawled], revoked(*items)))
    assert (found["human-0"]["attestation"], found["human-1"]["attestation"]) == ("captured", "corroborated")
    assert found.keys() == {f"human-{i}" for i in range(30)} - {"human-2"}
    assert verify_mix(str(tmp_path / "mix"), frozen.id)["anchored"]


def test_a_signed_list_is_kept_to_and_is_part_of_the_mix(sources, tmp_path):
    _, frozen, crawled = sources
    key, into, job = mixes.document("human-0", 1)["key"], str(tmp_path / "mix"), Job(quiet=True)
    signer = notes.Signer("example.org/list", bytes(range(32)))
    (tmp_path / "list").write_bytes(revocation.write(frozen.id, [Item("key", key, "erasure")], [signer]))
    arguments = ([crawled.url], frozen.url, into, "0.5", "captured")
    with pytest.raises(UsageError, match="nobody's key"):
        verb.run(*arguments, job, str(tmp_path / "list"))
    done = verb.run(*arguments, job, str(tmp_path / "list"), [signer.verifier.vkey])
    assert drawn(manifest.open_mix(into)).keys() == {f"human-{i}" for i in range(30)} - {"human-0"}
    assert done["revoked"]["scope"] == frozen.id
    assert "nothing was written" in verb.run(*arguments, job, str(tmp_path / "list"), [signer.verifier.vkey])["unchanged"]
    with pytest.raises(UsageError, match="other settings"):
        verb.run(*arguments, job)
    (tmp_path / "foreign").write_bytes(revocation.write("f" * 64, [Item("key", key, "erasure")], [signer]))
    with pytest.raises(UsageError, match="does not extend it"):
        verb.run(*arguments[:2], str(tmp_path / "other"), *arguments[3:], job, str(tmp_path / "foreign"), [signer.verifier.vkey])


def test_a_mix_says_where_near_copies_were_only_estimated(sources, tmp_path):
    _, frozen, _ = sources
    blind = mixes.snapshot(tmp_path / "blind", [mixes.document("a", 500)], index_only=True)
    crawled = mixes.run(tmp_path / "run", [frozen, blind], [(mixes.document("new", 500), "unknown", None)])
    opened = mixes.make(tmp_path / "mix", frozen, [crawled])
    assert opened.manifest["stated"]["estimated_against"] == [blind.id]
    assert f"`{blind.id}`" in (tmp_path / "mix/README.md").read_text()
    assert verify_mix(str(tmp_path / "mix"), frozen.id)["anchored"]


def test_scores_and_a_condition_come_in_by_the_command_line(sources, tmp_path, capsys):
    _, frozen, crawled = sources
    table = tmp_path / "scores.parquet"
    keys = [mixes.document(f"new-{i}", 1)["key"] for i in range(60)]
    pq.write_table(pa.table({"key": keys, "quality": [i / 60 for i in range(60)]}), table)
    condition = "origin = 'human' OR quality >= 0.5"
    common = ["mix", crawled.url, "--snapshot", frozen.url, "--into", str(tmp_path / "mix"), "--min-attestation", "captured"]
    common += [
        "--floor",
        "0.1",
        "--scores",
        str(table),
        "--where",
        condition,
        "--shuffle-buffer",
        "2",
        "--human-apart",
        "--json",
        "--quiet",
    ]
    assert cli.main([*common, "--dry-run"]) == 0
    dry = json.loads(capsys.readouterr().out)
    assert not (tmp_path / "mix").exists()
    assert cli.main(common) == 0
    said = json.loads(capsys.readouterr().out)
    for name in ("realised", "shards", "strata", "filter", "plan", "machine_share", "coverage", "kept_out"):
        assert said[name] == dry[name], name
    assert said["survival"]["passed"]["unknown"] == 30
    opened = manifest.open_mix(str(tmp_path / "mix"))
    config = opened.manifest["config"]["mix"]
    assert (config["where"], config["shuffle_buffer"], config["human_apart"]) == (condition, 2, True)
    assert opened.manifest["scores"] == [{"sha256": files.file_digest(str(table))[0], "rows": 60, "columns": ["quality"]}]
    assert opened.manifest["orders"]["bytes"]["shuffle_buffer"] >= 2
    assert {row["id"] for shard in rows(opened) for row in shard if row["origin"] != "human"} <= {f"new-{i}" for i in range(30, 60)}
    assert any(entry["path"].startswith("human/") for entry in opened.manifest["files"])
    assert verify_mix(str(tmp_path / "mix"), frozen.id)["anchored"]
    assert cli.main(common) == 0 and "unchanged" in capsys.readouterr().out
    pq.write_table(pa.table({"key": keys, "quality": [0.6] * 60}), table)
    assert cli.main(common) == 2
    assert "other settings" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--where", "quality > 1"], "quality"),
        (["--where", ""], "where is empty"),
        (["--where", "true", "--mix.where=false"], "two conditions"),
        (["--where", "key IN (SELECT key FROM read_csv('x.csv'))"], "query inside"),
        (["--scores", "nowhere.parquet"], "names no file"),
        (["--shuffle-buffer", "-1"], "shuffle_buffer"),
        (["--shuffle-buffer", "many"], "shuffle_buffer"),
        (["--mix.format=jsonl", "--mix.page_index=true"], "format parquet"),
        (["--mix.strata=language,topic"], "'topic'"),
        (['--mix.weights={"language=xx": "0.5"}'], "language=xx"),
    ],
)
def test_what_the_command_line_gets_wrong_is_said_and_writes_nothing(sources, tmp_path, capsys, options, said):
    _, frozen, crawled = sources
    command = ["mix", crawled.url, "--snapshot", frozen.url, "--into", str(tmp_path / "mix"), "--min-attestation", "captured"]
    assert cli.main([*command, "--quiet", *options]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "mix" / "manifest.json").exists()


def test_the_checkpoint_of_a_signed_snapshot_travels_with_the_mix(tmp_path):
    signer = notes.Signer("example.org/snapshots", bytes(range(32)))
    frozen = manifested(tmp_path, signers=[signer.verifier.vkey])
    crawled = mixes.run(tmp_path / "run", [frozen], [(mixes.document("new", 500), "unknown", None)])
    with pytest.raises(CheckFailed, match="checkpoints"):
        mixes.make(tmp_path / "unsigned", frozen, [crawled])
    signed = checkpoint.write(frozen, signer)
    files.write_bytes(files.join(frozen.url, checkpoint.path(frozen.id)), signed)
    opened = mixes.make(tmp_path / "mix", frozen, [crawled])
    assert files.read_bytes(files.join(opened.url, "proof/checkpoint")) == signed
    assert "proof/checkpoint" in {entry["path"] for entry in opened.manifest["files"]}
