"""Evidence of a part from several files: by the name of the file, whatever stage and part of it wrote it."""

import pytest

from pipelines.stage import Stage
from pipelines.tagging import evidence_of

PARTS = ("000000", "000001", "000002")


def stage(name: str, work: str = "/work") -> Stage:
    return Stage(name, "pipelines.tagging:TagDocuments", work, {}, ())


def receipt(*paths: str) -> dict[str, list[dict[str, str]]]:
    return {"files": [{"path": path} for path in paths]}


def test_every_part_has_the_files_that_are_about_it():
    extract, model, crowd = (stage(name) for name in ("extract", "model", "crowd"))
    done = [
        (extract, {name: receipt(f"documents/part-{name}.parquet", f"evidence/part-{name}.parquet") for name in PARTS}),
        (model, {"a": receipt("evidence/model-part-000002.parquet"), "b": receipt()}),
        (crowd, {"all": receipt(*(f"evidence/crowd-part-{name}.parquet" for name in reversed(PARTS)))}),
    ]
    found = evidence_of("part", PARTS, done)
    assert found == [
        [f"{extract.folder}/evidence/part-000000.parquet", f"{crowd.folder}/evidence/crowd-part-000000.parquet"],
        [f"{extract.folder}/evidence/part-000001.parquet", f"{crowd.folder}/evidence/crowd-part-000001.parquet"],
        [
            f"{extract.folder}/evidence/part-000002.parquet",
            f"{model.folder}/evidence/model-part-000002.parquet",
            f"{crowd.folder}/evidence/crowd-part-000002.parquet",
        ],
    ]


def test_a_part_may_have_no_evidence():
    assert evidence_of("part", PARTS, []) == [[], [], []]


@pytest.mark.parametrize(
    "name", ["part-000003.parquet", "000001.parquet", "model-part-000001.parquet.old", "part-000001-b.parquet"]
)
def test_evidence_about_no_part_is_an_error(name):
    with pytest.raises(ValueError, match="is about no part of the crawl"):
        evidence_of("part", PARTS, [(stage("model"), {"a": receipt(f"evidence/{name}")})])
