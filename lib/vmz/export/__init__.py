"""A loaded model in a form that other programs run: ONNX, torch.export, Caffe2 nets."""
