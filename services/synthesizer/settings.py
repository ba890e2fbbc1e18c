"""Settings of the synthesizer."""

from shared.settings import ServiceSettings


class SynthesizerSettings(ServiceSettings):
    """The synthesizer needs no settings of its own: what to compose comes with each iteration."""
