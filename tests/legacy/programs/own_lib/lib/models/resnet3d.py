# 3D ResNet of ten layers for small experiments
import logging

log = logging.getLogger("resnet3d")

STAGES = ((64, (1, 1, 1)), (128, (2, 2, 2)), (256, (1, 2, 2)), (512, (1, 2, 2)))


def _conv_bn(model, blob, prefix, bn_prefix, (dim_in, dim_out), kernels, strides, is_test, **bn_args):
	pads = [k / 2 for k in kernels] * 2
	args = {'pads': pads} if max(pads) > 0 else {}
	blob = model.ConvNd(blob, prefix, dim_in, dim_out, kernels, strides=strides,
	                    weight_init=("MSRAFill", {}), no_bias=1, **args)
	return model.SpatialBN(blob, bn_prefix, dim_out, epsilon=1e-3, is_test=is_test, **bn_args)


def create_model(model, num_labels, crop_size, clip_length, width, is_test, loss_scale=1.0):
	"""width: of the blocks, a share of the usual 64, 128, 256, 512"""
	blob = _conv_bn(model, 'data', 'conv1', 'conv1_spatbn_relu', (3, 64), [3, 7, 7], [1, 2, 2], is_test, momentum=0.9)
	blob = model.Relu(blob, blob)
	dim_in = 64
	for i in xrange(len(STAGES)):
		dim, strides = int(STAGES[i][0] * width), list(STAGES[i][1])
		shortcut = blob
		for j, stride in ((1, strides), (2, [1, 1, 1])):
			blob = _conv_bn(model, blob, 'comp_%d_conv_%d' % (i, j), 'comp_%d_spatbn_%d' % (i, j),
			                (dim_in if j == 1 else dim, dim), [3, 3, 3], stride, is_test, momentum=0.9)
			if j <> 2:
				blob = model.Relu(blob, blob)
		name = 'shortcut_projection_%d' % i
		shortcut = _conv_bn(model, shortcut, name, name + '_spatbn', (dim_in, dim), [1, 1, 1], strides, is_test)
		blob = model.Sum([shortcut, blob], 'comp_%d_sum_2' % i)
		blob = model.Relu(blob, blob)
		dim_in = dim
	size = crop_size / 16
	blob = model.AveragePool(blob, 'final_avg', kernels=[(clip_length + 1) / 2, size, size], strides=[1, 1, 1])
	last_out = model.FC(blob, 'last_out_L{}'.format(num_labels), dim_in, num_labels)
	log.info('classifier: %s', last_out)
	softmax, loss = model.net.SoftmaxWithLoss([last_out, 'label'], ['softmax', 'loss'])
	model.net.Accuracy(['softmax', 'label'], 'accuracy')
	if is_test:
		return None
	return [model.net.Scale(loss, scale=loss_scale)]
