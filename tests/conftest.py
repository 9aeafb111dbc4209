"""What every test starts from."""

import asyncio

from hypothesis import HealthCheck, settings

# Otherwise pytest-asyncio, which looks for a loop to put back after a test, makes Python 3.11 create one that nobody
# closes: a ResourceWarning, and warnings are errors.
asyncio.set_event_loop(None)

# The same examples on every machine, and none of them fails because the machine is slow.
settings.register_profile("suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")
