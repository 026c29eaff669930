"""Kernels: functions over arrays that run as machine code without the interpreter's lock."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any


@functools.cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The machine-code form of a kernel: releases the GIL, is kept on disk, and imports numba only when first asked for.

    The first call in a process costs about 1 s (numba's import), the first on a machine some seconds more; a worker warms up
    by one call on a small array.
    """
    import numba

    return numba.njit(nogil=True, cache=True)(function)
