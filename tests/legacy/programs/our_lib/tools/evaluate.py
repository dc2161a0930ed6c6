# Tests a network of the zoo on one device, the CPU where num_gpus is 0.
from __future__ import absolute_import, division, print_function, unicode_literals

import argparse
import logging
import pickle
import sys

import numpy as np
from caffe2.proto import caffe2_pb2
from caffe2.python import workspace, cnn, core, data_parallel_model
from models import model_builder
from utils import metric, model_helper, model_loader, reader_utils

logging.basicConfig()
log = logging.getLogger("test_net")
log.setLevel(logging.INFO)


def Test(args):
    test_model = cnn.CNNModelHelper(order="NCHW", name="video_model_test", use_cudnn=True, cudnn_exhaustive_search=True)
    test_reader, number_of_examples = reader_utils.create_data_reader(test_model, "test_reader", args.test_data)

    def test_input_fn(model):
        model_helper.AddVideoInput(
            model, test_reader, batch_size=args.batch_size, clip_per_video=args.clip_per_video, decode_type=1,
            length_rgb=args.clip_length_rgb, sampling_rate_rgb=1, scale_h=128, scale_w=171, crop_size=112,
            num_decode_threads=1, num_of_class=args.num_labels, random_mirror=False, random_crop=False,
            input_type=0, length_of=8, sampling_rate_of=2, frame_gap_of=2, do_flow_aggregation=0, flow_data_type=0,
            get_rgb=True, get_optical_flow=False, get_video_id=0, do_multi_label=0, use_local_file=0,
        )

    def create_model_ops(model, loss_scale):
        return model_builder.build_model(
            model=model, model_name=args.model_name, model_depth=args.model_depth, num_labels=args.num_labels,
            batch_size=args.batch_size, num_channels=3, crop_size=112, clip_length=args.clip_length_rgb,
            loss_scale=loss_scale, is_test=1, channel_multiplier=args.channel_multiplier,
        )

    if args.num_gpus > 0:
        data_parallel_model.Parallelize_GPU(
            test_model, input_builder_fun=test_input_fn, forward_pass_builder_fun=create_model_ops,
            param_update_builder_fun=None, devices=range(args.num_gpus), optimize_gradient_memory=True,
        )
    else:
        test_model._device_type = caffe2_pb2.CPU
        test_model._devices = [0]
        device_opt = core.DeviceOption(test_model._device_type, 0)
        with core.DeviceScope(device_opt):
            # checkpoints are named gpu_0, so the name stays
            with core.NameScope("gpu_{}".format(0)):
                test_input_fn(test_model)
                create_model_ops(test_model, 1.0)

    workspace.RunNetOnce(test_model.param_init_net)
    workspace.CreateNet(test_model.net)
    if args.db_type == "minidb":
        model_helper.LoadModel(args.load_model_path, args.db_type)
    else:
        model_loader.LoadModelFromPickleFile(
            test_model, args.load_model_path, use_gpu=args.num_gpus > 0, root_gpu_id=0
        )
    data_parallel_model.FinalizeAfterCheckpoint(test_model)

    devices = max(args.num_gpus, 1)
    counts = np.zeros(3, dtype=np.int)
    scores = {}
    for i in range(int(number_of_examples / (args.batch_size * devices))):
        workspace.RunNet(test_model.net.Proto().name)
        for g in range(devices):
            softmax = workspace.FetchBlob("gpu_{}/softmax".format(g))
            label = workspace.FetchBlob("gpu_{}/label".format(g))
            counts[0] += metric.accuracy_metric(softmax, label)[0]
            for v in range(args.batch_size):
                rows = softmax[v * args.clip_per_video:(v + 1) * args.clip_per_video]
                one, five = metric.accuracy_metric(np.mean(rows, axis=0), label[v * args.clip_per_video])
                counts[1:] += one, five
                scores[len(scores)] = rows
    if i == 0 or args.num_gpus == 0:
        flops, params, inters = model_helper.GetFlopsAndParams(test_model)
    with open(args.output_path, "w") as handle:
        pickle.dump(list(scores.values()), handle)
    videos = len(scores)
    log.info("Test accuracy: clip: {}, top 1: {}, top{}: {}".format(
        counts[0] / (videos * args.clip_per_video), counts[1] / videos, 5, counts[2] / videos))
    if args.num_gpus == 0:
        log.info("FLOPs: {}, params: {}, inters: {}".format(flops, params, inters))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="test_net")
    for name, kind, default in (
        ("test_data", str, None), ("load_model_path", str, None), ("db_type", str, "pickle"),
        ("model_name", str, "r2plus1d"), ("model_depth", int, 10), ("channel_multiplier", float, 1.0),
        ("num_gpus", int, 0), ("num_labels", int, 8), ("clip_length_rgb", int, 2), ("batch_size", int, 2),
        ("clip_per_video", int, 2), ("output_path", str, "/tmp/scores.pkl"),
    ):
        parser.add_argument("--" + name, type=kind, default=default)
    Test(parser.parse_args())
