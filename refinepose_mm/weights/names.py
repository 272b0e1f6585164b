"""What the parts of a plain ViT are called by others, as patterns and what they become."""

# What our names, which are mmpretrain's, are called elsewhere. Besides them the patterns make
# names for the parts that a rule of conversion.py turns into ours: attn.q, attn.k and attn.v,
# ls1 and ls2 (LayerScale), ffn.experts, attn.q_bias, attn.v_bias and attn.qkv.bias_mask.
TIMM_NAMES = {
    r'^blocks\.': 'layers.',
    r'\.norm(\d)\.': r'.ln\1.',
    r'\.mlp\.fc1\.': '.ffn.layers.0.0.',
    r'\.mlp\.fc2\.': '.ffn.layers.1.',
    r'\.mlp\.experts\.': '.ffn.experts.',
    r'\.ls(\d)\.gamma$': r'.ls\1',
    r'^(last_)?norm\.': 'ln1.',
    r'^patch_embed\.proj\.': 'patch_embed.projection.',
}
# Files say `encoder.layer.0.attention.attention.query`, models of transformers 5 in memory
# `layers.0.attention.q_proj`. `attention.output.dense` has to come before `output.dense`.
HUGGING_FACE_NAMES = {
    r'^encoder\.layer\.': 'layers.',
    r'\.(layernorm_before|norm1)\.': '.ln1.',
    r'\.(layernorm_after|norm2)\.': '.ln2.',
    r'\.attention\.attention\.([qkv])(uery|ey|alue)\.': r'.attn.\1.',
    r'\.attention\.([qkv])_proj\.': r'.attn.\1.',
    r'\.attention\.(output\.dense|o_proj)\.': '.attn.proj.',
    r'\.(intermediate\.dense|mlp\.fc1)\.': '.ffn.layers.0.0.',
    r'\.(output\.dense|mlp\.fc2)\.': '.ffn.layers.1.',
    r'\.mlp\.experts\.': '.ffn.experts.',
    r'\.layer_scale(\d)\.lambda1$': r'.ls\1',
    r'^layernorm\.': 'ln1.',
    r'^embeddings\.position_embeddings$': 'pos_embed',
    r'^embeddings\.patch_embeddings\.projection\.': 'patch_embed.projection.',
}
CLIP_NAMES = {**TIMM_NAMES, r'^norm_pre\.': 'pre_norm.'}
# LayerScale of DeiT-III, and of DINOv3 in timm.
GAMMA_NAMES = {**TIMM_NAMES, r'\.gamma_(\d)$': r'.ls\1'}
DINOV3_NAMES = {
    r'^(model\.)?layer\.': 'layers.',
    r'\.norm(\d)\.': r'.ln\1.',
    r'\.attention\.([qkv])_proj\.': r'.attn.\1.',
    r'\.attention\.o_proj\.': '.attn.proj.',
    r'\.mlp\.up_proj\.': '.ffn.layers.0.0.',
    r'\.mlp\.down_proj\.': '.ffn.layers.1.',
    r'\.layer_scale(\d)\.lambda1$': r'.ls\1',
    r'^norm\.': 'ln1.',
    r'^embeddings\.patch_embeddings\.': 'patch_embed.projection.',
}
