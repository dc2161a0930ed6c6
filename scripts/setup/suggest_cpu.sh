#!/bin/sh
# One line where PyTorch would come with CUDA to a machine without an NVIDIA driver. TORCH_GIVEN: not empty where it was chosen.
[ -z "$TORCH_GIVEN" ] && [ "$(uname -s)" = Linux ] || exit 0
if command -v nvidia-smi >/dev/null || [ -e /proc/driver/nvidia ]; then exit 0; fi
echo "No NVIDIA driver found. To save several GB of CUDA, stop this (Ctrl-C) and add TORCH=cpu: make setup TORCH=cpu" >&2
