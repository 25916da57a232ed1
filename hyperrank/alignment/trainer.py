"""Training: a `transformers.Trainer` of the preference loss, its evaluation, and its checkpoints."""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import math
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
import transformers.trainer
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from hyperrank.alignment.conditioning import PromptTuning
from hyperrank.alignment.config import TrainingConfig
from hyperrank.alignment.losses import PreferenceLoss
from hyperrank.alignment.policy import Policy
from hyperrank.alignment.preferences import evaluation_points, pair_counts
from hyperrank.alignment.tokens import ListCollator, ListDataset, ListStream
from hyperrank.files import ModelFileError

if not hasattr(getattr(transformers.trainer, "datasets", None), "Dataset"):
    # A folder named datasets on the import path passes for the library, and has nothing of it.
    vars(transformers.trainer)["is_datasets_available"] = lambda: False
#: Optimizer steps in a row whose gradient may be NaN or infinite before training gives up.
MAX_BAD_STEPS = 10
#: Learning rate of adapters by default.
ADAPTER_RATE = 1e-4
#: What a checkpoint folder says of the run that it belongs to.
RUN_FILE = "hyperrank_run.json"


class AlignmentTrainer(Trainer):
    """A Trainer whose model is a `Policy` and whose batches come from a `ListCollator`."""

    def __init__(self, policy: Policy, loss: PreferenceLoss, config: TrainingConfig, **kwargs: Any) -> None:
        self.policy, self.loss, self.config = policy, loss, config
        self.collapsed = False
        self._sums: dict[str, list[Tensor]] = defaultdict(list)
        super().__init__(model=policy, compute_metrics=self._evaluation, **kwargs)

    def compute_loss(  # type: ignore[override]
        self, model: nn.Module, inputs: dict[str, Any], return_outputs: bool = False, **_: Any
    ) -> Any:
        """The preference loss of a batch."""
        output, lists = self._forward(model, inputs)
        value = self.loss(output, *lists)
        if self.is_in_train:
            log_ratio, counts = self._stats({key: tensor.detach() for key, tensor in output.items()}, *lists)
            self._sums["log_ratio"].append(
                torch.stack([log_ratio.sum(), log_ratio.new_tensor(len(log_ratio))])
            )
            right, total, margin = counts.sum(dim=0)
            for j, name in enumerate(self.config.objectives):
                self._sums[f"{name}/accuracy"].append(torch.stack([right[j], total[j]]))
                self._sums[f"{name}/margin"].append(torch.stack([margin[j], total[j]]))
        return (value, output) if return_outputs else value

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: Any = None
    ) -> tuple[None, Tensor, Tensor]:
        """Per list and trade-off: loss, log-ratio, and by objective `pair_counts`."""
        stats = []
        with torch.no_grad(), self.compute_loss_context_manager():
            for batch in self._prepare_inputs(inputs)["at"]:
                output, lists = self._forward(model, batch)
                losses = self.loss.per_list(self.loss.rewards(output), *lists).double()
                log_ratio, counts = self._stats(output, *lists)
                stats.append(torch.cat([losses[:, None], log_ratio[:, None], counts.flatten(1)], dim=1))
        values = torch.stack(stats, dim=1)
        return None, values, torch.zeros(len(values), device=values.device)

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Parameters by learning rate; those that stand for embeddings learn in units of their scale."""
        if self.optimizer is None:
            kind, options = self.get_optimizer_cls_and_kwargs(self.args)
            groups = _parameter_groups(self.policy, self.config, self.args.learning_rate)
            self.optimizer = kind(
                [{**group, "weight_decay": self.args.weight_decay} for group in groups], **options
            )
        return self.optimizer

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log, with what the steps since the last log came to."""
        if "loss" in logs and self._sums:
            for name, values in self._sums.items():
                part, whole = self.accelerator.gather(torch.stack(values)).reshape(-1, 2).sum(dim=0).tolist()
                logs[name] = part / whole if whole else math.nan
            self._sums.clear()
            limit = self.config.max_log_ratio
            if limit is not None and logs["log_ratio"] > limit:
                self.collapsed = self.control.should_training_stop = True
        super().log(logs, *args, **kwargs)

    def _forward(
        self, model: nn.Module, inputs: dict[str, Any]
    ) -> tuple[dict[str, Tensor], tuple[Tensor, ...]]:
        """What the policy gives, and the batch's targets, offsets and weights."""
        keys = ("input_ids", "attention_mask", "response_mask", "row_weights", "prompt_mask")
        lists = (inputs["targets"], inputs["offsets"], inputs["weights"])
        return model(**{key: inputs[key] for key in keys}), lists

    def _stats(
        self, output: dict[str, Tensor], targets: Tensor, offsets: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Of each list the mean absolute log-ratio per token, and `pair_counts` of shape (3, m)."""
        ratio = (output["log_probs"] - output["reference"]).abs() / output["n_tokens"]
        mean = torch.segment_reduce(ratio, "mean", lengths=offsets.diff(), axis=0)
        r, z = self.loss.rewards(output).cpu().numpy(), targets.cpu().double().numpy()
        counts = [pair_counts(z[a:b], r[a:b]) for a, b in itertools.pairwise(offsets.tolist())]
        return mean, torch.from_numpy(np.stack(counts)).to(ratio.device)

    def _evaluation(self, prediction: Any) -> dict[str, float]:
        """Metrics at each evaluated trade-off, and their means under the weights."""
        stats, names = np.asarray(prediction.predictions), self.config.objectives
        m = len(names)
        points = evaluation_points(m)
        found = {"loss": float(stats[:, :, 0].mean())}
        accuracies = np.full((len(points), m), np.nan)
        for k in range(len(points)):
            at = names[k] if k < m else "center"
            found[f"log_ratio_at_{at}"] = float(stats[:, k, 1].mean())
            right, total, margin = stats[:, k, 2:].reshape(-1, 3, m).sum(axis=0)
            with np.errstate(invalid="ignore", divide="ignore"):
                accuracies[k] = right / total
                for j, name in enumerate(names):
                    found[f"{name}/accuracy_at_{at}"] = float(accuracies[k, j])
                    found[f"{name}/margin_at_{at}"] = float(margin[j] / total[j])
        found["weighted_accuracy"] = float(np.nansum(points * accuracies) / len(points))
        return found


class _FiniteGradients(TrainerCallback):
    """Leaves out steps whose gradient is not finite, and gives up after many of them in a row."""

    def __init__(self) -> None:
        self.bad = 0

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Drop the gradient if need be."""
        values = [value for group in kwargs["optimizer"].param_groups for value in group["params"]]
        norms = [value.grad.sum() for value in values if value.grad is not None]
        if norms and bool(torch.stack(norms).sum().isfinite()):
            self.bad = 0
            return
        self.bad += 1
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
    config: TrainingConfig,
    data: ListDataset | ListStream,
    evaluation: Any,
    callbacks: Sequence[TrainerCallback],
    identity: Mapping[str, Any],
) -> tuple[list[dict[str, Any]], bool]:
    """Train a policy in place, or resume its run from the last checkpoint; the log, and if it collapsed."""
    n_lists = None if isinstance(data, ListStream) else len(data)
    with ExitStack() as stack:
        stack.callback(transformers.utils.logging.set_verbosity, transformers.utils.logging.get_verbosity())
        scratch = stack.enter_context(tempfile.TemporaryDirectory())
        stack.enter_context(warnings.catch_warnings())
        # DDP looks for unused parameters by default, and says that there are none.
        warnings.filterwarnings("ignore", message="find_unused_parameters=True", category=UserWarning)
        args = _training_arguments(config, scratch, n_lists, evaluation is not None)
        with args.main_process_first(local=False):
            resume = _checkpoint(args, config, identity)
        callbacks = [*([] if args.fp16 else [_FiniteGradients()]), *callbacks]
        more = {"train_dataset": data, "eval_dataset": evaluation, "data_collator": collator}
        trainer = AlignmentTrainer(policy, loss, config, args=args, callbacks=callbacks, **more)
        if not config.verbose:
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
                policy.checkpointing_disable()
        policy.eval()
        return [dict(entry) for entry in trainer.state.log_history], trainer.collapsed


def _training_arguments(
    config: TrainingConfig, scratch: str, n_lists: int | None, evaluates: bool
) -> TrainingArguments:
    """The caller's TrainingArguments, or ours with the caller's on top."""
    given = config.training_args
    if config.whole_arguments:
        args = copy.copy(given)
        args.accelerator_config = copy.copy(args.accelerator_config)
    else:
        options: dict[str, Any] = {
            "output_dir": str(config.checkpoint_dir or scratch),
            "per_device_train_batch_size": config.batch_size,
            "per_device_eval_batch_size": config.batch_size,
            "num_train_epochs": config.max_epochs,
            "max_steps": config.max_steps or -1,
            "lr_scheduler_type": "cosine",
            "logging_steps": 10,
            "logging_first_step": True,
            "save_strategy": "no" if config.checkpoint_dir is None else "steps",
            "save_steps": 100,
            "save_total_limit": 2,
            "eval_strategy": "epoch" if evaluates and n_lists is not None else "no",
            "report_to": "none",
            "disable_tqdm": not config.verbose,
            "use_cpu": config.device == "cpu",
            "dataloader_pin_memory": torch.cuda.is_available() and config.device != "cpu",
            "seed": config.seed,
            **(given or {}),
        }
        if n_lists is None and options["max_steps"] <= 0:
            raise ValueError("a stream has no length: give max_steps.")
        per_step = options["per_device_train_batch_size"] * options.get("gradient_accumulation_steps", 1)
        by_epochs = math.ceil((n_lists or 0) / per_step) * options["num_train_epochs"]
        steps = options["max_steps"] if options["max_steps"] > 0 else by_epochs
        options.setdefault("warmup_steps", int(0.05 * steps))
        try:
            args = TrainingArguments(**options)
        except TypeError as error:
            raise ValueError(f"training_args are refused by transformers: {error}") from error
    args.remove_unused_columns = False
    # A batch is a list of lists, which accelerate cannot slice; each process reads its own.
    args.accelerator_config.dispatch_batches = False
    args.accelerator_config.split_batches = False
    # Several GPUs are for `accelerate launch`; DataParallel would slice lists too.
    if args.n_gpu > 1:
        args._n_gpu = 1
    return args


def _parameter_groups(policy: Policy, config: TrainingConfig, default: float) -> list[dict[str, Any]]:
    conditioning: nn.Module = policy.conditioning
    unit = policy.embedding_scale
    rate = config.adapter_learning_rate or (default if config.whole_arguments else ADAPTER_RATE)
    groups = [(list(policy.adapter_parameters().values()), rate)]
    if isinstance(conditioning, PromptTuning):
        hyper = conditioning.hyper
        groups.append(([hyper.base], config.prompt_learning_rate * unit))
        groups.append((list(hyper.outer.parameters()), config.hypernetwork_learning_rate * unit))
        conditioning = hyper.inner
    groups.append((list(conditioning.parameters()), config.hypernetwork_learning_rate))
    return [{"params": params, "lr": lr} for params, lr in groups if params]


def _checkpoint(args: TrainingArguments, config: TrainingConfig, identity: Mapping[str, Any]) -> Path | None:
    """The last whole checkpoint of this run; None where it begins."""
    if config.whole_arguments:
        return None if args.resume_from_checkpoint is None else Path(args.resume_from_checkpoint)
    if config.checkpoint_dir is None:
        return None
    folder = Path(config.checkpoint_dir)
    # A function, such as a loss of one's own, is known by its name: its repr is another in each process.
    text = json.dumps(
        identity, sort_keys=True, default=lambda value: getattr(value, "__qualname__", str(value))
    )
    key = hashlib.sha256(text.encode()).hexdigest()
    file = folder / RUN_FILE
    if not file.exists():
        if folder.exists() and any(folder.iterdir()):
            raise ModelFileError(
                f"{folder} is not empty, and not a checkpoint_dir: give another, or a new one."
            )
        if args.should_save:
            folder.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps({"key": key}))
        return None
    try:
        stored = json.loads(file.read_text())["key"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"{file} is damaged: delete {folder} to start over.") from error
    if stored != key:
        raise ModelFileError(
            f"{folder} holds checkpoints of a fit with other data, another model or other options: "
            "give another checkpoint_dir, or delete it to start over."
        )
    found = [path for path in folder.glob("checkpoint-*") if _steps(path) >= 0]
    return max(found, key=_steps, default=None)


def _steps(checkpoint: Path) -> int:
    """Steps of a checkpoint; -1 of one that was not written whole, whose state comes last."""
    try:
        return int(json.loads((checkpoint / "trainer_state.json").read_text())["global_step"])
    except (OSError, ValueError, KeyError, TypeError):
        return -1
