"""From a COCO json of anybody's joints to a project that trains: `refinepose check` and `new`."""
