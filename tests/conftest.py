"""What every test starts from."""

import asyncio

# Otherwise pytest-asyncio, which looks for a loop to put back after a test, makes Python 3.11 create one that nobody
# closes: a ResourceWarning, and warnings are errors.
asyncio.set_event_loop(None)
