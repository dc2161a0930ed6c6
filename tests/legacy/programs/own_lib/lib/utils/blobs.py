import cPickle as pickle
import numpy as np
from caffe2.python import workspace, core


def load(path, scope, device):
    with open(path) as f:
        src = pickle.load(f)
    if src.has_key('blobs'):
        src = src['blobs']
    names = src.keys()
    names.sort()
    count = 0
    for name in names:
        blob = scope + name
        if not workspace.HasBlob(blob): continue
        workspace.FeedBlob(blob, src[name].astype(np.float32), device_option=device)
        count += 1
    print "loaded %d of %d blobs" % (count, len(names))


def save(path, names, scope):
    blobs = dict((name[len(scope):], workspace.FetchBlob(name)) for name in names)
    with open(path, 'w') as f:
        pickle.dump({'blobs': blobs}, f, pickle.HIGHEST_PROTOCOL)
