"""Pages: `curate` end to end beside a bare loop that does the same work without the pipeline, start-up apart."""

from tests.bench.inputs import Inputs
from tests.bench.measure import Row, python

GOAL = 0.28


def run(inputs: Inputs) -> list[Row]:
    (inputs.folder / "bare").mkdir()
    bare = python("tests.bench.bare", [str(inputs.folder / "bare"), inputs.tiny[0], *inputs.pages])
    summary, cost = inputs.run
    documents = summary["documents"]
    ours, theirs = documents / (cost - inputs.tiny_run).cpu, bare["documents"] / bare["cpu"]
    return [
        Row("curate", ours, "pages/CPU-s", ratio=ours / theirs, goal=GOAL, note=f"{documents} documents"),
        Row("a bare loop", theirs, "pages/CPU-s", note=f"{bare['documents']} documents"),
        Row("start-up of curate", inputs.tiny_run.cpu, "CPU-s"),
    ]
