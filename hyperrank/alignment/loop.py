"""The loop of alignment: steps, what is logged of them, checkpoints, and the stop before collapse."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hyperrank.alignment.checkpoints import RunState, arrays, optimiser_arrays, restore_optimiser
from hyperrank.alignment.progress import StepBar
from hyperrank.alignment.steps import Steps
from hyperrank.training.step import warmup_cosine

__all__ = ["Callback", "run"]

#: Called after each step with its entry in the history; True stops the run.
Callback = Callable[[dict[str, Any]], bool | None]
#: Steps in a row whose gradient may be NaN or infinite before training gives up.
MAX_BAD_STEPS = 10
#: Steps whose log-ratios are averaged before they are taken for a collapse.
WINDOW = 10


def run(
    steps: Steps,
    state: RunState,
    *,
    sample: Callable[[int], dict[str, list[str]]] | None = None,
    save: Callable[[RunState], object] | None = None,
    callback: Callback | None = None,
    verbose: int = 0,
) -> RunState:
    """Take steps from where a run stands to its end; the policy is trained in place.

    Parameters
    ----------
    steps : Steps
    state : RunState
        A new one, or that of a checkpoint.
    sample : callable, optional
        ``step -> texts by objective``, to be kept in the history.
    save : callable, optional
        Writes a checkpoint.
    callback : callable, optional
        Asked after each step whether to stop.
    verbose : int
        1 shows a progress bar.

    Returns
    -------
    RunState
        At the end; where the run collapsed, the policy holds the last state that had not.

    Raises
    ------
    FloatingPointError
        If the gradient is NaN or infinite in 10 steps in a row.
    """
    policy, settings = steps.policy, steps.settings
    if state.trained:
        policy.load_trained(state.trained)
        restore_optimiser(steps.optimiser, state.optimiser)
    else:
        state.kept = arrays(policy.trained())
    with StepBar(steps.n_steps, "aligning", verbose, done=state.step, unit="step") as bar:
        while state.step < steps.n_steps and not state.collapsed:
            entry = steps.take(state.step, warmup_cosine(state.step, steps.n_steps))
            state.step += 1
            state.bad = 0 if entry.pop("taken") else state.bad + 1
            _give_up(state)
            state.history.append(entry)
            logged = state.step % settings.log_every == 0 or state.step == steps.n_steps
            state.collapsed = _has_collapsed(state.history, settings.max_log_ratio)
            if logged or state.collapsed:
                if sample is not None:
                    entry["samples"] = sample(state.step)
                if not state.collapsed:
                    state.kept = arrays(policy.trained())
            if save is not None and (state.step % settings.checkpoint_every == 0 or state.collapsed):
                save(_filled(state, steps))
            bar.update(1, loss=f"{entry['loss']:.4f}", log_ratio=f"{entry['log_ratio']:.3f}")
            if callback is not None and callback(entry):
                break
    if save is not None:
        save(_filled(state, steps))
    if state.collapsed:
        policy.load_trained(state.kept)
    return state


def _filled(state: RunState, steps: Steps) -> RunState:
    """The state with the parameters and the optimiser as they are now."""
    state.trained, state.optimiser = arrays(steps.policy.trained()), optimiser_arrays(steps.optimiser)
    return state


def _has_collapsed(history: list[dict[str, Any]], limit: float | None) -> bool:
    """Whether the policy has left the reference by more than the limit for some steps."""
    if limit is None or len(history) < WINDOW:
        return False
    recent = [entry["log_ratio"] for entry in history[-WINDOW:]]
    return not math.isnan(sum(recent)) and sum(recent) / WINDOW > limit


def _give_up(state: RunState) -> None:
    if state.bad >= MAX_BAD_STEPS:
        raise FloatingPointError(
            f"the gradient was NaN or infinite in {state.bad} steps in a row, at step {state.step}: "
            "lower the learning rates, or compute in float32."
        )
