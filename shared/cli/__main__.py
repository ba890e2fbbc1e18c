"""``python -m shared.cli``, the same as ``pioneer``."""

from shared.cli import main

main()
