#!/usr/bin/env python2
# -*- coding: utf-8 -*-
# Trains a small 3D ResNet on CPUs.
import argparse, logging, os, sys
import os.path as osp

this_dir = osp.dirname(__file__)
sys.path.append(osp.join(this_dir, '..', 'lib'))

from caffe2.proto import caffe2_pb2
from caffe2.python import workspace, cnn, core, data_parallel_model, dyndep
import numpy as np

from models import resnet3d
from utils import reader, blobs

logging.basicConfig()
log = logging.getLogger("train_net")
log.setLevel(logging.INFO)

dyndep.InitOpsLibrary('@/caffe2/caffe2/contrib/nccl:nccl_ops')


def Train(args):
    devices = range(args.num_cpus)
    total_batch_size = args.batch_size * len(devices)
    iterations = args.epoch_size / total_batch_size
    log.info("iterations an epoch: {}".format(iterations))

    model = cnn.CNNModelHelper(order="NCHW", name="small_train", use_cudnn=True, cudnn_exhaustive_search=True)
    train_reader = reader.create_reader(model, 'train_reader', args.train_data)

    def add_input(model):
        reader.add_input(model, train_reader, args.batch_size, args.clip_length, 112,
                         random_mirror=1, random_crop=1, decode_type=0)

    def add_network(model, loss_scale):
        return resnet3d.create_model(model, args.num_labels, 112, args.clip_length, args.width, False, loss_scale)

    def add_update(model):
        model.AddWeightDecay(args.weight_decay)
        ITER = model.Iter("ITER")
        stepsize = args.step_epoch * args.epoch_size / args.batch_size / len(devices)
        LR = model.net.LearningRate([ITER], "LR", base_lr=args.base_learning_rate * len(devices),
                                    policy="step", stepsize=stepsize, gamma=args.gamma)
        for param in model.GetParams():
            grad = model.param_to_grad[param]
            momentum = model.param_init_net.ConstantFill([param], param + '_momentum', value=0.0)
            model.net.MomentumSGDUpdate([grad, momentum, LR, param], [grad, momentum, param],
                                        momentum=0.9, nesterov=1)

    data_parallel_model.Parallelize_CPU(
        model, input_builder_fun=add_input, forward_pass_builder_fun=add_network,
        param_update_builder_fun=add_update, devices=devices, net_type='prof_dag' if args.profiling else 'dag',
        optimize_gradient_memory=True)

    workspace.RunNetOnce(model.param_init_net)
    device = core.DeviceOption(caffe2_pb2.CPU, 0)
    if args.load_model_path != None:
        blobs.load(args.load_model_path, 'cpu_0/', device)
        data_parallel_model.FinalizeAfterCheckpoint(model)
    workspace.CreateNet(model.net)

    for epoch in xrange(args.num_epochs):
        for i in xrange(iterations):
            workspace.RunNet(model.net.Proto().name)
            losses = map(lambda d: float(workspace.FetchBlob('cpu_%d/loss' % d)), devices)
            print "iteration", i + 1, "loss", np.asscalar(np.mean(losses))
        params = [str(p) for p in model.GetParams('') + model.GetComputedParams('')]
        blobs.save(osp.join(args.file_store_path, '%s_%d.pkl' % (args.save_model_name, epoch + 1)),
                   filter(lambda p: p.startswith('cpu_0/'), params), 'cpu_0/')


def main():
    parser = argparse.ArgumentParser(description="train")
    parser.add_argument("--train_data", type=str, required=True)
    parser.add_argument("--load_model_path", type=str, default=None)
    parser.add_argument("--file_store_path", type=str, default="/tmp")
    parser.add_argument("--save_model_name", type=str, default="small")
    parser.add_argument("--num_cpus", type=int, default=1)
    parser.add_argument("--batch_size", type=int, default=2)
    parser.add_argument("--epoch_size", type=int, default=8)
    parser.add_argument("--num_epochs", type=int, default=1)
    parser.add_argument("--num_labels", type=int, default=8)
    parser.add_argument("--clip_length", type=int, default=2)
    parser.add_argument("--width", type=float, default=0.05)
    parser.add_argument("--base_learning_rate", type=float, default=0.01)
    parser.add_argument("--step_epoch", type=int, default=1)
    parser.add_argument("--gamma", type=float, default=0.1)
    parser.add_argument("--weight_decay", type=float, default=0.005)
    parser.add_argument("--profiling", type=int, default=0)
    args = parser.parse_args()
    log.info(args)
    Train(args)


if __name__ == '__main__':
    workspace.GlobalInit(['caffe2', '--caffe2_log_level=2', '--caffe2_cuda_full_device_control=1'])
    main()
