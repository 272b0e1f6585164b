"""The study runs what is missing, keeps what is there, and reports from records alone."""

import csv
import importlib
import itertools
import json
import multiprocessing
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import ROOT
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from mmengine.config import Config
from mmpose.apis import init_model
from peaks import give_peaks
from toy_lspet import write_toy_lspet

STUDY = ROOT / 'projects/real_photo_study'
SCALES = ['cpu', 'cpu_long']  # those with records
sys.path.insert(0, str(STUDY))
costs, curves, pictures, positions, records, report, rows, run, timing = map(
    importlib.import_module, ('costs', 'curves', 'pictures', 'positions', 'records', 'report',
                              'rows', 'run', 'timing'))


@pytest.fixture
def lspet(tmp_path, monkeypatch):
    """Ten toy persons to train and four to validate on."""
    write_toy_lspet(tmp_path, train=10, val=4)
    monkeypatch.setenv('LSPET_ROOT', str(tmp_path))
    return tmp_path


@pytest.fixture(scope='module')
def published():
    """The rows of the published records, by scale."""
    return {scale: report.read_rows(report.RESULTS / scale) for scale in SCALES}


def make_record(row, seed, *scores, jumps=False):
    """A record with these shares of all metrics after epochs 2, 4, ..."""
    return dict(
        row=row, seed=seed, params=2e6, macs=3e7,
        losses=[[50, .011], [100, .01], [150, .0104 if jumps else .0102], [200, .009]],
        metrics={str(2 * number): dict.fromkeys(records.METRICS, score)
                 for number, score in enumerate(scores, start=1)})


@pytest.mark.slow
def test_runs_are_recorded_resumed_and_reported(lspet):
    results, work_dir = lspet / 'results', lspet / 'work'
    command = [sys.executable, str(STUDY / 'run.py'), '--rows', 'vitpose_classic_lr_1e2',
               '--seeds', '0', '--results', str(results), '--work-dir', str(work_dir)]
    first = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert first.returncode == 0, first.stderr[-3000:]
    assert '0 runs are done, 1 to do' in first.stdout
    assert '| vitpose_classic@lr=1e-2 | 1 |' in first.stdout
    path = results / 'cpu/records.jsonl'
    record, = records.read(path)
    assert record['row'] == 'vitpose_classic@lr=1e-2'
    assert list(record['metrics']) == [str(epoch) for epoch in range(2, 13, 2)]
    assert record['params'] == 1268846
    # It was trained with the config that the record names.
    trained, = work_dir.glob('cpu/vitpose_classic@lr=1e-2_seed0_*/vitpose_classic.py')
    assert Config.fromfile(trained).optim_wrapper.optimizer.lr == 1e-2
    assert run.fingerprint(Config.fromfile(trained)) == record['fingerprint']
    assert run.missing([record['row']], [0, 1], 'cpu', [record]) == [(record['row'], 1)]

    # A record of another config does not count; its checkpoint and log are still there.
    path.write_text(json.dumps(dict(record, fingerprint='other')) + '\n')
    again = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert '0 runs are done, 1 to do' in again.stdout and again.returncode == 0
    assert records.read(path) == [record]


def test_missing_data_end_in_one_line(tmp_path):
    result = subprocess.run(
        [sys.executable, str(STUDY / 'run.py'), '--results', str(tmp_path)], cwd=ROOT,
        env={'LSPET_ROOT': str(tmp_path), 'PATH': ''}, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1].endswith(
        'lspet_val.json not found; set LSPET_ROOT to the folder of LSP-Extended')


def test_a_row_whose_encoder_is_missing_is_named(lspet):
    result = subprocess.run(
        [sys.executable, str(STUDY / 'run.py'), '--rows', 'pretrained', '--seeds', '0',
         '--results', str(lspet / 'results')],
        capture_output=True, text=True, cwd=lspet)
    assert result.returncode == 1
    assert ('pretrained, seed 0: starts from work_dirs/real_photo_study/cpu_vitpose.pth, which is '
            'not there; README.md says how it is made') in result.stdout


@pytest.mark.parametrize('row', rows.ROWS)
def test_a_row_has_its_scales_and_an_equal_budget(row):
    model, _, change = row.partition('@')
    trained = model.startswith(('pretrained', 'transplant', 'vitpose_trained_on'))
    budgets = []
    for scale, width, size in (('cpu', 96, (96, 96)), ('cpu_long', 96, (96, 96)),
                               ('gpu', 384, (256, 192))):
        config, reference = rows.load(row, scale), rows.load('refinepose', scale)
        backbone, head = config.model.backbone, config.model.head
        assert tuple(backbone.img_size) == size and head.in_channels == width
        assert (backbone.init_cfg is None) == (not trained)
        assert bool(config.load_from or backbone.init_cfg) == trained
        for key in ('train_pipeline', 'val_pipeline', 'train_dataloader',
                    'val_evaluator', 'custom_hooks'):
            assert config[key] == reference[key]
        assert config.train_cfg.max_epochs == reference.train_cfg.max_epochs
        warm_up, *decay = config.param_scheduler
        assert decay == reference.param_scheduler[1:]
        longer = scale != 'cpu' or change == 'warmup=500' or trained
        assert warm_up == dict(reference.param_scheduler[0], end=500 if longer else 200)
        rate = float(change[3:]) if change.startswith('lr=') else None
        assert config.optim_wrapper.optimizer == dict(
            reference.optim_wrapper.optimizer, **({'lr': rate} if rate else {}))
        budgets.append(config.train_cfg.max_epochs)
        # MMPose's own head cannot be trained in bf16.
        assert (config.optim_wrapper.get('dtype') == 'bfloat16') == (scale == 'gpu')
        assert scale != 'gpu' or head.type != 'HeatmapHead'
    assert budgets[1] == 3 * budgets[0] and budgets[2] > budgets[1]


def test_a_changed_number_is_all_that_changes():
    def flat(config, prefix=''):
        pairs = config.items() if isinstance(config, dict) else enumerate(config)
        for key, value in pairs:
            if isinstance(value, (dict, list)):
                yield from flat(value, f'{prefix}{key}.')
            else:
                yield f'{prefix}{key}', value

    for row in rows.CHANGED:
        base, changed = (dict(flat(rows.load(name, 'cpu').to_dict()))
                         for name in (row.partition('@')[0], row))
        (key, value), = rows.options(row).items()
        assert {name for name in changed if changed[name] != base.get(name)} == {key}
        assert changed[key] == float(value) and base.keys() <= changed.keys()


def test_names_of_rows_are_safe_as_folders_and_older_ones_are_known():
    assert all(re.fullmatch(r'\w[\w@=.-]*', row) for row in rows.ROWS)
    assert len({row.lower() for row in rows.ROWS}) == len(rows.ROWS)
    assert len(rows.ALIASES) == 14 and set(rows.ALIASES.values()) <= set(rows.ROWS)
    assert rows.canonical('refinepose_lr_1e2') == 'refinepose@lr=1e-2'
    assert rows.canonical('refinepose@lr=1e-2') == 'refinepose@lr=1e-2'
    assert not set(rows.ALIASES) & set(rows.ROWS)


def test_the_readme_cites_rows_that_exist():
    families = 'refinepose|vitpose|stem|decoder|pretrained|transplant_|early'
    cited = set(re.findall(rf'`((?:{families})[\w@=.-]*)`', (STUDY / 'README.md').read_text()))
    assert len(cited) > 20 and cited <= {*rows.ROWS, *rows.ALIASES}


def test_the_last_record_of_a_run_counts_under_the_present_name(tmp_path):
    path = tmp_path / records.RECORDS
    assert records.read(path) == []
    for record in (make_record('refinepose_lr_1e2', 1, .1), make_record('b', 0, .2),
                   make_record('refinepose@lr=1e-2', 1, .3), make_record('b', 1, .4)):
        records.append(path, record)
    assert len(path.read_text().splitlines()) == 4
    assert records.read(path) == [
        make_record('b', 0, .2), make_record('b', 1, .4), make_record('refinepose@lr=1e-2', 1, .3)]


def test_a_killed_writer_costs_its_own_record_alone(tmp_path):
    path = tmp_path / records.RECORDS
    records.append(path, make_record('a', 0, .1))
    whole = path.read_bytes()
    for length in (1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole + whole[:length])
        assert records.read(path) == [make_record('a', 0, .1)]
        records.append(path, make_record('b', 0, .2))
        assert records.read(path) == [make_record('a', 0, .1), make_record('b', 0, .2)]
        assert path.read_bytes().startswith(whole) and len(path.read_bytes().splitlines()) == 2


def test_a_line_that_is_no_record_is_named(tmp_path):
    path = tmp_path / records.RECORDS
    for line in ('{"row": "a"}', '<<<<<<< HEAD', '3'):
        path.write_text(json.dumps(make_record('a', 0, .1)) + f'\n{line}\n')
        with pytest.raises(ValueError, match=f'records.jsonl, line 2: .*{re.escape(line)}'):
            records.read(path)


def _append_many(path, name, count):
    for seed in range(count):
        records.append(path, dict(make_record(name, seed, .1), padding='x' * 5000))


def test_processes_append_at_the_same_time(tmp_path):
    path, context = tmp_path / records.RECORDS, multiprocessing.get_context('fork')
    processes = [context.Process(target=_append_many, args=(path, name, 50)) for name in 'abcd']
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [(record['row'], record['seed']) for record in records.read(path)] == [
        (name, seed) for name in 'abcd' for seed in range(50)]


def test_the_table_has_means_and_spread(tmp_path, capsys):
    (tmp_path / 'cpu').mkdir()
    for record in (make_record('a', 0, .1, .2, jumps=True), make_record('b', 0, .1, .3, jumps=True),
                   make_record('b', 1, .1, .5)):
        records.append(tmp_path / 'cpu' / records.RECORDS, record)
    (tmp_path / 'cpu' / report.TIMING).write_text(json.dumps(dict(ms_per_image=dict(b=4.))))
    report.write(tmp_path)
    with (tmp_path / 'cpu/table.csv').open() as file:
        lines = list(csv.DictReader(file))
    assert [line['row'] for line in lines] == ['b', 'a']
    assert lines[0]['PCK@0.1'] == '40.0 ± 14.1' and lines[1]['PCK@0.1'] == '20.0'
    assert [line['ms/image'] for line in lines] == ['4.0', '-']
    assert [line['jumps'] for line in lines] == ['1', '1']
    assert lines[0]['seeds'] == '2' and lines[0]['params (M)'] == '2.00'
    assert '| b | 2 | 1 | 40.0 ± 14.1 |' in capsys.readouterr().out
    with pytest.raises(FileNotFoundError, match='no records in .*/none/'):
        report.write(tmp_path / 'none')


def test_epochs_of_what_was_scored_from_the_first_one():
    def record(seed, *scores, start=None):
        made = make_record('a', seed)
        epochs = dict(zip((1, 3, 12), scores)) if start is None else dict(
            zip((0, 1, 3, 12), (start, *scores)))
        made['metrics'] = {str(epoch): dict.fromkeys(records.METRICS, score)
                           for epoch, score in epochs.items()}
        return made

    assert report.by_epoch(dict(
        trained=[record(0, .1, .2, .4, start=.3), record(1, .3, .2, .4, start=.3)],
        scratch=[record(0, .1, .2, .4)], other=[make_record('c', 0, .1, .2)])) == [
        {'row': 'trained', 'seeds': '2', 'before': '30.0 ± 0.0', 'epoch 1': '20.0 ± 14.1',
         'epoch 3': '20.0 ± 0.0', 'epoch 12': '40.0 ± 0.0'},
        {'row': 'scratch', 'seeds': '1', 'before': '-', 'epoch 1': '10.0', 'epoch 3': '20.0',
         'epoch 12': '40.0'}]


@pytest.mark.parametrize('scale', SCALES)
def test_the_published_table_is_that_of_the_records(scale, published):
    def in_readme(name):
        return (STUDY / 'README.md').read_text().split(report.MARK.format(name=name))[1]

    lines = report.table(published[scale], report.read_timing(report.RESULTS / scale))
    assert in_readme(scale) == report.to_markdown(lines)
    if progress := report.by_epoch(published[scale]):
        assert in_readme(f'{scale} by epoch') == report.to_markdown(progress)
    with (report.RESULTS / scale / 'table.csv').open() as file:
        assert list(csv.DictReader(file)) == lines
    # Every record is one of a config as it is now.
    for row, of_row in published[scale].items():
        for record in of_row:
            assert run.fingerprint(rows.load(row, scale)) == record['fingerprint']


@pytest.mark.parametrize('row', costs.forms('small'))
def test_costs_are_counted_of_the_forms_of_the_rows(row):
    """The gpu scale has the widths of ViT-S. Rows with fewer blocks leave out more of them."""
    model, form = rows.load(row, 'gpu').model, costs.forms('small')[row]
    stem = dict(form['backbone']['stem'])
    stem.pop('position_stages', None)  # costs nothing
    assert model.backbone.get('stem', dict(type='GradualEmbedding')) == stem
    assert model.head.type == form['head']['type']
    for key in ('in_channels', 'deconv_out_channels', 'channels', 'channel_match'):
        assert model.head.get(key) == form['head'].get(key)


def test_a_curve_shows_means_spread_and_its_label():
    question = curves.Question('Which?', dict(a='first', b='second'))
    figure = curves.draw_question(question, dict(
        a=[make_record('a', 0, .2, .3), make_record('a', 1, .4, .5)],
        b=[make_record('b', 0, .3, .38)]))
    axes, = figure.axes
    assert axes.get_title('left') == 'Which?'
    first, second = axes.lines
    assert first.get_xydata().tolist() == [[2, 30], [4, 40]]
    np.testing.assert_allclose(second.get_xydata(), [[2, 30], [4, 38]])
    corners = {tuple(corner) for corner in axes.collections[0].get_paths()[0].vertices.round(6)}
    assert corners == {(2, 20), (4, 30), (2, 40), (4, 50)}
    lower, upper = axes.texts
    assert (lower.get_text(), upper.get_text()) == ('second 38.0', 'first 40.0 ± 14.1')
    assert upper.get_color() == first.get_color() != second.get_color() == lower.get_color()
    assert tuple(upper.xy) == (4, 40) and axes.get_legend() is None


def test_learning_rates_are_drawn_in_their_order(published):
    axes, = curves.draw_rates(published['cpu'], 'cpu').axes
    lines = dict(zip(curves.RATES.labels, axes.lines))
    assert axes.get_xscale() == 'log'
    assert lines['refinepose'].get_xdata().tolist() == [5e-4, 2e-3, 5e-3, 1e-2, 2e-2]
    assert lines['vitpose_classic'].get_xdata().tolist() == [5e-4, 2e-3, 5e-3, 1e-2]
    np.testing.assert_allclose(
        lines['refinepose'].get_ydata(), [30.1, 38.7, 43.7, 39.1, 41.6], atol=.06)
    dots = np.concatenate([dots.get_offsets() for dots in axes.collections])
    assert len(dots) == 9 + 6 + 4  # RefinePose, ViTPose, classic head on RefinePose's stem
    ticks = dict(zip(axes.get_xticks(), (text.get_text() for text in axes.get_xticklabels())))
    assert ticks == {5e-4: '5e-4', 2e-3: '2e-3', 5e-3: '5e-3', 1e-2: '1e-2', 2e-2: '2e-2'}


def test_more_epochs_are_drawn_beside_fewer(published):
    axes, = curves.draw_more_epochs(published['cpu'], published['cpu_long']).axes
    rows = len(curves.EPOCHS.labels)
    assert [line.get_linestyle() for line in axes.lines] == ['--'] * rows + ['-'] * rows
    assert [line.get_xdata()[-1] for line in axes.lines] == [12] * rows + [36] * rows
    for dashed, solid in zip(axes.lines[:rows], axes.lines[rows:]):
        assert dashed.get_color() == solid.get_color()


def test_published_pictures_are_small_and_their_labels_legible(published):
    figures = curves.draw_all(published)
    assert sorted(figures) == ['cpu/costs.png', 'cpu/decoder.png', 'cpu/learning_rate.png',
                               'cpu/relu.png', 'cpu/shortcuts.png', 'cpu/start.png', 'cpu/stem.png',
                               'epochs.png']
    assert sorted(figures) == sorted(
        str(path.relative_to(report.RESULTS)) for path in report.RESULTS.rglob('*.png'))
    shown = re.findall(r'\]\(results/(.*?\.png)\)', (STUDY / 'README.md').read_text())
    assert sorted(shown) == sorted(figures)
    for name, figure in figures.items():
        assert (report.RESULTS / name).stat().st_size < 100_000
        renderer = FigureCanvasAgg(figure).get_renderer()
        figure.draw(renderer)
        # The text alone: an annotation's own extent includes the line that leads to it.
        boxes = [Text.get_window_extent(text, renderer) for text in figure.axes[0].texts]
        assert 3 <= len(boxes) <= 8
        for box in boxes:
            assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 and (
                figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1), name
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


def test_a_step_of_every_row_is_timed(lspet, monkeypatch):
    monkeypatch.setattr(rows, 'ROWS', ['refinepose', 'refinepose@lr=1e-2', 'vitpose_simple'])
    (lspet / 'cpu').mkdir()
    monkeypatch.setattr(sys, 'argv', ['timing.py', '--rounds', '1', '--results', str(lspet)])
    timing.main()
    written = json.loads((lspet / 'cpu/timing.json').read_text())
    assert list(written['ms_per_image']) == rows.ROWS
    assert all(value > 0 for value in written['ms_per_image'].values())


def make_checkpoint(row, folder):
    """Config and checkpoint of an untrained model; FusionHead's heatmaps have peaks."""
    config, checkpoint = STUDY / f'configs/{row}.py', folder / f'{row}.pth'
    torch.manual_seed(0)
    model = init_model(Config.fromfile(config), device='cpu')
    if row == 'refinepose':
        give_peaks(model)
    torch.save(dict(state_dict=model.state_dict()), checkpoint)
    return [str(config), str(checkpoint)]


def test_wrong_positions_are_tried(lspet, monkeypatch, capsys):
    config, checkpoint = make_checkpoint('refinepose', lspet)
    used = []
    forward = positions.Nothing.forward
    monkeypatch.setattr(positions.Nothing, 'forward',
                        lambda self, *given: used.append(self) or forward(self, *given))
    monkeypatch.setattr(sys, 'argv', ['positions.py', config, checkpoint,
                                      '--work-dir', str(lspet / 'work')])
    positions.main()
    table = capsys.readouterr().out
    assert re.findall(r'^\| (.+?) \| \d+\.\d \|$', table, re.M) == [
        'as trained', 'values at random positions', 'values spread over their windows', 'left out']
    assert len(used) % 4 == 0 and used  # two steps, each image and its mirror image

    config = str(STUDY / 'configs/vitpose_simple.py')
    monkeypatch.setattr(sys, 'argv', ['positions.py', config, checkpoint])
    with pytest.raises(SystemExit, match='vitpose_simple.py does not unpool'):
        positions.main()


def test_wrong_unpoolings_keep_what_they_should():
    model = init_model(Config.fromfile(STUDY / 'configs/refinepose.py'), device='cpu')
    trained = model.head.up_samples[0].unpool
    torch.manual_seed(0)
    x, given = torch.randn(2, 8, 4, 4), torch.randint(0, 4, (2, 4, 4, 4), dtype=torch.uint8)
    made = {name: unpool(x, given) for name, unpool in positions.unpoolings(trained).items()}
    window_sums = {name: F.avg_pool2d(value, 2) * 4 for name, value in made.items()}
    for name in ('as trained', 'values at random positions', 'values spread over their windows'):
        torch.testing.assert_close(window_sums[name], x)
    assert not torch.equal(made['values at random positions'], made['as trained'])
    spread = made['values spread over their windows']
    torch.testing.assert_close(spread, F.interpolate(x, scale_factor=2) / 4)
    assert not made['left out'].any() and made['left out'].shape == (2, 8, 8, 8)


def test_the_picture_page(lspet, monkeypatch, capsys):
    words = [*make_checkpoint('vitpose_simple', lspet), *make_checkpoint('refinepose', lspet)]
    page, drawn = lspet / 'page.png', []
    draw_page = pictures.draw_page
    monkeypatch.setattr(pictures, 'draw_page',
                        lambda *given: drawn.append((given, draw_page(*given))) or drawn[0][1])
    monkeypatch.setattr(sys, 'argv', ['pictures.py', str(page), *words, '--photos', '2'])
    pictures.main()
    assert page.is_file() and capsys.readouterr().out.endswith(f'\nwrote {page}\n')
    (((crops, predictions, meta), figure), ) = drawn
    assert [prediction.name for prediction in predictions] == ['vitpose_simple', 'refinepose']
    assert len(figure.axes) == 2 * (1 + 2 * 4)
    # Labels and predictions are drawn where they are, in pixels of the crop.
    label, hot, overlay, skeleton, detail = figure.axes[9:14]
    assert np.array_equal(label.images[0].get_array(), crops[1]['img'][..., ::-1])
    for axes, joints in ((label, crops[1]['transformed_keypoints'][0]),
                         (skeleton, predictions[0].keypoints[1])):
        assert len(axes.lines) == len(meta['skeleton_links']) == 12
        np.testing.assert_array_equal(axes.collections[0].get_offsets(), joints)
    for axes in (hot, overlay):
        assert np.array_equal(axes.images[-1].get_array(), predictions[0].heatmaps[1])
        assert axes.images[-1].get_extent() == list(
            pictures.extent(predictions[0].heatmaps[1], crops[1]['img']))
        assert axes.get_xlim() == (-.5, 95.5) and axes.get_ylim() == (95.5, -.5)
    assert len(detail.collections[-1].get_offsets()) == 1  # the cross

    monkeypatch.setattr(sys, 'argv', ['pictures.py', str(page), words[0], 'none.pth', *words[2:]])
    with pytest.raises(SystemExit, match='none.pth not found'):
        pictures.main()


def test_a_heatmap_lies_on_its_crop_as_udp_has_it():
    """Its corner pixels are centred on those of the crop."""
    left, right, bottom, top = pictures.extent(np.empty((24, 18)), np.empty((96, 72, 3)))
    across, down = (right - left) / 18, (bottom - top) / 24
    assert (left + across / 2, right - across / 2) == pytest.approx((0, 71))
    assert (top + down / 2, bottom - down / 2) == pytest.approx((0, 95))
