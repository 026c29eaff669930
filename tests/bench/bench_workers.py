"""Workers: two processes over one, in wall time."""

import os

from tests.bench.inputs import Inputs
from tests.bench.measure import Row

GOAL = 1.8


def run(inputs: Inputs) -> list[Row]:
    one = inputs.curated("one", inputs.large, "--workers", "1")[1]
    two = inputs.curated("two", inputs.large, "--workers", "2")[1]
    start_one = inputs.tiny_run
    start_two = inputs.curated("tiny-two", [inputs.tiny[0]], "--workers", "2")[1]
    apart = (one - start_one).wall / (two - start_two).wall
    return [
        Row("one worker", one.wall, "s", note=f"{start_one.wall:.1f} s of it start-up"),
        Row(
            "two workers",
            two.wall,
            "s",
            ratio=one.wall / two.wall,
            goal=GOAL,
            note=f"{start_two.wall:.1f} s of it start-up; {os.cpu_count()} cores",
        ),
        Row("two workers, start-up apart", (two - start_two).wall, "s", ratio=apart),
    ]
