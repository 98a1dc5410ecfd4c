#!/usr/bin/env python3
"""The job as a good Python script does it: a process a core for the pictures, boto3 to S3, threads for the paid calls.

    pipeline.py CAST.csv MODELS MANIFEST.json RATE

The services come from the environment that `castline sandbox` prints. For each row: read, decide (`decision.py`), scale,
upload, enroll, write the manifest. It keeps no ledger, resumes nothing and repeats nothing: it is what the time of a run is
compared with, not a replacement. Needs numpy, pillow, opencv-python-headless, onnxruntime, boto3, requests.
"""

import csv
import hashlib
import json
import os
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import boto3
import requests
from botocore.config import Config

BUCKET = os.environ["CASTLINE_S3_BUCKET"]
IN_FLIGHT = 8


def start(models):
    global detector, store
    from decision import Detector

    detector = Detector(models)
    store = boto3.client(
        "s3",
        endpoint_url=os.environ["CASTLINE_S3_ENDPOINT"],
        region_name=os.environ["CASTLINE_S3_REGION"],
        verify=os.environ["CASTLINE_TLS_CA_FILE"],
        config=Config(s3={"addressing_style": "path"}),
    )


def publish(path):
    """The key of an uploaded picture, or None where it doesn't show exactly one face."""
    from pictures import with_pillow

    data = Path(path).read_bytes()
    name = hashlib.sha256(data).hexdigest()
    rgb, jpeg = with_pillow(data)
    if detector.faces(rgb) != 1:
        return None
    key = f"peer/{name[:32]}.jpg"
    store.put_object(Bucket=BUCKET, Key=key, Body=jpeg, ContentType="image/jpeg")
    return key


class Pace:
    def __init__(self, rate):
        self.interval, self.due, self.lock = 1 / rate, 0.0, threading.Lock()

    def wait(self):
        with self.lock:
            self.due = max(time.monotonic(), self.due + self.interval)
            pause = self.due - time.monotonic()
        time.sleep(max(0, pause))


def main(cast, models, manifest, rate):
    with open(cast) as file:
        rows = [(row["name"], Path(cast).parent / row["image"]) for row in csv.DictReader(file)]
    session, pace, base = requests.Session(), Pace(float(rate)), os.environ["CASTLINE_API_BASE_URL"]
    session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=IN_FLIGHT))
    # A REQUESTS_CA_BUNDLE would go before the certificate of the sandbox.
    session.trust_env, session.verify = False, os.environ["CASTLINE_TLS_CA_FILE"]
    session.headers["Authorization"] = f"Bearer {os.environ['CASTLINE_API_KEY']}"
    endpoint = os.environ["CASTLINE_S3_ENDPOINT"].rstrip("/")

    def enroll(name, key):
        pace.wait()
        asked = {"name": name, "image_url": f"{endpoint}/{BUCKET}/{key}"}
        reply = session.post(f"{base}/portrait/enroll", json=asked, timeout=120)
        reply.raise_for_status()
        return reply.json()["asset_id"]

    with ProcessPoolExecutor(os.cpu_count(), initializer=start, initargs=(models,)) as looking:
        with ThreadPoolExecutor(IN_FLIGHT) as paying:
            published = looking.map(publish, [path for _, path in rows], chunksize=1)
            calls = {name: paying.submit(enroll, name, key) for (name, _), key in zip(rows, published) if key}
            ids = {name: call.result() for name, call in calls.items()}
    Path(manifest).write_text(json.dumps(ids, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
