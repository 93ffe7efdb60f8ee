"""What of an output folder is kept, and the removal of all else that this project made. Standard library only."""

from colorquant.retention.keep import Keep
from colorquant.retention.prune import Pruning, prune, pruned_before

__all__ = ["Keep", "Pruning", "prune", "pruned_before"]
