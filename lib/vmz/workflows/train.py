"""Training: epochs of iterations on either engine, an evaluation and a checkpoint after each, from anywhere on.

What the original's train_net does, with its flags, and what it lacked: resuming to the same weights, evaluation by the
published protocol, and the additions in flags.BEYOND_FLAGS.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from vmz.checkpoints.files import file_type, load_about
from vmz.engines.registry import open_trainer
from vmz.engines.trainer import Step, Trainer, Training
from vmz.errors import UsageError, VmzError
from vmz.metrics import watched
from vmz.models.registry import Model, build
from vmz.outputs import Output, in_progress
from vmz.progress import Progress
from vmz.video.database import VideoDatabase
from vmz.video.fingerprint import fingerprint, refuse_remade
from vmz.video.records import key_text
from vmz.workflows import distributed, training_plan
from vmz.workflows.evaluate import Evaluation, environment, evaluate_weights, foreign_label
from vmz.workflows.label_names import read_label_names
from vmz.workflows.options import device_names, gpu_numbers, model_config, resolution_of
from vmz.workflows.own_checkpoints import evaluation_protocol
from vmz.workflows.side_outputs import SideOutputs
from vmz.workflows.signals import StopRequest
from vmz.workflows.training_board import Board
from vmz.workflows.training_checkpoints import BEST, LATEST, Checkpoints, Saved, placed, read
from vmz.workflows.training_history import History, epoch_line, figures_text
from vmz.workflows.training_nets import builder
from vmz.workflows.training_plan import Plan, make_plan
from vmz.workflows.training_resume import account, refuse_changed
from vmz.workflows.training_start import forward_net, initial_weights


@dataclass(frozen=True)
class Trained:
    """The result of a run. is_first: this process speaks for all. not_written: a sentence for each output it lacks."""

    history: History
    plan: Plan
    files: list[Path]
    stopped_early: bool
    options: Mapping[str, Any]
    environment: Mapping[str, str]
    is_first: bool = True
    settings: Optional[Mapping[str, Any]] = None  # where they come from: Resolution.to_json
    not_written: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "epochs": self.history.epochs,
            "points": self.history.points,
            "best": self.history.best(),
            "stopped_early": self.stopped_early,
            "skipped": [vars(bad) for bad in self.history.skipped("train")],
            "ended_early": [vars(video) for video in self.history.ended_early("train")],
            "test": {
                "skipped": [vars(bad) for bad in self.history.skipped("test")],
                "ended_early": [vars(video) for video in self.history.ended_early("test")],
            },
            "files": [str(path) for path in self.files],
            "not_written": list(self.not_written),
            "settings": self.settings,
            "options": dict(self.options),
            "environment": dict(self.environment),
        }

    def text(self) -> str:
        lines = [f"trained on {self.environment['engine']}, device {self.environment['device']}"]
        lines += [] if not self.history.epochs else [epoch_line(self.history.epochs[-1], self.plan.epochs)]
        best = self.history.best()
        if best is not None:
            lines.append(f"best: epoch {best['epoch']}, {figures_text(best['figures'])}")
        if self.stopped_early:
            names = " and ".join(watched(best["figures"]) if best else ())
            lines.append(f"stopped early: {names} did not rise in the last {self.options['early_stop']} epochs")
        lines.extend(self.history.fault_lines())
        return "\n".join([*lines, *(f"wrote {path}" for path in self.files)])


def dry_run(options: argparse.Namespace) -> dict[str, Any]:
    """The plan of a run: nets are built, sizes worked out, no data needed."""
    videos = _videos(options) if options.train_data and Path(options.train_data).exists() else 0
    devices = _devices(options)
    training_plan.fit_batch(options, devices, videos)
    a_pass = videos or options.batch_size * devices * options.accumulation_steps * training_plan.UNKNOWN_PASS
    plan = make_plan(options, devices, a_pass)
    return training_plan.describe(plan, forward_net(options), options, videos)


def train(options: argparse.Namespace) -> Trained:
    """Train as `options` (of train_net) say.

    Raises UsageError for a wrong request, VmzError for data or weights that are wrong and for a loss that explodes,
    StopRequest's error after SIGTERM or Ctrl-C, with a checkpoint written.
    """
    if not options.train_data:
        raise UsageError("--train_data is not given; it takes an LMDB of videos, as create_video_db.py makes it")
    devices = device_names(options)
    videos = 0 if options.epoch_size else _videos(options)
    training_plan.fit_batch(options, _devices(options), videos)
    plan = make_plan(options, _devices(options), videos)
    if videos and not distributed.rank():
        print(training_plan.one_pass(plan, videos), flush=True)
    training_plan.describe(plan, forward_net(options), options, 0)  # refuses clips that the layers do not fit
    store = Output("--file_store_path", options.file_store_path, folder=True, name=options.save_model_name)
    with distributed.joined(), in_progress(store, options=options), open_trainer(options.engine, devices) as trainer:
        trainer.check(training(options, plan))
        return _Run(options, plan, trainer).complete()


def _devices(options: argparse.Namespace) -> int:
    """Devices that train, of all processes together: each reads and trains on batches of its own."""
    if options.engine == "caffe2" and distributed.world_size() > 1:
        raise UsageError(
            "--engine=caffe2 trains in one process, on several GPUs with --num_gpus=N; start it without torchrun, or "
            "train with --engine=pytorch"
        )
    return len(device_names(options)) * distributed.world_size()


def _videos(options: argparse.Namespace) -> int:
    with VideoDatabase(options.train_data) as database:
        return len(database)


class _Run:
    """One run, on one of its processes. Every process steps, evaluates and saves; the first alone writes and prints."""

    def __init__(self, options: argparse.Namespace, plan: Plan, trainer: Trainer) -> None:
        self.options, self.plan, self.trainer = options, plan, trainer
        self.checkpoints = Checkpoints(options.file_store_path, options.save_model_name)
        self.history = History()
        self.files: list[Path] = []
        self.is_first = distributed.rank() == 0
        self.iteration, self.has_read = 0, False
        self.data: str = distributed.share(fingerprint(options.train_data) if self.is_first else None)
        self.side_outputs = SideOutputs()
        self.board = Board(options.tensorboard if self.is_first else None, self.side_outputs)
        self.saved_at = time.monotonic()
        self.labels = read_label_names(options.label_names, options.num_labels) if options.label_names else None

    def complete(self) -> Trained:
        """From the start, or from where an earlier run was, to the end."""
        if self.is_first:
            self.checkpoints.prepare()
        saved = self._saved()
        self._load(saved)
        per_epoch, stopped_early = self.plan.iterations_per_epoch, False
        with StopRequest() as stop, self.board:
            if saved is not None and self.iteration and not self.iteration % per_epoch:
                stopped_early = self._after_epoch(self.iteration // per_epoch)  # it may have died before its evaluation
            while self.iteration < self.plan.iterations and not stopped_early:
                stopped_early = self._epoch(self.iteration // per_epoch + 1, stop)
        return Trained(
            history=self.history,
            plan=self.plan,
            files=self.files,
            stopped_early=stopped_early,
            options={name: value for name, value in vars(self.options).items() if name != "debug"},
            environment=environment(self.options),
            is_first=self.is_first,
            settings=None if (resolution := resolution_of(self.options)) is None else resolution.to_json(),
            not_written=self.side_outputs.lines(),
        )

    def _saved(self) -> Optional[Saved]:
        """The checkpoint to go on from, if any."""
        options, per_epoch = self.options, self.plan.iterations_per_epoch
        found = None
        if options.resume:
            found = self.checkpoints.newest(per_epoch)
        else:
            self.checkpoints.refuse_to_overwrite()
        path = options.load_model_path
        if found is None and path and options.is_checkpoint and file_type(path, options.db_type) == "minidb":
            found = read(Path(path), per_epoch)
        if found is not None:
            refuse_changed(found, options, self.plan, self.data)
        return found

    def _load(self, saved: Optional[Saved]) -> None:
        options = self.options
        build_network = builder(
            options,
            is_train=True,
            random_mirror=options.random_mirror,
            seed=options.seed + 1,  # 0 would mean the system's entropy
            shuffle=options.shuffle,
            on_bad_video=options.on_bad_video,
        )
        weights = None if saved is not None else initial_weights(options, self.is_first)
        self.trainer.load(build_network, training(options, self.plan), weights, seed=options.seed)
        if saved is None:
            return
        state = placed(saved, _devices(options), options.batch_size, options.accumulation_steps)
        self.trainer.set_state(state)
        self.iteration = saved.iteration
        if saved.run:
            self.history = History.restored(saved.run["history"])
        if self.is_first:
            print(f"going on from {saved.path}, after iteration {saved.iteration} of {self.plan.iterations}")

    def _epoch(self, epoch: int, stop: StopRequest) -> bool:
        """The iterations left of an epoch and what follows it; whether to stop early."""
        per_epoch = self.plan.iterations_per_epoch
        begun = time.perf_counter()
        last = epoch * per_epoch
        title = f"epoch {epoch}/{self.plan.epochs}"
        with Progress(
            per_epoch, "iterations", title, every=self.options.display_iter, done=self.iteration % per_epoch,
            quiet=not self.is_first,
        ) as progress:  # fmt: skip
            while self.iteration < last:
                step = self._step()
                if not self.has_read and self.is_first:  # from here on the reader keeps the file that it has opened
                    refuse_remade(self.options.train_data, self.data, "train again")
                self.has_read, self.iteration = True, step.iteration
                begun, seconds = time.perf_counter(), time.perf_counter() - begun
                self.history.add(step, seconds)
                done = step.iteration - last + per_epoch  # of this epoch: points and progress lines go together
                if done % self.options.display_iter == 0 or step.iteration == last:
                    self.history.points.append(self.history.take("point", step, epoch))
                    self.board.add_point(self.history.points[-1])
                progress.update(note=self._note(step))
                if step.iteration == last:
                    entry = self.history.take("epoch", step, epoch)
                else:
                    self._save_between(stop)
        self._note_faults(entry)
        self.history.epochs.append(entry)
        stopped_early = self._finish(epoch)
        if self.iteration < self.plan.iterations and distributed.any_rank(stop.requested):
            stop.leave(self.iteration)
        return stopped_early

    def _note_faults(self, entry: dict[str, Any]) -> None:
        """What the readers of all processes report, each video once, and its number so far in the epoch's entry."""
        for part in distributed.gather((self.trainer.skipped, self.trainer.ended_early)) or []:
            self.history.note("train", *part)
        for name, found in (("skipped", self.history.skipped), ("ended_early", self.history.ended_early)):
            entry[name] = len(found("train"))

    def _step(self) -> Step:
        try:
            return self.trainer.step()
        except VmzError as error:
            if "softmax" in str(error).lower() or "label" in str(error).lower():
                refuse_foreign_labels(self.options, error)
            raise

    def _note(self, step: Step) -> str:
        """The last point, and in brackets the mean of the epoch so far, which at its end is that of its line."""
        point = self.history.points[-1] if self.history.points else None
        now, epoch = point or {"loss": step.loss, "accuracy": step.accuracy}, self.history.means("epoch", step)
        names = ["loss", "accuracy"] if step.accuracy is not None else ["loss"]
        parts = [f"{name} {now[name]:.4f} (epoch {epoch[name]:.4f})" for name in names]
        parts.append(f"rate {step.learning_rate:.4g}")
        if point is not None:
            parts.append(f"{point['clips_per_second']:.1f} clips/s")
            if self.options.profiling and "iterations" in point:
                each = {name: spent / point["iterations"] for name, spent in point["seconds"].items()}
                parts.extend(f"{name} {spent:.3g} s an iteration" for name, spent in each.items())
        return ", ".join(parts)

    def _save_between(self, stop: StopRequest) -> None:
        """A checkpoint in the middle of an epoch, when one is due or the process has been told to stop."""
        minutes = self.options.checkpoint_minutes
        due = bool(minutes) and time.monotonic() - self.saved_at >= 60 * minutes
        if not minutes and distributed.world_size() == 1 and not stop.requested:
            return
        if distributed.any_rank(due or stop.requested):
            self._save(LATEST)
            if distributed.any_rank(stop.requested):
                stop.leave(self.iteration)

    def _finish(self, epoch: int) -> bool:
        """After an epoch's iterations: statistics when asked for, the checkpoint, then the evaluation."""
        if self.options.precise_bn:
            self.trainer.recompute_statistics(self.options.precise_bn)
        self._save(epoch)
        return self._after_epoch(epoch)

    def _save(self, part: object) -> None:
        state = self.trainer.state()  # every process takes part
        self.saved_at = time.monotonic()
        if not self.is_first:
            return
        run = {**account(self.options, self.plan, self.data), "history": vars(self.history)}
        path = self.checkpoints.save(part, test_network(self.options), state, {"run": run, "labels": self.labels})
        if part != LATEST:
            self.files.append(path)

    def _after_epoch(self, epoch: int) -> bool:
        """Evaluate, export the weights; whether to stop early. Repeated when a run dies in it and is resumed."""
        options = self.options
        if not self.history.epochs:  # resumed from a checkpoint of the original's, which tells nothing of the run
            self.history.epochs.append({"epoch": epoch, "iteration": self.iteration})
        entry = self.history.epochs[-1]
        weights = self.trainer.weights()
        done = self.checkpoints.path(epoch, "pkl")
        if distributed.any_rank(self.is_first and done.exists()):  # written after the evaluation of an earlier run
            if self.is_first:
                about = load_about(done)
                entry.update(about.get("metrics", {}))
                self.history.take_over_tested(about.get("tested", {}))
        elif options.test_data and (epoch % options.test_every == 0 or epoch == self.plan.epochs):
            result: Evaluation = evaluate_weights(evaluation_options(options), weights)
            entry["figures"] = dict(result.figures)
            entry["test_videos"] = result.videos
            self.history.note("test", result.skipped, result.ended_early)
        best = self.history.best()
        if self.is_first:
            about = self._about(entry)
            if best is entry:
                self.checkpoints.export(BEST, weights, about)
            self.files.append(self.checkpoints.export(epoch, weights, about))
            self.board.add_epoch(entry)
            print(epoch_line(entry, self.plan.epochs), flush=True)
            if options.report and self.history.entries():
                self.side_outputs.write(f"--report={options.report}", self._write_report)
        risen = self.history.last_rise()
        no_better = risen is not None and epoch - risen >= options.early_stop
        return distributed.any_rank(self.is_first and bool(options.early_stop) and no_better)

    def _about(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        protocol = {name: value for name, value in vars(self.options).items() if name != "debug"}
        return {"labels": self.labels, "protocol": protocol, "metrics": dict(entry), "tested": self.history.tested()}

    def _write_report(self) -> None:
        from vmz.report import training as page

        page.write(
            Path(self.options.report),
            self.history.entries(),
            vars(self.options),
            environment(self.options),
            self.history.epochs,
            self.history.best(),
            self.history.fault_lines(),
        )


def training(options: argparse.Namespace, plan: Plan) -> Training:
    """How to train, from the flags."""
    return Training(
        schedule=plan.schedule,
        weight_decay=options.weight_decay,
        accumulation=options.accumulation_steps,
        precision=options.precision,
        freeze="none" if options.use_full_ft else "trunk",
        freeze_bn=bool(options.freeze_bn),
        clip_gradient=options.clip_gradient,
        deterministic=bool(options.deterministic),
        channels_last=bool(options.channels_last),
        precise_bn=bool(options.precise_bn),
    )


def refuse_foreign_labels(options: argparse.Namespace, error: Exception) -> None:
    """Raise VmzError, from `error`, that names the first record of --train_data with a label the network lacks."""
    with VideoDatabase(options.train_data) as database:
        for record in database:
            for label in record.labels:
                if not 0 <= label < options.num_labels:
                    raise foreign_label(options.train_data, key_text(record.key), label, options) from error


def evaluation_options(options: argparse.Namespace) -> argparse.Namespace:
    """The flags of test_net for the evaluation after an epoch; of several devices of a process the first tests."""
    gpus = gpu_numbers(options)
    changes: dict[str, Any] = {
        **({"gpus": str(gpus[0])} if gpus and len(device_names(options)) > 1 else {}),
        "batch_size": options.test_batch_size,
        "crop_per_inference": 0,
        "get_video_id": 0,
        "num_iter": options.test_num_iter,
        "save_scores": None,
        "load_model_path": None,
        "list": None,
        "check_data": 0,
    }
    return argparse.Namespace(**{**evaluation_protocol(vars(options)), **changes})


def test_network(options: argparse.Namespace) -> Model:
    """The network for testing, without a reader: what a checkpoint carries beside the weights."""
    return build(model_config(options), is_test=True, use_cudnn=bool(options.use_cudnn))
