"""A pipeline π = (D, H, S): everything that decides what a trained model will be (paper §2.1)."""

from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from shared.domain.ids import content_digest


class Method(StrEnum):
    LORA = "lora"
    FULL = "full"


class Supervision(StrEnum):
    """What a model that writes is taught to write: the answer, or reasoning and then the answer."""

    DIRECT = "direct"
    CHAIN_OF_THOUGHT = "chain_of_thought"


@dataclass(frozen=True, slots=True)
class DataSpec:
    """D: how a training set is composed.

    The three shares are fractions of the whole and sum to 1 (paper §2.6 step 5). ``size`` is the
    number of rows aimed at; fewer are taken when the material does not suffice.
    ``surgical`` targeted examples are added for each remaining pattern (paper §2.4). ``noisy`` is
    the part of all rows that gets a twin with the fixable noise its deployment shows. ``heldout``:
    the held-out failures are in too, once a candidate was admitted without them.
    """

    gold: float = 0.50
    hard: float = 0.33
    replay: float = 0.17
    size: int = 1200
    max_label_ratio: float = 3.0
    seed: int = 17
    surgical: int = 0
    noisy: float = 0.0
    heldout: bool = False

    def __post_init__(self) -> None:
        total = self.gold + self.hard + self.replay
        if abs(total - 1.0) > 1e-6 or min(self.gold, self.hard, self.replay) < 0:
            raise ValueError(f"shares gold/hard/replay sum to {total:.3f}: they must sum to 1")
        if self.size < 1:
            raise ValueError(f"size={self.size}: a training set needs at least 1 row")
        if self.max_label_ratio < 1:
            raise ValueError(f"max_label_ratio={self.max_label_ratio}: must be at least 1")
        if self.surgical < 0:
            raise ValueError(f"surgical={self.surgical}: must not be negative")
        if not 0 <= self.noisy <= 1:
            raise ValueError(f"noisy={self.noisy}: must lie between 0 and 1")


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """H: how the weights are fitted. ``lora_rank`` is used by LoRA only.

    ``system_prompt`` stands before every request of a model that writes, in training as in serving.
    """

    base_model: str
    learning_rate: float
    epochs: int = 5
    batch_size: int = 32
    lora_rank: int = 16
    warmup_share: float = 0.1
    weight_decay: float = 0.01
    max_tokens: int = 128
    seed: int = 17
    system_prompt: str = ""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "lora_rank", "max_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: must be at least 1")
        if not 0 < self.learning_rate < 1:
            raise ValueError(f"learning_rate={self.learning_rate}: must lie between 0 and 1")


@dataclass(frozen=True, slots=True)
class Strategy:
    """S: which way of learning is used.

    ``congruence`` is the weight of the parent's probabilities as soft targets, on the rows that the
    parent answers right; 0 learns from labels alone. ``averaged`` is the last part of the training,
    0 to 1, over which the weights are averaged; 0 takes them as they are at its end. ``orders``
    trainings, each over the rows in an order of its own, are averaged into one model. ``blended``
    is the deployed model's part, 0 to 1, of the final weights (Wortsman et al. 2022, WiSE-FT).
    ``supervision`` is for models that write, and so is ``four_bit``: LoRA is trained on a base that
    is held in 4-bit.
    """

    method: Method = Method.LORA
    congruence: float = 0.0
    averaged: float = 0.0
    orders: int = 1
    blended: float = 0.0
    supervision: Supervision = Supervision.DIRECT
    four_bit: bool = False

    def __post_init__(self) -> None:
        if self.congruence < 0:
            raise ValueError(f"congruence={self.congruence}: must not be negative")
        if not 0 <= self.averaged <= 1:
            raise ValueError(f"averaged={self.averaged}: must lie between 0 and 1")
        if self.orders < 1:
            raise ValueError(f"orders={self.orders}: must be at least 1")
        if not 0 <= self.blended < 1:
            raise ValueError(f"blended={self.blended}: must be at least 0 and less than 1")
        if self.blended and self.method is not Method.FULL:
            raise ValueError(f"blended={self.blended} with {self.method}: only whole weights blend")
        if self.four_bit and self.method is not Method.LORA:
            raise ValueError(f"four_bit with {self.method}: only a frozen base is held in 4-bit")


@dataclass(frozen=True, slots=True)
class Recipe:
    """H and S together: one configuration that can be trained on any D."""

    hyperparameters: Hyperparameters
    strategy: Strategy

    @property
    def digest(self) -> str:
        """Content digest: equal recipes train equal models on equal data and an equal parent."""
        told = asdict(self)
        # Left out where they ask for nothing: a recipe from before them keeps its digest.
        told["strategy"] = {"method": self.strategy.method} | _asked(self.strategy)
        if not self.hyperparameters.system_prompt:
            del told["hyperparameters"]["system_prompt"]
        return content_digest(told)

    @property
    def training(self) -> "Recipe":
        """What of it is trained: recipes that differ only in their blend share one training."""
        if not self.strategy.blended:
            return self
        return replace(self, strategy=replace(self.strategy, blended=0.0))

    @property
    def name(self) -> str:
        """A short readable name, for progress bars and reports."""
        h = self.hyperparameters
        rank = f" r{h.lora_rank}" if self.strategy.method is Method.LORA else ""
        kept = "".join(f" {_told(*asked)}" for asked in _asked(self.strategy).items())
        return f"{self.strategy.method}{rank} lr{h.learning_rate:g} ×{h.epochs}{kept}"


def pipeline_digest(data: DataSpec, recipe: Recipe) -> str:
    """Content digest of π: equal ones, from one diagnosis and parent, train equal models."""
    return content_digest([asdict(data), recipe.digest])


def _told(name: str, value: float | Supervision) -> str:
    if value is True:
        return name.replace("_", " ")
    return value.replace("_", " ") if isinstance(value, Supervision) else f"{name} {value:g}"


def _asked(strategy: Strategy) -> dict[str, float | Supervision]:
    """What a strategy asks for beyond its method."""
    plain = Strategy(strategy.method)
    return {
        name: getattr(strategy, name)
        for name in ("congruence", "averaged", "orders", "blended", "supervision", "four_bit")
        if getattr(strategy, name) != getattr(plain, name)
    }
