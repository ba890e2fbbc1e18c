"""Fakes of the ports: they behave like the real parts, in memory."""
