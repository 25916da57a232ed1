"""Training: a `transformers.Trainer` of the preference loss, its evaluation, and its checkpoints."""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import math
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
import transformers.trainer
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from hyperrank.alignment.conditioning import PromptTuning
from hyperrank.alignment.config import AlignerParams
from hyperrank.alignment.losses import PreferenceLoss
from hyperrank.alignment.policy import Policy
from hyperrank.alignment.preferences import named_weights, pair_counts
from hyperrank.alignment.readers import PreferenceStream
from hyperrank.alignment.tokens import ListCollator, ListDataset
from hyperrank.files import ModelFileError

if not hasattr(getattr(transformers.trainer, "datasets", None), "Dataset"):
    # A folder named datasets on the import path passes for the library, and has nothing of it.
    vars(transformers.trainer)["is_datasets_available"] = lambda: False
#: Optimizer steps in a row whose gradient may be NaN or infinite before training gives up.
MAX_BAD_STEPS = 10
#: Learning rate of adapters by default.
ADAPTER_RATE = 1e-4
#: Options of TrainingArguments that cannot mean here what they say: values that change nothing, and why.
UNSUPPORTED: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "label_smoothing_factor": ((0,), "it smooths labels that are tokens, and these are preferences"),
    "neftune_noise_alpha": ((None, 0), "noise would move the policy away from its reference"),
    "use_liger_kernel": ((False,), "logits of responses are computed in chunks here as it is"),
    "train_sampling_strategy": (("random", "sequential"), "lists have no length before they are encoded"),
    "group_by_length": ((False,), "lists have no length before they are encoded"),
    "include_for_metrics": (([], ["loss"]), "metrics are computed from rewards and labels"),
    "batch_eval_metrics": ((False,), "accuracies are of a whole evaluation set"),
}
#: What a checkpoint folder says of the run that it belongs to.
RUN_FILE = "hyperrank_run.json"


class AlignmentTrainer(Trainer):
    """A Trainer whose model is a `Policy` and whose batches come from a `ListCollator`."""

    def __init__(self, policy: Policy, loss: PreferenceLoss, params: AlignerParams, **kwargs: Any) -> None:
        self.policy, self.loss, self.params = policy, loss, params
        self.collapsed = False
        self._sums: list[Tensor] = []
        super().__init__(model=policy, compute_metrics=self._evaluation, **kwargs)

    def compute_loss(  # type: ignore[override]
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, **_: Any
    ) -> Any:
        """The preference loss of a batch."""
        output = self._forward(model, inputs)
        value = self.loss(output, inputs)
        if self.is_in_train:
            self._sums.append(self._stats(output, inputs).sum(dim=0))
        return (value, output) if return_outputs else value

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: Any = None
    ) -> tuple[None, Tensor, Tensor]:
        """Per list and trade-off the loss, and `_stats`."""
        values = []
        with torch.no_grad(), self.compute_loss_context_manager():
            for batch in self._prepare_inputs(inputs)["at"]:
                output = self._forward(model, batch)
                losses = self.loss.per_list(output, batch).double()
                values.append(torch.cat([losses[:, None], self._stats(output, batch)], dim=1))
        stacked = torch.stack(values, dim=1)
        return None, stacked, torch.zeros(len(stacked), device=stacked.device)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """That of the arguments, over groups of parameters with learning rates of their own."""
        if self.optimizer is None:
            kind, options = self.get_optimizer_cls_and_kwargs(self.args)
            self.optimizer = kind(_parameter_groups(self.policy, self.params, self.args), **options)
        return self.optimizer

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log, with what the steps since the last log came to."""
        if "loss" in logs and self._sums:
            sums = self.accelerator.gather(torch.stack(self._sums)).sum(dim=0)
            logs |= self._metrics(sums.cpu().numpy())
            self._sums.clear()
            limit = self.params.max_log_ratio
            if limit is not None and logs["log_ratio"] > limit:
                self.collapsed = self.control.should_training_stop = True
        super().log(logs, *args, **kwargs)

    def _forward(self, model: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        keys = ("input_ids", "attention_mask", "response_mask", "row_weights", "prompt_mask")
        output: dict[str, Tensor] = model(**{key: batch[key] for key in keys})
        return output

    def _stats(self, output: dict[str, Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        """Of each list 1, the mean absolute log-ratio per token, and `pair_counts`; shape (q, 2 + 3 m)."""
        output = {key: value.detach() for key, value in output.items()}
        targets, offsets = batch["targets"], batch["offsets"]
        ratio = (output["log_probs"] - output["reference"]).abs() / output["n_tokens"]
        mean = torch.segment_reduce(ratio, "mean", lengths=offsets.diff(), axis=0)
        r, z = self.loss.rewards(output)[:, None].cpu().numpy(), targets.cpu().double().numpy()
        counts = [pair_counts(z[a:b], r[a:b]).ravel() for a, b in itertools.pairwise(offsets.tolist())]
        columns = torch.ones_like(mean)[:, None], mean[:, None], torch.from_numpy(np.stack(counts)).to(mean)
        return torch.cat(columns, dim=1)

    def _metrics(self, sums: NDArray[np.float64], at: str = "") -> dict[str, float]:
        """Log-ratio, accuracies and margins from sums of `_stats`."""
        right, total, margin = sums[2:].reshape(3, -1)
        found = {f"log_ratio{at}": float(sums[1] / sums[0])}
        for j, name in enumerate(self.policy.objectives):
            found[f"{name}/accuracy{at}"] = float(right[j] / total[j]) if total[j] else math.nan
            found[f"{name}/margin{at}"] = float(margin[j] / total[j]) if total[j] else math.nan
        return found

    def _evaluation(self, prediction: Any) -> dict[str, float]:
        """Metrics at each evaluated trade-off, and the mean accuracy under the weights."""
        stats, names = np.asarray(prediction.predictions), self.policy.objectives
        found, weighted = {"loss": float(stats[:, :, 0].mean())}, []
        for k, (place, point) in enumerate(named_weights(None, names).items()):
            at = f"_at_{place}"
            found |= self._metrics(stats[:, k, 1:].sum(axis=0), at)
            weighted.append(
                np.nansum([w * found[f"{n}/accuracy{at}"] for w, n in zip(point, names, strict=True)])
            )
        return found | {"weighted_accuracy": float(np.mean(weighted))}


class _FiniteGradients(TrainerCallback):
    """Leaves out steps whose gradient is not finite, and gives up after many of them in a row."""

    def __init__(self) -> None:
        self.bad = 0

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Drop the gradient if need be."""
        values = [value for group in kwargs["optimizer"].param_groups for value in group["params"]]
        norms = [value.grad.sum() for value in values if value.grad is not None]
        self.bad = 0 if norms and bool(torch.stack(norms).sum().isfinite()) else self.bad + 1
        if self.bad:
            kwargs["optimizer"].zero_grad(set_to_none=True)
        if self.bad >= MAX_BAD_STEPS:
            raise FloatingPointError(
                f"the gradient was NaN or infinite in {self.bad} steps in a row, at step "
                f"{state.global_step + 1}: lower the learning rates, or compute in float32."
            )


def train_policy(
    policy: Policy,
    collator: ListCollator,
    loss: PreferenceLoss,
    params: AlignerParams,
    data: ListDataset | PreferenceStream,
    evaluation: Any,
    callbacks: Sequence[TrainerCallback],
    identity: Mapping[str, Any],
) -> tuple[list[dict[str, Any]], bool]:
    """Train a policy in place, or resume its run from the last checkpoint; the log, and if it collapsed."""
    with ExitStack() as stack:
        stack.callback(transformers.utils.logging.set_verbosity, transformers.utils.logging.get_verbosity())
        scratch = stack.enter_context(tempfile.TemporaryDirectory())
        stack.enter_context(warnings.catch_warnings())
        # DDP looks for unused parameters by default, and says that there are none.
        warnings.filterwarnings("ignore", message="find_unused_parameters=True", category=UserWarning)
        if isinstance(params.training_args, TrainingArguments):
            args = copy.copy(params.training_args)
            place = args.resume_from_checkpoint
            place = get_last_checkpoint(args.output_dir) if place in (True, "True") else place
            resume = None if place is None else Path(place)
        else:
            n_lists = None if isinstance(data, PreferenceStream) else len(data)
            args = _training_arguments(params, collator.seed, scratch, n_lists, evaluation is not None)
            with args.main_process_first(local=False):
                resume = _checkpoint(args, params.checkpoint_dir, identity)
        args.remove_unused_columns, args.eval_do_concat_batches = False, True
        # A batch is a list of lists, which accelerate cannot slice; each process reads its own.
        accelerator: Any = copy.copy(args.accelerator_config)
        accelerator.dispatch_batches = accelerator.split_batches = False
        args.accelerator_config = accelerator
        # Several GPUs are for `accelerate launch`; DataParallel would slice lists too.
        args._n_gpu = min(args.n_gpu, 1)
        callbacks = [*([] if args.fp16 else [_FiniteGradients()]), *callbacks]
        more = {"train_dataset": data, "eval_dataset": evaluation, "data_collator": collator}
        trainer = AlignmentTrainer(policy, loss, params, args=args, callbacks=callbacks, **more)
        if not params.verbose:
            trainer.remove_callback(PrinterCallback)
        if resume is not None:
            try:
                policy.load_state_dict(load_file(resume / "model.safetensors"))
            except (OSError, ValueError, SafetensorError) as error:
                raise ModelFileError(
                    f"{resume} is damaged: {error}. Delete it to continue without it."
                ) from error
        if resume is not None and _steps(resume) >= args.max_steps > 0:
            trainer.state = trainer.state.load_from_json(str(resume / "trainer_state.json"))
        else:
            try:
                trainer.train(resume_from_checkpoint=None if resume is None else str(resume))
            finally:
                trainer.accelerator.unwrap_model(trainer.model_wrapped, keep_fp32_wrapper=False)
        if not trainer.state.global_step:
            raise ValueError("training took no step: the data fill no batch, with dataloader_drop_last.")
        policy.eval()
        return [dict(entry) for entry in trainer.state.log_history], trainer.collapsed


def check_training_args(given: object) -> None:
    """Refuse what is no TrainingArguments or has options that cannot work here, before a model is loaded."""
    if not isinstance(given, Mapping | TrainingArguments | None):
        raise ValueError(
            "training_args must be a mapping such as {'logging_steps': 5}, or a TrainingArguments; "
            f"got {given!r}."
        )
    options = given if isinstance(given, Mapping) else vars(given) if given else {}
    for name, (harmless, reason) in UNSUPPORTED.items():
        if options.get(name, harmless[0]) not in harmless:
            raise ValueError(f"training_args: {name}={options[name]!r} is not supported: {reason}.")


def _training_arguments(
    params: AlignerParams, seed: int, scratch: str, n_lists: int | None, evaluates: bool
) -> TrainingArguments:
    """Our TrainingArguments, with the caller's on top."""
    given: Any = params.training_args or {}
    options: dict[str, Any] = {
        "output_dir": str(params.checkpoint_dir or scratch),
        "per_device_train_batch_size": params.batch_size,
        "per_device_eval_batch_size": params.batch_size,
        "num_train_epochs": params.max_epochs,
        "max_steps": params.max_steps or -1,
        "lr_scheduler_type": "cosine",
        "logging_steps": 10,
        "logging_first_step": True,
        "save_strategy": "no" if params.checkpoint_dir is None else "steps",
        "save_steps": 100,
        "save_total_limit": 2,
        "eval_strategy": "epoch" if evaluates and n_lists is not None else "no",
        "report_to": "none",
        "disable_tqdm": not params.verbose,
        "use_cpu": params.device == "cpu",
        "dataloader_pin_memory": torch.cuda.is_available() and params.device != "cpu",
        "seed": seed,
        **given,
    }
    if n_lists is None and options["max_steps"] <= 0:
        raise ValueError("a stream has no length: give max_steps.")
    per_step = options["per_device_train_batch_size"] * options.get("gradient_accumulation_steps", 1)
    by_epochs = math.ceil((n_lists or 0) / per_step) * options["num_train_epochs"]
    steps = options["max_steps"] if options["max_steps"] > 0 else by_epochs
    options.setdefault("warmup_steps", int(0.05 * steps))
    try:
        return TrainingArguments(**options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"training_args are refused by transformers: {error}") from error


def _parameter_groups(policy: Policy, params: AlignerParams, args: TrainingArguments) -> list[dict[str, Any]]:
    """Parameters by learning rate; those that stand for embeddings learn in units of their scale."""
    conditioning: nn.Module = policy.conditioning
    default = args.learning_rate if isinstance(params.training_args, TrainingArguments) else ADAPTER_RATE
    groups = [(list(policy.adapter_parameters().values()), params.adapter_learning_rate or default)]
    if isinstance(conditioning, PromptTuning):
        hyper, table = conditioning.hyper, policy.embedding.weight
        ids = torch.arange(0, len(table), max(1, len(table) // 4096), device=policy.device)
        with torch.no_grad():  # by a call: some models scale what the table holds
            unit = float(policy.embedding(ids).float().square().mean().sqrt())
        groups.append(([hyper.base], params.prompt_learning_rate * unit))
        groups.append((list(hyper.outer.parameters()), params.hypernetwork_learning_rate * unit))
        conditioning = hyper.inner
    groups.append((list(conditioning.parameters()), params.hypernetwork_learning_rate))
    decay = {"weight_decay": args.weight_decay}
    return [{"params": values, "lr": rate, **decay} for values, rate in groups if values]


def _checkpoint(
    args: TrainingArguments, folder: str | Path | None, identity: Mapping[str, Any]
) -> Path | None:
    """The last whole checkpoint of this run; None where it begins."""
    if folder is None:
        return None
    # A function, such as a loss of one's own, is known by its name: its repr is another in each process.
    text = json.dumps(
        identity, sort_keys=True, default=lambda value: getattr(value, "__qualname__", str(value))
    )
    key = {"key": hashlib.sha256(text.encode()).hexdigest()}
    folder = Path(folder)
    file = folder / RUN_FILE
    if not file.exists():
        if folder.exists() and any(folder.iterdir()):
            raise ModelFileError(
                f"{folder} is not empty, and not a checkpoint_dir: give another, or a new one."
            )
        if args.should_save:
            folder.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(key))
        return None
    if _read_json(file) != key:
        raise ModelFileError(
            f"{folder} holds checkpoints of a fit with other data, another model or other options, or "
            f"{RUN_FILE} is damaged: give another checkpoint_dir, or delete it to start over."
        )
    found = [path for path in folder.glob("checkpoint-*") if _steps(path) >= 0]
    return max(found, key=_steps, default=None)


def _steps(checkpoint: Path) -> int:
    """Steps of a checkpoint; -1 of one that was not written whole, whose state comes last."""
    steps = _read_json(checkpoint / "trainer_state.json").get("global_step")
    return steps if isinstance(steps, int) else -1


def _read_json(file: Path) -> dict[str, Any]:
    """The object in a file; nothing where there is none, or another thing."""
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
