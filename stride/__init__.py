"""What training scripts import of Stride: the decorator `objective`, and the handle `Trial` that it gives them.

Standard library only. A script is run in a process that holds nothing else of Stride, so that its modules may have any names.
"""

from stride.declaration import objective
from stride.trial import Trial

__all__ = ["Trial", "objective"]
