import resnet3d  # a neighbour, as Python 2 finds it
