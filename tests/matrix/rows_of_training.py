"""The rows of train_net."""

from __future__ import annotations

from tests.matrix import checks
from tests.matrix.cells import ALONE, Cannot, outcomes
from tests.matrix.commands import (
    ALL_SLOW,
    AUDIO_VISUAL,
    BLENDED,
    CONVOLUTIONAL,
    FLOW,
    IMAGES,
    ONE_PROCESS,
    SLOW_TRAINS,
    TRAINS,
    VARIED,
    VARIED_WITH_SOUND,
    again,
    fine_tune,
    pytorch_only,
    test,
    train,
    training,
)

TRAINING = [
    training("train", "train from scratch", train(*VARIED), check=checks.learns),
    training(
        "train_dropout",
        "with dropout",
        train("--use_dropout=1"),
        check=checks.learns,
        outcomes={**ALL_SLOW, **SLOW_TRAINS},
    ),
    training("tune_pkl", "fine-tune from a .pkl", fine_tune("rgb_pkl"), check=checks.fine_tunes),
    training(
        "tune_mdl", "fine-tune from a .mdl", fine_tune("state_mdl"), check=checks.fine_tunes, outcomes=SLOW_TRAINS
    ),
    training(
        "tune_flow",
        "on optical flow",
        fine_tune("flow_pkl", *FLOW),
        check=checks.fine_tunes_on_flow,
        outcomes=SLOW_TRAINS,
    ),
    training(
        "tune_av",
        "on pictures and sound, with Gradient-Blending",
        fine_tune("av_pkl", *AUDIO_VISUAL, *BLENDED, data="short_sounding"),
        check=checks.fine_tunes_with_sound,
        outcomes=SLOW_TRAINS,
    ),
    training(
        "tune_multi",
        "several labels per video",
        fine_tune("multi_pkl", "--multi_label=1"),
        check=checks.fine_tunes,
        outcomes=SLOW_TRAINS,
    ),
    training(
        "tune_images",
        "on images",
        fine_tune("images_pkl", *IMAGES, data="pictures"),
        check=checks.fine_tunes,
        outcomes=SLOW_TRAINS,
    ),
    training(
        "tune_folder",
        "on a folder of class folders, without an LMDB",
        fine_tune("rgb_pkl", data="class_folders"),
        check=checks.fine_tunes,
        outcomes=SLOW_TRAINS,
    ),
    training(
        "tune_fps",
        "on frames at a rate (--fps)",
        fine_tune("rgb_pkl", "--fps=12", data="clips"),  # of nine frames a clip's four are left: nothing to draw
        check=checks.fine_tunes,
        outcomes=SLOW_TRAINS,
    ),
    training(
        "tune_labels",
        "fine-tune with another number of labels",
        fine_tune("rgb_pkl", "--num_labels=9"),
        test("{out}/run_1.pkl", "--num_labels=9"),
        check=checks.has_a_new_head,
    ),
    training(
        "tune_name",
        "fine-tune a classifier with its own --pred_layer_name",
        fine_tune("rgb_pkl", "--pred_layer_name=mine"),
        test("{out}/run_1.pkl", "--pred_layer_name=mine"),
        check=checks.has_a_new_head,
        outcomes=SLOW_TRAINS,
    ),
    training(
        "tune_frozen",
        "fine-tune only the classifier (--use_full_ft=0)",
        fine_tune("rgb_pkl", "--use_full_ft=0"),
        check=checks.keeps_the_trunk,
    ),
    training(
        "tune_frozen_bn",
        "frozen batch norm (--freeze_bn=1)",
        fine_tune("rgb_pkl", "--freeze_bn=1"),
        check=checks.keeps_the_statistics,
        outcomes=pytorch_only("freeze_bn", "--freeze_bn=1"),
    ),
    training(
        "evaluate",
        "evaluation after an epoch",
        fine_tune(
            "rgb_pkl",
            "--test_data={clips}",
            "--test_clip_per_video=2",
            "--test_batch_size=3",
            "--test_num_iter=0",
            "--test_every=1",
            "--top_k=2",
        ),
        test("{out}/run_1.pkl"),
        check=checks.evaluates,
    ),
    training(
        "resume_epoch",
        "resume after an epoch",
        again("whole", *VARIED),
        again("stopped", *VARIED, epochs=1),
        again("stopped", *VARIED, "--resume=1"),
        check=checks.resumes,
        outcomes={**ALL_SLOW, **SLOW_TRAINS},
    ),
    training(
        "resume_middle",
        "resume within an epoch",
        again("whole", *VARIED),
        again("stopped", *VARIED, stop_after=1, status=143),
        again("stopped", *VARIED, "--resume=1"),
        check=checks.resumes,
    ),
    training(
        "resume_av",
        "resume within an epoch, on pictures and sound",
        again("whole", *VARIED_WITH_SOUND),
        again("stopped", *VARIED_WITH_SOUND, stop_after=1, status=143),
        again("stopped", *VARIED_WITH_SOUND, "--resume=1"),
        check=checks.resumes,
        outcomes=SLOW_TRAINS,
    ),
    training(
        "resume_other",
        "resume a run of the other engine",
        again("whole", "--epoch_size={iterations_1}", "--engine={engine}"),
        again("stopped", "--epoch_size={iterations_1}", "--engine={other}", epochs=1),
        again("stopped", "--epoch_size={iterations_1}", "--engine={engine}", "--resume=1"),
        check=checks.continues_the_other_engine,
        outcomes=ONE_PROCESS,
        both=True,
    ),
    training(
        "two_gpus",
        "two GPUs in one process (--num_gpus=2; tested with CPUs in their place)",
        fine_tune(
            "rgb_pkl",
            "--test_data={clips}",
            "--test_clip_per_video=2",
            "--test_batch_size=3",
            "--test_num_iter=0",
            devices=("--num_gpus=2",),
            as_gpus=True,
        ),
        check=checks.fine_tunes,
        outcomes=outcomes(pytorch=ALONE, pytorch_2=ALONE, caffe2_2=ALONE),
    ),
    training(
        "train_schedule",
        "the papers' schedules (--warmup_epochs, --gradual_warmup, --decay_after_warmup, --schedule=cosine)",
        train("--schedule=cosine", "--warmup_epochs=0.5", "--gradual_warmup=1", "--decay_after_warmup=1"),
        check=checks.learns,
    ),
    training(
        "train_lr_milestones",
        "steps of the learning rate after the warm-up (--lr_milestones)",
        train("--warmup_epochs=0.25", "--lr_milestones=0.5"),
        check=checks.learns,
    ),
    *(
        training(
            f"train_{flag}",
            words,
            train(f"--{flag}={value}"),
            check=checks.learns,
            outcomes=pytorch_only(flag, f"--{flag}{says}"),
        )
        for flag, value, says, words in (
            ("clip_gradient", "1", "=1", "clipped gradients (--clip_gradient)"),
            ("precision", "bf16", "=bf16", "mixed precision (--precision=bf16, fp16)"),
            ("channels_last", "1", "=1", "channels-last memory format (--channels_last=1)"),
            ("precise_bn", "1", "", "recomputed batch-norm statistics (--precise_bn)"),
        )
    ),
    training(
        "train_accumulation_steps",
        "gradients of several batches (--accumulation_steps)",
        train("--accumulation_steps=2", "--epoch_size={iterations_4}"),
        check=checks.learns,
        outcomes=pytorch_only("accumulation_steps", "--accumulation_steps=2"),
    ),
    training(
        "train_convolutional",
        "fully convolutional head",
        train(*CONVOLUTIONAL),
        check=checks.learns,
        outcomes={
            **dict.fromkeys(
                outcomes(pytorch=0, pytorch_2=0, caffe2=0),
                Cannot("use_convolutional_pred", "use_convolutional_pred is for testing only", "testing only"),
            ),
            **TRAINS,
        },
    ),
]
