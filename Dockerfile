# A Docker Space, or any workstation: docker build -t coaia-arena . && docker run -p 7860:7860 -v arena:/home/arena coaia-arena
FROM python:3.11-slim AS packages
COPY requirements.txt .
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --disable-pip-version-check -r requirements.txt

FROM python:3.11-slim
RUN useradd --uid 1000 --create-home arena
COPY --from=packages /venv /venv
WORKDIR /home/arena/app
COPY . .
RUN mkdir /home/arena/data && chown arena:arena /home/arena/data
USER arena
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 ARENA_HOST=0.0.0.0 ARENA_PORT=7860 ARENA_DATA_DIR=/home/arena/data
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"ARENA_PORT\"]}/healthz', timeout=4)"]
STOPSIGNAL SIGTERM
# Backups go to /data where something is mounted there: a Space's bucket, or a volume of yours.
CMD ["sh", "-c", "[ ! -d /data ] || export ARENA_BACKUP_DIR=${ARENA_BACKUP_DIR:-/data}; exec python app.py"]
