"""fastText's trainer as a process of its own: its package and the product's predictor install files of the same names.

    PYTHON fasttext_trainer.py LINES MODEL

LINES is fastText's training format (`__label__machine words ...`), MODEL the quantised model to write. Uses nothing of this
project, and prints the learning rate that held. The same lines give the same bytes: one thread, one seed.
"""

import sys
from typing import Any

SETTINGS: dict[str, Any] = {"dim": 8, "epoch": 8, "wordNgrams": 2, "minn": 0, "maxn": 0, "minCount": 2, "bucket": 500_000}
RATES = (0.2, 0.1, 0.05)
"""Learning rates: the next one is tried where fastText says that a weight is no number."""
QUANTIZE: dict[str, Any] = {"cutoff": 60_000, "retrain": True, "epoch": 3, "dsub": 2, "qnorm": True}


def train(lines: str, model: str) -> float:
    """Train and write; the learning rate that held. Raises `RuntimeError` where none does."""
    import fasttext

    for rate in RATES:
        try:
            trained = fasttext.train_supervised(lines, thread=1, seed=1, verbose=0, lr=rate, **SETTINGS)
            trained.quantize(lines, thread=1, verbose=0, **QUANTIZE)
        except RuntimeError as error:
            if "NaN" not in str(error):
                raise
            continue
        trained.save_model(model)
        return rate
    raise RuntimeError(
        f"fastText's weights left the numbers at each learning rate of {RATES}; no model was written. Look for odd lines."
    )


if __name__ == "__main__":
    print(train(*sys.argv[1:3]))
