"""What a Python executes at its start, so that scripts which know nothing of us find the repairs.

Neither file is imported from here: ``refinepose run`` puts this folder into ``PYTHONPATH``, where
Python finds ``sitecustomize``; ``refinepose doctor --install-hook`` copies
``_refinepose_mm_hook`` into site-packages.
"""
