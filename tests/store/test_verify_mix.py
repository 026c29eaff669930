"""`verify` of a mix: an honest one passes, and whatever was changed is named, also where every digest was forged to match."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from provenance.identity import Tree, canonical_json, digest, sha256_hex
from provenance.schema import SHARD
from store import manifest, shards
from store.verify_mix import verify_mix
from tests import mixes

VARIANTS = {
    "plain": {},
    "units": {"units": ("bytes", "documents"), "floor": "1/3", "shards": 2, "chunk_bytes": 512},
    "jsonl": {"format": "jsonl", "chunk_bytes": 900},
    "repeat": {"budget": 190_000, "shortfall": "repeat", "chunk_bytes": 1000},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixes")
    frozen, crawled = mixes.standard(folder)
    for name, options in VARIANTS.items():
        mixes.make(folder / name, frozen, [crawled], **options)
    return folder, frozen


@pytest.fixture
def mix(made, tmp_path):
    shutil.copytree(made[0] / "plain", tmp_path / "mix")
    return tmp_path / "mix"


def resign(mix: Path, change=lambda body: None) -> None:
    """Makes the manifest agree with the files again, as a forger would."""
    body = json.loads((mix / "manifest.json").read_bytes())
    for entry in body["files"]:
        data = (mix / entry["path"]).read_bytes()
        entry["sha256"], entry["size"] = sha256_hex(data), len(data)
    change(body)
    body["config_digest"] = digest(body["config"])
    body["id"] = digest({name: value for name, value in body.items() if name != "id"})
    (mix / "manifest.json").write_bytes(canonical_json(body))


def listed(body: dict) -> dict:
    """The manifest's line for the first shard."""
    return next(entry for entry in body["files"] if entry["path"].startswith("data/"))


def shard(mix: Path) -> Path:
    return next((mix / "data").iterdir())


def rewrite(mix: Path, change) -> None:
    """Changes the rows of the mix's one shard and forges the digests."""
    path = shard(mix)
    rows = pq.read_table(path).to_pylist()
    rows = change(rows) or rows
    with path.open("wb") as sink:
        shards.named("parquet").write(sink, [pa.RecordBatch.from_pylist(rows, schema=SHARD)])
    resign(mix, lambda body: listed(body).update(rows=len(rows)))


def named(mix: Path, anchor: str | None) -> str:
    """All that verify blames, as one text."""
    found = verify_mix(str(mix), anchor)
    assert not found["anchored"]
    assert found["wrong"] + found["missing"] + found["extra"]
    return " ".join([*found["wrong"], *found["missing"], *found["extra"], *found["why"].values()])


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_honest_mix_verifies(made, variant):
    folder, frozen = made
    found = verify_mix(str(folder / variant), frozen.id)
    assert (found["wrong"], found["missing"], found["extra"], found["anchored"]) == ([], [], [], True)
    assert found["counts"] == json.loads((folder / variant / "manifest.json").read_bytes())["counts"]
    assert found["line"].startswith("80 % of the human bytes rest on witness 'archive file', 20 %") or variant == "repeat"


def test_without_an_anchor_it_is_only_consistent(made):
    found = verify_mix(str(made[0] / "plain"), None)
    assert not found["anchored"]
    assert not found["wrong"] + found["missing"] + found["extra"]


def test_another_anchor_is_refused(made):
    assert "proof/snapshot.manifest" in named(made[0] / "plain", "0" * 64)


def test_a_late_cutoff_is_refused_where_one_is_set(made):
    folder, frozen = made
    assert verify_mix(str(folder / "plain"), frozen.id, max_cutoff="2022-01-01")["anchored"]
    assert verify_mix(str(folder / "plain"), frozen.id, max_cutoff="2021-12-31")["wrong"] == ["proof/snapshot.manifest"]


@pytest.mark.parametrize("variant", ["units", "jsonl"])
def test_every_flipped_byte_names_its_file(made, tmp_path, variant):
    folder, frozen = made
    shutil.copytree(folder / variant, tmp_path / "mix")
    for path in sorted(p for p in (tmp_path / "mix").rglob("*") if p.is_file()):
        data, name = path.read_bytes(), str(path.relative_to(tmp_path / "mix"))
        for at in sorted({0, 7, len(data) // 3, len(data) // 2, len(data) - 1} & set(range(len(data)))):
            path.write_bytes(data[:at] + bytes([data[at] ^ (1 + at % 255)]) + data[at + 1 :])
            assert verify_mix(str(tmp_path / "mix"), frozen.id)["wrong"] == [name], (name, at)
        path.write_bytes(data + b"\n")
        assert verify_mix(str(tmp_path / "mix"), frozen.id)["wrong"] == [name]
        path.unlink()
        found = verify_mix(str(tmp_path / "mix"), frozen.id)
        assert name in found["missing"] + found["wrong"]
        path.write_bytes(data)
    assert verify_mix(str(tmp_path / "mix"), frozen.id)["anchored"]


def swap(rows):
    other = next(i for i, row in enumerate(rows) if row["origin"] != "human")
    rows[0], rows[other] = rows[other], rows[0]


def claim(rows):
    next(row for row in rows if row["origin"] != "human")["origin"] = "human"


def disown(rows):
    next(row for row in rows if row["origin"] == "human" and row["chunks"] == 1)["origin"] = "unknown"


def forge(rows):
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


def cheat_floor(rows):
    rows.extend(
        {**rows[-1], "origin": "unknown", "key": f"{i:032x}", "text": "x" * 9000, "chunk": 0, "chunks": 1} for i in range(9)
    )


def orphan(rows):
    rows[0]["chunks"] = 2


def rename(rows):
    rows[0]["origin"] = "robot"


def blank(rows):
    rows[0]["attestation"] = "none"


@pytest.mark.parametrize(
    "change", [swap, claim, disown, forge, double, repeat, edit, promote, backdate, cheat_floor, orphan, rename, blank]
)
def test_changed_rows_are_named_though_every_digest_matches(made, mix, change):
    rewrite(mix, change)
    assert f"data/{shard(mix).name}" in verify_mix(str(mix), made[1].id)["wrong"]


@pytest.mark.parametrize("change", [lambda rows: rows[1:], lambda rows: rows[:-1]])
def test_removed_rows_are_named_though_every_digest_matches(made, mix, change):
    rewrite(mix, change)
    assert shard(mix).name in named(mix, made[1].id)


def test_swapped_rows_without_forged_digests_are_named(made, mix):
    before = (mix / "manifest.json").read_bytes()
    rewrite(mix, lambda rows: [*rows[:-2], rows[-1], rows[-2]])
    (mix / "manifest.json").write_bytes(before)
    assert verify_mix(str(mix), made[1].id)["wrong"] == [f"data/{shard(mix).name}"]


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body["counts"].update(rows=body["counts"]["rows"] + 1),
        lambda body: body["counts"]["origins"]["human"].update(documents=1),
        lambda body: body["counts"]["witnesses"].update(nobody={"rows": 0, "documents": 0, "bytes": 0}),
        lambda body: body["shards"][0].update(rows=1),
        lambda body: body["shards"][0]["units"]["bytes"].update(final_surplus=9),
        lambda body: body["shards"][0]["units"]["bytes"].update(minimum_surplus=9),
        lambda body: body["realised"]["bytes"].update(human=1),
        lambda body: body.update(floor="0.4"),
        lambda body: body["requested"].update(floor="0.4"),
        lambda body: body["snapshot"].update(cutoff="2021-01-01T00:00:00.000000Z"),
        lambda body: listed(body).update(rows=1),
        lambda body: body["files"][0].update(rows=1),
        lambda body: body["files"].append(body["files"][0]),
        lambda body: body.update(more=1),
        lambda body: body.pop("counts"),
        lambda body: body.update(units=["bytes", "documents"]),
    ],
)
def test_a_changed_number_of_the_manifest_is_named(made, mix, change):
    resign(mix, change)
    assert verify_mix(str(mix), made[1].id)["wrong"] == ["manifest.json"]


def test_a_higher_floor_than_the_rows_keep_is_named(made, mix):
    def raise_floor(body):
        body["floor"] = body["config"]["mix"]["floor"] = body["requested"]["floor"] = "9/10"

    resign(mix, raise_floor)
    assert shard(mix).name in named(mix, made[1].id)


def test_a_repeated_json_key_is_named(made, mix):
    data = (mix / "manifest.json").read_bytes()
    (mix / "manifest.json").write_bytes(data.replace(b'"kind":"mix"', b'"kind":"mix","kind":"mix"'))
    assert verify_mix(str(mix), made[1].id)["wrong"] == ["manifest.json"]


@pytest.mark.parametrize(
    "name", ["data/train-00001-of-00002.parquet", "data/.hidden", "dataset_infos.json", "script.py", "_work/job.json"]
)
def test_a_file_that_nobody_listed_is_named(made, mix, name):
    (mix / name).parent.mkdir(exist_ok=True)
    shutil.copy(shard(mix), mix / name)
    assert verify_mix(str(mix), made[1].id)["extra"] == [name]


def test_a_listed_extra_shard_is_named(made, mix):
    shutil.copy(shard(mix), mix / "data/train-00001-of-00002.parquet")
    resign(mix, lambda body: body["files"].append({**listed(body), "path": "data/train-00001-of-00002.parquet"}))
    assert "train-00001-of-00002.parquet" in named(mix, made[1].id)


@pytest.mark.parametrize("column", ["more", "fewer"])
def test_another_column_is_named(made, mix, column):
    table = pq.read_table(shard(mix))
    pq.write_table(table.drop_columns("url") if column == "fewer" else table.append_column("label", table["key"]), shard(mix))
    resign(mix)
    assert shard(mix).name in named(mix, made[1].id)


@pytest.mark.parametrize("header", ["path: data/train-*.parquet", "license: other", "---\n\n#"])
def test_a_card_that_redirects_a_loader_is_named(made, mix, header):
    card = (mix / "README.md").read_text()
    (mix / "README.md").write_text(card.replace(header, "path: elsewhere/*.parquet", 1))
    resign(mix)
    assert verify_mix(str(mix), made[1].id)["wrong"] == ["README.md"]


def test_a_shard_that_cannot_be_parsed_is_wrong_and_no_traceback(made, mix):
    for data in (b"", b"PAR1" + bytes(90) + b"PAR1", shard(mix).read_bytes()[:-20]):
        shard(mix).write_bytes(data)
        resign(mix)
        assert shard(mix).name in named(mix, made[1].id)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null\n", b'{"kind":"mix"}\n', b"\xff", b"[" * 100_000])
def test_a_manifest_that_cannot_be_parsed_is_wrong_and_no_traceback(made, mix, data):
    (mix / "manifest.json").write_bytes(data)
    assert verify_mix(str(mix), made[1].id)["wrong"] == ["manifest.json"]


def leaves(mix: Path) -> Path:
    return next((mix / "proof").glob("*.leaves.zst"))


def unpack(path: Path) -> list[bytes]:
    with pa.CompressedInputStream(str(path), "zstd") as stream:
        return stream.read().splitlines(keepends=True)


def pack(path: Path, lines: list[bytes]) -> None:
    with pa.CompressedOutputStream(str(path), "zstd") as stream:
        stream.write(b"".join(lines))


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[1:],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: [lines[0].replace(b"captured", b"released"), *lines[1:]],
        lambda lines: [lines[0].replace(b" ", b"9 ", 1), *lines[1:]],
        lambda lines: [b"1 x\n"],
        lambda lines: [],
    ],
)
def test_changed_leaves_are_named_though_every_digest_matches(made, mix, change):
    pack(leaves(mix), change(unpack(leaves(mix))))
    resign(mix)
    assert "leaves.zst" in named(mix, made[1].id) or "proof lists" in named(mix, made[1].id)


@pytest.mark.parametrize(
    "change", [lambda data: data[:-32], lambda data: data + bytes(32), lambda data: data[:-1], lambda data: bytes(32) + data[32:]]
)
def test_changed_hashes_are_named_though_every_digest_matches(made, mix, change):
    path = next((mix / "proof").glob("*.hashes.bin"))
    assert path.stat().st_size
    path.write_bytes(change(path.read_bytes()))
    resign(mix)
    assert path.name in named(mix, made[1].id)


@pytest.mark.parametrize(
    ("name", "why"), [("machine-2019", "not eligible"), ("late", "not before the cutoff"), ("weak", "below the mix's")]
)
def test_a_leaf_of_the_snapshot_that_may_not_count_is_named(made, mix, name, why):
    """The forger adds a row that is truly in the snapshot, with a true proof."""
    frozen = made[1]
    rows = sorted((row for url in frozen.files("documents") for row in pq.read_table(url).to_pylist()), key=lambda row: row["key"])
    extra = next(row for row in rows if row["id"] == name)
    index = [row["key"] for row in rows].index(extra["key"])
    leaf = mixes.leaf(extra)
    bound = pq.read_table(frozen.files("leaves")[0])["leaf"].to_pylist()
    assert leaf.hash().hex() == bound[index]
    known = dict(line.split(b" ", 1) for line in unpack(leaves(mix))) | {b"%d" % index: leaf.data()}
    order = sorted(known, key=int)
    pack(leaves(mix), [number + b" " + known[number] for number in order])
    tree = Tree([bytes.fromhex(value) for value in bound])
    next((mix / "proof").glob("*.hashes.bin")).write_bytes(b"".join(tree.multiproof([int(number) for number in order])))
    rewrite(
        mix,
        lambda found: found.append(
            {field: extra.get(field) for field in SHARD.names} | {"origin": "human", "chunk": 0, "chunks": 1, "epoch": 0}
        ),
    )
    found = verify_mix(str(mix), frozen.id)
    assert found["wrong"] == [f"proof/{leaves(mix).name}"]
    assert why in " ".join(found["why"].values())


def test_another_snapshot_under_the_same_claim_is_named(made, mix, tmp_path):
    other = mixes.snapshot(tmp_path / "other", [mixes.document("x", 100)])
    (mix / "proof/snapshot.manifest").write_bytes((tmp_path / "other" / manifest.MANIFESTS / f"{other.id}.json").read_bytes())
    resign(mix, lambda body: body["snapshot"].update(id=other.id))
    assert "proof/snapshot.manifest" in named(mix, made[1].id)
    assert "leaves.zst" in named(mix, other.id)


@pytest.mark.parametrize("more", [{"schema_version": 1}, {"kind": "run"}])
def test_a_snapshot_of_another_layout_is_named(made, mix, tmp_path, more):
    other = mixes.snapshot(tmp_path / "other", [mixes.document("x", 100)], **more)
    (mix / "proof/snapshot.manifest").write_bytes((tmp_path / "other" / manifest.MANIFESTS / f"{other.id}.json").read_bytes())
    resign(mix, lambda body: body["snapshot"].update(id=other.id))
    assert "of schema version" in named(mix, other.id)


def test_a_document_in_two_shards_is_named(made, tmp_path):
    folder, frozen = made
    shutil.copytree(folder / "units", tmp_path / "mix")
    first, second = sorted((tmp_path / "mix" / "data").iterdir())
    for kind in ("leaves.zst", "hashes.bin"):
        one, two = sorted((tmp_path / "mix/proof").glob(f"*.{kind}"))
        shutil.copy(one, two)
    shutil.copy(first, second)

    def copy(body):
        body["shards"][1] = {**body["shards"][0], "path": body["shards"][1]["path"]}
        rows = {entry["path"]: entry["rows"] for entry in body["files"]}
        for entry in body["files"]:
            entry["rows"] = rows[f"data/{first.name}"] if entry["path"] == f"data/{second.name}" else entry["rows"]

    resign(tmp_path / "mix", copy)
    assert f"data/{second.name}" in verify_mix(str(tmp_path / "mix"), frozen.id)["wrong"]
