"""Change of a COCO config to a test on OCHuman: COCO's 17 joints of persons that overlap.

OCHUMAN_ROOT has annotations/ and images/; OCHUMAN_SPLIT is test (the default) or val. OCHuman has
no training set. Boxes are the annotated ones.
"""
# '{{$NAME:default}}' would paste quotes and backslashes of a path into this file as code.
ochuman_root = __import__('os').environ.get('OCHUMAN_ROOT') or 'data/ochuman/'
ochuman_split = __import__('os').environ.get('OCHUMAN_SPLIT', 'test')
ochuman_file = f'annotations/ochuman_coco_format_{ochuman_split}_range_0.00_1.00.json'

ochuman = dict(
    test_dataloader=dict(
        dataset=dict(
            type='OCHumanDataset',
            data_root=ochuman_root,
            ann_file=ochuman_file,
            bbox_file=None,
            data_prefix=dict(img='images/'))),
    test_evaluator=dict(ann_file=f'{ochuman_root}/{ochuman_file}'))
