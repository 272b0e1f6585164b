"""Change of RefinePose-B or ViTPose-B to size L: widths and ViTPose-L's recipe for them."""
encoder = dict(
    model=dict(
        backbone=dict(
            arch='large',
            drop_path_rate=0.5,
            init_cfg=dict(checkpoint='https://download.openmmlab.com/mmpose/v1/pretrained_models/'
                          'mae_pretrain_vit_large_20230913.pth')),
        head=dict(in_channels=1024)),
    optim_wrapper=dict(paramwise_cfg=dict(layer_decay_rate=0.8)))
