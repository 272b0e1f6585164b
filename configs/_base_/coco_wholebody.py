"""COCO-WholeBody: 133 joints of body, feet, face and hands, 256x192, AP over all of them.

COCO_ROOT and COCO_BOXES as in coco.py; annotations/ also has coco_wholebody_{train,val}_v1.0.json.
"""
_base_ = './coco.py'

dataset_type = 'CocoWholeBodyDataset'
train_dataloader = dict(
    dataset=dict(type=dataset_type, ann_file='annotations/coco_wholebody_train_v1.0.json'))
val_dataloader = dict(
    dataset=dict(type=dataset_type, ann_file='annotations/coco_wholebody_val_v1.0.json'))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='CocoWholeBodyMetric',
    ann_file=f'{_base_.data_root}/annotations/coco_wholebody_val_v1.0.json')
test_evaluator = val_evaluator
