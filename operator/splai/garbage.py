"""Python's search for cycles of objects, for processes that make many objects and few cycles."""

import gc


def collect_garbage_seldom() -> None:
    """Look for cycles seldom, and never again among what there is at the start.

    Records, requests and their answers, and what an apiserver tells, refer to each other in no cycle, so they are freed
    without a search: one after each 700 objects, which is the default, finds nothing and takes several per cent of the
    time.
    """
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
