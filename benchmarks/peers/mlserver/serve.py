"""Starts MLServer with the models of MODEL_FILES, as `mlserver start` does with a folder of settings.

A model named in POOLED runs in the WORKERS processes beside the server, any other in the
server's own process: to hand a small model's request over costs more than to run it.
"""

import asyncio
import glob
import os

from mlserver import MLServer, ModelSettings, Settings
from mlserver.logging import configure_logger
from mlserver.settings import ModelParameters
from mlserver.utils import install_uvloop_event_loop


async def main():
    pooled = os.environ["POOLED"].split(",")
    files = {path.split("/")[-3]: path for path in glob.glob(os.environ["MODEL_FILES"])}
    settings = Settings(
        debug=False,
        host="127.0.0.1",
        http_port=int(os.environ["PORT"]),
        grpc_port=0,  # any that is free; there is no switch
        parallel_workers=int(os.environ["WORKERS"]) if set(pooled) & set(files) else 0,
        metrics_endpoint=None,
        gzip_enabled=False,
        logging_settings={
            "version": 1,
            "disable_existing_loggers": False,
            "loggers": {"mlserver": {"level": "ERROR"}, "uvicorn": {"level": "WARNING"}},
        },
    )
    models = []
    for name, path in files.items():
        where = {} if name in pooled else {"parallel_workers": 0}
        models.append(
            ModelSettings(
                name=name,
                implementation="runtime.OnnxModel",
                parameters=ModelParameters(uri=path, version="1"),
                **where,
            )
        )
    await MLServer(settings).start(models)


if __name__ == "__main__":  # workers are spawned and import this file
    configure_logger()
    install_uvloop_event_loop()
    asyncio.run(main())
