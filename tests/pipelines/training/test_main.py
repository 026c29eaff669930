"""`make model` from tables to files: the same tables give the same bytes, and what cannot be used is refused.

fastText's trainer lives in an environment of its own; here the shipped model stands in for what it would make.
"""

import random
from importlib import resources

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.training import __main__ as training
from pipelines.training import fasttext_trainer, fit
from provenance.calibration_file import read_calibration

PACKAGE = resources.files("provenance")
HUMAN = "bridge river captain supper quarrel lantern market orchard parish stubborn muddy laughed rowed sold".split()
MACHINE = "delve tapestry pivotal underscore landscape crucial foster vibrant intricate enhance leverage holistic".split()


def sentences(draw: random.Random, words: list[str], count: int) -> str:
    out = []
    for _ in range(count):
        length = draw.randint(4, 14)
        out.append("The " + " ".join(draw.choice([*words, "of", "and", "a", "to", "was", "in"]) for _ in range(length)) + ".")
    return " ".join(out)


def tables(folder, seed: int = 1) -> list[str]:
    draw = random.Random(seed)
    train = [
        {
            "text": sentences(draw, MACHINE if i % 2 else HUMAN, 7),
            "label": "machine" if i % 2 else "human",
            "source": f"L{i % 4 // 2}",
            "group": f"g{i // 2}",
            "lang": "en",
            "generator": "made up",
        }
        for i in range(600)
    ]
    human = [{"text": sentences(draw, HUMAN, 6 + i % 3), "source": f"H{i % 4}", "lang": "en"} for i in range(480)]
    for name, rows in {"train": train[:560], "human": human, "held": train[560:]}.items():
        draw.shuffle(rows)
        pq.write_table(pa.Table.from_pylist(rows), folder / f"{name}.parquet")
    (folder / "notes.txt").write_text("\n".join(sentences(draw, HUMAN, 9) for _ in range(5)), encoding="utf-8")
    return ["--train", str(folder / "train.parquet"), "--human", str(folder / "human.parquet"), str(folder / "notes.txt"),
            "--held-out", str(folder / "held.parquet")]  # fmt: skip


@pytest.fixture
def made(monkeypatch, tmp_path):
    origin = PACKAGE.joinpath("models/origin.ftz").read_bytes()
    monkeypatch.setattr(fit, "fasttext_model", lambda *_: origin)
    monkeypatch.setattr(fit, "TREES", fit.TREES | {"max_iter": 10})

    def run(name: str, *more: str) -> dict[str, bytes]:
        into = tmp_path / name
        (into / "models").mkdir(parents=True)
        (into / "calibration.json").write_bytes(PACKAGE.joinpath("calibration.json").read_bytes())
        assert training.main([*tables(tmp_path), "--into", str(into), *more]) == 0
        return {path.name: path.read_bytes() for path in into.rglob("*") if path.is_file()}

    return run


def test_same_tables_give_the_same_bytes_and_a_valid_file(made, tmp_path):
    one = made("one", "--keep", str(tmp_path / "scores.parquet"))
    assert one == made("two")
    assert set(one) == {"calibration.json", "origin.ftz", "characters.npz", "style.npz", "origin.md"}
    calibration = read_calibration(one["calibration.json"])
    assert calibration.combiner is not None
    (cell,) = [cell for cell in calibration.combiner.cells if cell.words_from == 50]
    assert cell.human_rows > 400 and cell.true_positives["0.01"][0] > 0.5
    assert set(cell.sources) >= {"H0", "H1", "H2", "H3", "L0", "L1"}
    kept = pq.read_table(tmp_path / "scores.parquet").to_pylist()
    assert {row["label"] for row in kept} == {"human", "machine"} and not any(
        row["character_model"] != row["character_model"] for row in kept
    )
    card = one["origin.md"].decode()
    assert "| H0 | none stated | en | 120 | 0 |" in card and "## Held-out tables" in card and "| all | 20 | 20 | 1.000 |" in card


@pytest.mark.parametrize("what", ["missing", "one class"])
def test_tables_that_cannot_be_used_are_refused(tmp_path, capsys, what):
    path = tmp_path / "t.parquet"
    if what == "one class":
        pq.write_table(pa.table({"text": [f"A human text with number {i}." for i in range(20)]}), path)
    (tmp_path / "calibration.json").write_bytes(PACKAGE.joinpath("calibration.json").read_bytes())
    assert training.main(["--train", str(path), "--into", str(tmp_path)]) == 2
    assert "error: " in capsys.readouterr().err


def test_a_trainer_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ValueError, match="did not start"):
        fit.fasttext_model([], [], tmp_path / "no-python")  # type: ignore[arg-type]


def test_trainer_tries_a_lower_rate_where_fasttext_fails(monkeypatch, tmp_path):
    import sys
    from types import SimpleNamespace

    tried = []

    class Model:
        quantize = save_model = staticmethod(lambda *_, **__: None)

    def train(lines, lr, **_):
        tried.append(lr)
        if lr > 0.07:
            raise RuntimeError("Encountered NaN.")
        return Model()

    monkeypatch.setitem(sys.modules, "fasttext", SimpleNamespace(train_supervised=train))
    assert fasttext_trainer.train("lines", "model") == 0.05 and tried == [0.2, 0.1, 0.05]
