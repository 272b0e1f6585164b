"""Change of RefinePose-B or ViTPose-B to size H: widths and ViTPose-H's recipe for them."""
encoder = dict(
    model=dict(
        backbone=dict(
            arch='huge',
            drop_path_rate=0.55,
            with_cp=True,  # recompute blocks in backward: less memory
            init_cfg=dict(checkpoint='https://download.openmmlab.com/mmpose/v1/pretrained_models/'
                          'mae_pretrain_vit_huge_20230913.pth')),
        head=dict(in_channels=1280)),
    optim_wrapper=dict(paramwise_cfg=dict(layer_decay_rate=0.85)))
