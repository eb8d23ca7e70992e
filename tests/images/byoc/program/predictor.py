"""Answers /ping and /invocations from the tree in /opt/ml/model; CSV in, one label a line out."""

import io
import pickle
from pathlib import Path

import numpy as np
from flask import Flask, Response, request

MODEL = Path("/opt/ml/model/decision-tree.pkl")
app = Flask(__name__)


@app.get("/ping")
def ping() -> Response:
    return Response(status=200 if MODEL.exists() else 404)


@app.post("/invocations")
def invocations() -> Response:
    if request.mimetype != "text/csv":
        return Response("only text/csv is understood", status=415, mimetype="text/plain")
    rows = np.loadtxt(io.BytesIO(request.data), delimiter=",", ndmin=2)
    with MODEL.open("rb") as kept:
        labels = pickle.load(kept).predict(rows)
    return Response("".join(f"{label}\n" for label in labels), mimetype="text/csv")
