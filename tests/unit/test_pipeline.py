"""Recipes: what tells them apart, and what they refuse."""

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from shared.domain.ids import content_digest
from shared.domain.pipeline import Hyperparameters, Method, Recipe, Strategy

RECIPE = TypeAdapter(Recipe)
H = Hyperparameters(base_model="minilm", learning_rate=2e-4)

strategies = st.builds(
    Strategy,
    st.sampled_from(Method),
    congruence=st.sampled_from([0.0, 0.5, 1.0]),
    averaged=st.sampled_from([0.0, 0.6, 1.0]),
    orders=st.integers(1, 3),
)


def test_a_recipe_written_before_congruence_loads_as_plain_and_keeps_its_digest() -> None:
    before = {name: value for name, value in asdict(H).items() if name != "system_prompt"}
    written = json.dumps({"hyperparameters": before, "strategy": {"method": "full"}})
    found = RECIPE.validate_json(written)
    assert found == Recipe(H, Strategy(Method.FULL))
    assert found.digest == content_digest(json.loads(written))


@given(strategies, strategies)
def test_digests_are_equal_for_equal_strategies_only(one: Strategy, other: Strategy) -> None:
    assert (Recipe(H, one).digest == Recipe(H, other).digest) == (one == other)


@given(strategies)
def test_a_recipe_comes_back_from_json_with_its_digest(strategy: Strategy) -> None:
    recipe = Recipe(H, strategy)
    again = RECIPE.validate_json(RECIPE.dump_json(recipe))
    assert (again, again.digest) == (recipe, recipe.digest)


def test_the_name_tells_what_a_strategy_asks_for_beyond_its_method() -> None:
    assert Recipe(H, Strategy(Method.FULL)).name == "full lr0.0002 ×5"
    kept = Strategy(Method.LORA, congruence=1.0, orders=2)
    assert Recipe(H, kept).name == "lora r16 lr0.0002 ×5 congruence 1 orders 2"


def test_a_base_in_four_bits_is_another_recipe_and_is_told() -> None:
    small = Recipe(H, Strategy(Method.LORA, four_bit=True))
    assert small.digest != Recipe(H, Strategy(Method.LORA)).digest
    assert RECIPE.validate_json(RECIPE.dump_json(small)) == small
    assert small.name == "lora r16 lr0.0002 ×5 four bit"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"congruence": -0.1}, "congruence=-0.1"),
        ({"averaged": 1.1}, "averaged=1.1"),
        ({"orders": 0}, "orders=0"),
        ({"method": Method.FULL, "four_bit": True}, "only a frozen base is held in 4-bit"),
    ],
)
def test_a_strategy_out_of_range_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Strategy(**wrong)
