"""Training: epochs of iterations on either engine, an evaluation and a checkpoint after each, from anywhere on.

What the original's train_net does, with its flags, and what it lacked: resuming to the same weights, evaluation by the
published protocol, and the additions of AddedTrainSettings.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

from vmz.checkpoints.loading import file_type, load
from vmz.datasets.listed_data import listed_data
from vmz.engines.registry import check_trains, open_trainer
from vmz.engines.trainer import Step, Trainer, Training
from vmz.errors import UsageError
from vmz.evaluation.records import naming_foreign_labels
from vmz.evaluation.run import evaluate_weights
from vmz.file_formats.class_names import read_label_names
from vmz.metrics import check_multi_label
from vmz.netdef.training_state import is_training_state
from vmz.outputs import Output, in_progress
from vmz.processes import group, identity
from vmz.processes.signals import StopRequest
from vmz.progress import Progress
from vmz.results.heads import heads_text
from vmz.results.training import Epoch, TrainingResult
from vmz.settings.engine import device_names, environment
from vmz.training.checkpoints import BEST, LATEST, Checkpoints, Saved, placed, read
from vmz.training.config import TrainConfig
from vmz.training.epoch_test import evaluation_config, evaluation_network
from vmz.training.history import History
from vmz.training.nets import builder
from vmz.training.plan import UNKNOWN_PASS, Plan, describe, fit_batch, make_plan, one_pass
from vmz.training.resume import account, refuse_changed
from vmz.training.side_outputs import SideOutputs
from vmz.training.start import forward_net, initial_weights
from vmz.training.tensorboard import Board
from vmz.video.database.fingerprint import fingerprint, refuse_remade
from vmz.video.database.lmdb_database import VideoDatabase


def dry_run(config: TrainConfig) -> dict[str, Any]:
    """The plan of a run: nets are built, sizes worked out, no data needed."""
    with group.joined(), listed_data(config) as config:
        return _planned(config)


def _planned(config: TrainConfig) -> dict[str, Any]:
    videos = _videos(config) if config.train_data and Path(config.train_data).exists() else 0
    devices = _devices(config)
    config = fit_batch(config, devices, videos)
    a_pass = videos or config.batch_size * devices * config.accumulation_steps * UNKNOWN_PASS
    plan = make_plan(config, devices, a_pass)
    return describe(plan, forward_net(config), config, videos)


def train(config: TrainConfig) -> TrainingResult:
    """Train as `config` says.

    Raises UsageError for a wrong request, VmzError for data or weights that are wrong and for a loss that explodes,
    StopRequest's error after SIGTERM or Ctrl-C, with a checkpoint written.
    """
    config.train_database  # noqa: B018  (refused where none is given)
    with group.joined(), listed_data(config) as config:
        return _train(config)


def _train(config: TrainConfig) -> TrainingResult:
    devices = device_names(config)
    videos = 0 if config.epoch_size else _videos(config)
    config = fit_batch(config, _devices(config), videos)
    plan = make_plan(config, _devices(config), videos)
    if videos and not identity.rank():
        print(one_pass(plan, videos), flush=True)
    if config.multi_label and config.test_data:
        check_multi_label()
    describe(plan, forward_net(config), config, 0)  # refuses clips that the layers do not fit
    store = Output("--file_store_path", config.file_store_path, folder=True, name=config.save_model_name)
    with in_progress(store, options=config), open_trainer(config.engine, devices) as trainer:
        trainer.check(training(config, plan))
        return _Run(config, plan, trainer).complete()


def _devices(config: TrainConfig) -> int:
    """Devices that train, of all processes together: each reads and trains on batches of its own."""
    check_trains(config.engine)
    if config.engine == "caffe2" and identity.world_size() > 1:
        raise UsageError(
            "--engine=caffe2 trains in one process, on several GPUs with --num_gpus=N; start it without torchrun, or "
            "train with --engine=pytorch"
        )
    return len(device_names(config)) * identity.world_size()


def _videos(config: TrainConfig) -> int:
    with VideoDatabase(config.train_database) as database:
        return len(database)


class _Run:
    """One run, on one of its processes. Every process steps, evaluates and saves; the first alone writes and prints."""

    def __init__(self, config: TrainConfig, plan: Plan, trainer: Trainer) -> None:
        self.config, self.plan, self.trainer = config, plan, trainer
        self.checkpoints = Checkpoints(config.file_store_path, config.save_model_name)
        self.history = History()
        self.files: list[Path] = []
        self.is_first = identity.rank() == 0
        self.iteration, self.has_read = 0, False
        self.data: str = group.share(fingerprint(config.train_database) if self.is_first else None)
        self.side_outputs = SideOutputs()
        self.board = Board(config.tensorboard if self.is_first else None, self.side_outputs)
        self.saved_at = time.monotonic()
        self.seconds_of_a_test = 0.0  # of the last one
        self.labels = _labels(config)

    def complete(self) -> TrainingResult:
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
        return self._result(stopped_early)

    def _result(self, stopped_early: bool = False) -> TrainingResult:
        """What is known of the run by now."""
        return TrainingResult(
            points=list(self.history.points),
            epochs=list(self.history.epochs),
            planned_epochs=self.plan.epochs,
            config=self.config,
            environment=environment(self.config),
            train=self.history.faults_of("train"),
            test=self.history.faults_of("test"),
            files=list(self.files),
            stopped_early=stopped_early,
            is_first=self.is_first,
            not_written=self.side_outputs.lines(),
        )

    def _saved(self) -> Optional[Saved]:
        """The checkpoint to go on from, if any."""
        config, per_epoch = self.config, self.plan.iterations_per_epoch
        found = None
        if config.resume:
            found = self.checkpoints.newest(per_epoch)
        else:
            self.checkpoints.refuse_to_overwrite()
        path = config.load_model_path
        if found is None and path and config.is_checkpoint and file_type(path, config.db_type) == "minidb":
            found = read(Path(path), per_epoch)
        if found is not None:
            refuse_changed(found, config, self.plan, self.data)
        return found

    def _load(self, saved: Optional[Saved]) -> None:
        config = self.config
        build_network = builder(
            config,
            random_mirror=config.random_mirror,
            seed=config.seed + 1,  # 0 would mean the system's entropy
            shuffle=config.shuffle,
            on_bad_video=config.on_bad_video,
        )
        weights = None if saved is not None else initial_weights(config, self.is_first)
        self.trainer.load(build_network, training(config, self.plan), weights, seed=config.seed)
        if saved is None:
            return
        state = placed(saved, _devices(config), config.batch_size, config.accumulation_steps)
        self.trainer.set_state(state)
        self.iteration = saved.iteration
        if saved.run:
            self.history = History.restored(saved.run["history"])
        if self.is_first:
            print(f"resuming from {saved.path}, after iteration {saved.iteration} of {self.plan.iterations}")

    def _epoch(self, epoch: int, stop: StopRequest) -> bool:
        """The iterations left of an epoch and what follows it; whether to stop early."""
        step = self._iterations(epoch, stop)
        self._note_faults()
        self.history.take_epoch(step, epoch)
        stopped_early = self._finish(epoch)
        if self.iteration < self.plan.iterations and group.any_rank(stop.requested):
            stop.leave(self.iteration)
        return stopped_early

    def _iterations(self, epoch: int, stop: StopRequest) -> Step:
        """The iterations left of an epoch. Returns the last one."""
        per_epoch = self.plan.iterations_per_epoch
        before = self.iteration % per_epoch
        ended = time.perf_counter()
        with Progress(
            per_epoch, "iterations", f"epoch {epoch}/{self.plan.epochs}", every=self.config.display_iter, done=before,
            quiet=not self.is_first, beyond=lambda: self._seconds_after(epoch),
        ) as progress:  # fmt: skip
            for done in range(before + 1, per_epoch + 1):
                step = self._step(stop)
                began, ended = ended, time.perf_counter()
                self.history.add(step, ended - began)
                if done % self.config.display_iter == 0 or done == per_epoch:  # together with the lines of progress
                    self.board.add_point(self.history.take_point(step, epoch))
                progress.update(note=self._note(step))
                if done < per_epoch:
                    self._save_between(step, stop)
        return step

    def _seconds_after(self, epoch: int) -> float:
        """What the epochs after this one will take, and the tests that remain, as those before them did."""
        left = self.plan.epochs - epoch
        spent, clips = self.history.sums["epoch"].get("seconds", 0.0), self.history.sums["epoch"].get("clips", 0.0)
        of_an_epoch = spent / clips * self.plan.iterations_per_epoch * self.plan.clips_per_iteration if clips else 0.0
        tests = self.plan.epochs // self.config.test_every - (epoch - 1) // self.config.test_every
        return left * of_an_epoch + max(tests, 0) * self.seconds_of_a_test

    def _note_faults(self) -> None:
        """What the readers of all processes report, each video once."""
        for part in group.gather(_faults(self.trainer)) or []:
            self.history.note("train", *part)

    def _step(self, stop: StopRequest) -> Step:
        with naming_foreign_labels(str(self.config.train_data), self.config, self.config):
            step = self.trainer.step(stop=lambda: stop.requested, save=self._is_due)
        if not self.has_read and self.is_first:  # from here on the reader keeps the file that it has opened
            refuse_remade(self.config.train_database, self.data, "train again")
        self.has_read, self.iteration = True, step.iteration
        return step

    def _note(self, step: Step) -> str:
        """The last point, and in brackets the mean of the epoch so far, which at its end is that of its line."""
        point = self.history.points[-1] if self.history.points else None
        now, epoch = point or step, self.history.means("epoch", step)
        names = ["loss", "accuracy"] if step.accuracy is not None else ["loss"]
        parts = [f"{name} {getattr(now, name):.4f} (epoch {epoch[name]:.4f})" for name in names]
        if step.heads:
            parts.append(heads_text(point.heads if point is not None and point.heads else epoch["heads"]))
        parts.append(f"rate {step.learning_rate:.4g}")
        if point is not None:
            parts.append(f"{point.clips_per_second:.1f} clips/s")
            if self.config.profiling and point.iterations and point.seconds:
                each = {name: spent / point.iterations for name, spent in point.seconds.items()}
                parts.extend(f"{name} {spent:.3g} s an iteration" for name, spent in each.items())
        return ", ".join(parts)

    def _is_due(self) -> bool:
        """Whether --checkpoint_minutes have passed since the last checkpoint."""
        minutes = self.config.checkpoint_minutes
        return bool(minutes) and time.monotonic() - self.saved_at >= 60 * minutes

    def _save_between(self, step: Step, stop: StopRequest) -> None:
        """A checkpoint in the middle of an epoch, when one is due or a process has been told to stop."""
        stops = step.stop or (identity.world_size() == 1 and stop.requested)  # since its sums, too, where it is alone
        if stops or step.save:
            self._save(LATEST)
        if stops:
            stop.leave(self.iteration)

    def _finish(self, epoch: int) -> bool:
        """After an epoch's iterations: statistics when asked for, the checkpoint, then the evaluation."""
        if self.config.precise_bn:
            with naming_foreign_labels(str(self.config.train_data), self.config, self.config):
                self.trainer.recompute_statistics(self.config.precise_bn)
        return self._after_epoch(epoch, self._save(epoch))

    def _save(self, part: object) -> Optional[dict[str, Any]]:
        """Write a checkpoint. Returns its weights on the process that writes, which alone copies them to the host."""
        state = self.trainer.state(here=self.is_first)  # every process takes part
        self.saved_at = time.monotonic()
        if not self.is_first:
            return None
        run = {**account(self.config, self.plan, self.data), "history": self.history.to_json()}
        path = self.checkpoints.save(part, evaluation_network(self.config), state, {"run": run, "labels": self.labels})
        if part != LATEST:
            self.files.append(path)
        return {name: array for name, array in state.items() if not is_training_state(name)}

    def _after_epoch(self, epoch: int, weights: Optional[dict[str, Any]] = None) -> bool:
        """Evaluate, export the weights, given where they were copied already; whether to stop early. Repeated when a
        run dies in it and is resumed."""
        if not self.history.epochs:  # resumed from a checkpoint of the original's, which tells nothing of the run
            self.history.epochs.append(Epoch(epoch, self.iteration))
        tests = bool(self.config.test_data) and (epoch % self.config.test_every == 0 or epoch == self.plan.epochs)
        if weights is None:
            weights = self.trainer.weights() if tests or self.is_first else {}
        exported = self.checkpoints.path(epoch, "pkl")  # after its evaluation, by a run that died then
        if group.any_rank(self.is_first and exported.exists()):
            self._take_over_evaluation(exported)
        elif tests:
            self._evaluate(weights)
        if self.is_first:
            self._publish(epoch, weights)
        return self._stops_early(epoch)

    def _take_over_evaluation(self, exported: Path) -> None:
        """The figures that the weights of an earlier run were exported with; the first process keeps them."""
        if self.is_first:
            self.history.take_over_evaluation(load(exported).about)

    def _evaluate(self, weights: Mapping[str, Any]) -> None:
        began = time.monotonic()
        result = evaluate_weights(evaluation_config(self.config), weights)
        self.seconds_of_a_test = time.monotonic() - began
        figures, last = dict(result.figures), self.history.epochs[-1]
        heads = result.heads or None
        tested = replace(last, figures=figures, test_videos=result.videos, test_loss=result.loss, test_heads=heads)
        self.history.epochs[-1] = tested
        self.history.note("test", result.skipped, result.ended_early, result.without_sound)

    def _publish(self, epoch: int, weights: Mapping[str, Any]) -> None:
        """Export the weights, and say how the epoch went: a line, the board, the page."""
        last = self.history.epochs[-1]
        about = self._about(last)
        if self.history.best() is last:
            self.checkpoints.export(BEST, weights, about)
        self.files.append(self.checkpoints.export(epoch, weights, about))
        self.board.add_epoch(last)
        print(last.line(self.plan.epochs), flush=True)
        if self.config.report and self._result().has_curves:
            self.side_outputs.write(f"--report={self.config.report}", self._write_report)

    def _stops_early(self, epoch: int) -> bool:
        """Whether the figures did not rise for --early_stop epochs, as the first process sees it."""
        patience, risen = self.config.early_stop, self.history.last_rise()
        no_better = risen is not None and epoch - risen >= patience
        return group.any_rank(self.is_first and bool(patience) and no_better)

    def _about(self, epoch: Epoch) -> dict[str, Any]:
        return {
            "labels": self.labels,
            "protocol": self.config.flags(),
            "metrics": epoch.to_json(),
            "tested": self.history.tested(),
        }

    def _write_report(self) -> None:
        from vmz.report import training as page

        page.write(Path(str(self.config.report)), self._result())


def _faults(trainer: Trainer) -> tuple[list[Any], list[Any], list[Any]]:
    return trainer.skipped, trainer.ended_early, trainer.without_sound


def _labels(config: TrainConfig) -> Optional[list[str]]:
    """Names of the classes, of --label_names or else of the list that is trained on; None where there are none."""
    if config.label_names:
        return read_label_names(config.label_names, config.num_labels)
    listed = config.listed.get(str(config.train_data))
    return list(listed.classes) if listed is not None and len(listed.classes) == config.num_labels else None


def training(config: TrainConfig, plan: Plan) -> Training:
    """How to train, from the flags."""
    return Training(
        schedule=plan.schedule,
        weight_decay=config.weight_decay,
        accumulation=config.accumulation_steps,
        precision=config.precision,
        freeze="none" if config.use_full_ft else "trunk",
        freeze_bn=bool(config.freeze_bn),
        clip_gradient=config.clip_gradient,
        deterministic=bool(config.deterministic),
        channels_last=bool(config.channels_last),
        precise_bn=bool(config.precise_bn),
    )
