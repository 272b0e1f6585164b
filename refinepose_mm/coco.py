"""What MMPose uses of xtcocotools, on pycocotools: for where xtcocotools does not import.

xtcocotools is pycocotools with other scales of joints, areas from boxes, parts of the body and
CrowdPose's levels. Here the annotations are prepared so that pycocotools' own evaluation of
keypoints gives all of these. Results equal xtcocotools' (tests/test_coco.py).
"""

from __future__ import annotations

import contextlib
import io
import json
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from pycocotools import coco, cocoeval

BODY = ('keypoints', )
HANDS_FACE_FEET = ('foot_kpts', 'face_kpts', 'lefthand_kpts', 'righthand_kpts')
PARTS = {  # type of evaluation -> keys of its joints and of its score
    'keypoints': (BODY, 'score'),
    'keypoints_body': (BODY, 'score'),
    'keypoints_crowd': (BODY, 'score'),
    'keypoints_wholebody': (BODY + HANDS_FACE_FEET, 'wholebody_score'),
    **{f'keypoints_{key[:-5]}': ((key, ), f'{key[:-5]}_score') for key in HANDS_FACE_FEET},
}
AREA_OF_BOX = .53  # a person's share of its box, where the area is not annotated
CROWD_LEVELS = .2, .8  # CrowdPose's index: easy below the first, hard from the second


class COCO(coco.COCO):
    """Annotations of a file; those without `iscrowd` are no crowds."""

    def __init__(self, annotation_file: str | None = None):
        super().__init__(annotation_file)
        self.dataset.setdefault('info', {})  # pycocotools 2.0.10 reads it
        for annotation in self.dataset.get('annotations', []):
            annotation.setdefault('iscrowd', False)

    def loadRes(self, results: str | list[dict]) -> coco.COCO:  # noqa: N802
        """Results of a file, or as a list; there may be none, which pycocotools does not expect."""
        if isinstance(results, str):
            with open(results) as file:
                results = json.load(file)
        if results:
            return super().loadRes(results)
        empty = COCO()
        empty.dataset.update(images=list(self.dataset['images']), annotations=[])
        empty.createIndex()
        return empty


class COCOeval(cocoeval.COCOeval):
    """Average precision and recall of keypoints.

    Args:
        ground_truth: The annotations.
        detections: What `loadRes` of the annotations returned.
        kind: A key of ``PARTS``.
        sigmas: (K, ), the scale of each joint; default: COCO's 17.
        use_area: Whether a person's size is the annotated area, or a share of the box.

    Raises:
        ValueError: If the kind of evaluation is unknown.
    """

    def __init__(self, ground_truth: COCO, detections: coco.COCO, kind: str = 'keypoints',
                 sigmas: Sequence[float] | None = None, use_area: bool = True):
        if kind not in PARTS:
            raise ValueError(f'type of evaluation must be one of {", ".join(PARTS)}, got {kind}')
        super().__init__(ground_truth, detections, 'keypoints')
        self.kind, self.use_area = kind, use_area
        if sigmas is not None:
            self.params.kpt_oks_sigmas = np.asarray(sigmas)

    def _prepare(self) -> None:
        keys, score = PARTS[self.kind]
        self._gts, self._dts = defaultdict(list), defaultdict(list)
        for annotation in self._annotations(self.cocoGt):
            joints = np.concatenate([annotation[key] for key in keys])
            labelled = (annotation['num_keypoints'] if self.kind == 'keypoints_crowd'
                        else np.count_nonzero(joints[2::3] > 0))
            _, _, width, height = annotation['bbox']
            area = annotation['area'] if self.use_area else width * height * AREA_OF_BOX
            self._gts[annotation['image_id'], annotation['category_id']].append({
                **annotation, 'keypoints': joints, 'area': area,
                'ignore': annotation['iscrowd'] or labelled == 0,
                'id': annotation['id'] or -1,  # pycocotools takes 0 for "no match"
            })
        for detection in self._annotations(self.cocoDt):
            joints = np.concatenate([detection[key] for key in keys])
            if (joints[2::3] > 0).any():
                self._dts[detection['image_id'], detection['category_id']].append({
                    **detection, 'keypoints': joints,
                    'score': detection.get(score, detection['score'])})

    def _annotations(self, source: coco.COCO) -> list[dict]:
        categories = self.params.catIds if self.params.useCats else []
        return source.loadAnns(source.getAnnIds(imgIds=self.params.imgIds, catIds=categories))

    def summarize(self) -> None:
        """Print the means and put them into `stats`; for CrowdPose 9, for others 10."""
        super().summarize()
        if self.kind == 'keypoints_crowd':
            levels = [self._mean_precision(images) for images in self._crowd_levels()]
            self.stats = np.concatenate([self.stats[[0, 1, 2, 5, 6, 7]], levels])
            print(' AP of easy, medium and hard images: {:.3f}, {:.3f}, {:.3f}'.format(*levels))

    def _crowd_levels(self) -> list[list[int]]:
        images = self.cocoGt.dataset['images']
        level = np.digitize([image['crowdIndex'] for image in images], CROWD_LEVELS)
        return [[image['id'] for image, its in zip(images, level) if its == wanted]
                for wanted in range(3)]

    def _mean_precision(self, images: list[int]) -> float:
        self.params.imgIds = images
        with contextlib.redirect_stdout(io.StringIO()):
            self.evaluate()
            self.accumulate()
        return round(np.mean(self.eval['precision'][:, :, :, 0, :]), 4)
