"""One error tree: what may be retried, and what never helps to retry.

PioneerError
├── TransientError          try again later: the broker, database or cluster is away
│   └── Conflict            somebody else changed the document first: read again, decide again
└── PermanentError          the same input will fail again: keep it, say why, go on
    ├── BadInput            a message, row or file that breaks its contract
    ├── UnknownThing        it names something that does not exist
    ├── DigestMismatch      an artifact's bytes are not the ones its reference promised
    └── BadSettings         a setting that cannot work; raised at start only
"""

# What a defect of ours raises. At a boundary it must cost one message or one job, not the service.
DEFECTS = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, AssertionError)


class PioneerError(Exception):
    """Base of every error this project raises on purpose."""


class TransientError(PioneerError):
    """May succeed when tried again."""


class Conflict(TransientError):
    """A compare-and-set lost against another writer."""


class PermanentError(PioneerError):
    """Will fail again with the same input."""


class BadInput(PermanentError):
    """A message, row or file that breaks its contract."""


class UnknownThing(PermanentError):
    """A reference to a model, trace, run or artifact that does not exist."""


class DigestMismatch(PermanentError):
    """An artifact whose bytes are not those its reference promised."""


class BadSettings(PermanentError):
    """A setting that cannot work; the message says what to set instead."""
