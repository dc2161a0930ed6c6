# VMZ on PyTorch (2.13, Python 3.11): today's CPUs, and with VARIANT=cuda today's GPUs (CUDA 13). docker/README.md.
#
#   docker build -f docker/torch.Dockerfile -t vmz-torch .
#   docker build -f docker/torch.Dockerfile -t vmz-torch:cuda --build-arg VARIANT=cuda .
#   docker run vmz-torch tools/test_net.py --help
#
# Debian 12, by date and digest.
ARG BASE=debian:bookworm-20261005-slim@sha256:7c7b2c966bc9ee8cedfeef67e0e279108992c77681fa595db4a9d65c06ccc587

FROM ${BASE} AS builder
# A time of snapshot.debian.org: packages as they were then. Empty: the base's own archive, with today's security fixes.
ARG SNAPSHOT=20261101T000000Z
COPY docker/apt_snapshot.sh /tmp/
RUN sh /tmp/apt_snapshot.sh "$SNAPSHOT" && apt-get -qq update \
    && DEBIAN_FRONTEND=noninteractive apt-get -qq upgrade -y >/dev/null \
    && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends python3 python3-venv >/dev/null

# cpu or cuda: which lock. The whole environment is in it, each file by its hash; --no-deps: nothing that is not in it.
# TORCH_INDEX: where PyTorch's build for CPUs is, besides PyPI; a file that lies in docker/wheels is taken from there.
ARG VARIANT=cpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY docker/torch-requirements-${VARIANT}.txt /tmp/lock.txt
COPY docker/wheels /tmp/wheels
RUN if [ "$VARIANT" != cpu ]; then TORCH_INDEX=; fi \
    && python3 -m venv /opt/vmz \
    && /opt/vmz/bin/python -m pip install --quiet --no-cache-dir --no-deps --require-hashes --only-binary :all: \
        --find-links /tmp/wheels ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} -r /tmp/lock.txt

# What only compiling against torch needs, and its makers' tests. import torch looks for torch_shm_manager.
RUN cd /opt/vmz/lib/python3.11/site-packages \
    && find torch/bin -type f ! -name torch_shm_manager -delete \
    && rm -rf torch/include torch/test torch/share \
    && find /opt/vmz -depth -name __pycache__ -exec rm -rf {} +


FROM ${BASE}
ARG SNAPSHOT=20261101T000000Z
COPY docker/apt_snapshot.sh docker/lock_down.sh /tmp/
RUN sh /tmp/apt_snapshot.sh "$SNAPSHOT" && apt-get -qq update \
    && DEBIAN_FRONTEND=noninteractive apt-get -qq upgrade -y >/dev/null \
    && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends python3 >/dev/null \
    && useradd --uid 1000 --create-home vmz && sh /tmp/lock_down.sh

COPY --from=builder /opt/vmz /opt/vmz
COPY LICENSE /vmz/
COPY lib /vmz/lib
COPY tools /vmz/tools
COPY data /vmz/data
COPY models_zoo /vmz/models_zoo
COPY docker/healthcheck.py docker/scan_image.py /vmz/docker/
RUN /opt/vmz/bin/python /vmz/docker/scan_image.py

# VMZ_ENGINE: what --engine is where nobody gives it. The NVIDIA container toolkit reads the last two: the driver comes
# from the host, CUDA from the wheels.
ENV PATH=/opt/vmz/bin:$PATH PYTHONPATH=/vmz/lib PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 VMZ_ENGINE=pytorch \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /vmz
USER 1000:1000
HEALTHCHECK --interval=10m --timeout=2m --start-period=2m CMD ["/opt/vmz/bin/python", "docker/healthcheck.py"]
ENTRYPOINT ["/opt/vmz/bin/python"]

# Last, for they change with every commit.
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="VMZ on PyTorch" \
      org.opencontainers.image.description="The video model zoo of Caffe2: test, train and extract features on PyTorch" \
      org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION \
      org.opencontainers.image.source=$SOURCE \
      org.opencontainers.image.licenses=Apache-2.0
