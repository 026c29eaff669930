"""Fixtures: `shared` is the folder of real data, and skips the test where it does not stand."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("needs the real data of ../shared/data, which is not part of the project")
    return SHARED
