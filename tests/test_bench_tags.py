"""The measures by which `make bench-tags` judges the tags."""

import math

import numpy as np
import pytest

from tests.bench.tags import metrics
from tests.bench.tags.dev_main import compare, span
from tests.bench.tags.sheets import rate


def test_auroc_counts_ties_half():
    assert metrics.auroc(np.array([1.0, 2.0]), np.array([1.0, 0.0])) == 0.875
    assert math.isnan(metrics.auroc(np.array([]), np.array([1.0])))


def test_no_more_than_the_rate_of_human_text_reaches_the_bar():
    human = np.arange(200.0)
    assert (human >= metrics.bar(human, 0.01)).sum() == 2
    assert (human >= metrics.bar(human, 0.05)).sum() == 10
    tied = np.repeat([0.0, 1.0], [190, 10])
    assert (tied >= metrics.bar(tied, 0.01)).sum() == 0
    assert metrics.tpr(np.array([198.5, 50.0]), human, 0.01) == 0.5


def test_intervals_are_those_of_the_tables():
    assert rate(5, 100) == "5.0 % (1.6-11.3)"
    assert metrics.auroc_error(0.5, 50, 50) == pytest.approx(0.0577, abs=2e-3)


def test_a_detector_beside_the_baseline_is_above_only_where_nothing_is_below():
    machine = np.repeat([True, False], [100, 100])
    perfect, useless = np.where(machine, 1.0, 0.0) + np.linspace(0, 0.1, 200), np.zeros(200)
    assert compare(perfect, useless, machine).verdict == "above"
    assert compare(perfect, perfect, machine).verdict == "level"
    assert compare(useless, perfect, machine).verdict == "below: AUROC, TPR 1%, TPR 5%"
    low, high = compare(perfect, useless, machine).difference
    assert low == high == pytest.approx(0.5)


@pytest.mark.parametrize(("words", "named"), [(-1, "0-49"), (49, "0-49"), (50, "50-99"), (399, "200-399"), (400, "400+")])
def test_lengths_have_ranges(words: int, named: str):
    assert span(words) == named


def test_the_baseline_has_the_features_of_the_vectorizer():
    feature_extraction = pytest.importorskip("sklearn.feature_extraction.text")
    from sklearn.linear_model import LogisticRegression

    from tests.bench.tags.baseline import Baseline

    texts = [
        "the cat sat  on the mat",
        "the cat sat again",
        "a dog sat on the log",
        "狗坐在木头上 the cat",
        "the dog again",
        "",
    ] * 3
    machine = np.arange(len(texts)) % 2 == 0
    rows = np.arange(0, 16)
    vectorizer = feature_extraction.TfidfVectorizer(
        analyzer="char", lowercase=False, ngram_range=(2, 4), sublinear_tf=True, min_df=3, dtype=np.float32
    )
    theirs = LogisticRegression(C=10, max_iter=300).fit(vectorizer.fit_transform([texts[row] for row in rows]), machine[rows])
    ours = Baseline(texts)
    found = ours.score(ours.fit(rows, machine[rows]), np.arange(len(texts)))
    np.testing.assert_allclose(found, theirs.decision_function(vectorizer.transform(texts)), atol=1e-3)


def text(number: int, **says: str):
    from tests.bench.tags.texts import SAYS, Text

    return Text(str(number), str(number), "words", says.get("lang", "en"), 100, dict.fromkeys(SAYS, "") | says)


def test_a_fold_leaves_out_families_generators_and_parts_of_the_groups():
    from tests.bench.tags.folds import SLOTS, Fold

    speeches = [text(0, source="NLTK inaugural"), text(1, source="NLTK state_union"), text(2, source="NLTK brown")]
    assert Fold(frozenset({"speeches"})).mask(speeches).tolist() == [True, True, False]
    made = [text(3, source="A", label="machine", generator="gpt2-xl"), text(4, source="A", label="human", generator="gpt2-xl")]
    assert Fold(generators=frozenset({"gpt2-xl"})).mask(made).tolist() == [True, False]
    grouped = [text(n, source="A", label=label, group=str(n)) for n in range(40) for label in ("human", "machine")]
    parts = [Fold(slots=frozenset({slot}), slotted=frozenset({"A"})) for slot in range(SLOTS)]
    masks = np.array([part.mask(grouped) for part in parts])
    assert (masks.sum(axis=0) == 1).all()
    assert (masks[:, ::2] == masks[:, 1::2]).all()
    assert ((parts[0] | parts[1]).mask(grouped) == masks[0] | masks[1]).all()
    assert parts[0] | parts[1] == parts[1] | parts[0]


def test_pieces_of_a_document_are_one_document_of_the_placebo():
    from tests.bench.tags.clock import documents, placebo

    dated = {"source": "blog", "written_at": "2021-03-04"}
    pieces = [text(0, url="a", **dated), text(1, url="a", **dated), text(2, url="b", **dated), text(3, url="c", source="blog")]
    assert documents(pieces, np.array([1.0, 3.0, np.nan, 5.0])) == {("blog", "en"): [(2021, 2.0)]}
    clock = [text(n, source="blog", url=str(n), written_at=str(2010 + 11 * (n % 2))) for n in range(200)]
    late = np.arange(200) % 2.0
    assert placebo(clock, late, late).goals[0].met is False
    assert placebo(clock, np.arange(200) // 2 % 10.0, late).goals[0].met is True
