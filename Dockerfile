# syntax=docker/dockerfile:1
# Two images from one file:
#   service   the five services: light, without torch or Ray
#   compute   the same with the [compute] extra, for Ray's nodes and the example server
ARG PYTHON_IMAGE=python:3.12-slim-trixie

FROM ${PYTHON_IMAGE} AS base
ENV PATH=/opt/pioneer/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
# A new volume takes its owner from the folder it is mounted on.
RUN groupadd --gid 10001 pioneer \
 && useradd --uid 10001 --gid pioneer --create-home pioneer \
 && install -d -o pioneer -g pioneer /artifacts /models /var/lib/ray \
 && python -m venv /opt/pioneer
WORKDIR /src

# Lists of requirements by themselves: other edits of pyproject.toml leave the layers below alone.
FROM base AS requirements
COPY pyproject.toml .
RUN python - <<'PY'
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
Path("service.txt").write_text("\n".join(project["dependencies"]))
Path("compute.txt").write_text("\n".join(project["optional-dependencies"]["compute"]))
PY

FROM base AS service-packages
# For example "s3fs" where ARTIFACTS_URI is s3://…
ARG EXTRA_PACKAGES=""
COPY constraints.txt .
COPY --from=requirements /src/service.txt .
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --constraint constraints.txt --requirement service.txt ${EXTRA_PACKAGES}

FROM service-packages AS compute-packages
# For GPUs: https://download.pytorch.org/whl/cu130, or whatever the driver takes.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# "bitsandbytes" for bases in 4-bit (PIONEER_FOUR_BIT).
ARG COMPUTE_PACKAGES=""
COPY --from=requirements /src/compute.txt .
# torch alone comes from its own index; what it needs comes from PyPI with the rest.
RUN --mount=type=cache,target=/root/.cache/pip \
    pip install --no-deps --index-url "${TORCH_INDEX}" "$(grep '^torch==' compute.txt)" \
 && pip install --constraint constraints.txt --requirement compute.txt ${COMPUTE_PACKAGES}

FROM base AS source
COPY pyproject.toml README.md LICENSE ./
COPY shared shared
COPY services services
COPY examples examples

FROM service-packages AS service
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=bind,from=source,source=/src,target=/src,rw \
    pip install --no-deps .
USER pioneer
WORKDIR /home/pioneer
ENTRYPOINT ["pioneer"]

FROM compute-packages AS compute
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=bind,from=source,source=/src,target=/src,rw \
    pip install --no-deps .
USER pioneer
WORKDIR /home/pioneer
ENTRYPOINT ["pioneer"]
