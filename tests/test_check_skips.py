"""The reports of `make test-all` show a test that no environment has run."""

import check_skips

REPORT = '''<testsuites><testsuite>
<testcase classname="tests.test_a" name="test_plain" />
<testcase classname="tests.test_a" name="test_timm">{timm}</testcase>
<testcase classname="tests.test_a" name="test_onnx">{onnx}</testcase>
<testcase classname="tests.test_a" name="test_gpu"><skipped message="needs CUDA" /></testcase>
</testsuite></testsuites>'''
SKIPPED = '<skipped type="pytest.skip" message="{} is not installed" />'


def report(tmp_path, name, **skipped):
    path = tmp_path / f'{name}.xml'
    path.write_text(REPORT.format(**{'timm': '', 'onnx': '', **skipped}))
    return str(path)


def test_a_test_that_another_environment_runs_is_fine(tmp_path, capsys):
    paths = [report(tmp_path, 'test', timm=SKIPPED.format('timm'), onnx=SKIPPED.format('onnx')),
             report(tmp_path, 'export', timm=SKIPPED.format('timm')),
             report(tmp_path, 'timm', onnx=SKIPPED.format('onnx'))]
    assert check_skips.main(paths) == 0
    assert '4 tests' in capsys.readouterr().out


def test_a_test_that_is_skipped_everywhere_is_named(tmp_path, capsys):
    paths = [report(tmp_path, 'test', timm=SKIPPED.format('timm'), onnx=SKIPPED.format('onnx')),
             report(tmp_path, 'export', timm=SKIPPED.format('timm'))]
    assert check_skips.main(paths) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == 'tests.test_a::test_timm never ran: timm is not installed'
    assert lines[1].startswith('1 tests were skipped in all of')


def test_a_module_that_is_skipped_as_a_whole_runs_elsewhere_or_is_named(tmp_path, capsys):
    whole = tmp_path / 'whole.xml'
    whole.write_text('<testsuites><testsuite><testcase classname="" name="tests.test_a">'
                     '<skipped message="collection skipped" /></testcase></testsuite></testsuites>')
    assert check_skips.main([str(whole), report(tmp_path, 'all')]) == 0
    assert check_skips.main([str(whole)]) == 1
    assert '::tests.test_a never ran: collection skipped' in capsys.readouterr().out
