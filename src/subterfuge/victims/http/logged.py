"""What urllib3 logs of requests, without addresses and without what servers say: either may hold a key."""

from __future__ import annotations

import logging
import re

LOGGERS = ("urllib3.connection", "urllib3.connectionpool", "urllib3.poolmanager", "urllib3.util.retry")


def keep_quiet() -> None:
    """Have urllib3 log without secrets, from now on; once or often."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(without_address)


def without_address(record: logging.LogRecord) -> bool:
    """Take out of a record what follows the host of an address, its user, and what came of an error."""
    text = record.getMessage()
    if record.exc_info:  # its words are the server's, beside the address
        text = f"{text.partition(' (')[0]} [...]"
    record.msg, record.args = cut(text), ()
    record.exc_info = record.exc_text = record.stack_info = None
    return True


def cut(text: str) -> str:
    """Give a text whose addresses end behind the host.

    >>> cut('http://host:80 "POST /score?key=1 HTTP/1.1" 200 5')
    'http://host:80 "POST [...] HTTP/1.1" 200 5'
    >>> cut("Retry: /score?key=1"), cut("Redirecting https://me:p/w@host/score?key=1 -> /b?key=1")
    ('Retry: [...]', 'Redirecting https://host[...] -> [...]')
    """
    text = re.sub(r'("[A-Z]+) .*? (HTTP/)', r"\1 [...] \2", text)
    text = re.sub(r"(://)\S*@", r"\1", text)
    text = re.sub(r"(://[^\s/?#]*)[/?#]\S*", r"\1[...]", text)
    return re.sub(r"\S*\?\S*", "[...]", text)
