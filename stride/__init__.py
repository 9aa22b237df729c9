"""What training scripts import of Stride: the decorator `objective`, the handle `Trial`, and its `steps` and `report`.

Standard library only. A script is run in a process that holds nothing else of Stride, so that its modules may have any names.
"""

from stride.declaration import objective
from stride.running import report, steps
from stride.trial import Trial

__all__ = ["Trial", "objective", "report", "steps"]
