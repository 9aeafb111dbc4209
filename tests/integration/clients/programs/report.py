"""How a client program tells what it saw: one line of JSON for each check, in the order in which they run."""

import json
from collections.abc import Callable


def run(*checks: Callable[[], object]) -> None:
    for check in checks:
        line: dict[str, object] = {"check": check.__name__}
        try:
            line["saw"] = check()
        except Exception as error:
            line["raised"] = described(error)
        print(json.dumps(line), flush=True)


def described(error: Exception) -> dict[str, object]:
    """An exception as its catcher finds it; libraries of one family have these attributes or lack them."""
    return {
        "types": [cls.__name__ for cls in type(error).__mro__],  # libraries derive from what others raise
        "status": getattr(error, "status_code", None),
        "code": getattr(error, "code", None),
        "param": getattr(error, "param", None),
        "message": str(error),
    }
