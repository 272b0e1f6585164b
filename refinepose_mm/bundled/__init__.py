"""Models that ship with the package, by name; each has a config, weights and a model card here."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

DEMO = 'demo'
NAMES = (DEMO, )


class Bundled(NamedTuple):
    """The files of a bundled model."""

    config: Path
    weights: Path
    card: Path


def bundled(name: str) -> Bundled:
    """The files of a bundled model.

    Raises:
        ValueError: If no model has this name.
    """
    if name not in NAMES:
        raise ValueError(f'no bundled model is called {name!r}; there is {", ".join(NAMES)}')
    folder = Path(__file__).parent
    return Bundled(*(folder / f'{name}{suffix}' for suffix in ('.py', '.safetensors', '.md')))


def config_and_weights(config: str | Path,
                       weights: str | Path | None) -> tuple[str | Path, str | Path]:
    """The two files of a model, given by its paths or by the name of a bundled one.

    Args:
        config: Path of a config, or the name of a bundled model.
        weights: Path of its weights; None for those of a bundled model.

    Raises:
        ValueError: If there are no weights for a config that is not bundled.
    """
    if str(config) in NAMES and not Path(config).is_file():
        files = bundled(str(config))
        return files.config, files.weights if weights is None else weights
    if weights is None:
        raise ValueError(f'{config} needs weights; without them the config must be the name of a '
                         f'bundled model: {", ".join(NAMES)}')
    return config, weights
