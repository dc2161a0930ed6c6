# Scores a database with a network of the first release: one reader for all GPUs, two figures of its costs.
from __future__ import division, print_function

import argparse
import logging

import numpy as np
from caffe2.python import cnn, data_parallel_model, workspace

import models.model_builder as model_builder
import utils.metric as metric
import utils.model_helper as model_helper
import utils.model_loader as model_loader

logging.basicConfig()
log = logging.getLogger("score")
log.setLevel(logging.INFO)


def run(args):
    gpus = [int(number) for number in args.gpus.split(',')]
    net = cnn.CNNModelHelper(order="NCHW", name="score", use_cudnn=True, cudnn_exhaustive_search=True)
    reader, examples = model_builder.create_data_reader(net, name="reader", input_data=args.test_data)

    def add_input(model):
        model_helper.AddVideoInput(
            model, reader, batch_size=args.batch_size, clip_per_video=args.clips, decode_type=1,
            length_rgb=args.clip_length_rgb, sampling_rate_rgb=1, scale_h=128, scale_w=171, crop_size=112,
            num_decode_threads=1, num_of_class=args.num_labels, random_mirror=False, random_crop=False, input_type=0)

    def add_network(model, loss_scale):
        return model_builder.build_model(
            model=model, model_name=args.model_name, model_depth=args.model_depth, num_labels=args.num_labels,
            num_channels=3, crop_size=112, clip_length=args.clip_length_rgb, loss_scale=loss_scale, is_test=1)

    data_parallel_model.Parallelize_GPU(
        net, input_builder_fun=add_input, forward_pass_builder_fun=add_network, param_update_builder_fun=None,
        devices=gpus)
    workspace.RunNetOnce(net.param_init_net)
    workspace.CreateNet(net.net)
    if args.all_gpus:
        model_loader.LoadModelFromPickleFile(net, args.load_model_path, gpu_ids=gpus)
    else:
        model_loader.LoadModelFromPickleFile(net, args.load_model_path, root_gpu_id=gpus[0])
    data_parallel_model.FinalizeAfterCheckpoint(net)

    right, right5, seen = 0, 0, 0
    for _ in range(int(examples / args.batch_size / len(gpus))):
        workspace.RunNet(net.net.Proto().name)
        for gpu in net._devices:
            softmax = workspace.FetchBlob("gpu_{}/softmax".format(gpu))
            label = workspace.FetchBlob("gpu_{}/label".format(gpu))
            for video in range(args.batch_size):
                first = video * args.clips
                mean = np.mean(softmax[first:first + args.clips], axis=0)
                c1, c5 = metric.accuracy_metric(mean, label[first], 5)
                right, right5, seen = right + c1, right5 + c5, seen + 1
    log.info("videos {}, top 1: {}, top5: {}".format(seen, right / seen, right5 / seen))
    flops, params = model_helper.GetFlopsAndParams(net, args.gpus[0])
    log.info("FLOPs: {}, params: {}".format(flops, params))


if __name__ == '__main__':
    workspace.GlobalInit(['caffe2', '--caffe2_log_level=2'])
    parser = argparse.ArgumentParser()
    parser.add_argument("--test_data", type=str)
    parser.add_argument("--load_model_path", type=str)
    parser.add_argument("--model_name", type=str, default='r3d')
    parser.add_argument("--model_depth", type=int, default=10)
    parser.add_argument("--num_labels", type=int, default=8)
    parser.add_argument("--clip_length_rgb", type=int, default=8)
    parser.add_argument("--batch_size", type=int, default=2)
    parser.add_argument("--clips", type=int, default=1)
    parser.add_argument("--gpus", type=str, default='0')
    parser.add_argument("--all_gpus", type=int, default=0)
    run(parser.parse_args())
