"""A device's heat, simulated: what a governor is tried on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Plant:
    """A chip on a board in air: two resistances, two heat capacities.

    The chip gives its heat to the board through `chip_k_per_w`, the board to the air through
    `board_k_per_w`; power is `idle_w` plus a share of `load_w`. The defaults stand for a Raspberry
    Pi 5 without a cooler: about 10 K/W to still air, 8 W under full load, minutes to warm up. They
    are of that size, not measured on one.
    """

    ambient_c: float = 25.0
    idle_w: float = 3.0
    load_w: float = 5.0
    chip_k_per_w: float = 2.0
    board_k_per_w: float = 8.0
    chip_j_per_k: float = 5.0
    board_j_per_k: float = 60.0
    chip_c: float | None = None
    board_c: float | None = None

    def __post_init__(self) -> None:
        """Without temperatures of its own it starts where idling settles."""
        board = self.ambient_c + self.idle_w * self.board_k_per_w
        self.board_c = board if self.board_c is None else self.board_c
        chip = self.board_c + self.idle_w * self.chip_k_per_w
        self.chip_c = chip if self.chip_c is None else self.chip_c

    def settles_c(self, load: float) -> float:
        """Temperature of the chip after long enough at a share of full load."""
        power = self.idle_w + load * self.load_w
        return self.ambient_c + power * (self.chip_k_per_w + self.board_k_per_w)

    def run(self, load: float, seconds: float) -> float:
        """The chip's temperature after `seconds` at a share of full load (0 to 1).

        Euler steps of at most a hundredth of the faster time constant.
        """
        assert self.chip_c is not None and self.board_c is not None  # noqa: S101 (post_init)
        fastest = self.chip_k_per_w * min(self.chip_j_per_k, self.board_j_per_k)
        steps = max(int(seconds / (fastest / 100)) + 1, 1)
        step = seconds / steps
        power = self.idle_w + load * self.load_w
        for _ in range(steps):
            down = (self.chip_c - self.board_c) / self.chip_k_per_w
            out = (self.board_c - self.ambient_c) / self.board_k_per_w
            self.chip_c += step * (power - down) / self.chip_j_per_k
            self.board_c += step * (down - out) / self.board_j_per_k
        return self.chip_c
