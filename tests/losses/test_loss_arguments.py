"""Wrong arguments are refused by name."""

from typing import Any

import pytest
import torch
from loss_oracles import offsets_of

from hyperrank.losses import dpo_reward, listnet, plackett_luce, target_distribution, weighted_loss


@pytest.mark.parametrize("loss", [listnet, plackett_luce])
@pytest.mark.parametrize(
    ("scores", "labels", "offsets", "message"),
    [
        (torch.zeros(2, 1, 1), torch.zeros(2), offsets_of(2), r"scores have shape \(2, 1, 1\)"),
        (torch.zeros(2), torch.zeros(()), offsets_of(2), r"labels \(\)"),
        (torch.zeros(2), torch.zeros(3), offsets_of(2), "2 scores, but 3 labels"),
        (torch.zeros(2), torch.zeros(2), offsets_of(3), "offsets run from 0 to 3; expected 0 to 2"),
        (torch.zeros(2), torch.zeros(2), torch.tensor([1, 2]), "offsets run from 1 to 2"),
        (torch.zeros(2), torch.zeros(2), torch.tensor([0, 2, 1, 2]), "from 0 to 2, and fall in between"),
        (torch.zeros(2), torch.zeros(2), torch.tensor([0.0, 2.0]), "offsets must be int64"),
        (torch.zeros(0), torch.zeros(0), torch.zeros(0, dtype=torch.int64), r"shape \(q \+ 1,\); got"),
    ],
)
def test_shapes_that_do_not_fit(loss: Any, scores: Any, labels: Any, offsets: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        loss(scores, labels, offsets)


def test_what_is_not_a_tensor() -> None:
    with pytest.raises(TypeError, match=r"offsets must be a tensor; got a list: torch.as_tensor"):
        listnet(torch.zeros(2), torch.zeros(2), [0, 2])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("loss", "options", "message"),
    [
        (listnet, {"gain": "cubic"}, "gain must be 'exp2' or 'linear'; got 'cubic'"),
        (listnet, {"reduction": "max"}, "reduction must be 'mean', 'sum' or 'none'; got 'max'"),
        (plackett_luce, {"ties": "first"}, "ties must be 'random', 'average' or 'rating'; got 'first'"),
        (plackett_luce, {"top_k": 0}, "top_k must be a whole number at least 1; got 0"),
        (plackett_luce, {"reduction": "max"}, "reduction must be"),
    ],
)
def test_unknown_options(loss: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        loss(torch.zeros(2), torch.zeros(2), offsets_of(2), **options)


def test_target_distribution_checks_its_gain() -> None:
    with pytest.raises(ValueError, match="gain must be"):
        target_distribution(torch.zeros(2, 1), offsets_of(2), gain="exp")


def test_reference_scores_of_another_length() -> None:
    with pytest.raises(ValueError, match=r"reference_scores have shape \(3,\); expected \(2,\)"):
        dpo_reward(torch.zeros(2, 4), torch.zeros(3))


def test_weights_of_another_shape() -> None:
    with pytest.raises(ValueError, match=r"weights have shape \(1, 1, 3\); expected .* \(1, 1, 2\)"):
        weighted_loss(torch.zeros(2, 1), torch.zeros(2, 2), offsets_of(2), torch.ones(1, 1, 3), loss=listnet)
