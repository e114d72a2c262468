"""Alerts by HTTP."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict
from urllib.parse import urlsplit

from ttp.telemetry.handlers.alert import Alert
from ttp.worker.context import current_task

TIMEOUT = 10.0  # seconds


def webhook(url: str) -> Callable[[Alert], None]:
    """What posts each alert to a URL as a JSON object; its task's id goes along as the Idempotency-Key.

    Args:
        url: http:// or https://. An answer other than 2xx is an error, so that the alert is posted again.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError("a webhook needs a URL of http:// or https://")

    def post(alert: Alert) -> None:
        headers = {"Content-Type": "application/json", "Idempotency-Key": current_task().id}
        request = urllib.request.Request(url, json.dumps(asdict(alert)).encode(), headers)  # noqa: S310 - checked above
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT):  # noqa: S310
                pass
        except urllib.error.HTTPError as error:
            with error:  # it holds the connection
                raise OSError(f"the webhook answered {error.code} {error.reason}") from None

    return post
