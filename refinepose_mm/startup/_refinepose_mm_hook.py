"""Written by `refinepose doctor --install-hook`; `refinepose doctor --remove-hook` removes it.

It lets scripts that import MMPose find the repairs of refinepose_mm. A start of Python pays for one
small object: everything else waits for the first import of a package that may need repair. With a
complete mmcv, or without refinepose_mm, nothing happens.
"""

import sys

PACKAGES = ('mmcv', 'mmdet', 'mmengine', 'mmpose', 'mmpretrain', 'torchvision')


class FirstImport:
    """Finds nothing of its own; at the first of the packages it brings in refinepose_mm."""

    def find_spec(self, name, path=None, target=None):
        if name not in PACKAGES:
            return None
        sys.meta_path.remove(self)
        from importlib.machinery import PathFinder
        from importlib.util import find_spec
        mmcv = find_spec('mmcv')
        folders = mmcv and mmcv.submodule_search_locations
        if not folders or PathFinder.find_spec('mmcv._ext', folders) is None:
            try:
                import refinepose_mm  # noqa: F401
            except ModuleNotFoundError:
                pass
        return find_spec(name)  # asks all finders anew, those of refinepose_mm among them


sys.meta_path.insert(0, FirstImport())
