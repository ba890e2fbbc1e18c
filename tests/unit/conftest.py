"""Settings of the property tests."""

from hypothesis import settings

# A deadline in wall time fails on a busy machine, not on a wrong answer.
settings.register_profile("unit", deadline=None)
settings.load_profile("unit")
