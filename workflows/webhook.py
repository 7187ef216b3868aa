"""A word to a webhook when a rebuild ends. It can fail, be slow or be wrong: the rebuild does not mind."""

from __future__ import annotations

import json
import logging
import os
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

log = logging.getLogger("mimdata")

ATTEMPTS = 3
PATIENCE = 10.0  # seconds an attempt
PAUSE = 2.0  # seconds before the second attempt, twice that before the third


def tell(variable: str, content: Mapping[str, Any]) -> bool:
    """POST a JSON document to the URL that an environment variable holds; whether it was taken. Never raises.

    The URL is a secret: it appears in no message.
    """
    url = os.environ.get(variable, "")
    if not url:
        return False
    if not url.startswith(("https://", "http://")):
        log.warning("%s holds no http(s) URL: the webhook was not called", variable)
        return False
    body = json.dumps(content, ensure_ascii=False).encode()
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE * attempt)
        trouble = _post(url, body)
        if not trouble:
            return True
    log.warning("the webhook of %s did not answer in %d attempts: %s", variable, ATTEMPTS, trouble)
    return False


def _post(url: str, body: bytes) -> str:
    """One attempt; returns what went wrong."""
    try:
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return "" if answer.status < 300 else f"status {answer.status}"
    except urllib.error.HTTPError as error:
        return f"status {error.code}"
    except (OSError, ValueError) as error:
        return type(error).__name__
