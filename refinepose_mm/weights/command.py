"""`refinepose weights`: what becomes of a file's keys, and whether it is the same function."""

from __future__ import annotations

import argparse
from pathlib import Path

from torch import nn

from ..checkpoints import open_checkpoint
from ..files import refuse_inputs, require_folder
from ..models.shortcut_vit import ARCHS, SHORTCUTS, Arch, ShortcutViT, resolve_arch
from ..models.vit_layers import ACTIVATIONS
from .conversion import EXPERTS
from .formats import FORMATS, OURS
from .loading import Report, load_source
from .output import (
    WRITERS,
    build_vitpose,
    require_vitpose,
    write_encoder,
    write_huggingface,
    write_model,
)
from .proof import NoProof, prove
from .source import Source, describe

PLAIN = dict(stem=dict(type='PatchEmbedding'), shortcut='none')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `refinepose weights`."""
    parser.add_argument('source', help='path or URL of a .pth or .safetensors file, a folder of '
                                       'Hugging Face, or hf://owner/name[@revision][/file]')
    parser.add_argument('--arch', default='auto', choices=('auto', *ARCHS),
                        help="widths that the file has to have; default: the file's own")
    parser.add_argument('--num-heads', type=int, metavar='N',
                        help='attention heads of the source, if neither the file nor its format '
                             'shows them')
    parser.add_argument('--format', choices=sorted({found.name for found in FORMATS}),
                        metavar='NAME', help="the source's format, if several have its keys, "
                                             "such as 'official DeiT-III'")
    parser.add_argument('--expert', choices=EXPERTS,
                        help='which data set to take the expert of, from a ViTPose++')
    parser.add_argument('--activation', choices=ACTIVATIONS,
                        help="of the source, if the file does not show it; default: the format's")
    parser.add_argument('--layer-scale', choices=('fold', 'keep'), default='fold',
                        help='what becomes of LayerScale; folding gives the same function, but '
                             'learning rate and weight decay act on products; default: fold')
    parser.add_argument('--img-size', nargs=2, type=int, metavar=('H', 'W'),
                        help='input size in pixels, multiples of 16; default: that of a pose '
                             'estimator, 256 192 for other encoders')
    parser.add_argument('--plain', action='store_true',
                        help='load into a plain ViT (PatchEmbedding, no shortcuts)')
    parser.add_argument('--shortcut', choices=SHORTCUTS,
                        help='shortcuts of the encoder that it is loaded into; default: those of '
                             'a RefinePose, identity for other encoders')
    parser.add_argument('--write', choices=WRITERS, default='encoder',
                        help="what to write: the encoder in RefinePose's names, the whole model "
                             "as MMPose loads it, or ViTPose as a folder of Hugging Face; "
                             'default: encoder')
    parser.add_argument('--output', help='where to write it; files as .safetensors if the name '
                                         'ends so, else as .pth')


def run(args: argparse.Namespace) -> int:
    """Report what became of every key, prove the function and write what is asked for."""
    if args.num_heads is not None and args.num_heads < 1:
        raise ValueError(f'--num-heads must be at least 1, got {args.num_heads}')
    if args.output is not None:
        _require_output(args)
    source = _describe(args)
    size = tuple(args.img_size or source.image_size or (256, 192))
    arch = source.arch._replace(layer_scale=args.layer_scale == 'keep' and source.arch.layer_scale)
    if args.write != 'encoder':
        model, report = _whole_model(source, size, args.write)
        backbone = model.backbone
    else:
        options = dict(PLAIN) if args.plain else dict(shortcut=_shortcut(source, args))
        if args.plain:
            options['stem'] = dict(PLAIN['stem'], padding=source.format.padding)
        elif source.format.name != OURS and arch.pre_norm:
            arch = arch._replace(pre_norm=False)  # goes with the stem
        backbone = ShortcutViT(arch.as_config(), size, **options)
        report = load_source(backbone, source)
    print('\n'.join(f'{args.source}: {report}'.splitlines()[:-1]))
    print(f'  arch         {_as_words(backbone.arch)}')
    print(f'  {report.verdict(_proof(source, bool(report.differences)))}')
    if args.output is not None:
        inputs = _files_of(args.source)
        if args.write == 'encoder':
            write_encoder(args.output, backbone, report, inputs)
        elif args.write == 'model':
            write_model(args.output, model, report.format, inputs)
        else:
            write_huggingface(args.output, model, _joint_names(source))
        print(f'wrote {args.output}')
    return 0


def _describe(args: argparse.Namespace) -> Source:
    weights, meta = open_checkpoint(args.source)
    source = describe(weights, args.source, meta=meta, num_heads=args.num_heads,
                      expert=args.expert, source_format=args.format)
    if args.activation is not None:
        known = source.facts.activation
        if known not in (None, args.activation):
            raise ValueError(f'{args.source} was trained with {known}, got '
                             f'--activation {args.activation}')
        source = source._replace(arch=source.arch._replace(activation=args.activation),
                                 facts=source.facts._replace(activation=args.activation))
    if args.arch != 'auto':
        asked, found = ARCHS[args.arch], source.arch
        wrong = [f'{name} {getattr(found, name)}' for name in (
            'embed_dims', 'num_layers', 'num_heads', 'feedforward_channels')
            if getattr(found, name) != getattr(asked, name)
            and not (name == 'num_heads' and args.num_heads)]
        if wrong:
            raise ValueError(f'{args.source} ({source.format.name}) does not fit --arch '
                             f'{args.arch}: it has {", ".join(wrong)}')
    resolve_arch(source.arch._asdict())
    return source


def _shortcut(source: Source, args: argparse.Namespace) -> str:
    if args.shortcut:
        return args.shortcut
    has_gates = any(key.endswith('gates') for key in source.weights)
    known = source.facts.shortcut if source.format.name == OURS else None
    return known or ('gated' if has_gates else 'identity')


def _whole_model(source: Source, size: tuple[int, int], write: str) -> tuple[nn.Module, Report]:
    if source.facts.shortcut not in (None, 'none') or source.format.name == OURS:
        raise ValueError(f'{source.name} is no ViTPose: it has '
                         + ('the stem of RefinePose' if source.format.name == OURS else
                            f'{source.facts.shortcut} shortcuts'))
    model, report = build_vitpose(source, size)
    if write == 'huggingface':
        require_vitpose(model.backbone)
    return model, report


def _proof(source: Source, differs: bool) -> str:
    """What the comparison with the source's code says, in words."""
    if source.format.name == OURS:
        return ''
    try:
        proof = prove(source)
    except NoProof as reason:
        return f'not measured here: {reason}; the tests prove the format'
    if not proof.holds:
        raise ValueError(f'{source.name} ({source.format.name}): what was loaded is another '
                         f'function than its source, {proof}')
    return f'the plain encoder: {proof}' if differs else str(proof)


def _as_words(arch: Arch) -> str:
    """As configs name it."""
    for name, known in ARCHS.items():
        if arch == known:
            return repr(name)
    return f'dict({", ".join(f"{name}={value!r}" for name, value in arch.as_config().items())})'


def _joint_names(source: Source) -> list[str] | None:
    """Names that MMEngine's checkpoints have of their data set, if they are complete."""
    info = source.meta.get('dataset_meta')
    table = info.get('keypoint_id2name') if isinstance(info, dict) else None
    if not isinstance(table, dict) or set(table) != set(range(len(table))):
        return None
    return [str(table[joint]) for joint in range(len(table))]


def _require_output(args: argparse.Namespace) -> None:
    """Check that the output can be written and is no input, before work is spent."""
    output = Path(args.output)
    if args.write == 'huggingface':
        if output.is_file():
            raise NotADirectoryError(f'output {output} is a file, expected a folder')
        if output.is_dir():
            refuse_inputs(output / 'model.safetensors', _files_of(args.source))
        output = output / 'model.safetensors' if output.is_dir() else output
    else:
        refuse_inputs(output, _files_of(args.source))
    require_folder(output)


def _files_of(source: str) -> list[Path]:
    """What may be read: the file, or all files of a folder or beside an index."""
    path = Path(source)
    folder = path.parent if path.suffix == '.json' else path
    return list(folder.iterdir()) if folder.is_dir() else [path]
