from caffe2.python import core


def create_reader(model, name, path):
    if not isinstance(path, basestring):
        raise TypeError, "path of a database"
    return model.param_init_net.CreateDB([], name, db=path, db_type='lmdb')


def add_input(model, reader, batch_size, length, crop_size, **kwargs):
    data, label = model.net.VideoInput(
        reader, ["data", "label"], name="data",
        batch_size=batch_size, length_rgb=length, sampling_rate_rgb=1, crop_size=crop_size,
        scale_h=128, scale_w=171, num_decode_threads=1, **kwargs)
    data = model.net.StopGradient(data, data)
