# The one image of docker-compose.yaml, for Airflow and Spark alike: driver and workers must have the same Python and
# packages. To pin the base to a digest: PYTHON_IMAGE=python@sha256:... in .env.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE} AS packages
WORKDIR /build
COPY requirements.txt requirements-deploy.txt ./
# The lock is complete. With dependencies pip would look for `celery[redis]`, and not see that `celery` is locked.
RUN python -m venv /opt/venv \
 && /opt/venv/bin/python -m pip install --no-cache-dir --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-deploy.txt \
 && /opt/venv/bin/python -m pip check

# hadolint ignore=DL3006
FROM ${PYTHON_IMAGE}
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# No versions here: Debian removes a package's old version when it corrects it. The base image pins the release.
# hadolint ignore=DL3008
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends openjdk-17-jre-headless tini \
 && rm -rf /var/lib/apt/lists/*

# Spark needs a user with a name. This user owns the mounted folders: see AIRFLOW_UID in .env.
ARG AIRFLOW_UID=50000
ARG AIRFLOW_GID=50000
RUN { getent group "$AIRFLOW_GID" || groupadd --gid "$AIRFLOW_GID" airflow; } \
 && useradd --no-log-init --uid "$AIRFLOW_UID" --gid "$AIRFLOW_GID" --create-home airflow \
 && install -d -o "$AIRFLOW_UID" -g "$AIRFLOW_GID" /opt/airflow /opt/airflow/logs /var/lib/spark /var/lib/spark-events /var/cache/kmeans \
 && install -d -m 700 -o "$AIRFLOW_UID" -g "$AIRFLOW_GID" /run/kmeans \
 && touch /opt/airflow/airflow.cfg

COPY --from=packages /opt/venv /opt/venv
COPY . /opt/kmeans
# The probes of Airflow's Helm chart call /entrypoint, as its image has it.
RUN chmod -R a+rX /opt/kmeans && python -m compileall -q /opt/kmeans && ln -s /opt/kmeans/deploy/entrypoint.sh /entrypoint

ENV PATH=/opt/venv/bin:$PATH \
    SPARK_HOME=/opt/venv/lib/python3.11/site-packages/pyspark \
    AIRFLOW_HOME=/opt/airflow \
    XDG_CACHE_HOME=/var/cache/kmeans \
    PYTHONUNBUFFERED=1
LABEL org.opencontainers.image.title="kmeans-image-compression" \
      org.opencontainers.image.licenses="Apache-2.0"
USER ${AIRFLOW_UID}
WORKDIR /opt/kmeans
ENTRYPOINT ["tini", "--", "/opt/kmeans/deploy/entrypoint.sh"]
