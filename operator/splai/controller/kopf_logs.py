"""What kopf logs about single objects, made fit for our JSON and our volume."""

import logging


class _PlainRecords(logging.Filter):
    """Without the objects that kopf attaches for its own formatters: they do not become JSON."""

    def filter(self, record: logging.LogRecord) -> bool:
        for name in ("settings", "k8s_ref", "k8s_skip"):
            record.__dict__.pop(name, None)
        return True


def plain_records_only() -> None:
    """Per-object records only when something is wrong: the ordinary ones come with every event."""
    objects = logging.getLogger("kopf.objects")
    objects.setLevel(logging.WARNING)
    objects.addFilter(_PlainRecords())
