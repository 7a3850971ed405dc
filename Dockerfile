# Built in one stage, run in another; no compiler, no pip, no root in what runs.
FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv --without-pip /app
COPY requirements.lock ./
RUN pip --python /app/bin/python install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY gateway gateway
COPY adapters adapters
COPY config config
RUN pip --python /app/bin/python install --no-cache-dir --no-deps .

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /data modgate && install -d -o modgate -g modgate -m 700 /data
COPY --from=build /app /app
COPY deploy/container/gateway.yaml /etc/modgate/gateway.yaml
COPY config/policies /etc/modgate/policies
ENV PATH=/app/bin:$PATH MODGATE_CONFIG=/etc/modgate/gateway.yaml PYTHONDONTWRITEBYTECODE=1
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
CMD ["modgate", "serve"]
