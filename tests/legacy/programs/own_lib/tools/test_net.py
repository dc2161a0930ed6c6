#!/usr/bin/env python2
# Tests a small 3D ResNet on one CPU.
import argparse, cPickle, sys, os

from caffe2.python import workspace, cnn, core, data_parallel_model
from caffe2.proto import caffe2_pb2
import lmdb
import numpy as np

from models import resnet3d
from utils import reader, blobs


def Test(args):
    env = lmdb.open(args.test_data, readonly=True)
    with env.begin() as txn:
        num_videos = txn.stat()['entries']
        first = txn.cursor().iternext(values=False).next()
    print "videos: %d, first key %s" % (num_videos, first)
    model = cnn.CNNModelHelper(order="NCHW", name="small_test", use_cudnn=True, cudnn_exhaustive_search=True)
    test_reader = reader.create_reader(model, 'test_reader', args.test_data)
    model._device_type = caffe2_pb2.CPU
    model._devices = [0]
    device = core.DeviceOption(caffe2_pb2.CPU, 0)
    with core.DeviceScope(device):
        with core.NameScope("gpu_0"):
            reader.add_input(model, test_reader, args.batch_size, args.clip_length, 112, decode_type=1,
                             clip_per_video=args.clip_per_video, random_mirror=0, random_crop=0)
            resnet3d.create_model(model, args.num_labels, 112, args.clip_length, args.width, True)
    workspace.RunNetOnce(model.param_init_net)
    workspace.CreateNet(model.net)
    blobs.load(args.load_model_path, 'gpu_0/', device)
    data_parallel_model.FinalizeAfterCheckpoint(model)

    clip_hits, top1, top5, scores = 0, 0, 0, []
    for i in range(num_videos / args.batch_size):
        workspace.RunNet(model.net.Proto().name)
        softmax = workspace.FetchBlob('gpu_0/softmax')
        label = workspace.FetchBlob('gpu_0/label')
        for v in range(args.batch_size):
            rows = softmax[v * args.clip_per_video:(v + 1) * args.clip_per_video]
            truth = label[v * args.clip_per_video]
            clip_hits += sum([int(np.argmax(r) == truth) for r in rows])
            mean = np.mean(rows, axis=0)
            order = sorted(range(args.num_labels), cmp=lambda a, b: cmp(mean[b], mean[a]))
            top1 += int(order[0] == truth)
            top5 += int(truth in order[:5])
            scores.append(rows)
    cPickle.dump(np.array(scores), open(args.output_path, 'w'))
    clips = num_videos * args.clip_per_video
    print "Test accuracy: clip: {}, top 1: {}, top5: {}".format(
        float(clip_hits) / clips, float(top1) / num_videos, float(top5) / num_videos)


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description="test")
    for name, kind, default in (("test_data", str, None), ("load_model_path", str, None), ("output_path", str, None),
                                ("batch_size", int, 2), ("clip_per_video", int, 2), ("num_labels", int, 8),
                                ("clip_length", int, 2), ("width", float, 0.05)):
        parser.add_argument("--" + name, type=kind, default=default)
    args = parser.parse_args()
    for key, value in sorted(vars(args).iteritems()):
        print >> sys.stderr, key, value
    try:
        Test(args)
    except IOError, e:
        print e.message
        sys.exit(3)
