# Built in one stage, run in another; no compiler, no pip, no root in what runs.
FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv --without-pip /app && python -m venv --without-pip /build
COPY requirements.lock requirements-build.lock ./
RUN pip --python /app/bin/python install --no-cache-dir --require-hashes -r requirements.lock
RUN pip --python /build/bin/python install --no-cache-dir --require-hashes -r requirements-build.lock
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY gateway gateway
COPY adapters adapters
COPY config config
RUN /build/bin/python -m hatchling build -t wheel -d /dist
RUN pip --python /app/bin/python install --no-cache-dir --no-index --no-deps /dist/*.whl

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /data modgate && install -d -o modgate -g modgate -m 700 /data
COPY --from=build /app /app
COPY deploy/container/gateway.yaml /etc/modgate/gateway.yaml
COPY deploy/container/health.py /app/health.py
COPY config/policies /etc/modgate/policies
ENV PATH=/app/bin:$PATH MODGATE_CONFIG=/etc/modgate/gateway.yaml PYTHONDONTWRITEBYTECODE=1
# In memory, so that it is there where the file system is read-only, and gone when the container starts again
ENV MODGATE_ADDRESS_FILE=/dev/shm/modgate.address
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["python", "-IS", "/app/health.py"]
CMD ["modgate", "serve"]
