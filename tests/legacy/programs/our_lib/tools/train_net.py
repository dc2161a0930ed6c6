# Trains any network of the zoo; made for GPUs, written when Python 3 was new.
from __future__ import absolute_import
from __future__ import division
from __future__ import print_function
from __future__ import unicode_literals

import argparse
import logging
import os
import os.path as osp

import numpy as np
from caffe2.proto import caffe2_pb2
from caffe2.python import workspace, cnn, core, data_parallel_model
import caffe2.python.predictor.predictor_exporter as pred_exporter

from models import model_builder
from utils import model_helper, model_loader, reader_utils

logging.basicConfig()
log = logging.getLogger("train_net")
log.setLevel(logging.INFO)


def SaveModel(args, model, epoch):
    prefix = "gpu_{}/".format(model._devices[0])
    meta = pred_exporter.PredictorExportMeta(
        predict_net=model.net.Proto(),
        parameters=data_parallel_model.GetCheckpointParams(model),
        inputs=[prefix + "data"],
        outputs=[prefix + "softmax"],
        shapes={prefix + "softmax": (1, args.num_labels), prefix + "data": (3, args.clip_length_rgb, 112, 112)},
    )
    path = osp.join(args.file_store_path, "{}_{}.mdl".format(args.save_model_name, epoch))
    pred_exporter.save_to_db(db_type="minidb", db_destination=path, predictor_export_meta=meta)


def Train(args):
    if args.gpus is not None:
        gpus = [int(x) for x in args.gpus.split(",")]
        num_gpus = len(gpus)
    else:
        gpus = list(range(args.num_gpus))
        num_gpus = args.num_gpus
    total_batch_size = args.batch_size * num_gpus
    iters_per_epoch = int(args.epoch_size / total_batch_size)
    model_builder.model_validation(args.model_name, args.model_depth, args.clip_length_rgb, 112)

    my_arg_scope = {"order": "NCHW", "use_cudnn": True, "cudnn_exhaustive_search": True, "ws_nbytes_limit": 64 << 20}
    train_model = cnn.CNNModelHelper(name="{}_train".format(args.model_name), **my_arg_scope)
    train_reader, number_of_examples = reader_utils.create_data_reader(train_model, "train_reader", args.train_data)
    log.info("examples: %d", number_of_examples)

    def add_video_input(model):
        model_helper.AddVideoInput(
            model,
            train_reader,
            batch_size=args.batch_size,
            clip_per_video=1,
            decode_type=0,
            length_rgb=args.clip_length_rgb,
            sampling_rate_rgb=1,
            scale_h=128,
            scale_w=171,
            crop_size=112,
            num_decode_threads=1,
            num_of_class=args.num_labels,
            random_mirror=True,
            random_crop=True,
            input_type=0,
            length_of=8,
            sampling_rate_of=2,
            frame_gap_of=2,
            do_flow_aggregation=0,
            flow_data_type=0,
            get_rgb=True,
            get_optical_flow=False,
            get_video_id=0,
            do_multi_label=0,
            use_local_file=0,
        )

    def create_model_ops(model, loss_scale):
        return model_builder.build_model(
            model=model,
            model_name=args.model_name,
            model_depth=args.model_depth,
            num_labels=args.num_labels,
            batch_size=args.batch_size,
            num_channels=3,
            crop_size=112,
            clip_length=args.clip_length_rgb,
            loss_scale=loss_scale,
            channel_multiplier=args.channel_multiplier,
            is_test=0,
        )

    def add_parameter_update_ops(model):
        model.AddWeightDecay(args.weight_decay)
        ITER = model.Iter("ITER")
        stepsize = int(args.step_epoch * args.epoch_size / args.batch_size / num_gpus)
        LR = model.net.LearningRate(
            [ITER],
            "LR",
            base_lr=args.base_learning_rate * num_gpus,
            policy="step",
            stepsize=stepsize,
            gamma=args.gamma,
        )
        for param in model.GetParams():
            param_grad = model.param_to_grad[param]
            param_momentum = model.param_init_net.ConstantFill([param], param + "_momentum", value=0.0)
            model.net.MomentumSGDUpdate(
                [param_grad, param_momentum, LR, param], [param_grad, param_momentum, param], momentum=0.9, nesterov=1
            )

    data_parallel_model.Parallelize_GPU(
        train_model,
        input_builder_fun=add_video_input,
        forward_pass_builder_fun=create_model_ops,
        param_update_builder_fun=add_parameter_update_ops,
        devices=gpus,
        rendezvous=None,
        net_type="dag",
        use_nccl=True,
        optimize_gradient_memory=True,
    )
    workspace.RunNetOnce(train_model.param_init_net)
    workspace.CreateNet(train_model.net)
    if args.load_model_path is not None:
        model_loader.LoadModelFromPickleFile(
            train_model, args.load_model_path, use_gpu=True, root_gpu_id=gpus[0]
        )
        data_parallel_model.FinalizeAfterCheckpoint(train_model)

    for epoch in range(args.num_epochs):
        for i in xrange(iters_per_epoch):
            workspace.RunNet(train_model.net.Proto().name)
            prefix = "gpu_{}".format(train_model._devices[0])
            loss = np.asscalar(workspace.FetchBlob(prefix + "/loss"))
            log.info("Finished iteration %d/%d of epoch %d", i + 1, iters_per_epoch, epoch + 1)
            print("loss: {}".format(loss))
            assert float(loss) < 40, "Exploded gradients :("
        SaveModel(args, train_model, epoch + 1)


def main():
    parser = argparse.ArgumentParser(description="train_net")
    parser.add_argument("--model_name", type=str, default="r2plus1d")
    parser.add_argument("--model_depth", type=int, default=10)
    parser.add_argument("--train_data", type=str, required=True)
    parser.add_argument("--gpus", type=str, default=None)
    parser.add_argument("--num_gpus", type=int, default=1)
    parser.add_argument("--num_labels", type=int, default=8)
    parser.add_argument("--clip_length_rgb", type=int, default=2)
    parser.add_argument("--channel_multiplier", type=float, default=1.0)
    parser.add_argument("--batch_size", type=int, default=2)
    parser.add_argument("--epoch_size", type=int, default=8)
    parser.add_argument("--num_epochs", type=int, default=1)
    parser.add_argument("--base_learning_rate", type=float, default=0.01)
    parser.add_argument("--step_epoch", type=int, default=1)
    parser.add_argument("--gamma", type=float, default=0.1)
    parser.add_argument("--weight_decay", type=float, default=0.005)
    parser.add_argument("--file_store_path", type=str, default="/tmp")
    parser.add_argument("--save_model_name", type=str, default="simple")
    parser.add_argument("--load_model_path", type=str, default=None)
    args = parser.parse_args()
    log.info(args)
    Train(args)


if __name__ == "__main__":
    workspace.GlobalInit(["caffe2", "--caffe2_log_level=2"])
    main()
