"""The floats of property tests."""

from typing import Any

from hypothesis import strategies as st


def floats(
    least: float | None = None, most: float | None = None, **more: Any
) -> st.SearchStrategy[float]:
    """As ``st.floats``, without subnormals: a library that a test loads may have them flushed."""
    return st.floats(least, most, allow_subnormal=False, **more)
