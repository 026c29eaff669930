"""`verify` of a mix: an honest one passes, and whatever was changed is named, also where all digests and numbers were made again."""

import copy
import dataclasses
import json
import random
import shutil
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from provenance.identity import sha256_hex
from store import checkpoint, files, manifest, notes, shards
from store.errors import UsageError
from store.verify_mix import verify_mix
from tests import forge_mix, mixes

VARIANTS = {
    "plain": {},
    "units": {"units": ["bytes", "documents"], "floor": "1/3", "shards": 2},
    "jsonl": {"format": "jsonl", "chunk_bytes": 900, "human_apart": True},
    "mds": {"format": "mds", "shards": 3, "human_apart": True},
    "repeat": {"budget": 60_000, "shortfall": "repeat", "max_epochs": 2, "human_apart": True},
    "buffer": {"shuffle_buffer": 2, "floor": "1/4", "shards": 4},
}
HUMANS, OTHERS = 12, 24


def rows(frozen, variant):
    """The rows of each shard of a variant, and its settings."""
    options = dict(VARIANTS[variant])
    count, known = options.pop("shards", 1), forge_mix.documents(frozen)
    plain = forge_mix.SETTINGS | options
    epochs, made = plain["max_epochs"] if plain["shortfall"] == "repeat" else 1, []
    for shard in range(count):
        humans = [
            row
            for epoch in range(epochs)
            for i in range(shard, HUMANS, count)
            for row in forge_mix.chunks(known[f"human-{i}"], "human", plain["chunk_bytes"], epoch)
        ]
        others = [
            row
            for i in range(shard, OTHERS, count)
            for row in forge_mix.chunks(mixes.document(f"new-{i}", 300 + 40 * i), "unknown", plain["chunk_bytes"])
        ]
        lead = humans[:8] if plain["shuffle_buffer"] else []
        made.append([*lead, *forge_mix.scheduled(humans[len(lead) :], others, plain)])
    return made, plain


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixes")
    frozen, crawled = mixes.standard(folder, HUMANS + 8)
    for name in VARIANTS:
        forge_mix.publish(folder / name, frozen, *rows(frozen, name))
    tokens = {"units": ("tokens",), "tokenizer": str(forge_mix.tokenizer(folder / "tokenizer", lossy=False))}
    mixes.make(folder / "tokens", frozen, [crawled], **tokens, format="tokens", sequence_length=64, shards=2, human_apart=True)
    return folder, frozen


@pytest.fixture
def mix(made, tmp_path):
    shutil.copytree(made[0] / "plain", tmp_path / "mix")
    return tmp_path / "mix"


def shard(mix: Path) -> Path:
    return next((mix / "data").iterdir())


def wrong(found) -> str:
    """All that verify blames, as one text."""
    assert not found["anchored"]
    assert found["wrong"] + found["missing"] + found["extra"]
    return " ".join([*found["wrong"], *found["missing"], *found["extra"], *found["why"].values()])


def listed(body: dict, path: str = "data/") -> dict:
    """The manifest's line for the first file of a folder."""
    return next(entry for entry in body["files"] if entry["path"].startswith(path))


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_honest_mix_verifies(made, variant):
    folder, frozen = made
    found = verify_mix(str(folder / variant), frozen.id)
    assert (found["why"], found["missing"], found["extra"], found["anchored"]) == ({}, [], [], True)
    assert found["counts"] == json.loads((folder / variant / "manifest.json").read_bytes())["counts"]
    assert found["line"].startswith("of the human bytes ") or "of the human bytes rest on witness 'archive file'" in found["line"]
    assert "% of the human bytes rest on witness" in found["line"]
    assert "addresses and languages" in found["not_checked"]


def test_the_tokenizer_is_named_for_whoever_knows_it(made):
    """Whoever makes a mix may bring one that gives human texts many tokens."""
    folder, frozen = made
    found = verify_mix(str(folder / "tokens"), frozen.id)
    assert found["tokenizer"] == sha256_hex((folder / "tokens/proof/tokenizer.bin").read_bytes())
    assert "compare its digest" in found["not_checked"]
    assert found["tokenizer"] in (folder / "tokens/README.md").read_text()
    assert "tokenizer" not in verify_mix(str(folder / "plain"), frozen.id)


def test_shares_of_witnesses_add_up(made):
    folder, frozen = made
    known = {row["key"]: row["witness"] for row in forge_mix.documents(frozen).values()}
    sizes: dict[str, int] = {}
    for row in rows(frozen, "plain")[0][0]:
        if row["origin"] == "human":
            sizes[known[row["key"]]] = sizes.get(known[row["key"]], 0) + len(row["text"].encode())
    line = verify_mix(str(folder / "plain"), frozen.id)["line"]
    assert len(sizes) == 2
    for name, size in sizes.items():
        share = f"{100 * size / sum(sizes.values()):.1f}".removesuffix(".0")
        assert f"{share} % " in line and repr(name) in line


def test_without_an_anchor_it_is_only_consistent(made):
    found = verify_mix(str(made[0] / "plain"), None)
    assert not found["anchored"]
    assert not found["wrong"] + found["missing"] + found["extra"]


def test_another_anchor_is_refused(made):
    assert "proof/snapshot.manifest" in wrong(verify_mix(str(made[0] / "plain"), "0" * 64))


def test_a_late_cutoff_is_refused_unless_it_is_allowed(made, tmp_path):
    folder, frozen = made
    late = mixes.snapshot(tmp_path / "late", list(forge_mix.documents(frozen).values()), cutoff="2022-01-01T00:00:00.000001Z")
    forge_mix.publish(tmp_path / "mix", late, *rows(late, "plain"))
    found = verify_mix(str(tmp_path / "mix"), late.id)
    assert found["wrong"] == ["proof/snapshot.manifest"]
    assert "--max-cutoff" in found["line"]
    assert verify_mix(str(tmp_path / "mix"), late.id, "2022-01-02")["anchored"]
    assert verify_mix(str(folder / "plain"), frozen.id, "2021-12-31")["wrong"] == ["proof/snapshot.manifest"]
    with pytest.raises(ValueError, match="isoformat"):
        verify_mix(str(folder / "plain"), frozen.id, "soon")


@pytest.mark.parametrize("variant", ["units", "jsonl", "mds", "repeat", "tokens"])
def test_200_of_200_random_changes_of_a_byte_name_their_file(made, tmp_path, variant):
    folder, frozen = made
    shutil.copytree(folder / variant, tmp_path / "mix")
    places = [(path, at) for path in sorted((tmp_path / "mix").rglob("*")) if path.is_file() for at in range(path.stat().st_size)]
    chance = random.Random(variant)
    detected = 0
    for path, at in chance.sample(places, 200):
        data = path.read_bytes()
        path.write_bytes(data[:at] + bytes([data[at] ^ chance.randrange(1, 256)]) + data[at + 1 :])
        found = verify_mix(str(tmp_path / "mix"), frozen.id)
        assert found["wrong"] == [str(path.relative_to(tmp_path / "mix"))], at
        detected += not found["anchored"]
        path.write_bytes(data)
    assert detected == 200
    assert verify_mix(str(tmp_path / "mix"), frozen.id)["anchored"]


@pytest.mark.parametrize("variant", ["units", "jsonl", "mds", "tokens"])
def test_every_file_is_missed_cut_and_lengthened_by_name(made, tmp_path, variant):
    folder, frozen = made
    shutil.copytree(folder / variant, tmp_path / "mix")
    for path in sorted(p for p in (tmp_path / "mix").rglob("*") if p.is_file()):
        data, name = path.read_bytes(), str(path.relative_to(tmp_path / "mix"))
        for other in (data + b"\n", data[:-1]):
            path.write_bytes(other)
            assert verify_mix(str(tmp_path / "mix"), frozen.id)["wrong"] == [name]
        path.unlink()
        found = verify_mix(str(tmp_path / "mix"), frozen.id)
        assert name in found["missing"] + found["wrong"] and not found["anchored"]
        path.write_bytes(data)


def swap(rows):
    other = next(i for i, row in enumerate(rows) if row["origin"] != "human")
    rows[0], rows[other] = rows[other], rows[0]


def turn(rows):
    first = next(i for i, row in enumerate(rows) if row["chunks"] > 1 and row["chunk"] == 0)
    rows[first], rows[first + 1] = rows[first + 1], rows[first]


def claim(rows):
    next(row for row in rows if row["origin"] != "human").update(origin="human", stratum="human", attestation="captured")


def disown(rows):
    last = next(row for row in reversed(rows) if row["origin"] == "human" and row["chunks"] == 1)
    last.update(origin="unknown", stratum="unknown")


def replace(rows):
    next(row for row in rows if row["origin"] == "human")["text"] = "As a large language model I have never been human."


def name(rows):
    rows.insert(0, {**next(row for row in rows if row["origin"] == "human"), "key": "f" * 32})


def double(rows):
    rows.append({**rows[0]})


def repeat(rows):
    rows.append({**rows[0], "epoch": 1})


def edit(rows):
    rows[0]["text"] = rows[0]["text"][:-1] + "!"


def promote(rows):
    rows[0]["attestation"] = "timestamped"


def backdate(rows):
    rows[0]["date"] = rows[0]["date"].replace(year=1999)


def undate(rows):
    rows[0]["date"] = None


def flood(rows):
    rows += [
        {**rows[-1], "origin": "unknown", "stratum": "unknown", "key": f"{i:032x}", "chunk": 0, "chunks": 1} for i in range(99)
    ]


def orphan(rows):
    rows[0]["chunks"] = 2


def invent(rows):
    rows[0].update(origin="robot", stratum="robot")


def blank(rows):
    rows[0]["attestation"] = "none"


def misfile(rows):
    next(row for row in rows if row["origin"] != "human")["stratum"] = "human/en"


def vouch(rows):
    next(row for row in rows if row["origin"] != "human")["attestation"] = "captured"


def shorten(rows):
    del rows[next(i for i, row in enumerate(rows) if row["origin"] == "human" and row["chunks"] > 1)]


def stretch(rows):
    row = next(row for row in rows if row["origin"] != "human")
    row.update(text="x" * 700, chunks=1)
    rows[:] = [other for other in rows if other is row or other["key"] != row["key"]]


CHANGES = {
    swap: "below 1/2",
    turn: "not all there in order",
    claim: "no leaf of the snapshot proves",
    disown: "attestation, which no leaf proves",
    replace: "not the one that the snapshot's leaf binds",
    name: "no leaf of the snapshot proves",
    double: "epoch 0 where 1 is due",
    repeat: "out of range",
    edit: "not the one that the snapshot's leaf binds",
    promote: "another attestation or date",
    backdate: "another attestation or date",
    undate: "another attestation or date",
    flood: "below 1/2",
    orphan: "ends before its last chunk",
    invent: "which is none",
    blank: "another attestation or date",
    misfile: "of another origin",
    vouch: "which no leaf proves",
    shorten: "not all there in order",
    stretch: "longer than a chunk",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_changed_rows_are_named_though_all_digests_and_numbers_match(made, tmp_path, change):
    frozen = made[1]
    (true,), plain = rows(frozen, "plain")
    true.sort(key=lambda row: row["origin"] != "human")  # so that what is changed is not seen by the floor alone
    false = copy.deepcopy(true)
    change(false)
    assert false != true
    proven = [{row["key"] for row in true if row["origin"] == "human"}]
    forge_mix.publish(tmp_path / "mix", frozen, [false], plain, proven=proven)
    found = verify_mix(str(tmp_path / "mix"), frozen.id)
    assert found["wrong"] == ["data/train-00000-of-00001.parquet"]
    assert CHANGES[change] in wrong(found)


@pytest.mark.parametrize("more", ["proof lists", "proof lacks"])
def test_a_dropped_human_document_and_an_unproven_one_are_named(made, tmp_path, more):
    frozen = made[1]
    (true,), plain = rows(frozen, "plain")
    keys = {row["key"] for row in true if row["origin"] == "human"}
    last = next(row["key"] for row in reversed(true) if row["origin"] == "human")
    fewer = [row for row in true if row["key"] != last]
    proven = keys if more == "proof lists" else keys - {last}
    forge_mix.publish(tmp_path / "mix", frozen, [fewer if more == "proof lists" else true], plain, proven=[proven])
    said = wrong(verify_mix(str(tmp_path / "mix"), frozen.id))
    assert ("that the proof lists are not in the shard" in said or "below 1/2" in said) == (more == "proof lists")
    assert ("no leaf of the snapshot proves" in said) == (more == "proof lacks")


def test_swapped_rows_without_new_digests_are_named(made, mix):
    frozen = made[1]
    (true,) = rows(frozen, "plain")[0]
    name = shards.shard_name(0, 1)
    other = [*true[:-2], true[-1], true[-2]]
    with shard(mix).open("wb") as sink:
        table = pa.Table.from_pylist(other, schema=forge_mix.SHARD)
        pq.write_table(table, sink)
    assert verify_mix(str(mix), frozen.id)["wrong"] == [f"data/{name}.parquet"]


@pytest.mark.parametrize(
    ("name", "why"), [("machine-2019", "not eligible"), ("late", "not before the cutoff"), ("weak", "below the mix's")]
)
def test_a_leaf_of_the_snapshot_that_may_not_count_is_named(made, tmp_path, name, why):
    """The forger adds rows that are truly in the snapshot, with a true proof, and makes every number again."""
    frozen = made[1]
    (true,), plain = rows(frozen, "plain")
    extra = forge_mix.chunks(forge_mix.documents(frozen)[name], "human", plain["chunk_bytes"])
    forge_mix.publish(tmp_path / "mix", frozen, [[*extra, *true]], plain)
    found = verify_mix(str(tmp_path / "mix"), frozen.id)
    assert found["wrong"] == ["proof/train-00000-of-00001.leaves.zst"]
    assert why in wrong(found)


MANIFEST = {
    "rows": lambda body: body["counts"].update(rows=body["counts"]["rows"] + 1),
    "true for one": lambda body: body["counts"]["origins"]["human"].update(documents=True),
    "origins": lambda body: body["counts"]["origins"]["human"].update(documents=1),
    "witnesses": lambda body: body["counts"]["witnesses"].update(nobody={"rows": 0, "documents": 0, "bytes": 0}),
    "strata": lambda body: body["counts"]["strata"]["human/en"].update(rows=1),
    "years": lambda body: body["counts"]["years"].update({"1999": {"rows": 1, "documents": 1, "bytes": 1}}),
    "no years": lambda body: body["counts"].pop("years"),
    "shard rows": lambda body: body["shards"][0].update(rows=1),
    "final": lambda body: body["shards"][0]["units"]["bytes"].update(final_surplus=9),
    "minimum": lambda body: body["shards"][0]["units"]["bytes"].update(minimum_surplus=9),
    "human apart": lambda body: body["shards"][0].update(human={"path": "human/data/x.parquet", "rows": 1}),
    "realised": lambda body: body["realised"]["bytes"].update(human=1),
    "floor": lambda body: body.update(floor="0.4"),
    "asked floor": lambda body: body["requested"].update(floor="0.4"),
    "cutoff": lambda body: body["snapshot"].update(cutoff="2021-01-01T00:00:00.000000Z"),
    "file rows": lambda body: listed(body).update(rows=1),
    "rows of a proof": lambda body: listed(body, "proof").update(rows=1),
    "file twice": lambda body: body["files"].append(body["files"][0]),
    "new field": lambda body: body.update(more=1),
    "lost field": lambda body: body.pop("counts"),
    "new unit": lambda body: body.update(units=["bytes", "documents"]),
    "buffer": lambda body: body["orders"]["bytes"].update(shuffle_buffer=body["orders"]["bytes"]["shuffle_buffer"] + 1),
    "longest": lambda body: body["orders"]["bytes"].update(longest_row=1),
    "strided": lambda body: body["orders"]["bytes"]["strided"]["4"].update(minimum_surplus=0),
    "contiguous": lambda body: body["orders"]["bytes"]["contiguous"]["8"].update(human=1),
    "no world": lambda body: body["orders"]["bytes"]["contiguous"].pop("2"),
    "budget": lambda body: [part.update(budget=body["realised"]["bytes"]["total"] - 1) for part in asked(body)],
    "ceiling": lambda body: [part["ceilings"].update(unknown="1/3") for part in asked(body)],
    "no ceiling": lambda body: [part["ceilings"].pop("unknown") for part in asked(body)],
    "promised buffer": lambda body: body["config"]["mix"].update(shuffle_buffer=body["orders"]["bytes"]["shuffle_buffer"] + 1),
    "data version": lambda body: body.update(data_version=99),
    "layout": lambda body: body.update(schema_version=4),
    "no shard": lambda body: body.update(shards=[]),
    "giant number": lambda body: body["shards"][0].update(rows=10**40),
    "giant surplus": lambda body: body["shards"][0]["units"]["bytes"].update(final_surplus=10**400),
    "negative rows": lambda body: body["shards"][0].update(rows=-1),
    "giant floor": lambda body: [part.update(floor="9" * 5000) for part in (body, *asked(body))],
    "format": lambda body: body["config"]["mix"].update(format="../../etc"),
    "format unknown": lambda body: body["config"]["mix"].update(format="csv"),
    "outside": lambda body: listed(body, "README").update(path="../README.md"),
    "dot": lambda body: listed(body, "README").update(path="./README.md"),
}


def asked(body):
    """Where the settings stand."""
    return body["config"]["mix"], body["requested"]


@pytest.mark.parametrize("change", MANIFEST)
def test_a_changed_number_of_the_manifest_is_named(made, mix, change):
    body = json.loads((mix / "manifest.json").read_bytes())
    MANIFEST[change](body)
    forge_mix.write(mix, body)
    assert verify_mix(str(mix), made[1].id)["wrong"] == ["manifest.json"]


def test_the_maker_may_state_what_nobody_can_check(made, mix):
    forge_mix.seal(mix, change=lambda body: body["stated"].update(purity=10**40))
    assert verify_mix(str(mix), made[1].id)["anchored"]


def test_a_budget_and_ceilings_that_are_just_kept_pass(made, mix):
    def keep(body):
        total = body["realised"]["bytes"]["total"]
        share = Fraction(body["counts"]["origins"]["unknown"]["bytes"], total)
        for part in asked(body):
            part.update(budget=total)
            part["ceilings"].update(unknown=str(share))

    forge_mix.seal(mix, change=keep)
    assert verify_mix(str(mix), made[1].id)["anchored"]


def test_a_higher_floor_than_the_rows_keep_is_named(made, mix):
    forge_mix.seal(mix, change=lambda body: [part.update(floor="9/10") for part in (body, *asked(body))])
    assert shard(mix).name in wrong(verify_mix(str(mix), made[1].id))


def test_a_repeated_json_key_is_named(made, mix):
    data = (mix / "manifest.json").read_bytes()
    (mix / "manifest.json").write_bytes(data.replace(b'"kind":"mix"', b'"kind":"mix","kind":"mix"'))
    assert verify_mix(str(mix), made[1].id)["wrong"] == ["manifest.json"]


@pytest.mark.parametrize(
    "name",
    [
        "data/train-00001-of-00002.parquet",
        "data/.hidden",
        "dataset_infos.json",
        "mix.py",
        ".huggingface.yaml",
        "human/data/train-00000-of-00001.parquet",
        "test/test.parquet",
        "proof/more",
        "_work/job.json",
        "metadata.csv",
    ],
)
def test_a_file_that_nobody_listed_is_named_and_one_that_was_smuggled_in(made, mix, name):
    (mix / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(shard(mix), mix / name)
    assert verify_mix(str(mix), made[1].id)["extra"] == [name]
    forge_mix.seal(mix, change=lambda body: body["files"].append({**listed(body), "path": name, "rows": None}))
    assert verify_mix(str(mix), made[1].id)["wrong"] == ["croissant.json", "manifest.json"]


def test_files_behind_a_link_are_named(made, mix, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(shard(mix), tmp_path / "elsewhere/train-9.parquet")
    (mix / "data/more").symlink_to(tmp_path / "elsewhere")
    (mix / "data/train-9.parquet").symlink_to(tmp_path / "elsewhere/train-9.parquet")
    assert verify_mix(str(mix), made[1].id)["extra"] == ["data/more", "data/train-9.parquet"]


def test_a_shard_that_was_dropped_or_added_is_named(made, tmp_path):
    folder, frozen = made
    of_shards, plain = rows(frozen, "units")
    shutil.copytree(folder / "units", tmp_path / "fewer")
    gone = shards.shard_name(1, 2)
    for path in [path for path in (tmp_path / "fewer").rglob("*") if path.name.startswith(gone)]:
        path.unlink()
    assert gone in " ".join(verify_mix(str(tmp_path / "fewer"), frozen.id)["missing"])

    def drop(body):
        body["files"] = [entry for entry in body["files"] if gone not in entry["path"]]
        body["shards"].pop()

    body = json.loads((tmp_path / "fewer/manifest.json").read_bytes())
    drop(body)
    forge_mix.write(tmp_path / "fewer", body)
    assert "manifest.json" in verify_mix(str(tmp_path / "fewer"), frozen.id)["wrong"]
    more = {"data/train-00002-of-00003.parquet": (folder / "units/data" / f"{gone}.parquet").read_bytes()}
    forge_mix.publish(tmp_path / "more", frozen, of_shards, plain, more=more)
    assert "manifest.json" in verify_mix(str(tmp_path / "more"), frozen.id)["wrong"]


def test_a_document_in_two_shards_is_named_though_all_numbers_match(made, tmp_path):
    frozen = made[1]
    of_shards, plain = rows(frozen, "units")
    forge_mix.publish(tmp_path / "human", frozen, [of_shards[0], of_shards[0]], plain)
    found = verify_mix(str(tmp_path / "human"), frozen.id)
    assert found["wrong"] == ["data/train-00001-of-00002.parquet"]
    assert "stands in the mix twice" in wrong(found)


def test_a_text_of_two_leaves_is_named_though_all_numbers_match(made, tmp_path):
    known = forge_mix.documents(made[1])
    twin = mixes.document("twin", 0, text=known["human-3"]["text"])
    frozen = mixes.snapshot(tmp_path / "twins", [*known.values(), twin])
    (true,), plain = rows(frozen, "plain")
    extra = forge_mix.chunks(forge_mix.documents(frozen)["twin"], "human", plain["chunk_bytes"])
    forge_mix.publish(tmp_path / "mix", frozen, [[*extra, *true]], plain)
    assert "human text" in wrong(verify_mix(str(tmp_path / "mix"), frozen.id))


HUMAN_SIDE = {
    "dropped": lambda side: side.pop(),
    "added": lambda side: side.append({**mixes_row(), "chunk": 0, "chunks": 1}),
    "repeated": lambda side: side.extend({**row, "epoch": 1} for row in list(side)),
    "twice": lambda side: side.extend(map(dict, list(side))),
    "edited": lambda side: side[0].update(text="never written"),
    "empty": lambda side: side.clear(),
    "silent": lambda side: side.append({**mixes_row(), "text": ""}),
}


def mixes_row():
    (row,) = forge_mix.chunks(mixes.document("never", 50), "unknown", 600)
    return row


@pytest.mark.parametrize("change", HUMAN_SIDE)
def test_a_human_side_that_is_not_that_of_its_shard_is_named(made, tmp_path, change):
    frozen = made[1]
    of_shards, plain = rows(frozen, "repeat")
    side = [dict(row) for row in of_shards[0] if row["origin"] == "human" and row["epoch"] == 0]
    HUMAN_SIDE[change](side)
    forge_mix.publish(tmp_path / "mix", frozen, of_shards, plain, human=[side])
    assert verify_mix(str(tmp_path / "mix"), frozen.id)["wrong"] == ["human/data/train-00000-of-00001.parquet"]


def test_human_rows_of_the_snapshot_that_the_shard_lacks_are_no_human_side(made, tmp_path):
    frozen = made[1]
    of_shards, plain = rows(frozen, "repeat")
    side = [row for row in of_shards[0] if row["origin"] == "human" and row["epoch"] == 0]
    other = forge_mix.chunks(forge_mix.documents(frozen)[f"human-{HUMANS}"], "human", plain["chunk_bytes"])
    forge_mix.publish(tmp_path / "mix", frozen, of_shards, plain, human=[[*other, *side]])
    assert "no leaf of the snapshot" in wrong(verify_mix(str(tmp_path / "mix"), frozen.id))


def test_files_of_all_shards_together_are_made_again(made, tmp_path):
    folder, frozen = made
    shutil.copytree(folder / "mds", tmp_path / "mix")
    path = tmp_path / "mix/data/index.json"
    body = json.loads(path.read_bytes())
    body["shards"].pop()
    path.write_bytes(json.dumps(body).encode())
    forge_mix.seal(tmp_path / "mix")
    assert "data/index.json" in verify_mix(str(tmp_path / "mix"), frozen.id)["wrong"]


@pytest.mark.parametrize("column", ["more", "fewer"])
def test_another_column_is_named(made, mix, column):
    table = pq.read_table(shard(mix))
    pq.write_table(table.drop_columns("url") if column == "fewer" else table.append_column("label", table["key"]), shard(mix))
    forge_mix.seal(mix)
    assert shard(mix).name in wrong(verify_mix(str(mix), made[1].id))


@pytest.mark.parametrize(("old", "new"), [("data/train-*.parquet", "elsewhere/*.parquet"), ('"license"', '"dataset_info"')])
def test_a_card_that_redirects_a_loader_is_named(made, mix, old, new):
    card = (mix / "README.md").read_text()
    assert old in card
    (mix / "README.md").write_text(card.replace(old, new, 1))
    forge_mix.seal(mix)
    assert verify_mix(str(mix), made[1].id)["wrong"] == ["README.md"]


def test_a_croissant_that_names_another_file_is_named(made, mix):
    text = (mix / "croissant.json").read_text()
    (mix / "croissant.json").write_text(text.replace("data/train-0", "https://elsewhere.example/train-0", 1))
    forge_mix.seal(mix)
    assert verify_mix(str(mix), made[1].id)["wrong"] == ["croissant.json"]


def test_another_snapshot_under_the_same_claim_is_named(made, mix, tmp_path):
    other = mixes.snapshot(tmp_path / "other", [mixes.document("x", 100)])
    (mix / "proof/snapshot.manifest").write_bytes((tmp_path / "other" / manifest.MANIFESTS / f"{other.id}.json").read_bytes())
    forge_mix.seal(mix, change=lambda body: body["snapshot"].update(id=other.id))
    assert "proof/snapshot.manifest" in wrong(verify_mix(str(mix), made[1].id))
    assert "leaves.zst" in wrong(verify_mix(str(mix), other.id))


@pytest.mark.parametrize("more", [{"schema_version": 1}, {"kind": "run"}])
def test_a_snapshot_of_another_layout_is_named(made, mix, tmp_path, more):
    other = mixes.snapshot(tmp_path / "other", [mixes.document("x", 100)], **more)
    (mix / "proof/snapshot.manifest").write_bytes((tmp_path / "other" / manifest.MANIFESTS / f"{other.id}.json").read_bytes())
    forge_mix.seal(mix, change=lambda body: body["snapshot"].update(id=other.id))
    assert "of schema version" in wrong(verify_mix(str(mix), other.id))


def leaves(mix: Path) -> Path:
    return next((mix / "proof").glob("*.leaves.zst"))


def unpack(path: Path) -> list[bytes]:
    with pa.CompressedInputStream(str(path), "zstd") as stream:
        return stream.read().splitlines(keepends=True)


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[1:],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: [lines[0].replace(b"captured", b"released"), *lines[1:]],
        lambda lines: [lines[0].replace(b" ", b"9 ", 1), *lines[1:]],
        lambda lines: [b"1 x\n"],
        lambda lines: [b"1 " + b"[" * 100_000 + b"\n"],
        lambda lines: [b"9" * 5000 + b" x\n"],
        lambda lines: [],
    ],
    ids=["fewer", "order", "level", "index", "no leaf", "deep", "giant", "none"],
)
def test_changed_leaves_are_named_though_every_digest_matches(made, mix, change):
    leaves(mix).write_bytes(zstandard.compress(b"".join(change(unpack(leaves(mix))))))
    forge_mix.seal(mix)
    said = wrong(verify_mix(str(mix), made[1].id))
    assert "leaves.zst" in said or "no leaf of the snapshot" in said


@pytest.mark.parametrize(
    "change",
    [lambda data: data[:-32], lambda data: data + bytes(32), lambda data: data[:-1], lambda data: bytes(32) + data[32:]],
    ids=["short", "long", "odd", "other"],
)
def test_changed_hashes_are_named_though_every_digest_matches(made, mix, change):
    path = next((mix / "proof").glob("*.hashes.bin"))
    assert path.stat().st_size
    path.write_bytes(change(path.read_bytes()))
    forge_mix.seal(mix)
    assert path.name in wrong(verify_mix(str(mix), made[1].id))


def only(mix: Path, into: Path, name: str, more: tuple[str, ...] = ()) -> Path:
    """What somebody downloads to check one shard: the manifest, the snapshot's, the shard and its proof."""
    for path in [path for path in mix.rglob("*") if path.is_file()]:
        known = str(path.relative_to(mix))
        if known in ("manifest.json", "proof/snapshot.manifest", *more) or name in known:
            (into / known).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, into / known)
    return into


@pytest.mark.parametrize("variant", ["units", "mds", "buffer"])
def test_one_downloaded_shard_verifies_alone_and_says_so(made, tmp_path, variant):
    folder, frozen = made
    form = shards.named(VARIANTS[variant].get("format", "parquet"))
    count = VARIANTS[variant]["shards"]
    name = shards.shard_name(1, count)
    mix = only(folder / variant, tmp_path / "one", name)
    found = verify_mix(str(mix), frozen.id, shard=form.paths(name)[0])
    assert (found["why"], found["missing"], found["extra"], found["anchored"]) == ({}, [], [], True)
    assert found["line"].startswith(f"ONE OF {count} SHARDS: ") and "were not checked" in found["line"]
    assert f"shard 2 of {count}" in found["floor"]
    assert "repeats across shards, totals" in found["not_checked"]
    whole = verify_mix(str(mix), frozen.id)
    assert whole["missing"] and not whole["anchored"]
    (mix / "data/train-x.parquet").write_bytes(b"")
    assert verify_mix(str(mix), frozen.id, shard=name)["extra"] == ["data/train-x.parquet"]


def test_of_one_shard_every_file_has_to_be_there_and_true(made, tmp_path):
    folder, frozen = made
    name = shards.shard_name(0, 3)
    mix = only(folder / "mds", tmp_path / "one", name, ("data/index.json", "README.md"))
    assert verify_mix(str(mix), frozen.id, shard=f"data/{name}")["anchored"]
    for path in sorted(path for path in mix.rglob("*") if path.is_file()):
        data, known = path.read_bytes(), str(path.relative_to(mix))
        path.write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
        assert verify_mix(str(mix), frozen.id, shard=f"data/{name}")["wrong"] == [known]
        path.unlink()
        found = verify_mix(str(mix), frozen.id, shard=f"data/{name}")
        assert found["anchored"] == (known in ("data/index.json", "README.md"))
        path.write_bytes(data)


def test_of_one_shard_the_others_are_not_read(made, tmp_path):
    folder, frozen = made
    shutil.copytree(folder / "units", tmp_path / "mix")
    (tmp_path / "mix/data" / f"{shards.shard_name(1, 2)}.parquet").write_bytes(b"broken")
    assert verify_mix(str(tmp_path / "mix"), frozen.id, shard=shards.shard_name(0, 2))["anchored"]
    assert not verify_mix(str(tmp_path / "mix"), frozen.id, shard=shards.shard_name(1, 2))["anchored"]
    for name in ("train-00007-of-00002", "data", "train-1-of-2"):
        with pytest.raises(UsageError, match="shard"):
            verify_mix(str(tmp_path / "mix"), frozen.id, shard=name)


def test_a_manifest_that_smuggles_a_file_beside_one_shard_is_named(made, tmp_path):
    folder, frozen = made
    name = shards.shard_name(0, 2)
    mix = only(folder / "units", tmp_path / "one", name)
    (mix / "data/train-evil.parquet").write_bytes(b"evil")
    body = json.loads((mix / "manifest.json").read_bytes())
    body["files"].append({**listed(body), "path": "data/train-evil.parquet", "rows": None})
    forge_mix.write(mix, body)
    assert verify_mix(str(mix), frozen.id, shard=name)["extra"] == ["data/train-evil.parquet"]


ALICE, BOB = (notes.Signer(name, bytes([number]) * 32) for number, name in enumerate(("alice.example", "bob.example")))


@pytest.fixture(scope="module")
def signed(made, tmp_path_factory):
    """A mix whose snapshot Alice signed."""
    folder = tmp_path_factory.mktemp("signed")
    known = list(forge_mix.documents(made[1]).values())
    frozen = mixes.snapshot(folder / "snapshot", known, signers=[ALICE.verifier.vkey])
    files.write_bytes(f"{frozen.url}/{checkpoint.path(frozen.id)}", checkpoint.write(frozen, ALICE))
    forge_mix.publish(folder / "mix", frozen, *rows(frozen, "plain"))
    return folder / "mix", frozen


def test_a_key_vouches_for_the_snapshot_as_its_id_does(signed):
    mix, frozen = signed
    found = verify_mix(str(mix), None, keys=[ALICE.verifier.vkey])
    assert (found["anchored"], found["signed_by"], found["why"]) == (True, ["alice.example"], {})
    assert verify_mix(str(mix), frozen.id, keys=[ALICE.verifier.vkey, BOB.verifier.vkey])["anchored"]
    assert not verify_mix(str(mix), None)["anchored"]
    assert verify_mix(str(mix), None, keys=[BOB.verifier.vkey])["wrong"] == ["proof/checkpoint"]
    with pytest.raises(UsageError, match="no verifier key"):
        verify_mix(str(mix), None, keys=["alice"])


def test_a_key_does_not_vouch_where_nobody_signed(made):
    found = verify_mix(str(made[0] / "plain"), made[1].id, keys=[ALICE.verifier.vkey])
    assert found["wrong"] == ["proof/snapshot.manifest"]
    assert "nobody signed" in wrong(found)


CHECKPOINTS = {
    "of another": lambda frozen: checkpoint.write(dataclasses.replace(frozen, id="0" * 64), ALICE),
    "by another": lambda frozen: checkpoint.write(frozen, BOB),
    "by two": lambda frozen: notes.sign(checkpoint.of(frozen, "alice.example").text(), [ALICE, BOB]),
    "no note": lambda frozen: b"alice",
    "nothing": lambda frozen: b"",
}


@pytest.mark.parametrize("keys", [[], [ALICE.verifier.vkey]], ids=["no key", "key"])
@pytest.mark.parametrize("change", CHECKPOINTS)
def test_a_checkpoint_that_is_not_the_snapshots_is_named_with_or_without_a_key(signed, tmp_path, change, keys):
    mix, frozen = signed
    shutil.copytree(mix, tmp_path / "mix")
    (tmp_path / "mix/proof/checkpoint").write_bytes(CHECKPOINTS[change](frozen))
    forge_mix.seal(tmp_path / "mix")
    assert verify_mix(str(tmp_path / "mix"), frozen.id, keys=keys)["wrong"] == ["proof/checkpoint"]


def test_a_checkpoint_that_is_left_out_is_named(signed, tmp_path):
    mix, frozen = signed
    shutil.copytree(mix, tmp_path / "mix")
    (tmp_path / "mix/proof/checkpoint").unlink()
    forge = json.loads((tmp_path / "mix/manifest.json").read_bytes())
    forge["files"] = [entry for entry in forge["files"] if entry["path"] != "proof/checkpoint"]
    forge_mix.write(tmp_path / "mix", forge)
    assert verify_mix(str(tmp_path / "mix"), frozen.id)["wrong"] == ["manifest.json"]


def squeezed(size: int) -> bytes:
    """So many zeros, compressed to nearly nothing."""
    return zstandard.ZstdCompressor(level=3).compress(bytes(size))


HOSTILE = {
    "nothing": b"",
    "a byte": b"\xff",
    "brace": b"{",
    "list": b"[]",
    "null": b"null\n",
    "a mix of nothing": b'{"kind":"mix"}\n',
    "deep list": b"[" * 200_000,
    "deep object": b'{"a":' * 200_000,
    "NaN": b'{"floor":NaN,"kind":"mix"}\n',
    "infinity": b'{"floor":1e999,"kind":"mix"}\n',
    "giant number": b'{"kind":"mix","schema_version":' + b"9" * 10_000 + b"}\n",
    "lone surrogate": b'{"kind":"\\ud800"}\n',
    "zstd bomb": squeezed(1 << 28),
    "zstd cut": squeezed(1 << 20)[:-3],
    "parquet marks": b"PAR1" + bytes(90) + b"PAR1",
    "parquet giant footer": b"PAR1" + bytes(90) + b"\xff\xff\xff\x7fPAR1",
    "mds giant": b"\xff\xff\xff\xff" + bytes(40),
    "yaml bomb": b"---\na: &a [x]\nb: &b [*a, *a, *a]\nc: [*b, *b]\n---\n",
    "yaml deep": b"---\na: " + b"[" * 60_000 + b"\n---\n",
}


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("variant", ["plain", "jsonl", "mds", "tokens"])
def test_hostile_bytes_in_any_file_are_named_and_raise_nothing(made, tmp_path, variant, hostile):
    """Every file in turn is replaced, with the digests made again."""
    folder, frozen = made
    shutil.copytree(folder / variant, tmp_path / "mix")
    true = (tmp_path / "mix/manifest.json").read_bytes()
    body = manifest.open_mix(str(folder / variant)).manifest
    name, form = shards.shard_name(0, len(body["shards"])), shards.named(body["config"]["mix"]["format"])
    firsts = [form.paths(name, root)[0] for root in ("", shards.HUMAN)]
    for path in sorted(path for path in (tmp_path / "mix").rglob("*") if path.is_file()):
        if "train" in str(path) and name not in str(path):
            continue
        data, known = path.read_bytes(), str(path.relative_to(tmp_path / "mix"))
        path.write_bytes(HOSTILE[hostile])
        if known != "manifest.json":
            forge_mix.seal(tmp_path / "mix", described=known != "croissant.json")
        found = verify_mix(str(tmp_path / "mix"), frozen.id)
        # Files of a shard are read together: the first of them is named.
        assert not found["anchored"]
        assert known in found["wrong"] or (firsts[known.startswith("human/")] in found["wrong"] and name in known)
        path.write_bytes(data)
        (tmp_path / "mix/manifest.json").write_bytes(true)


def test_a_row_group_that_unpacks_to_far_more_than_its_file_is_named(made, mix):
    table = pq.read_table(shard(mix))
    long = pa.array(["x" * (1 << 22)] * table.num_rows)
    with pq.ParquetWriter(
        shard(mix), forge_mix.SHARD, compression="zstd", use_dictionary=["text"], write_statistics=False
    ) as writer:
        writer.write_table(table.set_column(0, forge_mix.SHARD.field(0), long))
    forge_mix.seal(mix)
    assert shard(mix).stat().st_size < 1 << 18
    assert shard(mix).name in wrong(verify_mix(str(mix), made[1].id))


def test_strata_without_end_are_named(made, monkeypatch):
    """Each is held in memory while rows are counted."""
    monkeypatch.setattr("store.verify_shard.STRATA", 1)
    assert "more than 1 strata" in wrong(verify_mix(str(made[0] / "plain"), made[1].id))
