"""Poses of the persons in one image: keypoints with their names, scores, boxes and identities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas

LOWEST_SCORE = .2  # of a keypoint that counts for its person's score, as in MMPose's CocoMetric


class Heatmaps(NamedTuple):
    """Heatmaps of N persons and where their pixels lie in the image.

    Attributes:
        values: (N, K, H, W), float32.
        origins: (N, 2), pixels of the image, as (x, y): centre of each map's first pixel.
        steps: (N, 2), pixels of the image, as (x, y): between neighbours of a map.
    """

    values: np.ndarray
    origins: np.ndarray
    steps: np.ndarray


@dataclass
class Poses:
    """The keypoints of N persons.

    ``keypoints, scores = poses`` takes the first two.

    Attributes:
        keypoints: (N, K, 2) as (x, y) in pixels of the image.
        scores: (N, K): of a calibrated model, the probability that each keypoint is right; of
            another one, the heights of the heatmaps' maxima.
        names: Of the K keypoints.
        boxes: (N, 4) as (left, top, right, bottom) in pixels, in which the persons were looked
            for; None if unknown.
        box_scores: (N,), the detector's; None if unknown.
        identities: (N,), integers from 1, the same for a person in all frames of a video; None
            for photos.
        heatmaps: If they were asked for.
        expected_oks: (N,), of a calibrated model.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    names: tuple[str, ...] = ()
    boxes: np.ndarray | None = None
    box_scores: np.ndarray | None = None
    identities: np.ndarray | None = None
    heatmaps: Heatmaps | None = None
    expected_oks: np.ndarray | None = None

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter((self.keypoints, self.scores))

    def person_scores(self) -> np.ndarray:
        """Scores (N,) that rank persons.

        The expected OKS of a calibrated model; of another one, as MMPose's CocoMetric has it, the
        mean of a person's keypoint scores above 0.2, 0 if none is. Times the score of the box
        where that is known.
        """
        means = mean_of_high(self.scores) if self.expected_oks is None else self.expected_oks
        return means if self.box_scores is None else means * self.box_scores

    def to_dict(self) -> dict[str, list[dict[str, Any]]]:
        """What json can hold: ``{'persons': [...]}``, as in a line of ``predictions.jsonl``.

        A person has ``names`` (K), ``keypoints`` (K, 2), ``scores`` (K) and ``score``, and where
        they are known ``box`` (left, top, right, bottom), ``box_score`` and ``identity``.
        Coordinates have 2 decimals, scores 4.
        """
        persons = []
        for number, score in enumerate(self.person_scores()):
            person = dict(keypoints=self.keypoints[number].round(2).tolist(),
                          scores=self.scores[number].round(4).tolist(),
                          names=list(self.names), score=round(float(score), 4))
            if self.boxes is not None:
                person['box'] = np.round(self.boxes[number].astype(float), 2).tolist()
            if self.box_scores is not None:
                person['box_score'] = round(float(self.box_scores[number]), 4)
            if self.identities is not None:
                person['identity'] = int(self.identities[number])
            persons.append(person)
        return dict(persons=persons)

    def to_pandas(self) -> pandas.DataFrame:
        """A row for each person and keypoint, with the columns :data:`COLUMNS`.

        Raises:
            ImportError: If pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise ImportError('to_pandas needs pandas, which is not installed: pip install pandas'
                              ) from None
        return pandas.DataFrame(keypoint_rows(self.to_dict()['persons']), columns=list(COLUMNS))


def mean_of_high(scores: np.ndarray) -> np.ndarray:
    """The mean (N,) of scores (N, K) above 0.2, 0 if none is."""
    counted = scores > LOWEST_SCORE
    return (scores * counted).sum(1) / np.maximum(counted.sum(1), 1)


COLUMNS = ('person', 'identity', 'keypoint', 'x', 'y', 'score', 'person_score', 'left', 'top',
           'right', 'bottom', 'box_score')


def keypoint_rows(persons: list[dict[str, Any]]) -> Iterator[tuple]:
    """A row for each person and keypoint, in the order of :data:`COLUMNS`.

    Args:
        persons: As :meth:`Poses.to_dict` gives them; what is unknown becomes None.
    """
    for number, person in enumerate(persons):
        for name, (x, y), score in zip(person['names'], person['keypoints'], person['scores']):
            yield (number, person.get('identity'), name, x, y, score, person['score'],
                   *person.get('box', [None] * 4), person.get('box_score'))
