"""How often identities change, and how far keypoints are off, in films of toy people.

    python projects/video/identities.py
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from walkers import RATE, walk

from refinepose_mm.deploy.poses import Poses
from refinepose_mm.deploy.smoothing import Smoother
from refinepose_mm.deploy.tracking import Tracker, overlaps

SIGMAS = np.array([.026, .025, .025, .035, .035, .079, .079, .072, .072, .062, .062, .107, .107,
                   .087, .087, .089, .089])  # COCO's


class Noise(NamedTuple):
    """Of keypoints and boxes in heights of the body, and the share of persons not found."""

    keypoints: float
    boxes: float
    missing: float
    hidden: float  # whose box overlaps that of somebody nearer by this is not found


def film(rng: np.random.Generator, persons: int, frames: int, noise: Noise,
         turning: bool = False):
    """Pairs of who it is and Poses, as a detector and a network would find them."""
    for number, step in enumerate(walk(rng, persons, frames, turning)):
        heights = (step.boxes[:, 3] - step.boxes[:, 1])[:, None]
        kept = [person for person in range(persons) if rng.random() >= noise.missing and not (
            overlaps(step.boxes[person], step.boxes[person + 1:]) > noise.hidden).any()]
        scores = rng.uniform(.3, 1, (persons, 17))
        error = rng.normal(0, 1, step.keypoints.shape) * noise.keypoints * (1.3 - scores)[..., None]
        boxes = step.boxes + rng.normal(0, noise.boxes, step.boxes.shape) * heights
        poses = Poses((step.keypoints + error * heights[..., None])[kept], scores[kept],
                      boxes=boxes[kept])
        yield np.array(kept, int), step.keypoints[kept], poses, number / RATE


def switches(truth: list[np.ndarray], identities: list[np.ndarray]) -> int:
    """How often a person gets another identity than before."""
    last: dict[int, int] = {}
    count = 0
    for persons, numbers in zip(truth, identities):
        for person, number in zip(persons.tolist(), numbers.tolist()):
            count += last.get(person, number) != number
            last[person] = number
    return count


def _switches(frames: list, trust: float) -> int:
    """Changes in a film; with a trust of 0 in their scores, poses do not count."""
    tracker = Tracker(SIGMAS)
    return switches([people for people, *_ in frames], [
        tracker(replace(poses, scores=trust * poses.scores), time) for *_, poses, time in frames])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--films', type=int, default=20)
    parser.add_argument('--frames', type=int, default=75)
    args = parser.parse_args()
    print(f'{args.films} films of {args.frames} frames each; changes per film (films without one)')
    print('| persons | way | not found | boxes and poses | boxes alone |')
    print('|---|---|---|---|---|')
    for persons in (2, 4):
        for turning in (False, True):
            for missing, hidden in ((0, .5), (.1, .3)):
                noise = Noise(.03, .02, missing, hidden)
                counts = []
                for seed in range(args.films):
                    rng = np.random.default_rng([seed, persons])
                    frames = list(film(rng, persons, args.frames, noise, turning))
                    counts.append([_switches(frames, 1), _switches(frames, 0)])
                cells = [f'{changes.mean():.2f} ({np.mean(changes == 0):.0%})'
                         for changes in np.array(counts).T]
                what = f'behind others (IoU > {hidden})' + (
                    f', and {missing:.0%}' if missing else '')
                print(f'| {persons} | {"meet and go back" if turning else "pass each other"} | '
                      f'{what} | {" | ".join(cells)} |', flush=True)
    print('\nmean distance to the truth, % of the height:')
    raw, smooth, tremble = [], [], []
    for seed in range(args.films):
        smoother, before = Smoother(), None
        rng = np.random.default_rng([seed, 1])
        for _, truth, poses, time in film(rng, 1, args.frames, Noise(.03, .02, 0, 2)):
            height = poses.boxes[0, 3] - poses.boxes[0, 1]
            after = smoother(poses, time)
            error = (after - truth) / height
            raw.append(np.linalg.norm((poses.keypoints - truth) / height, axis=-1).mean())
            smooth.append(np.linalg.norm(error, axis=-1).mean())
            if before is not None:
                tremble.append([np.linalg.norm(each, axis=-1).mean() for each in (
                    (poses.keypoints - truth) / height - before[0], error - before[1])])
            before = (poses.keypoints - truth) / height, error
    change = np.mean(tremble, 0)
    print(f'as found {100 * np.mean(raw):.2f}, smoothed {100 * np.mean(smooth):.2f}; change of it '
          f'between frames: as found {100 * change[0]:.2f}, smoothed {100 * change[1]:.2f}')


if __name__ == '__main__':
    main()
