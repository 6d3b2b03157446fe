"""What gunicorn itself has to say, in the same lines of JSON as the API's."""

from typing import Any

from gunicorn.glogging import Logger

from api.access_log import JsonLines


class Log(Logger):
    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(JsonLines())
