"""No row is scored by a model that saw its group or, of human-only sources, its family."""

import numpy as np

from pipelines.training.folds import FOLDS, folds
from pipelines.training.rows import Row

ROWS = [
    Row(f"{i:05}", "t", "en", 60, i % 3 == 0 and source < "D", f"{source}", f"{source}{i // 4}")
    for source in ("A", "B", "C", "NLTK inaugural", "NLTK state_union", "X", "Y", "Z")
    for i in range(120)
]


def test_each_row_is_scored_once_by_models_that_did_not_see_it():
    plan = folds(ROWS)
    inside = [fold for fold in plan if not fold.apart]
    assert len(inside) == FOLDS and sorted(np.concatenate([fold.score for fold in inside]).tolist()) == list(range(len(ROWS)))
    labelled = {row.source for row in ROWS if row.machine}
    for fold in inside:
        learn, score = [ROWS[i] for i in fold.learn], [ROWS[i] for i in fold.score]
        assert not {row.group for row in learn} & {row.group for row in score}
        assert not {row.family for row in learn} & {row.family for row in score if row.source not in labelled}


def test_sources_with_machine_text_are_left_out_as_a_whole():
    apart = [fold for fold in folds(ROWS) if fold.apart]
    for fold in apart:
        assert not {ROWS[i].source for i in fold.learn} & {ROWS[i].source for i in fold.score}
    assert {ROWS[i].source for fold in apart for i in fold.score} == {"A", "B", "C"}
