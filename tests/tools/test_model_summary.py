"""The summary's numbers are those that PySOT's networks were measured with (parameters in millions, GMAC)."""

import pytest
from conftest import ROOT, load_tool

tool = load_tool('analysis/model_summary.py')


@pytest.mark.parametrize(('config', 'search', 'params', 'template_gmac', 'search_gmac'), [
    ('siamrpnpp_r50_pysot.py', 255, '53.95', '10.65', '48.81'),
    ('siamrpnpp_mobilenetv2_pysot.py', 255, '11.15', '0.86', '7.00'),
    ('siamrpn_alexnet_pysot.py', 287, '6.25', '0.71', '6.47'),
])
def test_sizes_and_costs(config, search, params, template_gmac, search_gmac, capsys):
    tool.main([str(ROOT / 'configs' / config), '--search-size', str(search)])
    total = next(line for line in capsys.readouterr().out.splitlines() if line.startswith('all'))
    assert total.split() == ['all', params, template_gmac, search_gmac]
