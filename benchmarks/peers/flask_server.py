"""Flask: its own threaded server, or waitress."""

import logging
import sys

from flask import Flask, Response, jsonify, request

from peers.engine import Engine

engine, app = Engine(), Flask(__name__)
port, how = int(sys.argv[1]), sys.argv[2]


@app.post("/binary")
def binary() -> Response:
    return Response(engine.of_bytes(request.get_data()), mimetype="application/octet-stream")


@app.post("/v1/models/m:predict")
def predict() -> Response:
    return jsonify(predictions=engine.of_list(request.get_json()["instances"]))


if how == "waitress":
    from waitress import serve

    serve(app, host="127.0.0.1", port=port, threads=8)
else:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app.run("127.0.0.1", port, threaded=True)
