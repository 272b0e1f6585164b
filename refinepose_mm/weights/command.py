"""`refinepose weights`: what would be loaded from a file, and what not."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..checkpoints import open_checkpoint, write_checkpoint
from ..files import refuse_inputs, require_folder
from ..models.shortcut_vit import ARCHS, ShortcutViT
from .conversion import EXPERTS
from .loading import load_encoder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `refinepose weights`."""
    parser.add_argument('source', help='path or URL of a .pth or .safetensors file, or a folder '
                                       'of Hugging Face')
    parser.add_argument('--arch', default='base', choices=ARCHS, help='default: %(default)s')
    parser.add_argument('--num-heads', type=int, metavar='N',
                        help='attention heads of the source, and of the encoder it is loaded '
                             'into; default: those of --arch')
    parser.add_argument('--expert', choices=EXPERTS,
                        help='which data set to take the expert of, from a ViTPose++')
    parser.add_argument('--img-size', nargs=2, type=int, default=(256, 192), metavar=('H', 'W'),
                        help='input size in pixels, multiples of 16; default: 256 192')
    parser.add_argument('--plain', action='store_true',
                        help='load into a plain ViT (PatchEmbedding, no shortcuts)')
    parser.add_argument('--output', help='write the encoder with the names of RefinePose, as '
                                         '.safetensors if the name ends so, else as .pth')


def run(args: argparse.Namespace) -> int:
    """Report what became of every key and write the encoder, if asked to."""
    if args.output is not None:
        refuse_inputs(args.output, _files_of(args.source))
        require_folder(args.output)
    arch = ARCHS[args.arch]
    if args.num_heads is not None:
        if args.num_heads < 1:
            raise ValueError(f'--num-heads must be at least 1, got {args.num_heads}')
        arch = arch._replace(num_heads=args.num_heads)
    weights, meta = open_checkpoint(args.source)
    plain = dict(stem=dict(type='PatchEmbedding'), shortcut='none') if args.plain else {}
    backbone = ShortcutViT(arch._asdict(), tuple(args.img_size), **plain)
    report = load_encoder(backbone, weights, args.source, meta=meta, num_heads=args.num_heads,
                          expert=args.expert)
    print(f'{args.source}: {report}')
    if args.output is not None:
        # Only what was loaded: a fresh stem is for the training run to initialise.
        encoder = backbone.state_dict()
        write_checkpoint(args.output, {f'backbone.{name}': encoder[name] for name in report.loaded},
                         dict(num_heads=report.heads.number, source=report.format),
                         inputs=_files_of(args.source))
        print(f'wrote {args.output}')
    return 0


def _files_of(source: str) -> list[Path]:
    """What may be read: the file, or all files of a folder or beside an index."""
    path = Path(source)
    folder = path.parent if path.suffix == '.json' else path
    return list(folder.iterdir()) if folder.is_dir() else [path]
