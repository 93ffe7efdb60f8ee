"""Arithmetic that several rooms share. Standard library only."""


def ceil_div(dividend: int, divisor: int) -> int:
    """The quotient of two whole numbers, rounded up."""
    return -(-dividend // divisor)
