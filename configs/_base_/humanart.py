"""Human-Art with COCO, as its authors train: COCO's 17 joints, 256x192, AP.

HUMANART_ROOT has HumanArt/ and, for training, coco/. Tests take Human-Art's detected boxes, or
those of HUMANART_BOXES: gt, or the path of a detection file.
"""
_base_ = './crops_256x192.py'

# '{{$NAME:default}}' would paste quotes and backslashes of a path into this file as code.
data_root = __import__('os').environ.get('HUMANART_ROOT') or 'data/'
boxes = __import__('os').environ.get(
    'HUMANART_BOXES', f'{data_root}/HumanArt/person_detection_results/'
    'HumanArt_validation_detections_AP_H_56_person.json')
dataset_type = 'HumanArtDataset'
files = dict(type=dataset_type, data_root=data_root)
train_dataloader = dict(dataset=dict(
    files, ann_file='HumanArt/annotations/training_humanart_coco.json',
    pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(
    files, ann_file='HumanArt/annotations/validation_humanart.json', pipeline=_base_.val_pipeline))
test_dataloader = dict(
    dataset=dict(val_dataloader['dataset'], bbox_file=None if boxes == 'gt' else boxes))
val_evaluator = dict(
    type='CocoMetric', ann_file=f'{data_root}/HumanArt/annotations/validation_humanart.json')
test_evaluator = val_evaluator
