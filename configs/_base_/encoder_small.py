"""Change of RefinePose-B or ViTPose-B to size S: widths and ViTPose-S's recipe for them."""
encoder = dict(
    model=dict(
        backbone=dict(
            arch='small',
            drop_path_rate=0.1,
            init_cfg=dict(
                checkpoint='https://download.openmmlab.com/mmpose/v1/pretrained_models/'
                'mae_pretrain_vit_small_20230913.pth',
                num_heads=12)),  # not in the file; timm's ViT-S has 6
        head=dict(in_channels=384)),
    optim_wrapper=dict(paramwise_cfg=dict(layer_decay_rate=0.8)))
