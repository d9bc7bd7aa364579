"""FastAPI on uvicorn, with uvloop and httptools."""

import sys
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response

from peers.engine import Engine

engine, app = Engine(), FastAPI()


@app.post("/binary")
async def binary(request: Request) -> Response:
    made = engine.of_bytes(await request.body())
    return Response(made, media_type="application/octet-stream")


@app.post("/v1/models/m:predict")
async def predict(request: Request) -> dict[str, Any]:
    return {"predictions": engine.of_list((await request.json())["instances"])}


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
