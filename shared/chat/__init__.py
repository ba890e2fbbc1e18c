"""The optional chat model: its port, and asking it within a budget."""
