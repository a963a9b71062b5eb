"""How hard the images are: every strength of the generator, from one number."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Conditions:
    """Ranges that random draws stay within. Lengths are shares of a sign's or image's side."""

    rotation_degrees: float
    tilt_degrees: float
    sign_size: tuple[float, float]
    offset: float
    fade: float
    clutter_shapes: float
    clutter_grain: tuple[float, float]
    occlusion_chance: float
    occlusion_share: float
    exposure: float
    shade: float
    contrast_loss: float
    blur: float
    noise: float

    @classmethod
    def of(cls, hardness: float) -> Conditions:
        """Conditions from 0 (clean, frontal, sharp) to 1 (people struggle too)."""

        def to(easy: float, hard: float) -> float:
            return easy + (hard - easy) * hardness

        return cls(
            rotation_degrees=to(0, 20),
            tilt_degrees=to(0, 50),
            sign_size=(to(0.85, 0.5), 0.95),
            offset=to(0.0, 0.16),
            fade=to(0.0, 0.6),
            clutter_shapes=to(3, 9),
            clutter_grain=(to(10, 40), to(5, 40)),
            occlusion_chance=to(0.0, 0.8),
            occlusion_share=to(0.1, 0.5),
            exposure=to(0.1, 0.9),
            shade=to(0.0, 0.8),
            contrast_loss=to(0.0, 0.6),
            blur=to(0.0, 0.05),
            noise=to(1.0, 22.0),
        )
