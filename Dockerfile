# syntax=docker/dockerfile:1
# docker build -t speech .               for NVIDIA GPUs
# docker build -t speech --target cpu .  for CPUs; docs/container.md has the rest

FROM python:3.11-slim-bookworm AS base
# Files are decoded by a library that comes with its wheel, and PyTorch's wheels bring CUDA: nothing
# of the distribution is needed. One uid, whose files a read-only container need not write.
RUN useradd --uid 1000 --create-home speech \
    && install -d -o speech -g speech /cache
# What models are downloaded into, unless they were baked in; /tmp is what else is written to.
ENV HF_HOME=/cache/huggingface \
    MPLCONFIGDIR=/tmp/matplotlib \
    TRITON_CACHE_DIR=/tmp/triton \
    PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    HOST=0.0.0.0 \
    PORT=8000
WORKDIR /app
EXPOSE 8000
STOPSIGNAL SIGTERM
# 200 while models load, too; who sends requests asks /ready.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health')"]
ENTRYPOINT ["speech"]
CMD ["serve"]

FROM base AS wheel
COPY pyproject.toml README.md LICENSE requirements.txt requirements-server.txt requirements-cli.txt ./
COPY speech_endpoint speech_endpoint
RUN --mount=type=cache,target=/root/.cache/pip \
    pip wheel --no-deps --wheel-dir /wheels .

# PyTorch without CUDA: 0.2 GB instead of 4. The rest comes from PyPI, and leaves it in place.
FROM base AS cpu-packages
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY requirements.txt requirements-server.txt requirements-cli.txt requirements.lock ./
RUN --mount=type=cache,target=/root/.cache/pip \
    grep -E '^torch(audio)?[<>=]' requirements.txt > torch.txt \
    && pip install --index-url "$TORCH_INDEX" -r torch.txt -c requirements.lock \
    && pip install -c requirements.lock -r requirements.txt -r requirements-server.txt -r requirements-cli.txt
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-deps /wheels/*.whl

FROM base AS cuda-packages
COPY requirements.txt requirements-server.txt requirements-cli.txt requirements.lock ./
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install -c requirements.lock -r requirements.txt -r requirements-server.txt -r requirements-cli.txt
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-deps /wheels/*.whl
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

# Loading them downloads the files that are needed, and no others:
# --build-arg MODELS="ASR_MODEL=openai/whisper-large-v3-turbo" --secret id=hf_token,env=HF_TOKEN
FROM cpu-packages AS models
ARG MODELS=""
USER 1000:1000
RUN --mount=type=secret,id=hf_token,env=HF_TOKEN,required=false \
    if [ -n "$MODELS" ]; then \
      env $MODELS DEVICE=cpu python -c "from speech_endpoint.config import ModelSettings; from speech_endpoint.pipeline import SpeechPipeline; SpeechPipeline(ModelSettings())"; \
    fi

FROM cpu-packages AS cpu
COPY --from=models --chown=speech:speech /cache /cache
USER 1000:1000

FROM cuda-packages AS cuda
COPY --from=models --chown=speech:speech /cache /cache
USER 1000:1000
