"""A causal language model's view of a text: how sure it is of what comes next, and how likely it finds what does.

The value is the mean entropy of what the model expects, with its sign turned: machine text leaves it in less doubt. The detail has
all statistics of `provenance.likelihood`, and the group is the identity of the model, since another model's readings are
other numbers. Only documents that the cheap signals leave open are read, with the model
that `lm.model` names; what a reading adds to a document's score stands in the calibration file, for the models that were
calibrated, and is nothing for others.

No row below 50 tokens. Failure modes: text that many pages repeat (licences, psalms, boilerplate, famous speeches) is likely
to every model, which is then in no doubt, and looks machine-made; so do translations and the plain prose of learners; text of a larger model, of a
model of another family or sampled at a high temperature is as unlikely as a human's; a language or a jargon that the model
does not know makes all of it unlikely. It can move a document to `machine_generated` and never to `human`.
"""

from typing import Protocol

import pyarrow as pa

from provenance.likelihood import Statistics
from provenance.signals import READING, Tools

NAME = "language_model"
VERSION = "1"
STAGE = "model"
COLUMNS = ("key", "text")
STATISTICAL = True

MIN_TOKENS = 50


class Model(Protocol):
    """What `Tools.language_model` is."""

    identity: str

    def statistics(self, texts: list[str]) -> list[Statistics | None]:
        """Statistics of each text, None for a text of which nothing can be said."""


def value(of: Statistics) -> float:
    """The statistic that is weighed: high for machine text.

    Measured with SmolLM2-135M-Instruct on English texts of five sources of `dev-main`, about 390 for entropy, log-rank and
    log-likelihood and 342 for the others; mean AUROC within a source and the least of them: entropy .74 and .49, log-rank .73 and .26, log-likelihood .72 and .27, rank .60 and .27, Fast-DetectGPT's curvature .55
    and .07, Binoculars' ratio .52 and .06. The least is OUTFOX's, whose essays by a larger model are less likely to a small one than
    pupils' are; where likelihood misleads, doubt does not.
    """
    return -of.entropy


def language_model(batch: pa.RecordBatch, tools: Tools) -> pa.RecordBatch:
    """Readings of the texts that have enough tokens; with the column `group`."""
    model: Model | None = tools.language_model
    found = model.statistics(batch.column("text").to_pylist()) if model is not None else []
    rows = [(i, of) for i, of in enumerate(found) if of is not None and of.tokens >= MIN_TOKENS]
    columns = [
        batch.column("key").take(pa.array([i for i, _ in rows], pa.int64())),
        pa.array([value(of) for _, of in rows], pa.float64()),
        pa.array([_detail(of) for _, of in rows], pa.string()),
        pa.array([model.identity if model else ""] * len(rows), pa.string()),
    ]
    return pa.record_batch(columns, schema=READING.append(pa.field("group", pa.string())))


def _detail(of: Statistics) -> str:
    return (
        f"{of.tokens} tokens: log-likelihood {of.log_likelihood:.4f}, log-rank {of.log_rank:.4f}, rank {of.rank:.1f}, entropy {of.entropy:.4f}, "
        f"curvature {of.curvature:.4f}, Binoculars {of.binoculars:.4f}"
    )
