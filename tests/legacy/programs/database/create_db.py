#!/usr/bin/env python
"""Makes an LMDB of videos from a list. Python 2."""
import argparse, csv, os, random, sys
import lmdb
from caffe2.proto import caffe2_pb2


def write(args):
    with open(args.list_file, 'rb') as f:
        rows = [r for r in csv.DictReader(f)]
    env = lmdb.open(args.output_file, map_size=1 << 30)
    with env.begin(write=True) as txn:
        for index, row in enumerate(rows):
            protos = caffe2_pb2.TensorProtos()
            video = protos.protos.add()
            video.data_type = 4
            if args.use_local_file:
                video.string_data.append(row['org_video'])
            else:
                video.string_data.append(open(row['org_video'], 'r').read())
            label = protos.protos.add()
            label.data_type = 2
            label.int32_data.append(int(row['label']))
            txn.put('%08d' % index, protos.SerializeToString())
    with open(args.output_file + '.csv', 'wb') as f:
        writer = csv.writer(f)
        writer.writerow(['key', 'first'])
        with env.begin() as txn:
            for key, value in txn.cursor():
                p = caffe2_pb2.TensorProtos()
                p.ParseFromString(value)
                content = p.protos[0].string_data[0]
                writer.writerow([key, content if args.use_local_file else len(content)])
    print 'wrote', len(rows), 'records,', len(rows) / 2, 'pairs'


parser = argparse.ArgumentParser()
parser.add_argument('--list_file'); parser.add_argument('--output_file')
parser.add_argument('--use_local_file', type=int, default=0)
write(parser.parse_args())
