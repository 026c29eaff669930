"""The prior: log-odds of machine text before any evidence, by the month and language of the capture.

It stands apart from the evidence in every tag, so that whoever knows the crawl better puts another one in its place:

    select key, 1 / (1 + exp(-(log_likelihood_ratio + ln(0.05 / 0.95)))) as p_machine from tags where p_machine is not null
"""

import datetime
import math
from collections.abc import Sequence

import numpy as np

from provenance.calibration import Calibration, Prior, months


def priors(
    calibration: Calibration,
    languages: Sequence[str | None],
    dates: Sequence[datetime.datetime | None],
    constant: float | None = None,
) -> list[float]:
    """Log-odds of machine for captures of some languages and dates (middles of their intervals, UTC).

    `constant` stands for all where it is given. Else it is the table of the language, of `*` for those without one, and the
    calibration file's `prior` for captures without a date or a table.
    """
    if constant is not None:
        return [constant] * len(languages)
    tables = {table.language: _odds(table) for table in calibration.priors}
    known: dict[tuple[str | None, int], float] = {}
    found = []
    for language, date in zip(languages, dates, strict=True):
        table = tables.get(language or "*", tables.get("*"))
        if table is None or date is None:
            found.append(calibration.prior)
            continue
        at = language, date.year * 12 + date.month - 1
        if at not in known:
            known[at] = float(np.interp(at[1], *table))
        found.append(known[at])
    return found


def _odds(table: Prior) -> tuple[list[int], list[float]]:
    """(months as numbers, log-odds); between two months they are linear in log-odds, as logistic growth is, and constant beyond."""
    return [months(month) for month, _ in table.months], [math.log(share / (1 - share)) for _, share in table.months]
