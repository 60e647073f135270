# A Docker Space, or any workstation: how it is built and run stands in README.md, "Host it".
FROM python:3.11-slim AS packages
COPY requirements.txt .
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --disable-pip-version-check -r requirements.txt

FROM python:3.11-slim
RUN useradd --uid 1000 --create-home arena
COPY --from=packages /venv /venv
WORKDIR /home/arena/app
COPY . .
# An empty volume takes its owner from the folder it is mounted on: without a /data of arena's, nothing could be written there.
# What was copied is made readable for arena, however private the files were where the image was built.
RUN mkdir /home/arena/data /data && chown arena:arena /home/arena/data /data && chmod -R a+rX .
USER arena
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 ARENA_HOST=0.0.0.0 ARENA_PORT=7860 ARENA_DATA_DIR=/home/arena/data
# Backups go to /data where something is mounted there (a Space's bucket, or a volume of yours), else beside the database:
# a folder of the image's own would be gone with the container. Commands that run beside the arena read this, too.
ENV ARENA_BACKUP_MOUNT=/data
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open(f'http://127.0.0.1:{os.environ[\"ARENA_PORT\"]}/healthz', timeout=4)"]
STOPSIGNAL SIGTERM
CMD ["python", "app.py"]
