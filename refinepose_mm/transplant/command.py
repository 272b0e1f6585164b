"""`refinepose transplant`: its arguments, and what it writes."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch
from mmengine.logging import MMLogger

from ..checkpoints import open_checkpoint, write_checkpoint
from ..deploy.config import usable_device
from ..files import refuse_inputs, require_folder
from ..models.shortcut_vit import ARCHS
from ..weights.conversion import EXPERTS
from ..weights.formats import OURS
from ..weights.source import describe
from .crops import Crops, find_persons
from .loop import Plan, transplant
from .models import HEADS, build_source, build_target


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `refinepose transplant`."""
    parser.add_argument('source', help='a ViTPose: of MMPose, its authors, Hugging Face (a folder '
                                       'or hf://owner/name) or ours')
    parser.add_argument('--images', required=True, type=Path, metavar='FOLDER',
                        help='photos of persons; they need no labels')
    parser.add_argument('--boxes', type=Path, metavar='JSON',
                        help="where the persons are, in COCO's format or as `refinepose predict` "
                             'takes it; default: each photo is a person')
    parser.add_argument('--arch', default='auto', choices=('auto', *ARCHS),
                        help="widths that the source has to have; default: the file's own")
    parser.add_argument('--num-heads', type=int, metavar='N',
                        help='attention heads, if neither the file nor its format shows them')
    parser.add_argument('--expert', choices=EXPERTS, help='which one of a ViTPose++')
    parser.add_argument('--img-size', nargs=2, type=int, metavar=('H', 'W'),
                        help="input size in pixels; default: the source's")
    parser.add_argument('--head', default='keep', choices=HEADS,
                        help="the source's head, or a FusionHead that learns its heatmaps; "
                             'default: keep')
    parser.add_argument('--steps', type=int, default=2000, help='default: %(default)s')
    parser.add_argument('--batch', type=int, default=32, help='persons of a step; default: 32')
    parser.add_argument('--lr', type=float, default=1e-2,
                        help='highest learning rate; default: %(default)s')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu',
                        help='default here: %(default)s')
    parser.add_argument('--resume', action='store_true',
                        help='go on from OUTPUT.state, which an interrupted run leaves')
    parser.add_argument('--output', required=True,
                        help='the RefinePose to write, .pth or .safetensors')


def run(args: argparse.Namespace) -> int:
    """Transplant and write; the last lines say how to train on."""
    plan = Plan(args.steps, args.batch, args.lr, args.head, args.seed)
    if min(plan.steps, plan.batch, plan.lr) <= 0 or plan.seed < 0:
        raise ValueError('--steps, --batch and --lr must be above 0, --seed at least 0; got '
                         f'{plan.steps}, {plan.batch}, {plan.lr:g} and {plan.seed}')
    output, state = Path(args.output), Path(f'{args.output}.state')
    inputs = [Path(args.source), *([args.boxes] if args.boxes else [])]
    refuse_inputs(output, inputs)
    require_folder(output)
    if state.exists() and not args.resume:
        raise ValueError(f'{state} is there: --resume goes on from it; delete it to start anew')
    device = usable_device(args.device)
    weights, meta = open_checkpoint(args.source)
    source = describe(weights, args.source, meta=meta, num_heads=args.num_heads,
                      expert=args.expert)
    if args.arch != 'auto' and source.arch[:4] != ARCHS[args.arch][:4]:
        raise ValueError(f'{args.source} has {source.arch}, --arch {args.arch} is '
                         f'{ARCHS[args.arch]}')
    if source.format.name == OURS:
        raise ValueError(f'{args.source} is a RefinePose already: it has the stem of RefinePose')
    img_size = tuple(args.img_size) if args.img_size else source.image_size or (256, 192)
    MMLogger.get_current_instance().setLevel(logging.WARNING)  # of each initialised layer
    teacher = build_source(source, img_size).to(device)
    target, config = build_target(source, img_size, args.head, args.seed)
    crops = Crops(find_persons(args.images, args.boxes), img_size, args.seed)
    print(f'{source.format.name}, {img_size[0]}x{img_size[1]}, {source.heads.number} heads; '
          f'{len(crops.persons)} persons to learn from, {len(crops.held_out)} held out',
          flush=True)
    result = transplant(teacher, target.to(device), crops, plan, state, args.resume,
                        lambda line: print(line, flush=True))
    words = dict(num_heads=source.heads.number, eps=str(source.arch.eps),
                 activation=source.arch.activation, shortcut='gated', source=source.format.name,
                 cfg=f'model = {config!r}')
    write_checkpoint(output, {name: value.cpu() for name, value in target.state_dict().items()},
                     words, inputs=inputs)
    print(f'done: {result}')
    print(f'wrote {output}; train on with load_from={output!s} and this backbone: '
          f'arch={config["backbone"]["arch"]}, img_size={img_size}, shortcut=\'gated\', and '
          + ("the source's head" if args.head == 'keep' else 'FusionHead'))
    return 0
