"""What the operator and the pods that it starts have agreed on: one side sets it up, the other relies on it."""

from typing import Final

EXIT_DONE: Final = 0
EXIT_RETRY: Final = 1
"""Something went wrong that another pod may not meet."""
EXIT_BAD_INPUT: Final = 42
"""Another pod would meet the same: the child Job is over."""
EXIT_DRAINED: Final = 143
"""Asked to stop, and stopped cleanly: no failure of the child Job."""

TERMINATION_LOG: Final = "/dev/termination-log"
"""Where the kubelet reads why a container ended (core/v1 terminationMessagePath, its default)."""

INPUT_PATH: Final = "/input"
"""Where the planning pod has the volume that the input is read from."""
OUTPUT_PATH: Final = "/output"
"""Where the finishing pod has the volume that the output is written to."""

POD_USER: Final = 65532
"""The user and the group that pods run as; the image's USER is the same."""

ARTIFACTS_AUDIENCE: Final = "splai-artifacts"
"""Of the tokens of SPLAI's own ServiceAccounts; ``splai-artifacts/<uid>`` of those that open one job's folder."""
