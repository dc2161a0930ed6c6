"""A program as people wrote them for the original's lib: it scores an LMDB on the CPU, in scope gpu_0.

python score_clips.py MODEL_ARGUMENTS_AS_JSON READER_ARGUMENTS_AS_JSON LMDB WEIGHTS
"""

from __future__ import absolute_import, division, print_function  # noqa: UP010

import json
import logging
import sys

import models.model_builder as model_builder
import numpy as np
import utils.model_helper as model_helper
import utils.model_loader as model_loader
from caffe2.proto import caffe2_pb2
from caffe2.python import cnn, core, workspace
from utils import metric, reader_utils

log = logging.getLogger("score_clips")
log.setLevel(logging.INFO)


def main(network, reading, database, weights):
    assert model_builder.model_validation(
        network["model_name"], network["model_depth"], network["clip_length"], network["crop_size"]
    )
    model = cnn.CNNModelHelper(order="NCHW", name="scoring", use_cudnn=True, cudnn_exhaustive_search=True)
    reader, number_of_examples = reader_utils.create_data_reader(model, name="test_reader", input_data=database)
    device = core.DeviceOption(caffe2_pb2.CPU, 0)
    with core.DeviceScope(device), core.NameScope("gpu_{}".format(0)):  # noqa: UP032
        model_helper.AddVideoInput(model, reader, input_type=0, **reading)
        model_builder.build_model(model=model, is_test=1, loss_scale=1.0, batch_size=1, **network)
    workspace.RunNetOnce(model.param_init_net)
    workspace.CreateNet(model.net)
    model_loader.LoadModelFromPickleFile(model, weights, use_gpu=False)

    several, clips = network["multi_label"], reading["clip_per_video"]
    clip_hits = hits = top_hits = 0
    scores, labels = [], []
    for _ in range(number_of_examples):
        workspace.RunNet(model.net.Proto().name)
        predicts = workspace.FetchBlob("gpu_0/prob" if several else "gpu_0/softmax")
        label = workspace.FetchBlob("gpu_0/label")
        scores.append(np.mean(predicts, axis=0))
        labels.append(label[0])
        if not several:
            for clip in range(clips):
                clip_hits += metric.accuracy_metric(predicts[clip, :], label[clip])[0]
            top1, topk = metric.accuracy_metric(scores[-1], label[0], 5)
            hits, top_hits = hits + top1, top_hits + topk
    if several:
        auc, ap, wap, aps = metric.mean_ap_metric(np.array(scores), np.array(labels))
        log.info("Test mAUC: {}, mAP: {}, mWAP: {}, mAP_all: {}".format(auc, ap, wap, np.mean(aps)))  # noqa: UP032
    else:
        log.info(
            "Test accuracy: clip: {}, top 1: {}, top{}: {}".format(  # noqa: UP032
                clip_hits / number_of_examples / clips, hits / number_of_examples, 5, top_hits / number_of_examples
            )
        )
    flops, params, inters = model_helper.GetFlopsAndParams(model)
    log.info("FLOPs: {}, params: {}, inters: {}".format(flops, params, inters))  # noqa: UP032


if __name__ == "__main__":
    workspace.GlobalInit(["caffe2", "--caffe2_log_level=2"])
    main(json.loads(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3], sys.argv[4])
