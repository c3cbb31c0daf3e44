# nnunetv2_strokesynth in a container; docs/how-to/several-gpus.md says how to build and run it.
#
# BASE:        an image with Python 3.10 or later. For a GPU either one with PyTorch in it
#              (pytorch/pytorch:...-runtime), or this one with PyTorch's CUDA build, which brings
#              CUDA with it.
# TORCH_INDEX: where pip finds PyTorch, if the base has none; empty for pip's own index (on Linux
#              the CUDA build). pytorch.org names the one of the CPU build.
ARG BASE=python:3.11-slim

FROM python:3.11-slim AS wheel
WORKDIR /source
COPY pyproject.toml setup.py README.md LICENSE ./
COPY nnunetv2_strokesynth nnunetv2_strokesynth
COPY dataset_conversion dataset_conversion
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM ${BASE}
ARG TORCH_INDEX=""
# torch.compile, which nnU-Net uses on a GPU, calls a C compiler (Triton) and a C++ compiler (what
# stays on the CPU).
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ libc6-dev \
    && rm -rf /var/lib/apt/lists/*
# Some bases forbid pip to write beside the system's packages.
ENV PIP_BREAK_SYSTEM_PACKAGES=1 PIP_NO_CACHE_DIR=1
# nnU-Net 2.8 refuses PyTorch 2.9: pip would later replace it, from its own index.
RUN python -c "import torch, torchvision" \
    || python -m pip install ${TORCH_INDEX:+--index-url "${TORCH_INDEX}"} "torch!=2.9.*" torchvision
COPY --from=wheel /wheels /wheels
RUN python -m pip install /wheels/*.whl && rm -rf /wheels
# Whoever runs it as a user of his own (--user) has no home and no name in the image; PyTorch's
# compiler asks for the name.
ENV HOME=/tmp USER=strokesynth MPLCONFIGDIR=/tmp/matplotlib \
    nnUNet_raw=/data/nnUNet_raw \
    nnUNet_preprocessed=/data/nnUNet_preprocessed \
    nnUNet_results=/data/nnUNet_results
WORKDIR /data
CMD ["strokesynth", "info"]
