"""Sketches made again for `verify`: by the snapshot's own parameters, or not at all and said so."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipelines import cli, freeze, verify
from pipelines.sketching import other_parameters, sketcher
from provenance.minhash import MinHash, parameters
from store import manifest, tables
from store.manifest import Opened
from store.verify_index import matrix
from tests.builders import Capture, html, prose, write_warc
from tests.store.frozen import simple


def test_sketches_made_again_are_those_that_are_there(tmp_path: Path) -> None:
    opened = simple(tmp_path)
    sketch, said = sketcher(opened)
    assert sketch is not None and "one document in 16" in said
    documents, signatures = (tables.read(opened.files(dataset)) for dataset in ("documents", "signatures"))
    minima, hashes, offsets = sketch(documents["text"].combine_chunks())
    assert (minima == matrix(signatures["signature"].combine_chunks())).all()
    assert np.diff(offsets).tolist() == signatures["shingles"].to_pylist() and len(hashes) == offsets[-1]


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        (None, "settings are none|bands"),
        ({}, "bands"),
        (5, "bands"),
        (parameters(MinHash()) | {"unicode": "1.0"}, "unicode"),
        (parameters(MinHash()) | {"permutations_sha256": "0" * 64}, "permutations_sha256"),
        (parameters(MinHash()) | {"permutations": 1 << 40}, "settings are none"),
        (parameters(MinHash()) | {"preset": "minhash_of_tomorrow"}, "settings are none"),
        (parameters(MinHash()) | {"seed": "x"}, "settings are none"),
    ],
    ids=range(8),
)
def test_other_parameters_are_said_and_nothing_is_made(stated: Any, said: str) -> None:
    opened = Opened("", "", {"kind": "snapshot", "files": [], "parameters": {"minhash": stated}})
    sketch, why = sketcher(opened)
    assert sketch is None and any(word in why for word in said.split("|")), why
    assert sketcher(Opened("", "", {"kind": "snapshot", "files": []}))[0] is None


def test_nothing_is_made_of_no_texts(tmp_path: Path) -> None:
    assert sketcher(simple(tmp_path, index_only=True)) == (None, "not made again: the snapshot has no texts")
    assert other_parameters(parameters(MinHash())) == ""


@pytest.mark.parametrize("preset", ["lowbackground", "datasketch", "fineweb_2", "redpajama_2"])
def test_what_was_frozen_verifies_and_a_missing_sample_is_named(tmp_path: Path, preset: str) -> None:
    captures = [Capture(f"http://a.example/{i}", html(prose(i), f"Title {i}")) for i in range(8)]
    source = write_warc(tmp_path / "a.warc.gz", [*captures, Capture("http://a.example/short", html("One word. Two", "Short"))])
    job = cli.Job(quiet=True, overrides=(("minhash.preset", preset),))
    into = tmp_path / "snapshot"
    freeze.run(freeze.Order([str(source)], str(into), "2022-01-01"), job)
    opened = manifest.open_snapshot(str(into))
    found = verify.run(str(into), opened.id, quiet=True)
    assert (found["exit_code"], found["sketches"]) == (0, "those of one document in 16 made again from the texts")
    (entry,) = opened.entries("samples")
    table = pq.read_table(into / entry["path"])
    lost = tables.write(str(into), entry["path"], table.filter(pa.array(np.arange(table.num_rows) != 5)), table.schema)
    (into / f"manifests/{opened.id}.json").unlink()
    listed = [lost if other is entry else other for other in opened.manifest["files"]]
    forged = manifest.write_snapshot(str(into), opened.manifest | {"files": listed})
    found = verify.run(str(into), forged.id, quiet=True)
    assert found["wrong"] == [entry["path"]] and "samples lack a sampled shingle of row" in found["why"][entry["path"]]


@pytest.mark.parametrize("preset", ["lowbackground", "fineweb_2"])
def test_a_redacted_sketch_says_nothing_whatever_the_width_of_its_minima(tmp_path: Path, preset: str) -> None:
    source = write_warc(tmp_path / "a.warc.gz", [Capture(f"http://a.example/{i}", html(prose(i), f"Title {i}")) for i in range(3)])
    job, into = cli.Job(quiet=True, overrides=(("minhash.preset", preset),)), str(tmp_path / "snapshot")
    first = freeze.run(freeze.Order([str(source)], into, "2022-01-01"), job)
    (tmp_path / "list").write_text("http://a.example/1\n")
    second = freeze.run(freeze.Order([], into, None, extends=first["id"], redact=str(tmp_path / "list")), job)
    opened = manifest.open_snapshot(into)
    sketches = tables.read(opened.files("signatures"))
    minima = matrix(sketches["signature"].combine_chunks())[pc.equal(sketches["shingles"], 0).to_numpy()]
    assert minima.shape == (1, MinHash(preset=preset).permutations) and (minima == np.iinfo(minima.dtype).max).all()
    assert verify.run(into, second["id"], quiet=True)["exit_code"] == 0
