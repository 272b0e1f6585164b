import pytest
import torch

from refinepose_mm.models import ShortcutViT
from refinepose_mm.models.shortcut_vit import ARCHS, Arch, resize_pos_embed
from refinepose_mm.models.vit_layers import ACTIVATIONS, rotate, rotations

TINY = dict(embed_dims=32, num_layers=4, num_heads=4, feedforward_channels=64)


def tiny_vit(**arguments):
    arguments = dict(arch=TINY, img_size=(64, 48), group_size=2) | arguments
    model = ShortcutViT(**arguments)
    model.init_weights()
    return model


FAMILIES = [dict(eps=1e-2), dict(activation='gelu_tanh'), dict(activation='quick_gelu'),
            dict(layer_scale=True), dict(pre_norm=True), dict(rope=100.)]


@pytest.mark.parametrize('arch', ARCHS)
def test_output_shape_of_every_arch(arch):
    with torch.device('meta'):
        features = ShortcutViT(arch, img_size=(256, 192))(torch.empty(2, 3, 256, 192))
    width = ARCHS[arch].embed_dims
    assert features[-1].shape == (2, width, 16, 12)
    assert [p.shape for p in features.positions] == [(2, width // 2, 32, 24), (2, width, 16, 12)]


def embed(model, image):
    positions, tokens = model.patch_embed(image)
    return positions, tokens.flatten(2).transpose(1, 2) + model.pos_embed


@pytest.mark.parametrize('shortcut', ['identity', 'gated', 'none'])
def test_shortcut_equals_the_formula(shortcut):
    model = tiny_vit(shortcut=shortcut).eval()
    if shortcut == 'gated':
        model.gates.data = torch.tensor([.5, -2.])
    gate = {'identity': [1, 1], 'gated': [.5, -2.], 'none': [0, 0]}[shortcut]
    image = torch.randn(2, 3, 64, 48)
    _, x = embed(model, image)
    for group in range(2):  # sec. 3.3: x <- x + group(x)
        first, second = model.layers[2 * group:2 * group + 2]
        x = gate[group] * x + second(first(x))
    expected = model.ln1(x).transpose(1, 2).reshape(2, 32, 4, 3)
    torch.testing.assert_close(model(image).feature_map, expected)


def test_gated_shortcut_starts_as_the_plain_vit():
    plain, gated = tiny_vit(shortcut='none').eval(), tiny_vit(shortcut='gated').eval()
    missing = gated.load_state_dict(plain.state_dict(), strict=False)
    assert missing.missing_keys == ['gates'] and not missing.unexpected_keys
    image = torch.randn(1, 3, 64, 48)
    assert torch.equal(plain(image).feature_map, gated(image).feature_map)


def test_checkpointing_changes_neither_output_nor_gradients():
    plain, recomputing = tiny_vit(), tiny_vit(with_cp=True)
    recomputing.load_state_dict(plain.state_dict())
    image = torch.randn(2, 3, 64, 48)
    outputs = [model.train()(image).feature_map for model in (plain, recomputing)]
    assert torch.equal(*outputs)
    for output in outputs:
        output.square().sum().backward()
    for (name, p), (_, q) in zip(plain.named_parameters(), recomputing.named_parameters()):
        torch.testing.assert_close(p.grad, q.grad, msg=name)


@pytest.mark.parametrize('family', FAMILIES)
def test_families_of_vits_train_and_differ(family):
    """Every parameter gets a gradient, with and without recomputation, and the field matters."""
    arch = dict(TINY, **family)
    plain, recomputing = tiny_vit(arch=arch), tiny_vit(arch=arch, with_cp=True)
    names = [name for name in plain.state_dict() if '.ls' in name or 'pre_norm' in name]
    assert len(names) == {'layer_scale': 8, 'pre_norm': 2}.get(next(iter(family)), 0)
    for name in names:
        torch.nn.init.normal_(plain.get_parameter(name))
    recomputing.load_state_dict(plain.state_dict())
    image = torch.randn(2, 3, 64, 48)
    for model in (plain, recomputing):
        model.train()(image).feature_map.square().sum().backward()
    for (name, one), other in zip(plain.named_parameters(), recomputing.parameters()):
        assert one.grad.abs().sum() > 0, name
        assert torch.equal(one.grad, other.grad), name
    default = tiny_vit()
    default.load_state_dict({name: value for name, value in plain.state_dict().items()
                             if name not in names})
    one, other = (model.double().eval()(image.double()).feature_map for model in (plain, default))
    assert (one - other).abs().max() > 1e-8
    assert Arch(**arch).as_config() == arch and ARCHS['base'].as_config().keys() == TINY.keys()


def test_activations_are_their_formulas():
    x = torch.linspace(-4, 4, 99, dtype=torch.double)
    cubed = x + .044715 * x**3
    for name, expected in dict(
            gelu=x * (1 + torch.erf(x / 2**.5)) / 2,
            gelu_tanh=x * (1 + torch.tanh((2 / torch.pi)**.5 * cubed)) / 2,
            quick_gelu=x / (1 + torch.exp(-1.702 * x))).items():
        torch.testing.assert_close(ACTIVATIONS[name]()(x), expected)


def test_rotary_products_depend_on_distances_alone():
    """What rotary attention is for: tokens that are equally far apart see each other equally."""
    turns = rotations((4, 3), 8, 100., like=torch.ones(1, dtype=torch.double))
    query, key = torch.randn(2, 8, dtype=torch.double)
    products = rotate(query.expand(1, 1, 12, 8), turns) @ rotate(
        key.expand(1, 1, 12, 8), turns).transpose(-1, -2)
    by_token = products[0, 0].reshape(4, 3, 4, 3)
    torch.testing.assert_close(by_token[0, 0, 2, 1], by_token[1, 1, 3, 2])
    torch.testing.assert_close(by_token[2, 2, 1, 0], by_token[3, 2, 2, 0])
    assert (by_token[0, 0, 2, 1] - by_token[0, 0, 1, 2]).abs() > 1e-3
    assert turns.shape == (2, 12, 8)


def test_checkpointing_replays_drop_path():
    """A second draw in the recomputation would give gradients of another network."""
    plain = tiny_vit(drop_path_rate=.5)
    recomputing = tiny_vit(drop_path_rate=.5, with_cp=True)
    recomputing.load_state_dict(plain.state_dict())
    image = torch.randn(4, 3, 64, 48)
    for model in (plain, recomputing):
        torch.manual_seed(3)
        model.train()(image).feature_map.square().sum().backward()
    torch.testing.assert_close(plain.pos_embed.grad, recomputing.pos_embed.grad)


def test_drop_path_rises_linearly_to_its_rate():
    model = tiny_vit(drop_path_rate=.3)
    rates = [layer.drop_path.drop_prob for layer in model.layers]
    assert rates == pytest.approx([0, .1, .2, .3])


def test_other_input_sizes_interpolate_the_position_embedding():
    model = tiny_vit().eval()
    assert model(torch.randn(1, 3, 96, 64)).feature_map.shape == (1, 32, 6, 4)
    # A constant embedding stays the same constant whatever the size.
    model.pos_embed.data.fill_(.7)
    torch.testing.assert_close(model._pos_embed_for((6, 4)), torch.full((1, 24, 32), .7))


def test_position_embedding_keeps_its_orientation():
    model = tiny_vit()
    rows = torch.arange(4.).repeat_interleave(3)  # grows downwards on the 4x3 grid
    model.pos_embed.data = rows.view(1, 12, 1).expand(1, 12, 32).clone()
    resized = model._pos_embed_for((8, 3))[0, :, 0].view(8, 3)
    assert (resized.diff(dim=0) > 0).all()
    torch.testing.assert_close(resized, resized[:, :1].expand(8, 3))


def test_interpolated_position_embedding_keeps_its_type():
    pos_embed = torch.randn(1, 12, 32).bfloat16()
    resized = resize_pos_embed(pos_embed, (4, 3), (6, 4))
    # The interpolation itself is in single precision.
    assert torch.equal(resized, resize_pos_embed(pos_embed.float(), (4, 3), (6, 4)).bfloat16())


def test_attention_mixes_tokens_as_softmax_of_scaled_products():
    attention = tiny_vit().layers[0].attn
    x = torch.randn(2, 5, 32)
    query, key, value = attention.qkv(x).view(2, 5, 3, 4, 8).permute(2, 0, 3, 1, 4)
    weights = (query @ key.transpose(-1, -2) / 8**.5).softmax(-1)
    expected = attention.proj((weights @ value).transpose(1, 2).reshape(2, 5, 32))
    torch.testing.assert_close(attention(x), expected)


def test_parameter_names_are_mmpretrains():
    names = {name for name, _ in tiny_vit().named_parameters() if 'patch_embed' not in name}
    block = ['ln1', 'attn.qkv', 'attn.proj', 'ln2', 'ffn.layers.0.0', 'ffn.layers.1']
    assert names == {'pos_embed', 'ln1.weight', 'ln1.bias'} | {
        f'layers.{i}.{part}.{kind}' for i in range(4) for part in block
        for kind in ('weight', 'bias')}


def test_linear_layers_start_with_std_002():
    model = tiny_vit(arch='tiny')
    for name in ('attn.qkv', 'ffn.layers.0.0'):
        layer = model.layers[1].get_submodule(name)
        assert layer.weight.std().item() == pytest.approx(.02, rel=.05)
        assert not layer.bias.any()
    assert model.pos_embed.std().item() == pytest.approx(.02, rel=.05)


@pytest.mark.parametrize('arguments, message', [
    (dict(arch='giant'), "unknown arch 'giant'; known: tiny, small, base, large, huge"),
    (dict(arch=dict(embed_dims=32)), 'needs embed_dims, num_layers'),
    (dict(arch=dict(TINY, num_heads=5)), '5 heads for 32 channels'),
    (dict(shortcut='on'), "identity, gated, none, got 'on'"),
    (dict(group_size=3), 'groups of 3 for 4 blocks'),
    (dict(img_size=(250, 192)), 'input must be divisible by 16, got 250x192'),
])
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny_vit(**arguments)


def test_bad_image_size():
    with pytest.raises(ValueError, match='input must be divisible by 16, got 250x192'):
        tiny_vit()(torch.zeros(1, 3, 250, 192))
