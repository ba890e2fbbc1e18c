"""How D and H may change from one iteration to the next: every number the policy searches over."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from shared.domain.patterns import Character
from shared.domain.pipeline import (
    DataSpec,
    Hyperparameters,
    Method,
    Recipe,
    Strategy,
    Supervision,
)
from shared.domain.tasks import Head, Task
from shared.tasks import behaviour


@dataclass(frozen=True, slots=True)
class Step:
    """Factors on learning rate, epochs and LoRA rank.

    ``keep`` holds the model to its parent, averaged over so many orders; 0 keeps the strategy.
    """

    rate: float = 1.0
    epochs: float = 1.0
    rank: float = 1.0
    keep: int = 0


TUNING: tuple[Step, ...] = (
    Step(epochs=1.6),
    Step(rate=0.5),
    Step(rate=2.0),
    Step(rank=2.0),
    Step(rate=0.5, epochs=1.6),
    Step(rank=0.5),
    Step(rate=2.0, epochs=0.6),
    Step(epochs=0.6),
    Step(rate=0.5, rank=2.0),
    Step(rate=0.25, epochs=2.0),
)
# When the data changes, the recipes that did best go first.
KEEPING: tuple[Step, ...] = (Step(), *TUNING)
# Less distance from the base model forgets less of what was right.
GENTLER: tuple[Step, ...] = (
    Step(rate=0.5),
    Step(epochs=0.6),
    Step(rate=0.5, epochs=0.6),
    Step(rate=0.25),
    Step(rate=0.25, epochs=0.6),
)
# Keeping the parent's right answers costs less than learning less.
PROTECTING: tuple[Step, ...] = (Step(keep=2), *GENTLER)


@dataclass(frozen=True, slots=True)
class RecipeGrid:
    """The first recipes, and the range (lowest, highest) each hyperparameter is tuned in.

    A recipe that is held to its parent has soft targets of weight ``congruence``, and, where that
    is asked for, the mean of the weights over the last ``averaged`` part. Blends of whole weights
    with the parent cost no training; ``entity_blends`` are those of a model that names entities.
    ``methods`` are the ways of learning that are tried.
    ``four_bit``: the base of a model that writes is held in 4-bit while LoRA is trained on it.
    ``bases``: base models to turn to when nothing else helps, each larger than the one before.
    """

    lora_rate: float = 1e-3
    lora_rank: int = 16
    lora_epochs: int = 8
    full_rate: float = 2e-4
    full_epochs: int = 5
    steps: int = 260
    least_epochs: int = 4
    batch_size: int = 32
    congruence: float = 1.0
    averaged: float = 0.0
    blends: tuple[float, ...] = (0.2, 0.5)
    entity_blends: tuple[float, ...] = (0.2, 0.5, 0.8)
    bases: tuple[str, ...] = ()
    four_bit: bool = False
    methods: tuple[Method, ...] = tuple(Method)
    max_tokens: int = 128
    system_prompt: str = ""
    supervision: Supervision = Supervision.DIRECT
    rates: tuple[float, float] = (1e-6, 2e-2)
    ranks: tuple[int, int] = (4, 128)
    epoch_range: tuple[int, int] = (1, 20)

    def for_task(self, task: Task) -> "RecipeGrid":
        """The same grid, for a model that writes where the task has a form of answers.

        Such a model starts with its task's prompt and way of answering, at gentler rates, in
        smaller batches, since it often has few rows, and learns from targets alone: its soft
        targets would be a whole vocabulary at every token.
        One that names entities learns a new head on every word from few texts: in smaller
        batches, at higher rates. It has a nearer blend too: an answer is right as a whole, so a
        single word that changed sides breaks it.
        """
        if behaviour(task).head is Head.WORDS:
            # Where there is no parent, none may come back when the same is asked again.
            blends = self.entity_blends if self.blends else ()
            return replace(
                self,
                lora_rate=2e-3,
                full_rate=5e-4,
                full_epochs=8,
                batch_size=16,
                blends=blends,
                four_bit=False,
            )
        if task.form is None:
            return replace(self, four_bit=False)
        return replace(
            self,
            lora_rate=5e-4,
            lora_epochs=4,
            full_rate=5e-5,
            full_epochs=3,
            least_epochs=2,
            steps=2 * self.steps,
            batch_size=8,
            congruence=0.0,
            blends=(),
            max_tokens=task.form.max_tokens,
            system_prompt=task.form.system_prompt,
            supervision=task.form.supervision,
        )

    def first(self, base_model: str, method: Method, *, rows: int = 0) -> Recipe:
        """Learns from labels alone; large sets, of ``rows`` rows, need fewer epochs."""
        lora = method is Method.LORA
        epochs = self.lora_epochs if lora else self.full_epochs
        if rows > 0:
            enough = round(self.steps * self.batch_size / rows)
            epochs = min(epochs, max(enough, self.least_epochs))
        hyperparameters = Hyperparameters(
            base_model=base_model,
            learning_rate=self.lora_rate if lora else self.full_rate,
            epochs=epochs,
            batch_size=self.batch_size,
            lora_rank=self.lora_rank,
            max_tokens=self.max_tokens,
            system_prompt=self.system_prompt,
        )
        small = lora and self.four_bit
        strategy = Strategy(method, supervision=self.supervision, four_bit=small)
        return Recipe(hyperparameters, strategy)

    def around(self, lead: Recipe, steps: Sequence[Step]) -> Iterator[Recipe]:
        """The lead changed by each step, within the ranges; best guesses first."""
        for step in steps:
            stepped = replace(lead.training, hyperparameters=self._stepped(lead, step))
            yield self.kept(stepped, orders=step.keep) if step.keep else stepped

    def with_blends(self, recipe: Recipe) -> Iterator[Recipe]:
        """The recipe and its blends with the parent, of whole weights: one training makes all."""
        yield recipe
        if recipe.strategy.method is Method.FULL:
            for share in self.blends:
                yield replace(recipe, strategy=replace(recipe.strategy, blended=share))

    def kept(self, recipe: Recipe, *, orders: int = 1) -> Recipe:
        """Held to its parent and averaged over so many orders; never over fewer than before."""
        strategy = replace(
            recipe.strategy,
            congruence=self.congruence,
            averaged=self.averaged,
            orders=max(orders, recipe.strategy.orders),
        )
        return replace(recipe, strategy=strategy)

    def _stepped(self, lead: Recipe, step: Step) -> Hyperparameters:
        h = lead.hyperparameters
        # Full fine-tuning ignores the rank: varying it would train the same model twice.
        rank = h.lora_rank * step.rank if lead.strategy.method is Method.LORA else h.lora_rank
        return replace(
            h,
            learning_rate=float(f"{_within(h.learning_rate * step.rate, self.rates):.3g}"),
            epochs=round(_within(h.epochs * step.epochs, self.epoch_range)),
            lora_rank=round(_within(rank, self.ranks)),
        )


@dataclass(frozen=True, slots=True)
class DataGrid:
    """How D starts and how far it may move; shares in fractions of the whole (paper §2.6 step 5).

    A model without a training set has nothing to replay: its shares are gold and hard only.
    ``grows``: while rows are left, more of them are tried before anything else.
    """

    orphan_gold: float = 0.65
    rows_per_repair: int = 3
    rows_per_label: int = 80
    sizes: tuple[int, int] = (1_500, 4_000)
    growth: float = 1.5
    shift: float = 0.05
    most_gold: float = 0.60
    most_orphan_gold: float = 0.75
    least_hard: float = 0.25
    most_hard: float = 0.35
    most_orphan_hard: float = 0.50
    most_replay: float = 0.20
    most_surgical: int = 3
    grows: bool = False
    noisy: float = 0.5
    most_noisy: float = 1.0
    few: int = 1_000

    def first(self, *, repair: int, labels: int, has_parent: bool, material: int = 0) -> DataSpec:
        """Enough rows to cover every failure and every label: training restarts from the base.

        Every row gets a noisy twin where ``material`` is ``few`` rows or fewer: more rows show the
        noise of traffic by themselves. 0 when that is not known.
        """
        aim = max(repair * self.rows_per_repair, labels * self.rows_per_label)
        size = round(_within(aim, self.sizes))
        noisy = self.most_noisy if 0 < material <= self.few else self.noisy
        if has_parent:
            return DataSpec(size=size, noisy=noisy)
        hard = round(1 - self.orphan_gold, 4)
        return DataSpec(gold=self.orphan_gold, hard=hard, replay=0.0, size=size, noisy=noisy)

    def leaning(self, data: DataSpec, errors: Character | None) -> tuple[DataSpec, str]:
        """D shifted a step towards what such errors need, and why in words, empty where it is not.

        Gold teaches what is missed, hard negatives what is found falsely.
        """
        match errors:
            case Character.RECALL:
                return self.towards_gold(data), ", most of them misses: more gold"
            case Character.PRECISION:
                found = ", most of them false finds: more hard negatives"
                return self.towards_hard_and_replay(data), found
            case None:
                return data, ""

    def larger(self, data: DataSpec) -> DataSpec:
        # Never smaller: a first plan may lie above the range.
        return replace(
            data, size=max(data.size, round(min(data.size * self.growth, self.sizes[1])))
        )

    def noisier(self, data: DataSpec) -> DataSpec:
        """A noisy twin for every row, or as many as there may be."""
        return replace(data, noisy=max(data.noisy, self.most_noisy))

    def towards_gold(self, data: DataSpec) -> DataSpec:
        """Missed meanings need more right examples."""
        gold = min(data.gold + self.shift, self.most_gold if data.replay else self.most_orphan_gold)
        gold = max(gold, data.gold)
        hard = max(data.hard - (gold - data.gold), self.least_hard)
        return _shares(data, min(hard, 1 - gold) if data.replay else 1 - gold, gold)

    def towards_hard_and_replay(self, data: DataSpec) -> DataSpec:
        """Confusions and regressions need contrast and reminders."""
        replay = max(data.replay, min(data.replay + self.shift, self.most_replay))
        replay = replay if data.replay else 0.0
        most_hard = self.most_hard if data.replay else self.most_orphan_hard
        hard = max(data.hard, min(data.hard + self.shift, most_hard))
        return _shares(data, hard, 1 - hard - replay)

    def more_surgical(self, data: DataSpec) -> DataSpec:
        """Two, then three targeted examples for each remaining pattern (paper §2.4)."""
        return replace(data, surgical=min(max(data.surgical + 1, 2), self.most_surgical))


def _within(value: float, bounds: tuple[float, float]) -> float:
    return min(max(value, bounds[0]), bounds[1])


def _shares(data: DataSpec, hard: float, gold: float) -> DataSpec:
    # Rounded, so that equal compositions compare equal.
    hard, gold = round(hard, 4), round(gold, 4)
    return replace(data, hard=hard, gold=gold, replay=round(1 - hard - gold, 4) + 0.0)
